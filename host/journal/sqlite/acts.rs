//! Acts of operators, inside of the committer's transaction, each with its entry in the audit log.
//!
//! Invariant: an act changes only deliveries that are dead when it comes to them, so doing it twice does
//! nothing the second time; an act that changed nothing leaves no entry, except a note.

use rusqlite::Connection;

use super::audit::Chain;
use super::codec::{self, signed};
use super::dead::{self, Dead};
use super::settle::Settler;
use super::status::Changes;
use crate::journal::archive::{ACT_DELIVERIES_MAX, Act, Acted, Which};
use crate::journal::audit::{Actor, Deed};
use crate::journal::{HELD_IN_MEMORY, Record, Seq, Settlement, State};

/// What an act works on.
pub(super) struct Site<'c> {
    pub(super) connection: &'c Connection,
    pub(super) settler: &'c mut Settler,
    pub(super) chain: &'c mut Chain,
    pub(super) changes: &'c mut Changes,
    pub(super) now_ms: u64,
}

impl Site<'_> {
    /// Does `act` for `actor`.
    pub(super) fn act(&mut self, act: &Act, actor: &Actor) -> rusqlite::Result<Acted> {
        let limit = u32::try_from(ACT_DELIVERIES_MAX).unwrap_or(u32::MAX);
        match act {
            Act::Replay { which, sinks } => {
                let chosen = dead::choose(self.connection, which, Some(sinks), limit)?;
                for (id, seq) in &chosen {
                    self.replay(*seq, id.ordinal)?;
                }
                self.enter(chosen, actor, deed("dead_letters.replay", which, ""))
            }
            Act::Discard { which, reason } => {
                let chosen = dead::choose(self.connection, which, None, limit)?;
                for (id, seq) in &chosen {
                    self.discard(*seq, id.ordinal, reason)?;
                }
                self.enter(chosen, actor, deed("dead_letters.discard", which, reason))
            }
            Act::Note(deed) => {
                let entry = self.chain.add(self.connection, self.now_ms, actor, deed)?;
                Ok(Acted {
                    done: Vec::new(),
                    entry: Some(entry),
                })
            }
        }
    }

    /// Writes the entry of what was done, if anything was.
    fn enter(&mut self, done: Vec<Dead>, actor: &Actor, mut deed: Deed) -> rusqlite::Result<Acted> {
        if done.is_empty() {
            return Ok(Acted::default());
        }
        let ids = done.iter().map(|(id, _)| id.to_string());
        deed.items = ids.filter(|id| *id != deed.subject).collect();
        let entry = self.chain.add(self.connection, self.now_ms, actor, &deed)?;
        Ok(Acted {
            done,
            entry: Some(entry),
        })
    }

    /// Makes a dead delivery pending again. Its retry policy begins anew, with the attempts and the age of a
    /// new delivery; the attempts that were made stay on record.
    fn replay(&mut self, seq: Seq, ordinal: u32) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "UPDATE delivery SET attempts_before = attempts, replays = replays + 1,
                   replayed_at = ?3, created_at = ?3 WHERE event_seq = ?1 AND ordinal = ?2",
            )?
            .execute((seq, ordinal, signed(self.now_ms)))?;
        let mut record = self.stored(seq, ordinal)?;
        record.state = State::Pending;
        record.at_ms = self.now_ms;
        // Without a sink it waits for its plugins, which are called when it is due.
        record.next_at_ms = if record.sink.is_empty() {
            signed(self.now_ms)
        } else {
            HELD_IN_MEMORY
        };
        self.settle(seq, record)
    }

    /// Drops a dead delivery.
    fn discard(&mut self, seq: Seq, ordinal: u32, reason: &str) -> rusqlite::Result<()> {
        let mut record = self.stored(seq, ordinal)?;
        record.state = State::Dropped;
        record.at_ms = self.now_ms;
        record.detail = format!("{reason} (was {}: {})", record.code, record.detail);
        record.code = "discarded".to_owned();
        self.settle(seq, record)
    }

    /// The record of a delivery as it is, with the attempts since its last replay, and without its message,
    /// so that writing it leaves the message as it is.
    fn stored(&self, seq: Seq, ordinal: u32) -> rusqlite::Result<Record> {
        self.connection
            .prepare_cached(&format!(
                "SELECT delivery.attempts_before, {} FROM delivery
                 LEFT JOIN plugin_set ON plugin_set.id = delivery.plugin_set
                 WHERE event_seq = ?1 AND ordinal = ?2",
                codec::RECORD_COLUMNS
            ))?
            .query_row((seq, ordinal), |row| {
                let mut record = codec::record(row, 1)?;
                record.attempts = record.attempts.saturating_sub(row.get(0)?);
                Ok(record)
            })
    }

    fn settle(&mut self, seq: Seq, record: Record) -> rusqlite::Result<()> {
        let settlement = Settlement {
            seq,
            records: vec![record],
            planned: true,
        };
        self.settler
            .settle(self.connection, &settlement, self.changes)
    }
}

fn deed(act: &'static str, which: &Which, reason: &str) -> Deed {
    let subject = match which {
        Which::One(id) => id.to_string(),
        Which::Oldest { query, .. } => query.to_string(),
    };
    Deed {
        act,
        subject,
        reason: reason.to_owned(),
        ..Deed::default()
    }
}
