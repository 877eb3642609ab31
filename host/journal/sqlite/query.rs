//! Every read of the journal. Plain functions of a connection; who runs them, and where, is not known here.

use rusqlite::{Connection, OptionalExtension, Row, named_params};

use super::codec::{
    self, EVENT_COLUMNS, EVENT_WIDTH, MESSAGE_COLUMNS, RECORD_COLUMNS, RECORD_WIDTH, signed,
    unsigned,
};
use super::feed::Gap;
use crate::event::EventId;
use crate::journal::{
    Attempt, BACKLOG_KEYS_MAX, DeliverySummary, EventQuery, EventSummary, HELD_IN_MEMORY,
    PendingDelivery, Seq, StoredEvent,
};

/// Bytes of bodies after which one read ends, though the caller asked for more rows.
pub(super) const READ_BYTES_MAX: usize = 16 << 20;
/// Events in one answer of [`events`].
pub(super) const EVENTS_MAX: u32 = 1000;

/// Events in `gap` that wait for their routes, at most `max`, and up to where the gap is read with them.
pub(super) fn waiting(
    connection: &Connection,
    gap: Gap,
    max: usize,
) -> rusqlite::Result<(Vec<StoredEvent>, Seq)> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT open.seq, event.body, {EVENT_COLUMNS}
         FROM open JOIN event ON event.seq = open.seq
         WHERE open.seq > ?1 AND open.seq <= ?2 AND open.planned = 0
         ORDER BY open.seq LIMIT ?3"
    ))?;
    let mut rows = statement.query((gap.after, gap.upto, signed(max as u64)))?;
    let mut events = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let seq = row.get(0)?;
        let body = codec::bytes(row, 1)?;
        bytes += body.len();
        let event = codec::event(row, 2, body)?.into();
        events.push(StoredEvent { seq, event });
        if events.len() >= max || bytes >= READ_BYTES_MAX {
            return Ok((events, seq));
        }
    }
    Ok((events, gap.upto))
}

/// The oldest event up to `upto` that is not planned.
pub(super) fn first_unplanned(connection: &Connection, upto: Seq) -> rusqlite::Result<Option<Seq>> {
    connection
        .prepare_cached(
            "SELECT seq FROM open WHERE planned = 0 AND seq <= ?1 ORDER BY seq LIMIT 1",
        )?
        .query_row([upto], |row| row.get(0))
        .optional()
}

/// See `Journal::due`. Of keyed deliveries only those of events before `keyed_before`.
pub(super) fn due(
    connection: &Connection,
    sink: &str,
    now_ms: u64,
    limit: usize,
    keyed_before: Seq,
) -> rusqlite::Result<Vec<PendingDelivery>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {PENDING_COLUMNS}, {RECORD_COLUMNS}, {EVENT_COLUMNS}, {MESSAGE_COLUMNS}
         FROM delivery INDEXED BY delivery_due
         JOIN event ON event.seq = delivery.event_seq
         LEFT JOIN plugin_set ON plugin_set.id = delivery.plugin_set
         LEFT JOIN message ON message.event_seq = delivery.event_seq AND message.ordinal = delivery.ordinal
         WHERE delivery.state = 'pending' AND delivery.head = 1 AND delivery.sink = ?1
           AND delivery.next_at <= ?2
           AND (delivery.key_hash IS NULL OR delivery.event_seq < ?4)
         ORDER BY delivery.next_at, delivery.event_seq, delivery.ordinal LIMIT ?3"
    ))?;
    // A delivery that is held in memory is due at no time that a caller can name.
    let now = signed(now_ms).min(HELD_IN_MEMORY - 1);
    let mut rows = statement.query((sink, now, signed(limit as u64), keyed_before))?;
    let mut found = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let pending = pending_delivery(row)?;
        bytes += body_bytes(&pending);
        found.push(pending);
        if bytes >= READ_BYTES_MAX {
            break;
        }
    }
    Ok(found)
}

/// What [`pending_delivery`] needs before record, event and message.
pub(super) const PENDING_COLUMNS: &str = "delivery.event_seq, delivery.created_at, \
    delivery.attempts_before, message.event_seq IS NOT NULL, \
    CASE WHEN message.event_seq IS NULL THEN event.body ELSE x'' END";

const PENDING_WIDTH: usize = 5;

/// A delivery in [`PENDING_COLUMNS`], [`RECORD_COLUMNS`], [`EVENT_COLUMNS`] and [`MESSAGE_COLUMNS`]. Its
/// attempts are those since the last replay, which is what the retry policy goes by.
pub(super) fn pending_delivery(row: &Row<'_>) -> rusqlite::Result<PendingDelivery> {
    let mut record = codec::record(row, PENDING_WIDTH)?;
    record.attempts = record.attempts.saturating_sub(row.get(2)?);
    if row.get(3)? {
        let message_at = PENDING_WIDTH + RECORD_WIDTH + EVENT_WIDTH;
        record.message = Some(codec::message(row, message_at)?);
    }
    let body = codec::bytes(row, 4)?;
    Ok(PendingDelivery {
        seq: row.get(0)?,
        created_at_ms: unsigned(row.get(1)?),
        event: codec::event(row, PENDING_WIDTH + RECORD_WIDTH, body)?.into(),
        record,
    })
}

/// Bytes of the bodies that a delivery holds.
pub(super) fn body_bytes(pending: &PendingDelivery) -> usize {
    let message = pending.record.message.as_ref();
    pending.event.body.len() + message.map_or(0, |message| message.body.len())
}

/// When the next delivery of `sink` that is not held in memory is due.
pub(super) fn next_at(connection: &Connection, sink: &str) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached(
            "SELECT next_at FROM delivery
             WHERE state = 'pending' AND head = 1 AND sink = ?1 AND next_at < ?2
             ORDER BY next_at LIMIT 1",
        )?
        .query_row((sink, HELD_IN_MEMORY), |row| row.get(0))
        .optional()
}

/// Keys with pending deliveries for `sink` and how many each, unless there are too many keys.
pub(super) fn keys(
    connection: &Connection,
    sink: &str,
) -> rusqlite::Result<Option<Vec<(i64, u64)>>> {
    keys_where(connection, sink, "")
}

/// The same without what is held in memory. Looks at each row, where [`keys`] reads an index only.
pub(super) fn keys_not_held(
    connection: &Connection,
    sink: &str,
) -> rusqlite::Result<Option<Vec<(i64, u64)>>> {
    keys_where(
        connection,
        sink,
        // HELD_IN_MEMORY
        "AND next_at < 9223372036854775807",
    )
}

fn keys_where(
    connection: &Connection,
    sink: &str,
    condition: &str,
) -> rusqlite::Result<Option<Vec<(i64, u64)>>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT key_hash, count(*) FROM delivery
         WHERE state = 'pending' AND key_hash IS NOT NULL AND sink = ?1 {condition}
         GROUP BY key_hash LIMIT ?2",
    ))?;
    let keys: Vec<(i64, u64)> = statement
        .query_map((sink, signed(BACKLOG_KEYS_MAX as u64 + 1)), |row| {
            Ok((row.get(0)?, unsigned(row.get(1)?)))
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok((keys.len() <= BACKLOG_KEYS_MAX).then_some(keys))
}

/// How many deliveries of `sink` are pending and not held in memory.
pub(super) fn count_not_held(connection: &Connection, sink: &str) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(
            "SELECT
               (SELECT count(*) FROM delivery INDEXED BY delivery_due
                WHERE state = 'pending' AND head = 1 AND sink = ?1 AND next_at < ?2)
             + (SELECT count(*) FROM delivery INDEXED BY delivery_key
                WHERE state = 'pending' AND key_hash IS NOT NULL AND sink = ?1 AND head = 0
                  AND next_at < ?2)",
        )?
        .query_row((sink, HELD_IN_MEMORY), |row| row.get(0).map(unsigned))
}

/// Sinks with pending deliveries and how many each.
pub(super) fn pending(connection: &Connection) -> rusqlite::Result<Vec<(String, u64)>> {
    // Two index scans: what may go out, and what waits behind an older one of its key.
    let mut statement = connection.prepare(
        "SELECT sink, sum(n) FROM (
           SELECT sink, count(*) AS n FROM delivery
             WHERE state = 'pending' AND head = 1 GROUP BY sink
           UNION ALL
           SELECT sink, count(*) - 1 FROM delivery
             WHERE state = 'pending' AND key_hash IS NOT NULL GROUP BY sink, key_hash
         ) GROUP BY sink",
    )?;
    statement
        .query_map([], |row| Ok((row.get(0)?, unsigned(row.get(1)?))))?
        .collect()
}

/// The `WHERE` of [`events`]: conditions that are not asked for are left out, so that each combination
/// gets a plan of its own.
fn conditions(query: &EventQuery) -> String {
    let mut sql = String::from("event.seq < :before");
    let asked = [
        (query.source.is_some(), " AND event.source = :source"),
        (query.kind.is_some(), " AND event.type = :type"),
        (query.since_ms.is_some(), " AND event.received_at >= :since"),
    ];
    for (is_asked, condition) in asked {
        if is_asked {
            sql.push_str(condition);
        }
    }
    // Literals, because only they match the partial indexes.
    if let Some(state) = query.state {
        sql.push_str(match state {
            crate::journal::State::Pending => {
                " AND event.seq IN (SELECT seq FROM open WHERE pending > 0)"
            }
            crate::journal::State::Dead => {
                " AND event.seq IN (SELECT event_seq FROM delivery WHERE state = 'dead')"
            }
            crate::journal::State::Delivered => {
                " AND EXISTS (SELECT 1 FROM delivery
                   WHERE event_seq = event.seq AND state = 'delivered')"
            }
            crate::journal::State::Dropped => {
                " AND EXISTS (SELECT 1 FROM delivery
                   WHERE event_seq = event.seq AND state = 'dropped')"
            }
        });
    }
    sql
}

/// See `Journal::events`.
pub(super) fn events(
    connection: &Connection,
    query: &EventQuery,
) -> rusqlite::Result<Vec<EventSummary>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {SUMMARY_COLUMNS}, {EVENT_COLUMNS} FROM event
         LEFT JOIN open ON open.seq = event.seq
         WHERE {} ORDER BY event.seq DESC LIMIT :limit",
        conditions(query)
    ))?;
    let before = query.before.unwrap_or(i64::MAX);
    let limit = query.limit.clamp(1, EVENTS_MAX);
    let since = query.since_ms.map(signed);
    let all: &[(&str, &dyn rusqlite::ToSql)] = named_params! {
        ":before": before, ":source": query.source, ":type": query.kind, ":since": since, ":limit": limit,
    };
    for (name, value) in all {
        if let Some(index) = statement.parameter_index(name)? {
            statement.raw_bind_parameter(index, value)?;
        }
    }
    let mut rows = statement.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(summary(connection, row, bytes::Bytes::new())?);
    }
    Ok(found)
}

/// See `Journal::event`.
pub(super) fn event(
    connection: &Connection,
    id: EventId,
) -> rusqlite::Result<Option<EventSummary>> {
    connection
        .prepare_cached(&format!(
            "SELECT {SUMMARY_COLUMNS}, {EVENT_COLUMNS}, event.body FROM event
             LEFT JOIN open ON open.seq = event.seq
             WHERE event.id = ?1"
        ))?
        .query_row([id.as_bytes().as_slice()], |row| {
            let body = codec::bytes(row, SUMMARY_WIDTH + EVENT_WIDTH)?;
            summary(connection, row, body)
        })
        .optional()
}

const SUMMARY_COLUMNS: &str = "event.seq, length(event.body), open.seq IS NULL";
const SUMMARY_WIDTH: usize = 3;

fn summary(
    connection: &Connection,
    row: &Row<'_>,
    body: bytes::Bytes,
) -> rusqlite::Result<EventSummary> {
    let seq = row.get(0)?;
    Ok(EventSummary {
        seq,
        body_bytes: unsigned(row.get(1)?),
        finished: row.get(2)?,
        event: codec::event(row, SUMMARY_WIDTH, body)?.into(),
        deliveries: deliveries(connection, seq)?,
    })
}

fn deliveries(connection: &Connection, seq: Seq) -> rusqlite::Result<Vec<DeliverySummary>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {RECORD_COLUMNS} FROM delivery
         LEFT JOIN plugin_set ON plugin_set.id = delivery.plugin_set
         WHERE delivery.event_seq = ?1 ORDER BY delivery.ordinal"
    ))?;
    let mut rows = statement.query([seq])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let record = codec::record(row, 0)?;
        let attempts = attempts(connection, seq, record.ordinal)?;
        found.push(DeliverySummary { record, attempts });
    }
    Ok(found)
}

fn attempts(connection: &Connection, seq: Seq, ordinal: u32) -> rusqlite::Result<Vec<Attempt>> {
    connection
        .prepare_cached(
            "SELECT number, at, class, code, detail FROM attempt
             WHERE event_seq = ?1 AND ordinal = ?2 ORDER BY number",
        )?
        .query_map((seq, ordinal), |row| {
            Ok(Attempt {
                number: row.get(0)?,
                at_ms: unsigned(row.get(1)?),
                class: codec::class(row, 2)?,
                code: row.get(3)?,
                detail: row.get(4)?,
            })
        })?
        .collect()
}
