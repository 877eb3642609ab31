//! Failures: what an error of librdkafka means for the delivery.
//!
//! Pure; the whole policy is [`classify`].

use rdkafka::types::RDKafkaErrorCode as Code;

use crate::sink::{Class, SinkError};

/// A message without a confirmation.
#[derive(Debug)]
pub(super) struct Unsent {
    pub(super) error: SinkError,
    /// True if nothing but this message can have caused the error.
    pub(super) alone: bool,
}

/// How to go on after this error, and its stable code.
pub(super) fn classify(code: Code) -> (Class, &'static str) {
    match code {
        Code::MessageTimedOut
        | Code::RequestTimedOut
        | Code::OperationTimedOut
        | Code::TimedOutQueue => (Class::Transient, "timeout"),
        Code::QueueFull => (Class::Transient, "queue_full"),
        Code::NotEnoughReplicas | Code::NotEnoughReplicasAfterAppend | Code::ISRInsufficient => {
            (Class::Transient, "not_enough_replicas")
        }
        Code::ThrottlingQuotaExceeded => (Class::Transient, "throttled"),

        Code::UnknownTopic
        | Code::UnknownTopicOrPartition
        | Code::UnknownTopicId
        | Code::UnknownPartition => (Class::Configuration, "unknown_topic"),
        Code::InvalidTopic => (Class::Configuration, "invalid_topic"),
        Code::TopicAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed => (Class::Configuration, "not_authorized"),
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState => (Class::Configuration, "auth_failed"),
        Code::PolicyViolation
        | Code::InvalidRequiredAcks
        | Code::InvalidConfig
        | Code::UnsupportedVersion
        | Code::UnsupportedFeature
        | Code::UnsupportedCompressionType => (Class::Configuration, "refused"),

        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidMessageSize => {
            (Class::Permanent, "message_too_large")
        }
        Code::InvalidRecord | Code::InvalidTimestamp | Code::UnsupportedForMessageFormat => {
            (Class::Permanent, "invalid_record")
        }
        Code::InvalidArgument => (Class::Permanent, "invalid_argument"),

        code if super::settings::is_fatal(code) => (Class::Transient, "producer_fatal"),
        _ => (Class::Transient, "broker"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_error_has_its_class() {
        for (code, class, stable) in [
            (Code::MessageTimedOut, Class::Transient, "timeout"),
            (Code::QueueFull, Class::Transient, "queue_full"),
            (
                Code::NotEnoughReplicas,
                Class::Transient,
                "not_enough_replicas",
            ),
            (Code::LeaderNotAvailable, Class::Transient, "broker"),
            (Code::NotLeaderForPartition, Class::Transient, "broker"),
            (Code::BrokerTransportFailure, Class::Transient, "broker"),
            (Code::KafkaStorageError, Class::Transient, "broker"),
            (Code::InvalidMessage, Class::Transient, "broker"),
            (Code::PurgeQueue, Class::Transient, "broker"),
            (Code::Fatal, Class::Transient, "producer_fatal"),
            (
                Code::InvalidProducerEpoch,
                Class::Transient,
                "producer_fatal",
            ),
            (
                Code::OutOfOrderSequenceNumber,
                Class::Transient,
                "producer_fatal",
            ),
            (Code::UnknownTopic, Class::Configuration, "unknown_topic"),
            (
                Code::UnknownTopicOrPartition,
                Class::Configuration,
                "unknown_topic",
            ),
            (Code::InvalidTopic, Class::Configuration, "invalid_topic"),
            (
                Code::TopicAuthorizationFailed,
                Class::Configuration,
                "not_authorized",
            ),
            (
                Code::SaslAuthenticationFailed,
                Class::Configuration,
                "auth_failed",
            ),
            (Code::PolicyViolation, Class::Configuration, "refused"),
            (
                Code::MessageSizeTooLarge,
                Class::Permanent,
                "message_too_large",
            ),
            (Code::InvalidRecord, Class::Permanent, "invalid_record"),
        ] {
            assert_eq!(classify(code), (class, stable), "{code:?}");
        }
    }
}
