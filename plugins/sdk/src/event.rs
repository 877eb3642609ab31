//! The event that a plugin is given. Values only; the host owns the original.

use serde::de::DeserializeOwned;

use crate::{JsonError, Message, json};

/// One header field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Field name, lower-case.
    pub name: String,
    /// Field value as received; HTTP does not promise UTF-8.
    pub value: Vec<u8>,
}

/// One webhook: verified, and safely stored before the plugin sees it.
///
/// Tests make one with [`testing::event`](crate::testing::event).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// The host's id of the event, a UUID; the same over retries and replays.
    pub id: String,
    /// Name of the source in `routes.toml`.
    pub source: String,
    /// Name of the provider preset (`didit`), or `custom`.
    pub provider: String,
    /// The provider's own id of the event, where it sends one.
    pub provider_event_id: Option<String>,
    /// What happened, in the provider's words, or the type that the plugin before this one gave it.
    /// Empty if the provider names nothing.
    pub event_type: String,
    /// When the request was complete, in milliseconds since the Unix epoch.
    pub received_at_ms: u64,
    /// HTTP method, upper-case.
    pub method: String,
    /// Path of the request, without the query.
    pub path: String,
    /// Query of the request without the question mark; empty if there is none.
    pub query: String,
    /// Headers in the order received, without those that carry credentials.
    pub headers: Vec<Header>,
    /// Media type of the body, as received.
    pub content_type: Option<String>,
    /// The body as received, byte for byte.
    pub body: Vec<u8>,
    /// 1 for the first call with this event, and one more after each [`Failure::Retry`](crate::Failure::Retry).
    pub attempt: u32,
    /// What the host (`coverage`) and earlier plugins of the chain said of the event.
    pub attributes: Vec<(String, String)>,
}

impl Event {
    /// Reads the body as JSON. A byte-order mark in front is skipped.
    ///
    /// # Errors
    /// [`JsonError`] says where the body stopped fitting, without quoting it. `?` turns it into
    /// [`Failure::Reject`](crate::Failure::Reject).
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, JsonError> {
        json::read(&self.body)
    }

    /// The value of the first header of this name (in any case), if there is one and it is UTF-8.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))
            .and_then(|header| std::str::from_utf8(&header.value).ok())
    }

    /// The value of an attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The event as a message with the same type, media type and body; the start for one that is to go
    /// to a certain sink or to get a key.
    #[must_use]
    pub fn into_message(self) -> Message {
        let mut message = Message::new(self.event_type, self.body);
        message.content_type = self.content_type;
        message
    }
}
