//! The durable key-value store of plugins: small values in namespaces, with expiry.
//!
//! Writes go through the journal's committer and are durable when they return; a read sees every write
//! that returned before it began. Each of `increment` and `compare_and_set` is one step that no other
//! write comes between. Knows plugins only as names of namespaces.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};

use super::sqlite::SqliteJournal;

/// Bytes of a key; keys are not empty.
pub const KEY_BYTES_MAX: usize = 256;
/// Bytes of a value.
pub const VALUE_BYTES_MAX: usize = 64 << 10;
/// Bytes of all keys and values of one plugin.
pub const PLUGIN_BYTES_MAX: u64 = 16 << 20;
/// Expired values that one step of upkeep removes.
pub(super) const TRIM_ROWS_MAX: usize = 1000;

/// Why a call of the store failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The key is empty or too long.
    #[error("a key has 1 to {KEY_BYTES_MAX} bytes, and this one {0}")]
    Key(usize),
    /// The value is too long.
    #[error("a value has at most {VALUE_BYTES_MAX} bytes, and this one {0}")]
    Value(usize),
    /// The plugin's values would take more than it may have.
    #[error("the plugin's keys and values would take more than {PLUGIN_BYTES_MAX} bytes")]
    Quota,
    /// `increment` of a value that is no decimal integer, or past the largest.
    #[error("the value is not a decimal integer, or the sum does not fit in 64 bits")]
    NotANumber,
    /// The disk is full or the database locked; it may work later.
    #[error("the store has no room on the disk at present")]
    Unavailable,
    /// The journal is closed.
    #[error("the store is closed")]
    Closed,
    /// The database gave an error.
    #[error("state: {0}")]
    Storage(String),
}

/// A change of one key.
#[derive(Debug)]
pub(super) struct Write {
    plugin: String,
    key: String,
    change: Change,
    /// Milliseconds since the Unix epoch.
    expires_at: Option<i64>,
}

#[derive(Debug)]
enum Change {
    Set(Vec<u8>),
    Delete,
    Increment(i64),
    CompareAndSet {
        expected: Option<Vec<u8>>,
        new: Vec<u8>,
    },
}

/// What a change led to.
#[derive(Debug)]
pub(super) enum Wrote {
    Done,
    Sum(i64),
    Swapped(bool),
}

/// The namespace of sinks that operators paused. No plugin's name has a colon, so none can touch it.
const PAUSED_SINKS: &str = ":paused-sinks";

/// True if an operator paused `sink`.
pub(super) fn is_paused(connection: &Connection, sink: &str) -> rusqlite::Result<bool> {
    find(connection, PAUSED_SINKS, sink).map(|found| found.is_some())
}

impl Write {
    /// Keeps whether an operator paused `sink`.
    pub(super) fn paused(sink: &str, paused: bool) -> Self {
        Self {
            plugin: PAUSED_SINKS.to_owned(),
            key: sink.to_owned(),
            change: if paused {
                Change::Set(b"1".to_vec())
            } else {
                Change::Delete
            },
            expires_at: None,
        }
    }

    /// Bytes it adds to a transaction.
    pub(super) fn bytes(&self) -> usize {
        match &self.change {
            Change::Set(value) | Change::CompareAndSet { new: value, .. } => value.len(),
            Change::Delete | Change::Increment(_) => 0,
        }
    }
}

/// A handle of the store; cheap to clone.
#[derive(Clone, Debug)]
pub struct StateStore {
    journal: Arc<SqliteJournal>,
}

impl StateStore {
    pub(super) fn new(journal: Arc<SqliteJournal>) -> Self {
        Self { journal }
    }

    /// The value of `key`, if it is set and has not expired.
    pub async fn get(&self, plugin: &str, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        check_key(key)?;
        let (plugin, key) = (plugin.to_owned(), key.to_owned());
        let now_ms = self.journal.now_ms();
        self.journal
            .read_state(move |connection| {
                Ok(find(connection, &plugin, &key)?
                    .filter(|found| found.is_live(now_ms))
                    .map(|found| found.value))
            })
            .await
    }

    /// Sets `key`, until deleted or for `ttl`.
    pub async fn set(
        &self,
        plugin: &str,
        key: &str,
        value: Vec<u8>,
        ttl: Option<Duration>,
    ) -> Result<(), StateError> {
        check_value(&value)?;
        self.write(plugin, key, Change::Set(value), ttl)
            .await
            .map(|_| ())
    }

    /// Removes `key`; not an error if it is not set.
    pub async fn delete(&self, plugin: &str, key: &str) -> Result<(), StateError> {
        self.write(plugin, key, Change::Delete, None)
            .await
            .map(|_| ())
    }

    /// Adds `delta` to the decimal integer at `key` (absent counts as 0) and returns the sum. `ttl`
    /// counts from the call that makes the key; a key that is there keeps its expiry.
    pub async fn increment(
        &self,
        plugin: &str,
        key: &str,
        delta: i64,
        ttl: Option<Duration>,
    ) -> Result<i64, StateError> {
        match self
            .write(plugin, key, Change::Increment(delta), ttl)
            .await?
        {
            Wrote::Sum(sum) => Ok(sum),
            Wrote::Done | Wrote::Swapped(_) => Err(StateError::Closed),
        }
    }

    /// Sets `key` to `new` if it has the value `expected` (`None`: is absent); true if it did.
    pub async fn compare_and_set(
        &self,
        plugin: &str,
        key: &str,
        expected: Option<Vec<u8>>,
        new: Vec<u8>,
        ttl: Option<Duration>,
    ) -> Result<bool, StateError> {
        check_value(&new)?;
        let change = Change::CompareAndSet { expected, new };
        match self.write(plugin, key, change, ttl).await? {
            Wrote::Swapped(swapped) => Ok(swapped),
            Wrote::Done | Wrote::Sum(_) => Err(StateError::Closed),
        }
    }

    async fn write(
        &self,
        plugin: &str,
        key: &str,
        change: Change,
        ttl: Option<Duration>,
    ) -> Result<Wrote, StateError> {
        check_key(key)?;
        let expires_at = ttl.map(|ttl| {
            let ttl_ms = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
            signed(self.journal.now_ms()).saturating_add(ttl_ms)
        });
        self.journal
            .write_state(Write {
                plugin: plugin.to_owned(),
                key: key.to_owned(),
                change,
                expires_at,
            })
            .await
    }
}

fn check_key(key: &str) -> Result<(), StateError> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(StateError::Key(key.len()));
    }
    Ok(())
}

fn check_value(value: &[u8]) -> Result<(), StateError> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(StateError::Value(value.len()));
    }
    Ok(())
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

struct Found {
    value: Vec<u8>,
    expires_at: Option<i64>,
}

impl Found {
    fn is_live(&self, now_ms: u64) -> bool {
        self.expires_at.is_none_or(|at| at > signed(now_ms))
    }
}

fn find(connection: &Connection, plugin: &str, key: &str) -> rusqlite::Result<Option<Found>> {
    connection
        .prepare_cached("SELECT value, expires_at FROM state WHERE plugin = ?1 AND key = ?2")?
        .query_row((plugin, key), |row| {
            Ok(Found {
                value: row.get(0)?,
                expires_at: row.get(1)?,
            })
        })
        .optional()
}

/// How many bytes each plugin's values take: summed when first needed, then kept up to date.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    bytes: HashMap<String, u64>,
}

impl Quotas {
    /// The transaction was committed.
    pub(super) fn keep(&mut self) {}

    /// The transaction was rolled back, or rows went otherwise: the sums are made anew.
    pub(super) fn take_back(&mut self) {
        self.bytes.clear();
    }

    /// Makes one change, inside of the committer's transaction. What the caller did wrong is in the inner
    /// result; then nothing was written.
    pub(super) fn write(
        &mut self,
        connection: &Connection,
        write: &Write,
        now_ms: u64,
    ) -> rusqlite::Result<Result<Wrote, StateError>> {
        // An expired value still takes its bytes until it is written over or removed.
        let stored = find(connection, &write.plugin, &write.key)?;
        let old_bytes = stored
            .as_ref()
            .map(|found| write.key.len() + found.value.len());
        let live = stored.filter(|found| found.is_live(now_ms));
        let mut expires_at = write.expires_at;
        let (value, wrote) = match &write.change {
            Change::Delete => {
                self.remove(connection, write, old_bytes)?;
                return Ok(Ok(Wrote::Done));
            }
            Change::Set(value) => (value.clone(), Wrote::Done),
            Change::Increment(delta) => {
                if let Some(found) = &live {
                    expires_at = found.expires_at;
                }
                let Some(sum) = add(live.as_ref(), *delta) else {
                    return Ok(Err(StateError::NotANumber));
                };
                (sum.to_string().into_bytes(), Wrote::Sum(sum))
            }
            Change::CompareAndSet { expected, new } => {
                if live.as_ref().map(|found| &found.value) != expected.as_ref() {
                    return Ok(Ok(Wrote::Swapped(false)));
                }
                (new.clone(), Wrote::Swapped(true))
            }
        };
        let new_bytes = write.key.len() + value.len();
        if !self.admit(connection, write, old_bytes, new_bytes, now_ms)? {
            return Ok(Err(StateError::Quota));
        }
        connection
            .prepare_cached(
                "INSERT INTO state(plugin, key, value, expires_at) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at",
            )?
            .execute((&write.plugin, &write.key, value, expires_at))?;
        Ok(Ok(wrote))
    }

    /// True if the plugin may have `new_bytes` in the place of `old_bytes`; then they are counted.
    fn admit(
        &mut self,
        connection: &Connection,
        write: &Write,
        old_bytes: Option<usize>,
        new_bytes: usize,
        now_ms: u64,
    ) -> rusqlite::Result<bool> {
        let old = old_bytes.unwrap_or(0) as u64;
        let grown = |bytes: u64| bytes.saturating_sub(old) + new_bytes as u64;
        let mut bytes = self.sum(connection, &write.plugin)?;
        if grown(bytes) > PLUGIN_BYTES_MAX && new_bytes as u64 > old {
            // What expired must not be in the way; the row that is written over now stays.
            connection
                .prepare_cached(
                    "DELETE FROM state WHERE plugin = ?1 AND key <> ?2 AND expires_at <= ?3",
                )?
                .execute((&write.plugin, &write.key, signed(now_ms)))?;
            self.bytes.remove(&write.plugin);
            bytes = self.sum(connection, &write.plugin)?;
            if grown(bytes) > PLUGIN_BYTES_MAX {
                return Ok(false);
            }
        }
        self.bytes.insert(write.plugin.clone(), grown(bytes));
        Ok(true)
    }

    fn sum(&mut self, connection: &Connection, plugin: &str) -> rusqlite::Result<u64> {
        if let Some(bytes) = self.bytes.get(plugin) {
            return Ok(*bytes);
        }
        let bytes: i64 = connection
            .prepare_cached(
                "SELECT coalesce(sum(octet_length(key) + length(value)), 0) FROM state WHERE plugin = ?1",
            )?
            .query_row([plugin], |row| row.get(0))?;
        let bytes = u64::try_from(bytes).unwrap_or(0);
        self.bytes.insert(plugin.to_owned(), bytes);
        Ok(bytes)
    }

    fn remove(
        &mut self,
        connection: &Connection,
        write: &Write,
        old_bytes: Option<usize>,
    ) -> rusqlite::Result<()> {
        let Some(old) = old_bytes else {
            return Ok(());
        };
        connection
            .prepare_cached("DELETE FROM state WHERE plugin = ?1 AND key = ?2")?
            .execute((&write.plugin, &write.key))?;
        if let Some(bytes) = self.bytes.get_mut(&write.plugin) {
            *bytes = bytes.saturating_sub(old as u64);
        }
        Ok(())
    }
}

fn add(found: Option<&Found>, delta: i64) -> Option<i64> {
    let before: i64 = match found {
        Some(found) => std::str::from_utf8(&found.value).ok()?.parse().ok()?,
        None => 0,
    };
    before.checked_add(delta)
}

/// Removes some expired values; returns how many.
pub(super) fn trim(connection: &Connection, now_ms: u64) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "DELETE FROM state WHERE rowid IN (SELECT rowid FROM state
               WHERE expires_at IS NOT NULL AND expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
        )?
        .execute((signed(now_ms), signed(TRIM_ROWS_MAX as u64)))
}
