//! The keys of `[sinks.NAME]`, by type.

use super::{Key, Kind, Section, default, optional, required};

const TYPE: Key = required(
    "type",
    Kind::Choice(&["kafka", "rabbitmq", "http", "file"]),
    "What it is.",
);

const COMMON_KEYS: &[Key] = &[
    TYPE,
    optional(
        "retry",
        Kind::Table("[sinks.NAME.retry]"),
        "all defaults",
        "When a failed delivery is tried again.",
    ),
    default(
        "adaptive",
        Kind::Bool,
        "true",
        "Whether fewer attempts are made at a time while the destination shows strain: failures halve the \
         number, successes raise it again up to `concurrency`.",
    ),
    optional(
        "breaker",
        Kind::Table("[sinks.NAME.breaker]"),
        "all defaults",
        "When a destination that fails is left alone for a while.",
    ),
    default(
        "timeout",
        Kind::Duration("100ms", "10m"),
        "30s",
        "Time for one attempt.",
    ),
    default(
        "pause",
        Kind::Duration("1s", "1d"),
        "30s",
        "How long a configuration error (credentials refused, unknown topic) pauses the sink before it \
         tries again. No attempts are counted for it.",
    ),
];

const CONCURRENCY: &str = "Attempts at a time.";
const QUEUE: &str = "Deliveries that wait in memory; further ones wait in the journal.";

/// For destinations that answer one request after the other.
const FEW_AT_A_TIME: &[Key] = &[
    default("concurrency", Kind::Integer(1, 4096), "16", CONCURRENCY),
    default("max_queue", Kind::Integer(1, 1_000_000), "1024", QUEUE),
];

/// For brokers, which confirm in batches: few attempts at a time would mean small batches.
const MANY_AT_A_TIME: &[Key] = &[
    default("concurrency", Kind::Integer(1, 4096), "512", CONCURRENCY),
    default("max_queue", Kind::Integer(1, 1_000_000), "4096", QUEUE),
];

const KAFKA_KEYS: &[Key] = &[
    required(
        "brokers",
        Kind::Texts,
        "`host:port` of some brokers; the rest is found through them.",
    ),
    required(
        "topic",
        Kind::Template,
        "Topic; `{type}`, `{source}` and `{provider}` may be used.",
    ),
    optional(
        "options",
        Kind::TextMap,
        "none",
        "Further librdkafka settings, such as `\"sasl.password\" = \"env:KAFKA_PASSWORD\"`.",
    ),
];

/// `[sinks.NAME]` with `type = "kafka"`
pub const KAFKA: Section = Section {
    header: "[sinks.NAME] with type = \"kafka\"",
    about: "An Apache Kafka topic. A delivery counts when all in-sync replicas have it. The event's id goes out \
            as header `ce_id`.",
    keys: &[COMMON_KEYS, MANY_AT_A_TIME, KAFKA_KEYS],
};

const RABBITMQ_KEYS: &[Key] = &[
    required(
        "url",
        Kind::Secret,
        "`amqp://` or `amqps://`. Written here only without credentials; with them, `env:` or `file:`.",
    ),
    default(
        "exchange",
        Kind::Text,
        "",
        "Exchange; the empty one routes to the queue that `routing_key` names. It must exist.",
    ),
    required(
        "routing_key",
        Kind::Template,
        "Routing key; any placeholder may be used.",
    ),
];

/// `[sinks.NAME]` with `type = "rabbitmq"`
pub const RABBITMQ: Section = Section {
    header: "[sinks.NAME] with type = \"rabbitmq\"",
    about: "A RabbitMQ exchange. A delivery counts when the broker confirmed it and routed it to a queue. The \
            event's id goes out as `message_id`.",
    keys: &[COMMON_KEYS, MANY_AT_A_TIME, RABBITMQ_KEYS],
};

const HTTP_KEYS: &[Key] = &[
    required(
        "url",
        Kind::Text,
        "`https://` or `http://`, without credentials.",
    ),
    default(
        "method",
        Kind::Choice(&["POST", "PUT"]),
        "POST",
        "Request method.",
    ),
    optional(
        "headers",
        Kind::TextMap,
        "none",
        "Headers to send along, such as `authorization = \"env:CRM_AUTHORIZATION\"`.",
    ),
    optional(
        "sign",
        Kind::Table("[sinks.NAME.sign]"),
        "not signed",
        "How requests are signed.",
    ),
    optional(
        "allow_private",
        Kind::Texts,
        "none",
        "Private addresses that may be connected to, as addresses or networks: `[\"127.0.0.1\", \
         \"10.0.0.0/8\"]`. Without it only public addresses are, whatever the name resolves to, so that \
         a changed DNS record cannot reach into the network.",
    ),
];

/// `[sinks.NAME]` with `type = "http"`
pub const HTTP: Section = Section {
    header: "[sinks.NAME] with type = \"http\"",
    about: "An HTTP endpoint. A delivery counts when it answers 2xx. The event's id goes out as `webhook-id`.",
    keys: &[COMMON_KEYS, FEW_AT_A_TIME, HTTP_KEYS],
};

const SIGN_KEYS: &[Key] = &[
    default(
        "scheme",
        Kind::Choice(&["standard-webhooks"]),
        "standard-webhooks",
        "[Standard Webhooks](https://www.standardwebhooks.com/): HMAC-SHA256 over id, timestamp and body.",
    ),
    optional(
        "secret",
        Kind::Secret,
        "`secrets`",
        "The secret: `whsec_` and 24 to 64 bytes as base64.",
    ),
    optional(
        "secrets",
        Kind::Secrets,
        "`secret`",
        "Several secrets; requests carry a signature by each, so that receivers can rotate.",
    ),
];

/// `[sinks.NAME.sign]`
pub const SIGN: Section = Section {
    header: "[sinks.NAME.sign]",
    about: "How the requests of an `http` sink are signed.",
    keys: &[SIGN_KEYS],
};

const FILE_KEYS: &[Key] = &[
    required(
        "path",
        Kind::Text,
        "Path of the current file; its folder is made if missing.",
    ),
    default(
        "rotate",
        Kind::Size("64KiB", "64GiB"),
        "100MiB",
        "Size at which a new file is begun.",
    ),
    default(
        "keep",
        Kind::Integer(0, 10_000),
        "10",
        "Older files that are kept.",
    ),
];

/// `[sinks.NAME]` with `type = "file"`
pub const FILE: Section = Section {
    header: "[sinks.NAME] with type = \"file\"",
    about: "A file of JSON lines. A delivery counts when its line is on disk.",
    keys: &[COMMON_KEYS, FEW_AT_A_TIME, FILE_KEYS],
};

const BREAKER_KEYS: &[Key] = &[
    default(
        "failures",
        Kind::Integer(0, 100_000),
        "10",
        "Transient failures in a row that open it; `0` is no breaker.",
    ),
    default(
        "open",
        Kind::Duration("100ms", "5m"),
        "5s",
        "How long it stays open. Then one delivery probes: a success closes it, a failure opens it for twice the \
         time, up to 5 minutes.",
    ),
];

/// `[sinks.NAME.breaker]`
pub const BREAKER: Section = Section {
    header: "[sinks.NAME.breaker]",
    about: "When a destination that fails is left alone. While it is open its events wait in the journal, and no \
            attempts are counted.",
    keys: &[BREAKER_KEYS],
};

const RETRY_KEYS: &[Key] = &[
    default(
        "attempts",
        Kind::Integer(1, 1000),
        "10",
        "Attempts in all, the first included; then the dead letters.",
    ),
    default(
        "base",
        Kind::Duration("1ms", "1h"),
        "2s",
        "Bound of the first delay. It doubles with each attempt, and the delay is random below it.",
    ),
    default(
        "max",
        Kind::Duration("1ms", "1d"),
        "1h",
        "Largest bound of a delay.",
    ),
    default(
        "max_age",
        Kind::Duration("1s", "365d"),
        "3d",
        "A delivery that is older goes to the dead letters.",
    ),
];

/// `[sinks.NAME.retry]`
pub const RETRY: Section = Section {
    header: "[sinks.NAME.retry]",
    about: "When a failed delivery is tried again.",
    keys: &[RETRY_KEYS],
};
