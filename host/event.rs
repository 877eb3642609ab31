//! The event: one accepted webhook, and the message that a plugin makes of it.
//!
//! Values only. Invariants: header names are lower-case ASCII; `body` is the bytes as received, never
//! re-encoded; `id` is made by this program and is unique, while `provider_event_id` is whatever the
//! sender called it. This module knows no I/O, no config and no clock.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

/// The event's identity inside and outside of Hookswitch: a UUID of version 7 (RFC 9562 section 5.7),
/// so that ids sort by the time of receipt. It goes out as Kafka header `ce_id`, AMQP `message_id`
/// and HTTP `webhook-id`, and stays the same over retries and replays.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(Uuid);

impl EventId {
    /// A new id, unique to this process and ordered by time.
    #[must_use]
    pub fn now() -> Self {
        Self(Uuid::now_v7())
    }

    /// The 16 bytes that the journal stores.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The id with these 16 bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for EventId {
    type Err = uuid::Error;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(s).map(Self)
    }
}

/// One header field: a lower-case name and the value's bytes, which need not be UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Field name, lower-case.
    pub name: String,
    /// Field value, as received.
    pub value: Bytes,
}

impl Header {
    /// A header from text.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: Bytes::from(value.into()),
        }
    }
}

/// The value of the first header called `name` (lower-case), if it is UTF-8.
#[must_use]
pub fn header<'h>(headers: &'h [Header], name: &str) -> Option<&'h str> {
    headers
        .iter()
        .find(|header| header.name == name)
        .and_then(|header| std::str::from_utf8(&header.value).ok())
}

/// One accepted webhook.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Made by Hookswitch at receipt.
    pub id: EventId,
    /// Name of the source in `routes.toml`.
    pub source: Arc<str>,
    /// Name of the provider preset, or `custom`.
    pub provider: Arc<str>,
    /// The provider's name for what happened (`status.updated`); empty where it names nothing.
    pub kind: String,
    /// The provider's own event id, where it sends one.
    pub provider_event_id: Option<String>,
    /// When the request was complete, in milliseconds since the Unix epoch.
    pub received_at_ms: u64,
    /// Request method, upper-case.
    pub method: String,
    /// Request path, as received.
    pub path: String,
    /// Request query without the question mark; empty if there is none.
    pub query: String,
    /// Request headers in the order received, without those that carry credentials.
    pub headers: Vec<Header>,
    /// The `content-type` header.
    pub content_type: Option<String>,
    /// The body as received.
    pub body: Bytes,
    /// What verification adds (`coverage`, `verified`, `rejection`, `client`; `event_ids`, a JSON list, where the
    /// delivery holds several events), and the plugins' own.
    pub attributes: Vec<(String, String)>,
}

impl Event {
    /// The event that the next plugin of a chain sees: this one with the content of `message`.
    #[must_use]
    pub fn with_message(&self, message: &Message) -> Self {
        let mut headers = self.headers.clone();
        headers.extend(message.headers.iter().cloned());
        let mut attributes = self.attributes.clone();
        for (name, value) in &message.attributes {
            attributes.retain(|(known, _)| known != name);
            attributes.push((name.clone(), value.clone()));
        }
        Self {
            kind: message.kind.clone(),
            content_type: message.content_type.clone(),
            body: message.body.clone(),
            headers,
            attributes,
            ..self.clone()
        }
    }
}

/// What goes to a sink: the event itself if no plugin touched it, or what a plugin made of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The one sink of the route that the plugin chose; `None` means all of them.
    pub sink: Option<String>,
    /// The key that the plugin chose; the route's `key` template is used where it is `None`.
    pub key: Option<String>,
    /// The message's type.
    pub kind: String,
    /// Media type of `body`.
    pub content_type: Option<String>,
    /// Headers to send along, names lower-case. Sinks refuse hop-by-hop names and their own.
    pub headers: Vec<Header>,
    /// The payload.
    pub body: Bytes,
    /// Attributes that the plugin added.
    pub attributes: Vec<(String, String)>,
}

impl Message {
    /// The message of a route without plugins: the event's type and body, and none of the request's
    /// headers, which speak of the provider's connection and not of the event.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        Self {
            sink: None,
            key: None,
            kind: event.kind.clone(),
            content_type: event.content_type.clone(),
            headers: Vec::new(),
            body: event.body.clone(),
            attributes: event.attributes.clone(),
        }
    }
}
