//! Failures: what an error of lapin or of the broker means for the sink.
//!
//! Pure.

use lapin::protocol::{AMQPError, AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::{Error, ErrorKind};

use crate::sink::{Class, SinkError};

/// Why no connection could be made, or the exchange could not be looked up.
pub(super) fn of_connecting(error: &Error, exchange: &str) -> SinkError {
    let ErrorKind::ProtocolError(refusal) = error.kind() else {
        return SinkError::new(
            Class::Transient,
            "unreachable",
            format!("cannot connect to the broker: {error}"),
        );
    };
    let (class, code) = classify(refusal);
    let detail = match code {
        "unknown_exchange" => format!(
            "the exchange `{exchange}` does not exist; declare it, as the sink does not: {}",
            refusal.get_message()
        ),
        _ => format!("the broker refuses: {}", refusal.get_message()),
    };
    SinkError::new(class, code, detail)
}

/// What a refusal of the broker means.
fn classify(refusal: &AMQPError) -> (Class, &'static str) {
    match refusal.kind() {
        AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) => (Class::Configuration, "unknown_exchange"),
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => {
            (Class::Configuration, "access_refused")
        }
        // The answer to an unknown vhost, or to one that the user may not enter.
        AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED | AMQPHardError::INVALIDPATH) => {
            (Class::Configuration, "not_allowed")
        }
        AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) => {
            (Class::Configuration, "precondition_failed")
        }
        AMQPErrorKind::Soft(_) | AMQPErrorKind::Hard(_) => (Class::Transient, "broker"),
    }
}

/// A message that was on its way when the connection or channel ended. It may have been stored.
pub(super) fn unknown_outcome(cause: &str) -> SinkError {
    let detail = format!("the connection ended before the broker confirmed: {cause}");
    SinkError::new(Class::Transient, "unknown_outcome", detail)
}

/// A message that was not sent at all.
pub(super) fn disconnected() -> SinkError {
    SinkError::new(
        Class::Transient,
        "disconnected",
        "the connection ended before the message was sent",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(kind: AMQPErrorKind) -> Error {
        ErrorKind::ProtocolError(AMQPError::new(kind, "text".into())).into()
    }

    #[test]
    fn every_refusal_has_its_class() {
        use AMQPErrorKind::{Hard, Soft};
        for (kind, class, code) in [
            (
                Soft(AMQPSoftError::NOTFOUND),
                Class::Configuration,
                "unknown_exchange",
            ),
            (
                Soft(AMQPSoftError::ACCESSREFUSED),
                Class::Configuration,
                "access_refused",
            ),
            (
                Hard(AMQPHardError::NOTALLOWED),
                Class::Configuration,
                "not_allowed",
            ),
            (
                Soft(AMQPSoftError::PRECONDITIONFAILED),
                Class::Configuration,
                "precondition_failed",
            ),
            (
                Hard(AMQPHardError::CONNECTIONFORCED),
                Class::Transient,
                "broker",
            ),
            (
                Hard(AMQPHardError::INTERNALERROR),
                Class::Transient,
                "broker",
            ),
            (
                Soft(AMQPSoftError::RESOURCELOCKED),
                Class::Transient,
                "broker",
            ),
        ] {
            let error = of_connecting(&refusal(kind.clone()), "kyc");
            assert_eq!(
                (error.class, error.code.as_str()),
                (class, code),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn an_io_error_is_transient() {
        let error = of_connecting(&ErrorKind::MissingHeartbeatError.into(), "kyc");
        assert_eq!(
            (error.class, error.code.as_str()),
            (Class::Transient, "unreachable")
        );
    }
}
