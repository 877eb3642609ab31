//! The journal: where an event is safe, and what became of it.
//!
//! Promises, which the rest of the program relies on:
//!
//! 1. [`Journal::append`] returns `Ok` only after the event (or, for a duplicate, the first event
//!    with its id) is on disk and synced.
//! 2. Every appended event comes out of [`Journal::next`] at least once per process until it is
//!    settled as finished or planned, in the order of `Seq`, also after a restart.
//! 3. [`Journal::settle`] returns `Ok` only after its records are on disk and synced.
//! 4. Records are settled in the order of the calls.
//! 5. An unfinished event is never removed, and a dead letter not before its time.
//!
//! The journal belongs to no generation: it stores names of routes and sinks, and knows no config.

pub mod archive;
pub mod audit;
pub mod sqlite;
pub mod state;

use std::sync::Arc;

use async_trait::async_trait;

use crate::event::{Event, EventId, Message};

/// The place of an event in the journal: strictly growing, never reused.
pub type Seq = i64;

/// What identifies a repeated delivery of the same event by its provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DedupeKey {
    /// First 16 bytes of SHA-256 over source name, a NUL and the provider's event id.
    pub hash: [u8; 16],
    /// Until when a repetition is recognised, milliseconds since the Unix epoch.
    pub expires_at_ms: u64,
}

/// The answer to an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The event is new and safe.
    Stored(Seq),
    /// An event with the same dedupe key, or the event itself, is safe already; this one was not stored.
    Duplicate,
}

/// Why an event could not be stored. All of them mean 503 to the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The queue to the committer is full.
    #[error("the journal's queue is full")]
    Busy,
    /// The journal reached `max_size`, or the disk its free-space floor.
    #[error("the journal is full")]
    Full,
    /// A commit failed for another reason; the journal takes nothing until the program restarts.
    #[error("the journal failed and is closed")]
    Failed,
}

/// A read or settle that failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JournalError {
    /// The journal is closed, after a failed commit or at shutdown.
    #[error("the journal is closed")]
    Closed,
    /// The disk is full or the database locked: nothing was changed, and it may work later.
    #[error("the journal has no room on the disk at present, or another program has locked it")]
    Unavailable,
    /// The database gave an error.
    #[error("journal: {0}")]
    Storage(String),
}

/// An event that waits for its routes.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    /// Its place.
    pub seq: Seq,
    /// The event.
    pub event: Arc<Event>,
}

/// The end, or the present state, of one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Waits for `next_at_ms`; its message is stored.
    Pending,
    /// The sink confirmed it.
    Delivered,
    /// A filter or plugin dropped it, with a reason.
    Dropped,
    /// Given up; event, message and cause are kept until replayed, discarded or expired.
    Dead,
}

impl State {
    /// The word for it in the database, the API and the CLI.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dropped => "dropped",
            Self::Dead => "dead",
        }
    }
}

/// `next_at_ms` of a pending delivery that is held in memory by a running sink; a restart makes it due.
pub const HELD_IN_MEMORY: i64 = i64::MAX;

/// One failed attempt, for the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Counts from 1.
    pub number: u32,
    /// When it ended, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// `transient`, `configuration` or `permanent`.
    pub class: &'static str,
    /// Stable error code, such as `http_503`.
    pub code: String,
    /// What happened, for a person; holds no secret.
    pub detail: String,
}

/// The state of one delivery, written over an earlier record with the same `(seq, ordinal)`.
#[derive(Clone, Debug)]
pub struct Record {
    /// Number of the delivery within its event, from 0.
    pub ordinal: u32,
    /// Route, empty where none matched.
    pub route: Arc<str>,
    /// Sink, empty where the event ended (or waits) before a sink was chosen.
    pub sink: Arc<str>,
    /// What became of it.
    pub state: State,
    /// Attempts made.
    pub attempts: u32,
    /// When this record was made, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// When a pending delivery is due; [`HELD_IN_MEMORY`] while a sink holds it. 0 otherwise.
    pub next_at_ms: i64,
    /// Hash of the order key; pending deliveries with equal `(sink, key)` go out one at a time, oldest first.
    pub key_hash: Option<i64>,
    /// The sink's answer code (`201`, `ack`, `partition 3 offset 17`), or the code of the last error.
    pub code: String,
    /// Reason of a drop, cause of a dead letter, or empty.
    pub detail: String,
    /// `name@sha256` of each plugin that had a part in it.
    pub plugins: String,
    /// The id that goes out with the message; see [`crate::sink::Delivery::message_id`].
    pub message_id: String,
    /// Stored with the first pending or dead record of a delivery; `None` leaves what is stored.
    pub message: Option<Message>,
    /// The attempt that led here, if it failed.
    pub attempt: Option<Attempt>,
}

/// What [`Journal::settle`] writes in one transaction.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The event.
    pub seq: Seq,
    /// Records of its deliveries, new or changed.
    pub records: Vec<Record>,
    /// With this settlement all deliveries of the event are on record: it does not come out of
    /// [`Journal::next`] again, and is finished as soon as none of them is pending.
    pub planned: bool,
}

/// A pending delivery as read back.
#[derive(Clone, Debug)]
pub struct PendingDelivery {
    /// The event's place.
    pub seq: Seq,
    /// The event; its body is left empty, as the message is what goes out, except where `message` is `None`.
    pub event: Arc<Event>,
    /// The last record, with `message` filled in where one is stored.
    pub record: Record,
    /// When the first record of this delivery was made, milliseconds since the Unix epoch.
    pub created_at_ms: u64,
}

/// Which pending deliveries wait in the journal for a sink. Those that are held in memory are left out: who
/// holds them hands them to the sink, or writes how they ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many are pending.
    pub pending: u64,
    /// When the next one is due.
    pub next_at_ms: Option<i64>,
    /// Keys with pending deliveries and how many each; at most `BACKLOG_KEYS_MAX`, else `None`.
    pub keys: Option<Vec<(i64, u64)>>,
    /// True if an operator paused the sink.
    pub paused: bool,
}

/// The bound of [`Backlog::keys`].
pub const BACKLOG_KEYS_MAX: usize = 10_000;

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct EventQuery {
    /// Only this source.
    pub source: Option<String>,
    /// Only this event type.
    pub kind: Option<String>,
    /// Only events with a delivery in this state.
    pub state: Option<State>,
    /// Only events received at or after, milliseconds since the Unix epoch.
    pub since_ms: Option<u64>,
    /// Only events before this place (for paging), newest first.
    pub before: Option<Seq>,
    /// At most this many, 1 to 1000.
    pub limit: u32,
}

/// An event as the journal knows it.
#[derive(Clone, Debug)]
pub struct EventSummary {
    /// Its place.
    pub seq: Seq,
    /// The event, with body only in [`Journal::event`].
    pub event: Arc<Event>,
    /// Size of the body in bytes.
    pub body_bytes: u64,
    /// True when nothing is left to do for it.
    pub finished: bool,
    /// Its deliveries in order; empty while it waits for its routes.
    pub deliveries: Vec<DeliverySummary>,
}

/// A delivery as the journal knows it.
#[derive(Clone, Debug)]
pub struct DeliverySummary {
    /// The last record, without its message.
    pub record: Record,
    /// Failed attempts in order.
    pub attempts: Vec<Attempt>,
}

/// Figures for readiness and metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalStats {
    /// Events that are not finished.
    pub open: u64,
    /// Bytes in use by the database.
    pub bytes: u64,
    /// Deliveries in the dead-letter state.
    pub dead: u64,
    /// False after a failed commit.
    pub healthy: bool,
    /// True while appends are refused because of `max_size` or the free-space floor.
    pub full: bool,
}

/// See the module's text for what an implementation promises.
#[async_trait]
pub trait Journal: Send + Sync + 'static {
    /// Stores an event. Cheap to call concurrently: commits are grouped.
    async fn append(
        &self,
        event: Arc<Event>,
        dedupe: Option<DedupeKey>,
    ) -> Result<Appended, AppendError>;

    /// The next events that wait for their routes, at most `max`, oldest first; waits until there is
    /// one. One caller only. `Closed` after [`Journal::close`].
    async fn next(&self, max: usize) -> Result<Vec<StoredEvent>, JournalError>;

    /// Writes records; see [`Settlement`].
    async fn settle(&self, settlement: Settlement) -> Result<(), JournalError>;

    /// Pending deliveries of `sink` that are due at `now_ms`, at most `limit`: those that are due longest
    /// first, and oldest first among those due at the same time. Of keyed ones only the oldest of each
    /// key by `(seq, ordinal)`, and nothing of a key whose oldest is not due yet or is held in memory; nor
    /// any keyed one that is younger than an event which waited for its routes when the journal was opened
    /// and is still not planned, for that may have the same key. An answer may end early after 16 MiB of
    /// bodies. The caller leaves out those it works on already.
    async fn due(
        &self,
        sink: &str,
        now_ms: u64,
        limit: usize,
    ) -> Result<Vec<PendingDelivery>, JournalError>;

    /// What is pending for `sink`.
    async fn backlog(&self, sink: &str) -> Result<Backlog, JournalError>;

    /// Keeps for [`Journal::backlog`] whether an operator paused `sink`. Durable when it returns.
    async fn set_paused(&self, sink: &str, paused: bool) -> Result<(), JournalError>;

    /// Names of sinks with pending deliveries.
    async fn pending_sinks(&self) -> Result<Vec<String>, JournalError>;

    /// Events, newest first.
    async fn events(&self, query: EventQuery) -> Result<Vec<EventSummary>, JournalError>;

    /// One event with body, deliveries and attempts.
    async fn event(&self, id: EventId) -> Result<Option<EventSummary>, JournalError>;

    /// Figures.
    fn stats(&self) -> JournalStats;

    /// Takes no more appends, commits what is queued and closes the database.
    async fn close(&self);
}
