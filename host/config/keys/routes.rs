//! The keys of `[plugins.NAME]` and `[[routes]]`.

use super::{Key, Kind, Section, default, optional, required};

const PLUGIN_KEYS: &[Key] = &[
    required(
        "component",
        Kind::Text,
        "Path of the WebAssembly component. Loaded again when it changes.",
    ),
    optional(
        "config",
        Kind::AnyTable,
        "`{}`",
        "Handed to the plugin as JSON; the plugin says what it takes. No place for secrets.",
    ),
    optional(
        "secrets",
        Kind::SecretTree,
        "none",
        "Secrets that the plugin is handed within its `config`, each under its own key: \
         `secrets = { hash = { key = \"env:HASH_KEY\" } }` becomes `key` of the table `hash`. Their values \
         are printed nowhere, not in what the plugin says either.",
    ),
    optional(
        "limits",
        Kind::Table("[plugins.NAME.limits]"),
        "all defaults",
        "Bounds of one call.",
    ),
    optional(
        "grants",
        Kind::Table("[plugins.NAME.grants]"),
        "nothing",
        "What it may use. Not for verifiers.",
    ),
    default(
        "on_error",
        Kind::Choice(&["dead_letter", "pass", "drop"]),
        "dead_letter",
        "What becomes of an event when the plugin fails: it goes to the dead letters, goes on unchanged, \
         or is dropped with the error as the reason. A plugin that rejects an event sends it to the dead \
         letters in any case. Not for verifiers.",
    ),
];

/// `[plugins.NAME]`
pub const PLUGIN: Section = Section {
    header: "[plugins.NAME]",
    about: "A WebAssembly component that routes call for each event, or that a source calls for each request, \
            as its `verifier`.",
    keys: &[PLUGIN_KEYS],
};

// Ceilings and defaults are those that `plugin::Limits` documents.
const LIMITS_KEYS: &[Key] = &[
    default(
        "time",
        Kind::Duration("1ms", "30s"),
        "50ms",
        "Wall time of a call, instantiation included.",
    ),
    default(
        "memory",
        Kind::Size("1MiB", "128MiB"),
        "32MiB",
        "Linear memory.",
    ),
    default(
        "output",
        Kind::Size("1KiB", "64MiB"),
        "1MiB",
        "Bodies, headers and attributes of all messages together; all that a verifier claims.",
    ),
    default(
        "messages",
        Kind::Integer(1, 1024),
        "16",
        "Messages of one call.",
    ),
    default(
        "log_lines",
        Kind::Integer(0, 4096),
        "64",
        "Lines that are kept of what a call logs.",
    ),
    default(
        "host_calls",
        Kind::Integer(1, 1_048_576),
        "4096",
        "Calls of host functions, logging included.",
    ),
];

/// `[plugins.NAME.limits]`
pub const LIMITS: Section = Section {
    header: "[plugins.NAME.limits]",
    about: "Bounds of one call. A call that passes one fails, and `on_error` decides.",
    keys: &[LIMITS_KEYS],
};

const GRANTS_KEYS: &[Key] = &[default(
    "state",
    Kind::Bool,
    "false",
    "The durable key-value store, with a namespace for each plugin.",
)];

/// `[plugins.NAME.grants]`
pub const GRANTS: Section = Section {
    header: "[plugins.NAME.grants]",
    about: "What a plugin may use beyond its event, its config, the log and the clock. Nothing, by default: \
            no file, no network, no environment.",
    keys: &[GRANTS_KEYS],
};

const ROUTE_KEYS: &[Key] = &[
    required(
        "name",
        Kind::Text,
        "Its name, in records and metrics. No two routes share one.",
    ),
    required("from", Kind::Texts, "Names of sources."),
    optional(
        "when",
        Kind::Filter,
        "all events",
        "Which of their events it takes; see [Filters](#filters).",
    ),
    optional(
        "plugins",
        Kind::Texts,
        "none",
        "Names of plugins, in the order they are called.",
    ),
    required(
        "to",
        Kind::Texts,
        "Names of sinks. Each gets every message, unless a plugin chose one of them.",
    ),
    optional(
        "key",
        Kind::Template,
        "no order",
        "Messages with the same key go to a sink one after the other, in the order of their receipt; \
         also the partition key. See [Templates](#templates).",
    ),
];

/// `[[routes]]`
pub const ROUTE: Section = Section {
    header: "[[routes]]",
    about: "Which events go through which plugins to which sinks. An event goes through every route that takes \
            it; one that none takes is recorded as dropped.",
    keys: &[ROUTE_KEYS],
};
