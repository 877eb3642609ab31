//! View: events as the API shows them. Stable field names; `docs/reference/http-api.md` describes them.

pub mod dead;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::journal::{self, DeliverySummary, EventSummary, HELD_IN_MEMORY, State};

/// Bytes of a body that `GET /events/{id}` shows; all of it is at `?body=raw`.
pub const BODY_SHOWN_BYTES_MAX: usize = 64 * 1024;

/// `GET /sinks`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sinks {
    /// By name.
    pub sinks: Vec<Sink>,
}

/// One sink of the running generation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sink {
    /// Its name in `routes.toml`.
    pub name: String,
    /// `kafka`, `rabbitmq`, `http` or `file`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Attempts under way.
    pub in_flight: u64,
    /// Attempts at a time that are allowed now.
    pub limit: u64,
    /// Deliveries that wait in memory.
    pub queued: u64,
    /// Deliveries that wait in the journal.
    pub pending: u64,
    /// Why nothing is sent: `configuration`, `breaker`, `gone` or `operator`; `null` if it sends.
    pub halted: Option<String>,
    /// When it tries again by itself, RFC 3339; `null` if only a resume makes it.
    pub halted_until: Option<String>,
    /// The last failed attempt since the sink was started.
    pub last_error: Option<LastError>,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastError {
    /// When, RFC 3339.
    pub at: String,
    /// `transient`, `configuration`, `gone` or `permanent`.
    pub class: String,
    /// Stable code.
    pub code: String,
    /// For a person.
    pub detail: String,
}

/// `GET /events`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// Newest first.
    pub events: Vec<Event>,
    /// `before` of the next page; `null` on the last one.
    pub next: Option<i64>,
}

/// One event of a page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Hookswitch's id.
    pub id: String,
    /// Source name.
    pub source: String,
    /// Preset name, or `custom`.
    pub provider: String,
    /// The provider's event type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The provider's event id.
    pub provider_event_id: Option<String>,
    /// RFC 3339, UTC, milliseconds.
    pub received_at: String,
    /// Size of the body.
    pub body_bytes: u64,
    /// True when nothing is left to do.
    pub finished: bool,
    /// One for each sink, drop or dead end; empty while the event waits for its routes.
    pub deliveries: Vec<Delivery>,
    /// Only in `GET /events/{id}`.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

/// What came in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Request method.
    pub method: String,
    /// Request path.
    pub path: String,
    /// Request query.
    pub query: String,
    /// Name and value in order, without those that carry credentials.
    pub headers: Vec<(String, String)>,
    /// What verification found.
    pub attributes: Vec<(String, String)>,
    /// The body, or its beginning.
    pub body: Body,
}

/// A body for the eye.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Body {
    /// `utf-8` or `base64`.
    pub encoding: String,
    /// The text.
    pub text: String,
    /// True if there is more.
    pub truncated: bool,
}

/// One delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Number within the event, from 0.
    pub ordinal: u32,
    /// Route; empty where none matched.
    pub route: String,
    /// Sink; empty where the event ended before one was chosen.
    pub sink: String,
    /// `pending`, `delivered`, `dropped`, `dead`.
    pub state: String,
    /// The sink's answer, or the last error's code.
    pub code: String,
    /// Attempts made.
    pub attempts: u32,
    /// When it got into this state.
    pub at: String,
    /// When a pending delivery is tried next; `null` while a sink works on it, and for others.
    pub next_at: Option<String>,
    /// Reason of a drop or cause of a dead letter.
    pub detail: String,
    /// `name@sha256` of each plugin that had a part in it.
    pub plugins: String,
    /// The id that goes out.
    pub message_id: String,
    /// Failed attempts; only in `GET /events/{id}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Attempt>,
}

/// One failed attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// When it ended.
    pub at: String,
    /// `transient`, `configuration`, `permanent`.
    pub class: String,
    /// Stable code.
    pub code: String,
    /// For a person.
    pub detail: String,
}

/// Milliseconds since the epoch as RFC 3339 in UTC, always with milliseconds.
#[must_use]
pub fn time(at_ms: u64) -> String {
    let at = i64::try_from(at_ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or_else(String::new, |at| format!("{at:.3}"))
}

/// A page of `GET /events` that was asked for with `limit`.
#[must_use]
pub fn page(found: &[EventSummary], limit: u32) -> Page {
    let full = u32::try_from(found.len()).is_ok_and(|found| found >= limit);
    Page {
        events: found.iter().map(event).collect(),
        next: found.last().filter(|_| full).map(|last| last.seq),
    }
}

/// An event without its request.
#[must_use]
pub fn event(found: &EventSummary) -> Event {
    let event = &found.event;
    Event {
        id: event.id.to_string(),
        source: event.source.to_string(),
        provider: event.provider.to_string(),
        kind: event.kind.clone(),
        provider_event_id: event.provider_event_id.clone(),
        received_at: time(event.received_at_ms),
        body_bytes: found.body_bytes,
        finished: found.finished,
        deliveries: found.deliveries.iter().map(delivery).collect(),
        request: None,
    }
}

/// An event with all that is known of it.
#[must_use]
pub fn whole(found: &EventSummary) -> Event {
    let event = &found.event;
    let mut view = self::event(found);
    view.request = Some(Request {
        method: event.method.clone(),
        path: event.path.clone(),
        query: event.query.clone(),
        headers: headers(&event.headers),
        attributes: event.attributes.clone(),
        body: body(&event.body),
    });
    for (view, found) in view.deliveries.iter_mut().zip(&found.deliveries) {
        view.history = found.attempts.iter().map(attempt).collect();
    }
    view
}

fn headers(headers: &[crate::event::Header]) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    headers
        .iter()
        .map(|header| (header.name.clone(), text(&header.value)))
        .collect()
}

fn body(bytes: &[u8]) -> Body {
    let shown = bytes.get(..BODY_SHOWN_BYTES_MAX).unwrap_or(bytes);
    beginning(shown, shown.len() < bytes.len())
}

/// A body, or the beginning of one if it is `truncated`.
pub(super) fn beginning(shown: &[u8], truncated: bool) -> Body {
    let text = match std::str::from_utf8(shown) {
        Ok(text) => Some(text),
        // The cut may have gone through a character.
        Err(error) if truncated && error.error_len().is_none() => shown
            .get(..error.valid_up_to())
            .and_then(|whole| std::str::from_utf8(whole).ok()),
        Err(_) => None,
    };
    let (encoding, text) = match text {
        Some(text) => ("utf-8", text.to_owned()),
        None => ("base64", STANDARD.encode(shown)),
    };
    Body {
        encoding: encoding.to_owned(),
        text,
        truncated,
    }
}

fn delivery(found: &DeliverySummary) -> Delivery {
    let record = &found.record;
    let waits = record.state == State::Pending && record.next_at_ms != HELD_IN_MEMORY;
    Delivery {
        ordinal: record.ordinal,
        route: record.route.to_string(),
        sink: record.sink.to_string(),
        state: record.state.as_str().to_owned(),
        code: record.code.clone(),
        attempts: record.attempts,
        at: time(record.at_ms),
        next_at: u64::try_from(record.next_at_ms)
            .ok()
            .filter(|_| waits)
            .map(time),
        detail: record.detail.clone(),
        plugins: record.plugins.clone(),
        message_id: record.message_id.clone(),
        history: Vec::new(),
    }
}

fn attempt(found: &journal::Attempt) -> Attempt {
    Attempt {
        number: found.number,
        at: time(found.at_ms),
        class: found.class.to_owned(),
        code: found.code.clone(),
        detail: found.detail.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_with_milliseconds() {
        assert_eq!(time(1_000_000_000_000), "2001-09-09T01:46:40.000Z");
        assert_eq!(time(1_000_000_000_007), "2001-09-09T01:46:40.007Z");
    }

    #[test]
    fn a_body_is_text_where_it_can_be_and_cut_between_characters() {
        assert_eq!(body(b"{}").encoding, "utf-8");
        assert_eq!(
            (
                body(b"\xff\x00").encoding.as_str(),
                body(b"\xff\x00").text.as_str()
            ),
            ("base64", "/wA=")
        );
        let long = "a".repeat(BODY_SHOWN_BYTES_MAX - 1) + "\u{e4}\u{e4}";
        let shown = body(long.as_bytes());
        assert_eq!((shown.encoding.as_str(), shown.truncated), ("utf-8", true));
        assert_eq!(shown.text.len(), BODY_SHOWN_BYTES_MAX - 1);
    }
}
