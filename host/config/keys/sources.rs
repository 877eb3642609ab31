//! The keys of `[sources.NAME]`.

use super::{Key, Kind, Section, default, optional, required};

const SOURCE_KEYS: &[Key] = &[
    required(
        "path",
        Kind::Text,
        "The exact path of its requests, such as `/hooks/didit`. No two sources share one.",
    ),
    optional(
        "provider",
        Kind::Text,
        "**required**, unless there is a `scheme` or a `verifier`",
        "The preset that says how its requests are signed and where event id and type stand, such as \
         `didit`, `stripe` or `standard-webhooks`; for an unknown one `hookswitch check` lists them. \
         `unverified` lets everything through.",
    ),
    optional(
        "scheme",
        Kind::AnyTable,
        "the preset's",
        "How requests are signed, for a provider without a preset; written as the presets are.",
    ),
    optional(
        "verifier",
        Kind::Text,
        "the preset or the scheme judges",
        "The plugin that judges its requests, for what no scheme can say. It is handed `secrets`, `params`, \
         `tolerance` and `public_url`. Where it fails, the sender gets 503 and tries again.",
    ),
    optional(
        "secrets",
        Kind::Secrets,
        "an error, for presets that need one",
        "What the provider signs with. With several, any of them may have signed, so that they can be \
         rotated.",
    ),
    optional(
        "params",
        Kind::TextMap,
        "none",
        "What else the preset asks for, such as `username`. `env:` and `file:` work here too.",
    ),
    optional(
        "username",
        Kind::Text,
        "none",
        "Short for `params.username`.",
    ),
    optional(
        "tolerance",
        Kind::Duration("1s", "1d"),
        "the preset's",
        "How far a signed timestamp may be off.",
    ),
    optional(
        "public_url",
        Kind::Text,
        "none",
        "The URL that the provider was given, for presets that sign it.",
    ),
    default(
        "fetch_keys",
        Kind::Bool,
        "false",
        "Whether keys that requests name (`aws-sns`, `paypal`, `plaid`, `ms-graph`) may be fetched from the provider, \
         over HTTPS and from the preset's hosts alone. Without it the public key or certificate is given as a \
         secret.",
    ),
    default(
        "max_body",
        Kind::Size("1KiB", "64MiB"),
        "10MiB",
        "Size of a body; larger ones get 413, also when chunked.",
    ),
    optional(
        "content_types",
        Kind::Texts,
        "the preset's, or all",
        "Media types that are accepted, without parameters; others get 415.",
    ),
    default(
        "max_in_flight",
        Kind::Integer(1, 65_536),
        "1024",
        "Requests that may wait for their answer at a time; further ones get 503.",
    ),
    optional(
        "ok_status",
        Kind::Integer(200, 299),
        "the preset's, or `200`",
        "Status of the answer to an event that is stored.",
    ),
    optional(
        "reject_status",
        Kind::Integer(400, 499),
        "the preset's, or `401`",
        "Status of the answer to a request that is not authentic.",
    ),
    optional(
        "busy_status",
        Kind::Integer(429, 599),
        "the preset's, or `503`",
        "Status of the answer to an event that cannot be stored just now, for a provider that tries again \
         after some statuses only. `Retry-After` goes with it.",
    ),
    default(
        "dedupe",
        Kind::Bool,
        "true",
        "Whether an event id that was seen within `dedupe_window` is answered but not stored again.",
    ),
];

const HANDSHAKE_KEYS: &[Key] = &[
    optional(
        "handshakes",
        Kind::AnyTables,
        "the preset's",
        "What the provider asks before it sends events, and what is answered; see \
         [handshakes](handshakes.md). Takes the place of the preset's; `[]` answers none.",
    ),
    default(
        "confirm",
        Kind::Bool,
        "false",
        "Whether the URL that a signed subscription request names is fetched, as AWS SNS wants it. Without it \
         such a request is an event like any other.",
    ),
    optional(
        "fetch",
        Kind::Table("[sources.NAME.fetch]"),
        "none of its own",
        "Where `confirm` may reach besides the provider's own hosts.",
    ),
];

/// `[sources.NAME.fetch]`
pub const FETCH: Section = Section {
    header: "[sources.NAME.fetch]",
    about: "What a source may fetch over HTTPS. Only what is opted in to with another key is fetched at all; \
            redirects are never followed. Another bundle of root certificates is named by the variable \
            `SSL_CERT_FILE`.",
    keys: &[&[
        optional(
            "hosts",
            Kind::Texts,
            "the provider's only",
            "Further hosts: `api.example.com`, `.example.com` for all below it, `localhost:8443` for another \
             port than 443, or a pattern such as `^sns[.][a-z]+[.]example[.]com$`.",
        ),
        optional(
            "allow_private",
            Kind::Texts,
            "public addresses only",
            "Addresses and networks that may be connected to although they are not public.",
        ),
        default(
            "timeout",
            Kind::Duration("100ms", "1m"),
            "10s",
            "Time for one fetch, from the name's resolution to the last byte.",
        ),
    ]],
};

const ADMISSION_KEYS: &[Key] = &[
    default(
        "enforce",
        Kind::Bool,
        "true",
        "`false` lets requests through that are not authentic, with the attributes `verified` = `\"false\"` \
         and `rejection` = the reason, and counts them. For trying a new source out; `check` warns. Limits, \
         `allow_ips` and `client_names` hold all the same.",
    ),
    optional(
        "allow_ips",
        Kind::TextsOr("preset"),
        "everybody",
        "Addresses and networks (`\"192.0.2.7\"`, `\"2001:db8::/32\"`) that may post; others get 403 before \
         their body is read. `\"preset\"` takes those that the provider publishes. Behind a proxy, see \
         `trusted_proxies`.",
    ),
    optional(
        "client_names",
        Kind::Texts,
        "no certificate is asked for",
        "Names, one of which the client's certificate must carry; others get 403. DNS names and URIs of the \
         subject's alternative names count, and the common name where there are none. `*.example.com` is any \
         one label before `example.com`. Needs `[server.tls] client_ca`. The name goes on the event as the \
         attribute `client`.",
    ),
    optional(
        "rate",
        Kind::Rate,
        "no limit",
        "Requests in a second (`\"200/s\"`), minute or hour, all senders together; further ones get 429 with \
         `Retry-After` before their body is read.",
    ),
    optional(
        "burst",
        Kind::Integer(1, 1_000_000),
        "what `rate` lets through in a second, at least `1`",
        "Requests that may come at once after a quiet time.",
    ),
];

/// `[sources.NAME]`
pub const SOURCE: Section = Section {
    header: "[sources.NAME]",
    about: "A provider's webhooks.",
    keys: &[SOURCE_KEYS, ADMISSION_KEYS, HANDSHAKE_KEYS],
};
