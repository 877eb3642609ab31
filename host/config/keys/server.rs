//! The keys of the file itself, `[server]` and `[storage]`.

use super::{Key, Kind, Section, default, optional, required};

const TOP_KEYS: &[Key] = &[
    optional(
        "server",
        Kind::Table("[server]"),
        "all defaults",
        "Listeners and their limits.",
    ),
    optional(
        "storage",
        Kind::Table("[storage]"),
        "all defaults",
        "The journal.",
    ),
    optional(
        "sources",
        Kind::Tables("[sources.NAME]"),
        "none",
        "Where webhooks come in.",
    ),
    optional(
        "plugins",
        Kind::Tables("[plugins.NAME]"),
        "none",
        "WebAssembly components that routes call.",
    ),
    optional(
        "sinks",
        Kind::Tables("[sinks.NAME] with type = \"http\""),
        "none",
        "Where messages go; one section below per `type`.",
    ),
    optional(
        "routes",
        Kind::TableList("[[routes]]"),
        "none",
        "What goes where. An event goes through every route that takes it.",
    ),
];

/// The file.
pub const TOP: Section = Section {
    header: "routes.toml",
    about: "The file's tables.",
    keys: &[TOP_KEYS],
};

const SERVER_KEYS: &[Key] = &[
    default(
        "listen",
        Kind::Text,
        "127.0.0.1:8080",
        "Address and port where webhooks come in. A change needs a restart.",
    ),
    default(
        "admin",
        Kind::Text,
        "127.0.0.1:9180",
        "Address and port of health checks, metrics and API, which ask for no credential; `\"off\"` \
         switches them off. Must differ from `listen`. A change needs a restart.",
    ),
    optional(
        "tls",
        Kind::Table("[server.tls]"),
        "plain HTTP",
        "TLS on `listen`. Switching it on or off, or naming other files, needs a restart.",
    ),
    default(
        "header_timeout",
        Kind::Duration("100ms", "5m"),
        "10s",
        "Time for a request's headers to arrive; then 408 and the connection is closed.",
    ),
    default(
        "body_timeout",
        Kind::Duration("100ms", "30m"),
        "30s",
        "Time for a request's body to arrive; then 408 and the connection is closed.",
    ),
    default(
        "max_header",
        Kind::Size("1KiB", "1MiB"),
        "32KiB",
        "Size of a request's head; larger ones get 431.",
    ),
    default(
        "max_connections",
        Kind::Integer(1, 1_000_000),
        "10000",
        "Connections at a time; further ones wait to be accepted.",
    ),
    optional(
        "trusted_proxies",
        Kind::Texts,
        "none",
        "Addresses and networks of your own proxies. From them, and from nobody else, the client's address is \
         taken from `X-Forwarded-For` or `Forwarded`: the last one there that is not a trusted proxy itself. A \
         change needs a restart.",
    ),
    optional(
        "reject_rate",
        Kind::Rate,
        "no limit",
        "How many requests of one client's address may be refused with 401, 403 or 404 in a second \
         (`\"10/s\"`), minute or hour, with a second's worth and at least ten at once; further requests from \
         there get 429 with `Retry-After` before anything is read or verified. Set it only if clients connect \
         directly or through `trusted_proxies`: otherwise one client's misdeeds count against all. A change \
         needs a restart.",
    ),
    default(
        "rejected_log",
        Kind::Size("0B", "1GiB"),
        "4MiB",
        "Memory for requests that got no 2xx, which `hookswitch rejected` shows; the oldest go first. `\"0B\"` \
         keeps none. A change needs a restart.",
    ),
    default(
        "rejected_body",
        Kind::Size("0B", "64KiB"),
        "4KiB",
        "How much of a rejected request's body is kept there; `\"0B\"` keeps none. A change needs a restart.",
    ),
    default(
        "drain",
        Kind::Duration("0s", "1h"),
        "30s",
        "How long running requests and deliveries may go on after SIGTERM. What is not done then is \
         in the journal, and goes on after the next start.",
    ),
];

/// `[server]`
pub const SERVER: Section = Section {
    header: "[server]",
    about: "Listeners and their limits.",
    keys: &[SERVER_KEYS],
};

const TLS_KEYS: &[Key] = &[
    required(
        "cert",
        Kind::Text,
        "Path of the PEM certificate chain. Read again when it changes.",
    ),
    required(
        "key",
        Kind::Text,
        "Path of the PEM private key. Read again when it changes.",
    ),
    optional(
        "client_ca",
        Kind::Text,
        "no client certificate is asked for",
        "Path of PEM certificates; a client must show a certificate signed by one of them.",
    ),
    default(
        "client_auth",
        Kind::Choice(&["required", "optional"]),
        "required",
        "With `optional` a client may also come without a certificate; sources with `client_names` then refuse \
         it with 403. A certificate that `client_ca` did not sign is refused in both cases.",
    ),
];

/// `[server.tls]`
pub const TLS: Section = Section {
    header: "[server.tls]",
    about: "TLS on `listen`; mostly written inline: `tls = { cert = \"cert.pem\", key = \"key.pem\" }`.",
    keys: &[TLS_KEYS],
};

const STORAGE_KEYS: &[Key] = &[
    default(
        "path",
        Kind::Text,
        "data",
        "The journal's folder; made if missing.",
    ),
    default(
        "retain",
        Kind::Duration("1m", "3650d"),
        "7d",
        "How long finished events are kept, with their bodies and attempts.",
    ),
    default(
        "retain_dead_letters",
        Kind::Duration("1m", "3650d"),
        "30d",
        "How long dead letters are kept.",
    ),
    default(
        "max_size",
        Kind::Size("16MiB", "64TiB"),
        "10GiB",
        "Size of the journal at which new events get 503. Nothing stored is dropped for it.",
    ),
    default(
        "min_free",
        Kind::Size("0B", "1TiB"),
        "256MiB",
        "Free space on the disk below which new events get 503.",
    ),
    default(
        "dedupe_window",
        Kind::Duration("0s", "365d"),
        "3d",
        "How long a provider's event id is remembered, so that a repeated delivery is answered and not \
         stored again.",
    ),
    default(
        "dedupe_max_ids",
        Kind::Integer(0, 100_000_000),
        "2000000",
        "How many ids are remembered at most, about 55 bytes of memory each; the oldest go first.",
    ),
];

/// `[storage]`
pub const STORAGE: Section = Section {
    header: "[storage]",
    about: "The journal: one SQLite database. A change of any key needs a restart.",
    keys: &[STORAGE_KEYS],
};
