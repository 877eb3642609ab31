//! Sinks: where messages go.
//!
//! A sink tries one delivery once and says how it went; retries, order, parking and dead letters are
//! [`crate::delivery`]'s. A sink never drops, never retries on its own beyond its client library, and answers
//! `Ok` only if the other side confirmed.

mod envelope;
pub mod file;
pub mod http;
pub mod kafka;
mod preview;
pub mod rabbitmq;
#[cfg(test)]
mod testing;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::event::{Event, EventId, Message};
use crate::journal::Seq;

pub use preview::Preview;

/// Where a delivery comes from, for the headers that go out with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The event.
    pub event_id: EventId,
    /// Source name.
    pub source: Arc<str>,
    /// Provider name.
    pub provider: Arc<str>,
    /// The provider's event id.
    pub provider_event_id: Option<String>,
    /// Milliseconds since the Unix epoch.
    pub received_at_ms: u64,
}

impl Origin {
    /// The origin of what this event becomes.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        Self {
            event_id: event.id,
            source: event.source.clone(),
            provider: event.provider.clone(),
            provider_event_id: event.provider_event_id.clone(),
            received_at_ms: event.received_at_ms,
        }
    }
}

/// One message for one sink.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The event's place in the journal.
    pub seq: Seq,
    /// Number within the event.
    pub ordinal: u32,
    /// Route that chose the sink.
    pub route: Arc<str>,
    /// The sink's name.
    pub sink: Arc<str>,
    /// Its event.
    pub origin: Arc<Origin>,
    /// Stable over retries and replays, for consumers that deduplicate: the event id, and for further
    /// messages of one event to the same sink the event id, a full stop and a number from 2.
    pub message_id: String,
    /// Partition key for sinks that have partitions.
    pub key: Option<String>,
    /// Hash of the order key: deliveries with equal hashes go out one at a time, oldest first. `None`
    /// where the route names no key, or the event has none.
    pub order: Option<i64>,
    /// `name@sha256` of each plugin that had a part in it, space separated.
    pub plugins: Arc<str>,
    /// What to send.
    pub message: Message,
    /// Attempts made so far.
    pub attempts: u32,
    /// When the delivery was planned, milliseconds since the Unix epoch.
    pub created_at_ms: u64,
}

/// What a sink says of a confirmed delivery: `201`, `ack`, `partition 3 offset 17`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The other side's answer in a word.
    pub code: String,
}

/// How to go on after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// May pass by itself: retry with backoff.
    Transient,
    /// Needs an operator: pause the sink, count no attempt.
    Configuration,
    /// The destination says it is gone for good: halt the sink until an operator resumes it, count no attempt.
    Gone,
    /// Will never work for this message: dead letter.
    Permanent,
}

impl Class {
    /// The word for it in records and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Configuration => "configuration",
            Self::Gone => "gone",
            Self::Permanent => "permanent",
        }
    }
}

/// A delivery that was not confirmed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail} ({code})")]
pub struct SinkError {
    /// How to go on.
    pub class: Class,
    /// Stable code: `http_503`, `timeout`, `unroutable`, `message_too_large`.
    pub code: String,
    /// What happened, for a person; holds no secret.
    pub detail: String,
    /// The earliest next attempt that the other side asked for.
    pub retry_after: Option<Duration>,
}

impl SinkError {
    /// An error of this class.
    pub fn new(class: Class, code: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            class,
            code: code.into(),
            detail: detail.into(),
            retry_after: None,
        }
    }
}

/// Settings that cannot work, found when the sink is made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct SetupError {
    /// What is wrong and what to do; holds no secret.
    pub detail: String,
}

impl SetupError {
    fn new(detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
        }
    }
}

/// One destination.
#[async_trait]
pub trait Sink: Send + Sync + 'static {
    /// Tries once. Safe to call concurrently, and safe to cancel: a cancelled attempt counts as unknown
    /// and is sent again with the same id.
    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, SinkError>;

    /// What an attempt at `now_ms` would send; nothing is connected or sent.
    ///
    /// # Errors
    /// Why no attempt could be made of this delivery, as [`Sink::deliver`] would say it.
    fn preview(&self, delivery: &Delivery, now_ms: u64) -> Result<Preview, SinkError>;

    /// Flushes and disconnects. Called once, after the last `deliver` ended.
    async fn close(&self);
}
