//! Between the program's values and columns. Lossless both ways: what is read equals what was written.
//!
//! Headers and attributes are JSON arrays of pairs, which keep order and repetition and stay readable in
//! the sqlite3 shell; a header value that is not UTF-8 is written as `{"base64": "..."}`.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use rusqlite::Row;
use rusqlite::types::Type;
use serde::{Deserialize, Serialize};

use crate::event::{Event, EventId, Header, Message};
use crate::journal::{Record, State};

/// A header's value.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Binary { base64: String },
}

#[derive(Serialize)]
#[serde(untagged)]
enum ValueRef<'v> {
    Text(&'v str),
    Binary { base64: String },
}

/// Headers as a column.
pub(super) fn headers_json(headers: &[Header]) -> String {
    let pairs: Vec<(&str, ValueRef<'_>)> = headers
        .iter()
        .map(|header| {
            let value = match std::str::from_utf8(&header.value) {
                Ok(text) => ValueRef::Text(text),
                Err(_) => ValueRef::Binary {
                    base64: STANDARD.encode(&header.value),
                },
            };
            (header.name.as_str(), value)
        })
        .collect();
    // Strings and pairs always serialise.
    serde_json::to_string(&pairs).unwrap_or_default()
}

/// Attributes as a column.
pub(super) fn attributes_json(attributes: &[(String, String)]) -> String {
    serde_json::to_string(attributes).unwrap_or_default()
}

fn headers(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<Header>> {
    let pairs: Vec<(String, Value)> = json(row, column)?;
    pairs
        .into_iter()
        .map(|(name, value)| {
            let value = match value {
                Value::Text(text) => Bytes::from(text),
                Value::Binary { base64 } => STANDARD
                    .decode(base64)
                    .map_err(|error| broken(column, Type::Text, error))?
                    .into(),
            };
            Ok(Header { name, value })
        })
        .collect()
}

fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|error| broken(column, Type::Text, error))
}

fn broken(
    column: usize,
    kind: Type,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(error))
}

/// A count or time. None that this program writes is negative.
pub(super) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A count or time as a column; what does not fit is as good as the largest.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Columns of `event` after `seq`, but the body, in the order of [`event`].
pub(super) const EVENT_COLUMNS: &str = "event.id, event.source, event.provider, event.type, \
    event.provider_event_id, event.received_at, event.method, event.path, event.query, event.headers, \
    event.content_type, event.attributes";

/// How many columns [`EVENT_COLUMNS`] are.
pub(super) const EVENT_WIDTH: usize = 12;

/// The event in [`EVENT_COLUMNS`] from column `at` on.
pub(super) fn event(row: &Row<'_>, at: usize, body: Bytes) -> rusqlite::Result<Event> {
    Ok(Event {
        id: EventId::from_bytes(row.get(at)?),
        source: row.get::<_, Arc<str>>(at + 1)?,
        provider: row.get::<_, Arc<str>>(at + 2)?,
        kind: row.get(at + 3)?,
        provider_event_id: row.get(at + 4)?,
        received_at_ms: unsigned(row.get(at + 5)?),
        method: row.get(at + 6)?,
        path: row.get(at + 7)?,
        query: row.get(at + 8)?,
        headers: headers(row, at + 9)?,
        content_type: row.get(at + 10)?,
        attributes: json(row, at + 11)?,
        body,
    })
}

/// A blob.
pub(super) fn bytes(row: &Row<'_>, column: usize) -> rusqlite::Result<Bytes> {
    row.get::<_, Vec<u8>>(column).map(Bytes::from)
}

/// Columns of a delivery in the order of [`record`]; needs `delivery LEFT JOIN plugin_set`.
pub(super) const RECORD_COLUMNS: &str = "delivery.ordinal, delivery.route, delivery.sink, delivery.state, \
    delivery.attempts, delivery.at, delivery.next_at, delivery.key_hash, delivery.code, delivery.detail, \
    plugin_set.plugins, delivery.message_id";

/// How many columns [`RECORD_COLUMNS`] are.
pub(super) const RECORD_WIDTH: usize = 12;

/// The record in [`RECORD_COLUMNS`] from column `at` on, without message and attempt.
pub(super) fn record(row: &Row<'_>, at: usize) -> rusqlite::Result<Record> {
    Ok(Record {
        ordinal: row.get(at)?,
        route: row.get::<_, Arc<str>>(at + 1)?,
        sink: row.get::<_, Arc<str>>(at + 2)?,
        state: state(row, at + 3)?,
        attempts: row.get(at + 4)?,
        at_ms: unsigned(row.get(at + 5)?),
        next_at_ms: row.get(at + 6)?,
        key_hash: row.get(at + 7)?,
        code: row.get(at + 8)?,
        detail: row.get(at + 9)?,
        plugins: row.get::<_, Option<String>>(at + 10)?.unwrap_or_default(),
        message_id: row.get(at + 11)?,
        message: None,
        attempt: None,
    })
}

/// The state in a column.
pub(super) fn state(row: &Row<'_>, column: usize) -> rusqlite::Result<State> {
    let word = row.get_ref(column)?.as_str()?;
    [
        State::Pending,
        State::Delivered,
        State::Dropped,
        State::Dead,
    ]
    .into_iter()
    .find(|state| state.as_str() == word)
    .ok_or(rusqlite::Error::InvalidColumnType(
        column,
        "state".to_owned(),
        Type::Text,
    ))
}

/// Columns of `message` in the order of [`message`].
pub(super) const MESSAGE_COLUMNS: &str = "message.sink, message.key, message.type, message.content_type, \
    message.headers, message.attributes, message.body";

/// The message in [`MESSAGE_COLUMNS`] from column `at` on.
pub(super) fn message(row: &Row<'_>, at: usize) -> rusqlite::Result<Message> {
    Ok(Message {
        sink: row.get(at)?,
        key: row.get(at + 1)?,
        kind: row.get(at + 2)?,
        content_type: row.get(at + 3)?,
        headers: headers(row, at + 4)?,
        attributes: json(row, at + 5)?,
        body: bytes(row, at + 6)?,
    })
}

/// The word for an attempt's class, as the contract has it.
pub(super) fn class(row: &Row<'_>, column: usize) -> rusqlite::Result<&'static str> {
    Ok(match row.get_ref(column)?.as_str()? {
        "configuration" => "configuration",
        "permanent" => "permanent",
        _ => "transient",
    })
}
