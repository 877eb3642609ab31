//! Dead letters as the API shows them.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Attempt, Body, Event, body, time, whole as whole_event};
use crate::journal::State;
use crate::journal::archive::{self, Acted, Buried};

/// `GET /dead-letters`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// The last to die first.
    pub dead_letters: Vec<DeadLetter>,
    /// `before` of the next page; `null` on the last one.
    pub next: Option<String>,
    /// How many there are on all pages, if asked for with `count=true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// One dead letter of a page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// `EVENT:ORDINAL`.
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
    /// When the event came in.
    pub received_at: String,
    /// Route; empty where none matched.
    pub route: String,
    /// Sink; empty where it died before one was chosen.
    pub sink: String,
    /// Stable code.
    pub cause: String,
    /// For a person.
    pub detail: String,
    /// Attempts made, over all replays.
    pub attempts: u32,
    /// When it was given up.
    pub died_at: String,
    /// `name@sha256` of each plugin that had a part in it, space separated.
    pub plugins: String,
    /// The id that goes out.
    pub message_id: String,
    /// How often it was replayed.
    pub replays: u32,
    /// When it was replayed last.
    pub replayed_at: Option<String>,
}

/// `GET /dead-letters/{id}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Whole {
    /// `EVENT:ORDINAL`.
    pub id: String,
    /// Number of the dead delivery among the event's `deliveries`.
    pub ordinal: u32,
    /// What would have gone out; `null` where no message was made yet.
    pub message: Option<Message>,
    /// The event with its request and all its deliveries.
    pub event: Event,
}

/// A produced message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Partition key.
    pub key: Option<String>,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Media type of the body.
    pub content_type: Option<String>,
    /// Headers that go out with it.
    pub headers: Vec<(String, String)>,
    /// Attributes.
    pub attributes: Vec<(String, String)>,
    /// The payload, or its beginning.
    pub body: Body,
}

/// A page that was asked for with `limit`.
#[must_use]
pub fn page(found: &[archive::DeadLetter], limit: u32, total: Option<u64>) -> Page {
    let full = u32::try_from(found.len()).is_ok_and(|found| found >= limit);
    Page {
        dead_letters: found.iter().map(dead_letter).collect(),
        next: found
            .last()
            .filter(|_| full)
            .map(|last| last.place.to_string()),
        total,
    }
}

fn dead_letter(found: &archive::DeadLetter) -> DeadLetter {
    let (event, record) = (&found.event, &found.record);
    DeadLetter {
        id: found.id().to_string(),
        source: event.source.to_string(),
        provider: event.provider.to_string(),
        kind: event.kind.clone(),
        provider_event_id: event.provider_event_id.clone(),
        received_at: time(event.received_at_ms),
        route: record.route.to_string(),
        sink: record.sink.to_string(),
        cause: record.code.clone(),
        detail: record.detail.clone(),
        attempts: record.attempts,
        died_at: time(record.at_ms),
        plugins: record.plugins.clone(),
        message_id: record.message_id.clone(),
        replays: found.replays.count,
        replayed_at: found.replays.last_ms.map(time),
    }
}

/// One dead letter with all that is known of it.
#[must_use]
pub fn whole(found: &Buried) -> Whole {
    let ordinal = found.delivery.record.ordinal;
    Whole {
        id: format!("{}:{ordinal}", found.event.event.id),
        ordinal,
        message: found.message.as_ref().map(message),
        event: whole_event(&found.event),
    }
}

/// A message for the eye.
#[must_use]
pub fn message(message: &crate::event::Message) -> Message {
    Message {
        key: message.key.clone(),
        kind: message.kind.clone(),
        content_type: message.content_type.clone(),
        headers: super::headers(&message.headers),
        attributes: message.attributes.clone(),
        body: body(&message.body),
    }
}

/// What an act did, under `word`; `state` is how the one dead letter stands that it did nothing to.
#[must_use]
pub fn acted(acted: &Acted, word: &'static str, state: Option<State>) -> serde_json::Value {
    let ids: Vec<String> = acted.done.iter().map(|(id, _)| id.to_string()).collect();
    let mut told = json!({
        word: ids,
        "audit": acted.entry.map(|head| head.to_string()),
    });
    if let (Some(state), Some(told)) = (state, told.as_object_mut()) {
        told.insert("state".to_owned(), state.as_str().into());
    }
    told
}

impl Whole {
    /// The dead delivery and its attempts.
    #[must_use]
    pub fn delivery(&self) -> Option<(&super::Delivery, &[Attempt])> {
        let deliveries = &self.event.deliveries;
        let dead = deliveries.iter().find(|d| d.ordinal == self.ordinal)?;
        Some((dead, &dead.history))
    }
}
