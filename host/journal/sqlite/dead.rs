//! Reads of dead letters. Plain functions of a connection, as in [`super::query`].

use rusqlite::{Connection, OptionalExtension as _, Row, Statement};

use super::codec::{
    self, EVENT_COLUMNS, MESSAGE_COLUMNS, RECORD_COLUMNS, RECORD_WIDTH, signed, unsigned,
};
use super::query;
use crate::event::{EventId, Message};
use crate::journal::archive::{
    Buried, DEAD_LETTERS_MAX, DeadLetter, DeadPlace, DeadQuery, DeliveryId, Replays, Which,
};
use crate::journal::{PendingDelivery, Seq};

/// A dead delivery that an act may change.
pub(super) type Dead = (DeliveryId, Seq);

/// The conditions that `asked` names, each with its parameter: those that are not asked for are left out, so
/// that each combination gets a plan of its own.
fn conditions(asked: &DeadQuery) -> String {
    let mut sql = String::from("delivery.state = 'dead'");
    for (is_asked, condition) in [
        (asked.source.is_some(), " AND event.source = :source"),
        (asked.kind.is_some(), " AND event.type = :type"),
        (asked.event.is_some(), " AND event.id = :event"),
        (asked.sink.is_some(), " AND delivery.sink = :sink"),
        (asked.route.is_some(), " AND delivery.route = :route"),
        (asked.cause.is_some(), " AND delivery.code = :cause"),
        (asked.since_ms.is_some(), " AND delivery.at >= :since"),
        (asked.until_ms.is_some(), " AND delivery.at < :until"),
    ] {
        if is_asked {
            sql.push_str(condition);
        }
    }
    sql
}

/// Where the conditions are looked up: by the event where one is named, else by the time of death.
fn tables(asked: &DeadQuery) -> &'static str {
    if asked.event.is_some() {
        "event JOIN delivery ON delivery.event_seq = event.seq"
    } else {
        "delivery INDEXED BY delivery_dead JOIN event ON event.seq = delivery.event_seq"
    }
}

fn bind(statement: &mut Statement<'_>, asked: &DeadQuery) -> rusqlite::Result<()> {
    let event = asked.event.map(|id| *id.as_bytes());
    let since = asked.since_ms.map(signed);
    let until = asked.until_ms.map(signed);
    let all: [(&str, &dyn rusqlite::ToSql); 8] = [
        (":source", &asked.source),
        (":type", &asked.kind),
        (":event", &event),
        (":sink", &asked.sink),
        (":route", &asked.route),
        (":cause", &asked.cause),
        (":since", &since),
        (":until", &until),
    ];
    for (name, value) in all {
        if let Some(index) = statement.parameter_index(name)? {
            statement.raw_bind_parameter(index, value)?;
        }
    }
    Ok(())
}

/// See `Archive::dead_letters`.
pub(super) fn list(
    connection: &Connection,
    asked: &DeadQuery,
    before: Option<DeadPlace>,
    limit: u32,
) -> rusqlite::Result<Vec<DeadLetter>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT delivery.event_seq, {REPLAY_COLUMNS}, {RECORD_COLUMNS}, {EVENT_COLUMNS} FROM {}
         LEFT JOIN plugin_set ON plugin_set.id = delivery.plugin_set
         WHERE {} AND (delivery.at, delivery.event_seq, delivery.ordinal) < (:at, :seq, :ordinal)
         ORDER BY delivery.at DESC, delivery.event_seq DESC, delivery.ordinal DESC LIMIT :limit",
        tables(asked),
        conditions(asked),
    ))?;
    bind(&mut statement, asked)?;
    let before = before.unwrap_or(DeadPlace {
        at_ms: u64::MAX,
        seq: Seq::MAX,
        ordinal: u32::MAX,
    });
    let place: [(&str, i64); 4] = [
        (":at", signed(before.at_ms)),
        (":seq", before.seq),
        (":ordinal", before.ordinal.into()),
        (":limit", limit.clamp(1, DEAD_LETTERS_MAX).into()),
    ];
    for (name, value) in place {
        if let Some(index) = statement.parameter_index(name)? {
            statement.raw_bind_parameter(index, value)?;
        }
    }
    let mut rows = statement.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(dead_letter(row)?);
    }
    Ok(found)
}

/// See `Archive::count_dead_letters`.
pub(super) fn count(connection: &Connection, asked: &DeadQuery) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT count(*) FROM {} WHERE {}",
        tables(asked),
        conditions(asked)
    ))?;
    bind(&mut statement, asked)?;
    let mut rows = statement.raw_query();
    match rows.next()? {
        Some(row) => row.get(0).map(unsigned),
        None => Ok(0),
    }
}

/// Dead letters that `which` means, the first to die first. Of `sinks`, and those without one.
pub(super) fn choose(
    connection: &Connection,
    which: &Which,
    sinks: Option<&[std::sync::Arc<str>]>,
    limit_max: u32,
) -> rusqlite::Result<Vec<Dead>> {
    let is_wanted = |sink: &str| {
        sinks.is_none_or(|sinks| sink.is_empty() || sinks.iter().any(|known| **known == *sink))
    };
    let (asked, limit) = match which {
        Which::One(id) => {
            let found: Option<(Seq, String)> = connection
                .prepare_cached(
                    "SELECT event.seq, delivery.sink FROM event JOIN delivery ON delivery.event_seq = event.seq
                     WHERE event.id = ?1 AND delivery.ordinal = ?2 AND delivery.state = 'dead'",
                )?
                .query_row((id.event.as_bytes().as_slice(), id.ordinal), |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()?;
            let found = found.filter(|(_, sink)| is_wanted(sink));
            return Ok(found.map(|(seq, _)| (*id, seq)).into_iter().collect());
        }
        Which::Oldest { query, limit } => (query, (*limit).clamp(1, limit_max)),
    };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT event.id, delivery.event_seq, delivery.ordinal, delivery.sink FROM {}
         WHERE {} ORDER BY delivery.at, delivery.event_seq, delivery.ordinal",
        tables(asked),
        conditions(asked),
    ))?;
    bind(&mut statement, asked)?;
    let mut rows = statement.raw_query();
    let mut chosen = Vec::new();
    while chosen.len() < limit as usize
        && let Some(row) = rows.next()?
    {
        if is_wanted(row.get_ref(3)?.as_str()?) {
            let event = EventId::from_bytes(row.get(0)?);
            let ordinal = row.get(2)?;
            chosen.push((DeliveryId { event, ordinal }, row.get(1)?));
        }
    }
    Ok(chosen)
}

/// See `Archive::dead_letter`.
pub(super) fn one(connection: &Connection, id: DeliveryId) -> rusqlite::Result<Option<Buried>> {
    let Some(event) = query::event(connection, id.event)? else {
        return Ok(None);
    };
    let delivery = event.deliveries.iter().find(|delivery| {
        delivery.record.ordinal == id.ordinal
            && delivery.record.state == crate::journal::State::Dead
    });
    let Some(delivery) = delivery.cloned() else {
        return Ok(None);
    };
    let message = message(connection, event.seq, id.ordinal)?;
    Ok(Some(Buried {
        event,
        delivery,
        message,
    }))
}

/// See `Archive::pending`.
pub(super) fn pending(
    connection: &Connection,
    wanted: &[(Seq, u32)],
) -> rusqlite::Result<Vec<PendingDelivery>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {}, {RECORD_COLUMNS}, {EVENT_COLUMNS}, {MESSAGE_COLUMNS}
         FROM delivery JOIN event ON event.seq = delivery.event_seq
         LEFT JOIN plugin_set ON plugin_set.id = delivery.plugin_set
         LEFT JOIN message ON message.event_seq = delivery.event_seq AND message.ordinal = delivery.ordinal
         WHERE delivery.event_seq = ?1 AND delivery.ordinal = ?2 AND delivery.state = 'pending'",
        query::PENDING_COLUMNS
    ))?;
    let mut found = Vec::with_capacity(wanted.len());
    let mut bytes = 0;
    for place in wanted {
        let mut rows = statement.query(*place)?;
        let Some(row) = rows.next()? else {
            continue;
        };
        let pending = query::pending_delivery(row)?;
        bytes += query::body_bytes(&pending);
        found.push(pending);
        if bytes >= query::READ_BYTES_MAX {
            break;
        }
    }
    Ok(found)
}

fn message(connection: &Connection, seq: Seq, ordinal: u32) -> rusqlite::Result<Option<Message>> {
    connection
        .prepare_cached(&format!(
            "SELECT {MESSAGE_COLUMNS} FROM message WHERE event_seq = ?1 AND ordinal = ?2"
        ))?
        .query_row((seq, ordinal), |row| codec::message(row, 0))
        .optional()
}

/// Columns of a delivery's replays, in the order of [`replays`].
pub(super) const REPLAY_COLUMNS: &str =
    "delivery.replays, delivery.replayed_at, delivery.attempts_before";

/// How many columns [`REPLAY_COLUMNS`] are.
pub(super) const REPLAY_WIDTH: usize = 3;

/// The replays in [`REPLAY_COLUMNS`] from column `at` on.
pub(super) fn replays(row: &Row<'_>, at: usize) -> rusqlite::Result<Replays> {
    Ok(Replays {
        count: row.get(at)?,
        last_ms: row.get::<_, Option<i64>>(at + 1)?.map(unsigned),
        attempts_before: row.get(at + 2)?,
    })
}

fn dead_letter(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    let record_at = 1 + REPLAY_WIDTH;
    let record = codec::record(row, record_at)?;
    Ok(DeadLetter {
        place: DeadPlace {
            at_ms: record.at_ms,
            seq: row.get(0)?,
            ordinal: record.ordinal,
        },
        replays: replays(row, 1)?,
        event: codec::event(row, record_at + RECORD_WIDTH, bytes::Bytes::new())?.into(),
        record,
    })
}
