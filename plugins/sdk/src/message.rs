//! The message that a plugin makes. The host checks every part of it before anyone sees it.

use serde::Serialize;

use crate::{Header, JsonError, json};

/// One message to deliver.
///
/// ```
/// use hookswitch::Message;
///
/// let message = Message::json("order.paid", &serde_json::json!({ "order": 42 }))?
///     .key("order-42")
///     .attribute("amount", "large");
/// assert_eq!(message.body, br#"{"order":42}"#);
/// # Ok::<(), hookswitch::JsonError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Message {
    /// The one sink that it goes to, one of the route's; `None` means all of them.
    pub sink: Option<String>,
    /// Order and partition key, at most 1024 bytes; `None` leaves it to the route's `key`.
    pub key: Option<String>,
    /// Type of the message, at most 256 bytes.
    pub event_type: String,
    /// Media type of `body`.
    pub content_type: Option<String>,
    /// Headers to send with it, names lower-case. The host refuses those of the connection and `webhook-*`.
    pub headers: Vec<Header>,
    /// The payload.
    pub body: Vec<u8>,
    /// Added to the event's attributes; a name that is there already is replaced.
    pub attributes: Vec<(String, String)>,
}

impl Message {
    /// A message without a media type.
    #[must_use]
    pub fn new(event_type: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self {
            sink: None,
            key: None,
            event_type: event_type.into(),
            content_type: None,
            headers: Vec::new(),
            body: body.into(),
            attributes: Vec::new(),
        }
    }

    /// A message with a JSON body.
    ///
    /// # Errors
    /// The value has no form in JSON, such as a map whose keys are not text.
    pub fn json<T: Serialize + ?Sized>(
        event_type: impl Into<String>,
        body: &T,
    ) -> Result<Self, JsonError> {
        Ok(Self::new(event_type, json::write(body)?).content_type("application/json"))
    }

    /// A message with a plain text body.
    #[must_use]
    pub fn text(event_type: impl Into<String>, body: impl Into<String>) -> Self {
        Self::new(event_type, body.into()).content_type("text/plain; charset=utf-8")
    }

    /// Sends it to one sink of the route instead of all.
    #[must_use]
    pub fn sink(mut self, name: impl Into<String>) -> Self {
        self.sink = Some(name.into());
        self
    }

    /// Sets the key by which order is kept.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets the media type.
    #[must_use]
    pub fn content_type(mut self, media_type: impl Into<String>) -> Self {
        self.content_type = Some(media_type.into());
        self
    }

    /// Adds a header. The name is put into lower case.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<str>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push(Header {
            name: name.as_ref().to_ascii_lowercase(),
            value: value.into(),
        });
        self
    }

    /// Adds an attribute, which later plugins and `when` filters can read.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }
}
