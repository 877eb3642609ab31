//! Events for tests: plausible in every field, and changed by builder methods.

use serde::Serialize;

use crate::{Event, Header};

/// An event of this source: an empty `POST` without a type, received at 2026-01-01T00:00:00Z.
///
/// ```
/// let event = hookswitch::testing::event("shop")
///     .with_type("order.paid")
///     .with_json(&serde_json::json!({ "order": 42 }));
/// assert_eq!(event.body, br#"{"order":42}"#);
/// assert_eq!(event.provider, "custom");
/// ```
#[must_use]
pub fn event(source: impl Into<String>) -> Event {
    let source = source.into();
    Event {
        id: "01941f29-7c00-7000-8000-000000000000".to_owned(),
        provider: "custom".to_owned(),
        provider_event_id: None,
        event_type: String::new(),
        received_at_ms: 1_767_225_600_000,
        method: "POST".to_owned(),
        path: format!("/hooks/{source}"),
        query: String::new(),
        headers: Vec::new(),
        content_type: None,
        body: Vec::new(),
        attempt: 1,
        attributes: Vec::new(),
        source,
    }
}

/// Changes for tests; the host makes events otherwise.
impl Event {
    /// Sets the provider preset.
    #[must_use]
    pub fn with_provider(mut self, provider: impl Into<String>) -> Self {
        self.provider = provider.into();
        self
    }

    /// Sets the type.
    #[must_use]
    pub fn with_type(mut self, event_type: impl Into<String>) -> Self {
        self.event_type = event_type.into();
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: impl AsRef<str>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push(Header {
            name: name.as_ref().to_ascii_lowercase(),
            value: value.into(),
        });
        self
    }

    /// Adds an attribute.
    #[must_use]
    pub fn with_attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }

    /// Sets body and media type.
    #[must_use]
    pub fn with_body(mut self, media_type: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        self.content_type = Some(media_type.into());
        self.body = body.into();
        self
    }

    /// Sets a JSON body.
    ///
    /// # Panics
    /// The value has no form in JSON.
    #[must_use]
    #[allow(clippy::panic, reason = "a test that cannot make its event has failed")]
    pub fn with_json<T: Serialize + ?Sized>(self, body: &T) -> Self {
        match crate::json::write(body) {
            Ok(body) => self.with_body("application/json", body),
            Err(error) => panic!("the event's body: {error}"),
        }
    }
}
