//! What becomes of an event: the outcome of a call, or the reason why there is none.

use std::time::Duration;

use crate::{JsonError, Message, state};

/// What becomes of the event.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It goes on as it is; nothing is copied.
    Unchanged,
    /// These messages go on in its place, in this order.
    Forward(Vec<Message>),
    /// It ends here. The reason is recorded and shown to operators: no personal data.
    Drop(String),
}

impl Outcome {
    /// Forwards several messages.
    #[must_use]
    pub fn forward(messages: impl IntoIterator<Item = Message>) -> Self {
        Self::Forward(messages.into_iter().collect())
    }

    /// Drops the event for a reason.
    #[must_use]
    pub fn drop(reason: impl Into<String>) -> Self {
        Self::Drop(reason.into())
    }
}

/// Forwards the one message.
impl From<Message> for Outcome {
    fn from(message: Message) -> Self {
        Self::Forward(vec![message])
    }
}

/// Why there is no outcome. Reasons are shown to operators: no personal data, no secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The event can never be handled: it goes to the dead letters with this reason.
    #[error("{0}")]
    Reject(String),
    /// It can be handled later: it is parked and the plugin called again.
    #[error("{reason}")]
    Retry {
        /// Not before this long from now, to the millisecond; zero leaves it to the host.
        after: Duration,
        /// Why.
        reason: String,
    },
    /// Anything else: the plugin's `on_error` decides.
    #[error("{0}")]
    Other(String),
}

impl Failure {
    /// The event can never be handled.
    #[must_use]
    pub fn reject(reason: impl Into<String>) -> Self {
        Self::Reject(reason.into())
    }

    /// The event can be handled later; the host chooses when.
    #[must_use]
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::retry_after(Duration::ZERO, reason)
    }

    /// The event can be handled after a pause.
    #[must_use]
    pub fn retry_after(after: Duration, reason: impl Into<String>) -> Self {
        Self::Retry {
            after,
            reason: reason.into(),
        }
    }

    /// Something else went wrong.
    #[must_use]
    pub fn other(reason: impl Into<String>) -> Self {
        Self::Other(reason.into())
    }
}

/// A body that is not what it should be will not become so: reject.
impl From<JsonError> for Failure {
    fn from(error: JsonError) -> Self {
        Self::Reject(error.to_string())
    }
}

/// A store that is not available is worth another try; any other error of it is for `on_error`.
impl From<state::Error> for Failure {
    fn from(error: state::Error) -> Self {
        match error {
            state::Error::Unavailable(_) => Self::retry(error.to_string()),
            _ => Self::Other(error.to_string()),
        }
    }
}
