//! Writes of events and their deliveries, inside of the committer's transaction.
//!
//! Callers count attempts since a delivery's last replay; the tables count all of them.
//!
//! Invariants: an event has a row in `open` until it is planned and nothing of it is pending; `open.pending`
//! is the number of its pending deliveries; of the pending deliveries with equal sink and key exactly the
//! oldest by `(event_seq, ordinal)` has `head = 1`, and those without a key all have it.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};

use super::codec::{self, attributes_json, headers_json, signed};
use super::status::Changes;
use crate::event::{Event, Message};
use crate::journal::{Attempt, HELD_IN_MEMORY, Record, Seq, Settlement, State};

/// The columns of an event that take work to make; made by the caller of `append`, not by the committer.
#[derive(Debug)]
pub(super) struct EncodedEvent {
    pub(super) event: Arc<Event>,
    headers: String,
    attributes: String,
}

impl EncodedEvent {
    pub(super) fn new(event: Arc<Event>) -> Self {
        Self {
            headers: headers_json(&event.headers),
            attributes: attributes_json(&event.attributes),
            event,
        }
    }

    /// Bytes of the larger columns.
    pub(super) fn bytes(&self) -> usize {
        self.event.body.len() + self.headers.len() + self.attributes.len() + self.event.query.len()
    }
}

/// Writes an event that waits for its routes.
pub(super) fn append(
    connection: &Connection,
    seq: Seq,
    encoded: &EncodedEvent,
) -> rusqlite::Result<()> {
    let event = &encoded.event;
    connection
        .prepare_cached(
            "INSERT INTO event(seq, id, source, provider, type, provider_event_id, received_at, method,
               path, query, headers, content_type, attributes, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        )?
        .execute(rusqlite::params![
            seq,
            event.id.as_bytes().as_slice(),
            event.source,
            event.provider,
            event.kind,
            event.provider_event_id,
            signed(event.received_at_ms),
            event.method,
            event.path,
            event.query,
            encoded.headers,
            event.content_type,
            encoded.attributes,
            &event.body[..],
        ])?;
    connection
        .prepare_cached("INSERT INTO open(seq, planned, pending) VALUES (?1, 0, 0)")?
        .execute([seq])?;
    Ok(())
}

/// Writes settlements, and remembers the ids of plugin sets.
#[derive(Debug, Default)]
pub(super) struct Settler {
    plugin_sets: HashMap<String, i64>,
}

impl Settler {
    /// Forgets what a transaction noted that was rolled back.
    pub(super) fn take_back(&mut self) {
        self.plugin_sets.clear();
    }

    /// Writes the records of one settlement.
    pub(super) fn settle(
        &mut self,
        connection: &Connection,
        settlement: &Settlement,
        changes: &mut Changes,
    ) -> rusqlite::Result<()> {
        let seq = settlement.seq;
        let open: Option<(bool, i64)> = connection
            .prepare_cached("SELECT planned, pending FROM open WHERE seq = ?1")?
            .query_row([seq], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        if open.is_none() && !exists(connection, seq)? {
            tracing::warn!(
                seq,
                "records of an event that is not in the journal were left out"
            );
            return Ok(());
        }
        // An event without a row is finished, hence planned.
        let (was_planned, was_pending) = open.unwrap_or((true, 0));
        let planned = was_planned || settlement.planned;
        let mut pending = was_pending;
        for record in &settlement.records {
            pending += self.record(connection, seq, record, changes)?;
        }
        let finished = planned && pending <= 0;
        if finished && open.is_some() {
            connection
                .prepare_cached("DELETE FROM open WHERE seq = ?1")?
                .execute([seq])?;
            changes.open -= 1;
        } else if !finished && open != Some((planned, pending)) {
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO open(seq, planned, pending) VALUES (?1, ?2, ?3)",
                )?
                .execute((seq, planned, pending))?;
            changes.open += i64::from(open.is_none());
        }
        Ok(())
    }

    /// Writes one record; returns by how much the event's pending deliveries grew.
    fn record(
        &mut self,
        connection: &Connection,
        seq: Seq,
        record: &Record,
        changes: &mut Changes,
    ) -> rusqlite::Result<i64> {
        let is_held = record.state == State::Pending && record.next_at_ms == HELD_IN_MEMORY;
        let row = DeliveryRow {
            seq,
            record,
            plugin_set: self.plugin_set(connection, &record.plugins)?,
        };
        let lane = Lane::of(record);
        // Nearly all records are the first of their delivery and final, and cost this one statement.
        let is_first = lane.is_none() && row.insert(connection, true)?;
        let old = if is_first {
            None
        } else {
            row.replace(connection, lane)?
        };
        let is_pending = record.state == State::Pending;
        let is_kept = is_pending || record.state == State::Dead;
        match &record.message {
            Some(message) if is_kept => write_message(connection, seq, record.ordinal, message)?,
            _ if !is_kept && !is_first => delete_message(connection, seq, record.ordinal)?,
            _ => {}
        }
        if let Some(attempt) = &record.attempt {
            write_attempt(connection, seq, record.ordinal, attempt)?;
        }
        let was_pending = old.as_ref().is_some_and(|old| old.state == State::Pending);
        let was_dead = old.as_ref().is_some_and(|old| old.state == State::Dead);
        if let Some(old) = old.filter(|_| was_pending) {
            if old.is_held {
                changes.held.push((Arc::clone(&old.sink), -1));
            }
            changes.pending.push((old.sink, -1));
        }
        if is_pending {
            changes.pending.push((Arc::clone(&record.sink), 1));
        }
        if is_held {
            changes.held.push((Arc::clone(&record.sink), 1));
        }
        changes.dead += i64::from(record.state == State::Dead) - i64::from(was_dead);
        Ok(i64::from(is_pending) - i64::from(was_pending))
    }

    fn plugin_set(
        &mut self,
        connection: &Connection,
        plugins: &str,
    ) -> rusqlite::Result<Option<i64>> {
        if plugins.is_empty() {
            return Ok(None);
        }
        if let Some(id) = self.plugin_sets.get(plugins) {
            return Ok(Some(*id));
        }
        connection.execute(
            "INSERT INTO plugin_set(plugins) VALUES (?1) ON CONFLICT DO NOTHING",
            [plugins],
        )?;
        let id = connection.query_row(
            "SELECT id FROM plugin_set WHERE plugins = ?1",
            [plugins],
            |row| row.get(0),
        )?;
        // Grows only when a plugin changes; the bound is for a caller that does something odd.
        if self.plugin_sets.len() >= 1024 {
            self.plugin_sets.clear();
        }
        self.plugin_sets.insert(plugins.to_owned(), id);
        Ok(Some(id))
    }
}

/// Pending deliveries with the same sink and key: they go out one at a time.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Lane<'r> {
    sink: &'r str,
    key_hash: i64,
}

impl<'r> Lane<'r> {
    fn of(record: &'r Record) -> Option<Self> {
        let key_hash = record.key_hash.filter(|_| record.state == State::Pending)?;
        Some(Self {
            sink: &record.sink,
            key_hash,
        })
    }

    /// The oldest of them.
    fn oldest(self, connection: &Connection) -> rusqlite::Result<Option<(Seq, u32)>> {
        connection
            .prepare_cached(
                "SELECT event_seq, ordinal FROM delivery INDEXED BY delivery_key
                 WHERE state = 'pending' AND key_hash IS NOT NULL AND sink = ?1 AND key_hash = ?2
                 ORDER BY event_seq, ordinal LIMIT 1",
            )?
            .query_row((self.sink, self.key_hash), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()
    }

    /// Moves the mark from the one that was the oldest to the one that is.
    fn mark_head(
        self,
        connection: &Connection,
        before: Option<(Seq, u32)>,
    ) -> rusqlite::Result<()> {
        let now = self.oldest(connection)?;
        if now == before {
            return Ok(());
        }
        for (place, head) in [(before, 0), (now, 1)] {
            let Some((seq, ordinal)) = place else {
                continue;
            };
            connection
                .prepare_cached(
                    "UPDATE delivery SET head = ?1 WHERE event_seq = ?2 AND ordinal = ?3
                     AND state = 'pending' AND sink = ?4 AND key_hash = ?5",
                )?
                .execute((head, seq, ordinal, self.sink, self.key_hash))?;
        }
        Ok(())
    }
}

/// What is known of a delivery's record before it is written over.
struct Old {
    state: State,
    sink: Arc<str>,
    key_hash: Option<i64>,
    is_held: bool,
}

struct DeliveryRow<'r> {
    seq: Seq,
    record: &'r Record,
    plugin_set: Option<i64>,
}

impl DeliveryRow<'_> {
    /// Writes the row unless there is one; true if it did.
    fn insert(&self, connection: &Connection, head: bool) -> rusqlite::Result<bool> {
        let record = self.record;
        let inserted = connection
            .prepare_cached(
                "INSERT INTO delivery(event_seq, ordinal, route, sink, state, attempts, created_at, at,
                   next_at, key_hash, head, code, detail, plugin_set, message_id)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
                 ON CONFLICT DO NOTHING",
            )?
            .execute(rusqlite::params![
                self.seq,
                record.ordinal,
                record.route,
                record.sink,
                record.state.as_str(),
                record.attempts,
                signed(record.at_ms),
                record.next_at_ms,
                record.key_hash,
                head,
                record.code,
                record.detail,
                self.plugin_set,
                record.message_id,
            ])?;
        Ok(inserted == 1)
    }

    /// Writes the row over what is there, and keeps the marks of both lanes right.
    fn replace(
        &self,
        connection: &Connection,
        lane: Option<Lane<'_>>,
    ) -> rusqlite::Result<Option<Old>> {
        let place = (self.seq, self.record.ordinal);
        let old = connection
            .prepare_cached(
                "SELECT state, sink, key_hash, next_at FROM delivery
                 WHERE event_seq = ?1 AND ordinal = ?2",
            )?
            .query_row(place, |row| {
                Ok(Old {
                    state: codec::state(row, 0)?,
                    sink: row.get(1)?,
                    key_hash: row.get(2)?,
                    is_held: row.get::<_, i64>(3)? == HELD_IN_MEMORY,
                })
            })
            .optional()?;
        let left = old
            .as_ref()
            .filter(|old| old.state == State::Pending)
            .and_then(|old| {
                Some(Lane {
                    sink: &old.sink,
                    key_hash: old.key_hash?,
                })
            })
            .filter(|left| Some(*left) != lane);
        let left_before = left.map_or(Ok(None), |left| left.oldest(connection))?;
        let lane_before = lane.map_or(Ok(None), |lane| lane.oldest(connection))?;
        let head = lane.is_none() || lane_before == Some(place);
        if old.is_some() {
            self.update(connection, head)?;
        } else {
            self.insert(connection, head)?;
        }
        if let Some(left) = left {
            left.mark_head(connection, left_before)?;
        }
        if let Some(lane) = lane {
            lane.mark_head(connection, lane_before)?;
        }
        Ok(old)
    }

    fn update(&self, connection: &Connection, head: bool) -> rusqlite::Result<()> {
        let record = self.record;
        connection
            .prepare_cached(
                "UPDATE delivery SET route = ?3, sink = ?4, state = ?5, attempts = attempts_before + ?6, at = ?7,
                   next_at = ?8, key_hash = ?9, head = ?10, code = ?11, detail = ?12, plugin_set = ?13,
                   message_id = ?14
                 WHERE event_seq = ?1 AND ordinal = ?2",
            )?
            .execute(rusqlite::params![
                self.seq,
                record.ordinal,
                record.route,
                record.sink,
                record.state.as_str(),
                record.attempts,
                signed(record.at_ms),
                record.next_at_ms,
                record.key_hash,
                head,
                record.code,
                record.detail,
                self.plugin_set,
                record.message_id,
            ])?;
        Ok(())
    }
}

fn exists(connection: &Connection, seq: Seq) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM event WHERE seq = ?1)")?
        .query_row([seq], |row| row.get(0))
}

fn write_message(
    connection: &Connection,
    seq: Seq,
    ordinal: u32,
    message: &Message,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO message(event_seq, ordinal, sink, key, type, content_type, headers,
               attributes, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(rusqlite::params![
            seq,
            ordinal,
            message.sink,
            message.key,
            message.kind,
            message.content_type,
            headers_json(&message.headers),
            attributes_json(&message.attributes),
            &message.body[..],
        ])?;
    Ok(())
}

fn delete_message(connection: &Connection, seq: Seq, ordinal: u32) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM message WHERE event_seq = ?1 AND ordinal = ?2")?
        .execute((seq, ordinal))?;
    Ok(())
}

/// Writes a failed attempt, numbered on from those before the last replay.
fn write_attempt(
    connection: &Connection,
    seq: Seq,
    ordinal: u32,
    attempt: &Attempt,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO attempt(event_seq, ordinal, number, at, class, code, detail)
             VALUES (?1, ?2, ?3 + coalesce((SELECT attempts_before FROM delivery
               WHERE event_seq = ?1 AND ordinal = ?2), 0), ?4, ?5, ?6, ?7)",
        )?
        .execute(rusqlite::params![
            seq,
            ordinal,
            attempt.number,
            signed(attempt.at_ms),
            attempt.class,
            attempt.code,
            attempt.detail,
        ])?;
    Ok(())
}
