//! The codes of diagnostics, with their meaning. Stable: scripts may rely on them.

/// Every code that [`load`](super::load) can give, sorted, with what it means in Markdown.
pub const CODES: &[(&str, &str)] = &[
    (
        "admin_exposed",
        "warning: the admin API listens on more than this machine",
    ),
    (
        "admin_on_listen",
        "`admin` and `listen` are the same address",
    ),
    (
        "bad_address",
        "not `address:port`, or for brokers not `host:port`",
    ),
    ("bad_client_name", "no name that a certificate can carry"),
    ("bad_content_type", "not a media type"),
    ("bad_duration", "not a duration with its unit"),
    (
        "bad_filter",
        "`when` is no filter: syntax, or an unknown name",
    ),
    (
        "bad_handshake",
        "a handshake that is malformed, cannot work, or lacks a parameter",
    ),
    (
        "bad_header",
        "a header that cannot be sent, or that the sink writes itself",
    ),
    ("bad_host", "neither a host nor a pattern of hosts"),
    (
        "bad_name",
        "a name with other characters than names have, or too long",
    ),
    ("bad_network", "neither an address nor a network"),
    ("bad_path", "a path that no request or file can have"),
    ("bad_plugin_config", "a value that JSON does not have"),
    ("bad_rate", "not a rate such as `200/s`"),
    ("bad_retry", "`base` is longer than `max`"),
    ("bad_scheme", "`scheme` is malformed"),
    ("bad_size", "not a size with its unit"),
    (
        "bad_template",
        "no template: an unknown placeholder, one that cannot be used here, or a lone brace",
    ),
    ("bad_url", "not a URL, or of another scheme"),
    (
        "bad_verification",
        "the provider's scheme cannot work with these secrets and parameters",
    ),
    ("burst_without_rate", "a `burst` without a `rate`"),
    (
        "duplicate_key",
        "a key or table that stands in the file twice",
    ),
    (
        "duplicate_name",
        "a route that names a source or sink twice",
    ),
    ("empty_list", "a list that must name at least one"),
    (
        "everybody_trusted",
        "warning: every client can choose its address",
    ),
    (
        "file_missing",
        "a component, certificate or key that is not there",
    ),
    ("file_unreadable", "the config itself cannot be read"),
    (
        "handshake_off",
        "warning: a handshake of the provider is not answered for want of a parameter",
    ),
    (
        "key_out_of_date",
        "warning: a sender's certificate that is not valid today, or soon will not be",
    ),
    ("missing_key", "a key that must be there"),
    (
        "no_client_ca",
        "client certificates are spoken of, but there is no `client_ca`",
    ),
    (
        "no_preset_ips",
        "`allow_ips = \"preset\"` for a provider that publishes none",
    ),
    (
        "not_enforced",
        "warning: requests that are not authentic are let through",
    ),
    (
        "not_for_verifiers",
        "a key of a plugin that does not apply to a verifier",
    ),
    ("out_of_range", "a value below or above its limits"),
    (
        "path_clash",
        "two sources with one path, or two sinks with one file",
    ),
    (
        "plain_http",
        "warning: deliveries to a public host without TLS",
    ),
    (
        "private_address",
        "a URL with a private address that `allow_private` does not name",
    ),
    ("provider_and_scheme", "a source with both"),
    (
        "reference_in_config",
        "warning: a plugin's `config` has `env:NAME`, which is resolved in `secrets` only",
    ),
    ("route_clash", "two routes with one name"),
    (
        "secret_clash",
        "a key that stands both in a plugin's `config` and in its `secrets`",
    ),
    ("secret_empty", "a variable or file without content"),
    ("secret_inline", "a secret that stands in the file itself"),
    (
        "secret_malformed",
        "a signing secret that is not as Standard Webhooks has them",
    ),
    (
        "secret_missing",
        "a variable that is not set, or a file that cannot be read",
    ),
    ("secret_short", "warning: a secret of less than 16 bytes"),
    (
        "syntax",
        "not TOML; other problems show up once this one is mended",
    ),
    (
        "unbound_source",
        "warning: a parameter is left out without which somebody else can pass for the sender",
    ),
    (
        "unconfirmed_preset",
        "warning: part of the provider's scheme is a guess",
    ),
    ("unknown_key", "a key that does not exist there"),
    (
        "unknown_plugin",
        "a route or source names a plugin that is not declared",
    ),
    ("unknown_provider", "there is no such preset"),
    ("unknown_sink", "a route names a sink that is not declared"),
    (
        "unknown_source",
        "a route names a source that is not declared",
    ),
    (
        "unknown_value",
        "a value that is none of those that there are",
    ),
    ("unused_plugin", "warning: no route and no source calls it"),
    ("unused_sink", "warning: no route leads to it"),
    ("unused_source", "warning: no route takes its events"),
    ("unverified_source", "warning: anybody can post to it"),
    (
        "verifier_and_scheme",
        "a source with a `verifier` and a `provider` or `scheme`",
    ),
    (
        "verifier_in_route",
        "a route names a plugin that is a source's verifier",
    ),
    ("wrong_type", "a value of another type"),
];
