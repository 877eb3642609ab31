//! Settings: librdkafka's configuration for the sink's producers.
//!
//! Pure. Operators may set any option except those that the sink's promises rest on.

use std::time::Duration;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaConfRes;

use crate::config::Kafka;

/// Options that are not the operator's: set from elsewhere in the file, or needed for the promises.
const FIXED: [&str; 10] = [
    "acks",
    "request.required.acks",
    "bootstrap.servers",
    "metadata.broker.list",
    "enable.idempotence",
    "transactional.id",
    "delivery.timeout.ms",
    "message.timeout.ms",
    "batch.num.messages",
    "dr_msg_cb",
];

/// The producer that sends in batches.
///
/// With librdkafka's default `reconnect.backoff.max.ms` of 10 s, ten forced disconnects cost 50 of
/// 30 000 messages their `delivery.timeout.ms`; with 500 ms, none.
pub(super) fn producer(kafka: &Kafka, patience: Duration) -> Result<ClientConfig, String> {
    if kafka.brokers.is_empty() {
        return Err("`brokers` is empty; name at least one as \"host:port\"".to_owned());
    }
    let delivery_ms = delivery_timeout_ms(patience);
    let mut config = ClientConfig::new();
    config
        .set_log_level(RDKafkaLogLevel::Info)
        .set("bootstrap.servers", kafka.brokers.join(","))
        .set("client.id", "hookswitch")
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("delivery.timeout.ms", delivery_ms.to_string())
        .set("linger.ms", "5")
        .set("batch.size", "1000000")
        .set("compression.type", "lz4")
        // Places keys as Java clients do, so that both can write to one topic.
        .set("partitioner", "murmur2_random")
        // The broker decides what is too large; the client's own limit is only a bound of memory.
        .set("message.max.bytes", "33554432")
        // Memory that one sink's queue may take; deliveries wait when it is full.
        .set("queue.buffering.max.messages", "100000")
        .set("queue.buffering.max.kbytes", "65536")
        .set("reconnect.backoff.max.ms", "500")
        .set("socket.keepalive.enable", "true")
        .set("log.connection.close", "false")
        // How long a topic may be unknown before messages for it are refused: a topic that was just
        // made, or is made by the broker on demand, needs a moment to be known.
        .set(
            "topic.metadata.propagation.max.ms",
            (delivery_ms / 2).min(5_000).to_string(),
        );
    for (name, value) in &kafka.options {
        if FIXED.contains(&name.as_str()) {
            return Err(format!("option `{name}` is set by the sink; remove it"));
        }
        config.set(name.as_str(), value.expose_str());
    }
    match config.create_native_config() {
        Ok(_) => Ok(config),
        Err(error) => Err(describe(&error)),
    }
}

/// The same, with each message in a request of its own.
pub(super) fn one_by_one(batching: &ClientConfig) -> ClientConfig {
    let mut config = batching.clone();
    config.set("batch.num.messages", "1").set("linger.ms", "0");
    config
}

/// librdkafka looks for messages that are too old once a second, so it is told less than `patience`.
fn delivery_timeout_ms(patience: Duration) -> u64 {
    let shorter = patience.saturating_sub(Duration::from_secs(1));
    let ms = shorter.max(patience / 2).as_millis();
    // More than `linger.ms`, as librdkafka requires.
    u64::try_from(ms).unwrap_or(u64::MAX).clamp(10, 900_000)
}

/// What is wrong with an option, without its value, which may be a secret.
fn describe(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, _, name, _) => {
            format!("`{name}` is not an option of librdkafka")
        }
        KafkaError::ClientConfig(_, _, name, _) => {
            format!("the value of option `{name}` is not one that librdkafka takes")
        }
        other => match other.rdkafka_error_code() {
            Some(code) => format!("librdkafka refuses the options: {code}"),
            None => "librdkafka refuses the options".to_owned(),
        },
    }
}

/// True for an error that only a new producer recovers from.
pub(super) fn is_fatal(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::Fatal
            | Code::Fenced
            | Code::ProducerFenced
            | Code::InvalidProducerEpoch
            | Code::OutOfOrderSequenceNumber
            | Code::UnknownProducerId
    )
}
