//! The archive: what operators look up in the journal, and what they change in it.
//!
//! Promises, beside those of the journal:
//!
//! 1. [`Archive::act`] returns `Ok` only after what it did and its entry in the audit log are on disk and
//!    synced, both in one transaction: after a crash there is either both or neither.
//! 2. A dead letter leaves its state once: of two replays or discards at the same time one changes it, and
//!    the other says that there was nothing to do.
//! 3. A replayed delivery keeps its ids, its message and its attempts; attempts after the replay are counted
//!    on from them, while the retry policy begins anew.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;

use super::audit::{Actor, Deed, Head, Row};
use super::{DeliverySummary, EventSummary, JournalError, PendingDelivery, Record, Seq};
use crate::event::{Event, EventId, Message};

/// Deliveries that one act changes at most, so that no event waits long for its commit.
pub const ACT_DELIVERIES_MAX: usize = 500;
/// Dead letters in one answer of [`Archive::dead_letters`].
pub const DEAD_LETTERS_MAX: u32 = 1000;

/// A delivery by its event's id and its number within the event. As text `ID:ORDINAL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeliveryId {
    /// The event.
    pub event: EventId,
    /// Number within the event.
    pub ordinal: u32,
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.event, self.ordinal)
    }
}

/// A text that is no [`DeliveryId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a dead letter's id looks like 0193a5e4-7c1b-7d3e-9a40-0c5f7b1e2d33:0")]
pub struct BadDeliveryId;

impl FromStr for DeliveryId {
    type Err = BadDeliveryId;

    fn from_str(text: &str) -> Result<Self, BadDeliveryId> {
        let (event, ordinal) = text.split_once(':').ok_or(BadDeliveryId)?;
        Ok(Self {
            event: event.parse().map_err(|_| BadDeliveryId)?,
            ordinal: ordinal.parse().map_err(|_| BadDeliveryId)?,
        })
    }
}

/// Where a dead letter stands in a list by time of death; for paging. As text `AT.SEQ.ORDINAL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeadPlace {
    /// When it died, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The event's place.
    pub seq: Seq,
    /// Number within the event.
    pub ordinal: u32,
}

impl fmt::Display for DeadPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.at_ms, self.seq, self.ordinal)
    }
}

impl FromStr for DeadPlace {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, '.');
        let mut part = || parts.next().unwrap_or_default();
        Ok(Self {
            at_ms: part().parse()?,
            seq: part().parse()?,
            ordinal: part().parse()?,
        })
    }
}

/// Which dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadQuery {
    /// Only of this source.
    pub source: Option<String>,
    /// Only of this event type.
    pub kind: Option<String>,
    /// Only for this sink; empty text: those that died before a sink was chosen.
    pub sink: Option<String>,
    /// Only of this route; empty text: of none.
    pub route: Option<String>,
    /// Only with this cause, a stable code.
    pub cause: Option<String>,
    /// Only of this event.
    pub event: Option<EventId>,
    /// Only those that died at or after, milliseconds since the Unix epoch.
    pub since_ms: Option<u64>,
    /// Only those that died before, milliseconds since the Unix epoch.
    pub until_ms: Option<u64>,
}

impl DeadQuery {
    /// True if it takes every dead letter.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }
}

/// For the audit log: the parts that are asked for.
impl fmt::Display for DeadQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() {
            return f.write_str("all");
        }
        let parts = [
            ("source", self.source.clone()),
            ("type", self.kind.clone()),
            ("sink", self.sink.clone()),
            ("route", self.route.clone()),
            ("cause", self.cause.clone()),
            ("event", self.event.map(|id| id.to_string())),
            ("since", self.since_ms.map(|at| at.to_string())),
            ("until", self.until_ms.map(|at| at.to_string())),
        ];
        let mut separator = "";
        for (name, value) in parts {
            if let Some(value) = value {
                write!(f, "{separator}{name}={value}")?;
                separator = " ";
            }
        }
        Ok(())
    }
}

/// A dead letter in a list.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Its event, without body.
    pub event: Arc<Event>,
    /// The last record, without its message. `attempts` counts all of them, over all replays.
    pub record: Record,
    /// Where it stands in the list.
    pub place: DeadPlace,
    /// How often it was replayed before.
    pub replays: Replays,
}

impl DeadLetter {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> DeliveryId {
        DeliveryId {
            event: self.event.id,
            ordinal: self.record.ordinal,
        }
    }
}

/// What is known of a delivery's replays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replays {
    /// How many.
    pub count: u32,
    /// When the last one was, milliseconds since the Unix epoch.
    pub last_ms: Option<u64>,
    /// Attempts that were made before the last one.
    pub attempts_before: u32,
}

/// One dead letter with all that is known of it.
#[derive(Clone, Debug)]
pub struct Buried {
    /// The event with its body and all its deliveries.
    pub event: EventSummary,
    /// The dead delivery with its attempts.
    pub delivery: DeliverySummary,
    /// What would have gone out; `None` where no message was made yet.
    pub message: Option<Message>,
}

/// Which dead letters an act is for.
#[derive(Clone, Debug)]
pub enum Which {
    /// This one.
    One(DeliveryId),
    /// The first that died of those that the query takes.
    Oldest {
        /// The query.
        query: DeadQuery,
        /// At most this many, 1 to [`ACT_DELIVERIES_MAX`].
        limit: u32,
    },
}

/// What an operator does to the journal's contents.
#[derive(Clone, Debug)]
pub enum Act {
    /// Dead letters become pending again. Those with a sink are marked as held in memory: the caller takes
    /// them to their sinks, and a restart makes them due. Those without one are due at once.
    Replay {
        /// Which.
        which: Which,
        /// Only for these sinks, and those that have none yet.
        sinks: Vec<Arc<str>>,
    },
    /// Dead letters are dropped, and their messages removed.
    Discard {
        /// Which.
        which: Which,
        /// Why, at most [`super::audit::REASON_CHARS_MAX`] characters.
        reason: String,
    },
    /// Something that was done elsewhere; only the entry is written.
    Note(Deed),
}

/// What an act did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acted {
    /// Deliveries that were changed.
    pub done: Vec<(DeliveryId, Seq)>,
    /// The entry in the audit log; `None` if nothing was changed, and so nothing written.
    pub entry: Option<Head>,
}

/// See the module's text for what an implementation promises.
#[async_trait]
pub trait Archive: Send + Sync + 'static {
    /// Dead letters, the last to die first, at most `limit` ([`DEAD_LETTERS_MAX`]), before `before`.
    async fn dead_letters(
        &self,
        query: DeadQuery,
        before: Option<DeadPlace>,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, JournalError>;

    /// How many dead letters the query takes. Looks at each, so it may take a second a million.
    async fn count_dead_letters(&self, query: DeadQuery) -> Result<u64, JournalError>;

    /// One dead letter; `None` if there is no such delivery, or it is not dead.
    async fn dead_letter(&self, id: DeliveryId) -> Result<Option<Buried>, JournalError>;

    /// Does an act. See the module's text.
    async fn act(&self, act: Act, actor: Actor) -> Result<Acted, JournalError>;

    /// These of the event's deliveries that are pending, with their messages. An answer may end early after
    /// 16 MiB of bodies.
    async fn pending(
        &self,
        deliveries: Vec<(Seq, u32)>,
    ) -> Result<Vec<PendingDelivery>, JournalError>;

    /// Entries of the audit log after `after`, oldest first, at most `limit`.
    async fn audit(&self, after: u64, limit: u32) -> Result<Vec<Row>, JournalError>;

    /// The audit log's head record.
    async fn audit_head(&self) -> Result<Head, JournalError>;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn ids_and_places_are_written_and_read_as_one_word() {
        let id = DeliveryId {
            event: EventId::now(),
            ordinal: 65_536,
        };
        assert_eq!(id.to_string().parse(), Ok(id));
        let place = DeadPlace {
            at_ms: 7,
            seq: 8,
            ordinal: 9,
        };
        assert_eq!(place.to_string().parse::<DeadPlace>().unwrap(), place);
        for wrong in ["", "7", "7.8", "7.8.9.10", "a.b.c"] {
            assert!(wrong.parse::<DeadPlace>().is_err(), "{wrong}");
        }
        for wrong in ["", "0193a5e4-7c1b-7d3e-9a40-0c5f7b1e2d33", "x:0"] {
            assert!(wrong.parse::<DeliveryId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_query_says_what_it_asks_for() {
        assert_eq!(DeadQuery::default().to_string(), "all");
        let query = DeadQuery {
            source: Some("didit".to_owned()),
            cause: Some("http_503".to_owned()),
            ..DeadQuery::default()
        };
        assert_eq!(query.to_string(), "source=didit cause=http_503");
    }
}
