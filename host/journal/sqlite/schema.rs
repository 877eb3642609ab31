//! The database's schema, its versions, and how a connection is set up.
//!
//! `PRAGMA user_version` is the number of steps of [`STEPS`] that were applied, each in a transaction of
//! its own. A released step never changes; a new version appends one. SQLite keeps the comments inside of
//! the statements, so `.schema` in the sqlite3 shell shows them. Knows no events, only tables.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::OpenError;

/// `HOOK` in ASCII: what `file` and this program know the database by.
pub(super) const APPLICATION_ID: i32 = 0x484f_4f4b;

/// How long a statement waits for a person's sqlite3 shell to let go of the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// Prepared statements kept by a connection: more than there are in this module's siblings.
const STATEMENTS_KEPT: usize = 64;

/// The steps that lead to the present schema.
pub(super) const STEPS: &[&str] = &[FIRST, REPLAYS_AND_AUDIT];

const FIRST: &str = "
CREATE TABLE meta( -- what must outlive the rows it was taken from
  name TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE event( -- one accepted webhook; never changed; times are milliseconds since the Unix epoch
  seq INTEGER PRIMARY KEY,         -- order of acceptance, never used twice
  id BLOB NOT NULL UNIQUE,         -- UUID version 7
  source TEXT NOT NULL,            -- name in routes.toml
  provider TEXT NOT NULL,
  type TEXT NOT NULL,
  provider_event_id TEXT,
  received_at INTEGER NOT NULL,
  method TEXT NOT NULL,
  path TEXT NOT NULL,
  query TEXT NOT NULL,
  headers TEXT NOT NULL,           -- JSON [[name, value], ...]; a value that is not UTF-8 is {\"base64\": ...}
  content_type TEXT,
  attributes TEXT NOT NULL,        -- JSON [[name, value], ...]
  body BLOB NOT NULL               -- the bytes as received
) STRICT;

CREATE TABLE open( -- events that are not finished
  seq INTEGER PRIMARY KEY,
  planned INTEGER NOT NULL,        -- 1: all its deliveries are on record
  pending INTEGER NOT NULL         -- how many of them are pending
) STRICT;

CREATE TABLE plugin_set( -- plugins that had a part in a delivery, as name@sha256, space separated
  id INTEGER PRIMARY KEY,
  plugins TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE delivery( -- the last record of each delivery
  event_seq INTEGER NOT NULL,
  ordinal INTEGER NOT NULL,        -- number within the event
  route TEXT NOT NULL,
  sink TEXT NOT NULL,              -- empty: no sink was chosen (yet)
  state TEXT NOT NULL,             -- pending, delivered, dropped, dead
  attempts INTEGER NOT NULL,
  created_at INTEGER NOT NULL,     -- of its first record
  at INTEGER NOT NULL,             -- of this record
  next_at INTEGER NOT NULL,        -- when a pending one is due; 9223372036854775807: in memory of a running sink
  key_hash INTEGER,                -- of the order key
  head INTEGER NOT NULL,           -- 0: an older one with the same sink and key is pending
  code TEXT NOT NULL,
  detail TEXT NOT NULL,
  plugin_set INTEGER,              -- NULL: none
  message_id TEXT NOT NULL,
  PRIMARY KEY(event_seq, ordinal)
) STRICT, WITHOUT ROWID;

-- An index of a table without rowid ends with its primary key, so equal entries stand oldest first.
CREATE INDEX delivery_due ON delivery(sink, next_at) WHERE state = 'pending' AND head = 1;
CREATE INDEX delivery_key ON delivery(sink, key_hash) WHERE state = 'pending' AND key_hash IS NOT NULL;
CREATE INDEX delivery_dead ON delivery(at) WHERE state = 'dead';

CREATE TABLE message( -- what a pending or dead delivery sends
  event_seq INTEGER NOT NULL,
  ordinal INTEGER NOT NULL,
  sink TEXT,                       -- chosen by the plugin
  key TEXT,                        -- chosen by the plugin
  type TEXT NOT NULL,
  content_type TEXT,
  headers TEXT NOT NULL,           -- as in event
  attributes TEXT NOT NULL,        -- as in event
  body BLOB NOT NULL,
  PRIMARY KEY(event_seq, ordinal)
) STRICT;

CREATE TABLE attempt( -- failed attempts
  event_seq INTEGER NOT NULL,
  ordinal INTEGER NOT NULL,
  number INTEGER NOT NULL,
  at INTEGER NOT NULL,
  class TEXT NOT NULL,             -- transient, configuration, permanent
  code TEXT NOT NULL,
  detail TEXT NOT NULL,
  PRIMARY KEY(event_seq, ordinal, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE dedupe( -- provider event ids seen; only appended to and cut at the old end
  hash BLOB NOT NULL,              -- first 16 bytes of SHA-256 over source, NUL, provider event id
  expires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE state( -- the key-value store of plugins
  plugin TEXT NOT NULL,
  key TEXT NOT NULL,
  value BLOB NOT NULL,
  expires_at INTEGER,              -- NULL: never
  PRIMARY KEY(plugin, key)
) STRICT;

CREATE INDEX state_expiry ON state(expires_at) WHERE expires_at IS NOT NULL;

-- For people with the sqlite3 shell; the program does not use them.
CREATE VIEW events AS SELECT
  seq,
  lower(printf('%s-%s-%s-%s-%s', substr(hex(id), 1, 8), substr(hex(id), 9, 4), substr(hex(id), 13, 4),
    substr(hex(id), 17, 4), substr(hex(id), 21))) AS id,
  source, provider, type, provider_event_id,
  strftime('%Y-%m-%dT%H:%M:%fZ', received_at / 1000.0, 'unixepoch') AS received_at,
  length(body) AS body_bytes,
  seq NOT IN (SELECT seq FROM open) AS finished
FROM event;

CREATE VIEW deliveries AS SELECT
  delivery.event_seq AS seq, ordinal, route, sink, state, attempts,
  strftime('%Y-%m-%dT%H:%M:%fZ', at / 1000.0, 'unixepoch') AS at,
  CASE WHEN state = 'pending' AND next_at < 9223372036854775807
    THEN strftime('%Y-%m-%dT%H:%M:%fZ', next_at / 1000.0, 'unixepoch') END AS next_at,
  code, detail, plugins, message_id
FROM delivery LEFT JOIN plugin_set ON plugin_set.id = delivery.plugin_set;
";

const REPLAYS_AND_AUDIT: &str = "
ALTER TABLE delivery ADD COLUMN attempts_before INTEGER NOT NULL DEFAULT 0;
ALTER TABLE delivery ADD COLUMN replays INTEGER NOT NULL DEFAULT 0;
ALTER TABLE delivery ADD COLUMN replayed_at INTEGER;

CREATE TABLE audit( -- acts of operators; only appended to
  seq INTEGER PRIMARY KEY,         -- from 1, without gaps
  entry TEXT NOT NULL,             -- one line of JSON
  hash BLOB NOT NULL               -- SHA-256 over the hash before (first: 32 zero bytes) and the entry
) STRICT;

CREATE TABLE audit_head( -- the last entry, a second time
  one INTEGER PRIMARY KEY CHECK (one = 1),
  seq INTEGER NOT NULL,
  hash BLOB NOT NULL
) STRICT;

-- Against accidents; who can change the schema can remove them, and the chain shows what was done then.
CREATE TRIGGER audit_keeps_entries BEFORE DELETE ON audit
  BEGIN SELECT RAISE(ABORT, 'the audit log is only appended to'); END;
CREATE TRIGGER audit_keeps_texts BEFORE UPDATE ON audit
  BEGIN SELECT RAISE(ABORT, 'the audit log is only appended to'); END;
";

/// Opens the database for the committer, and brings its schema to the end of `steps`.
pub(super) fn writer(file: &Path, steps: &[&str]) -> Result<Connection, OpenError> {
    let database = |source| OpenError::Database {
        path: file.to_owned(),
        source,
    };
    let mut connection = Connection::open(file).map_err(database)?;
    configure(&connection).map_err(database)?;
    check_owner(&connection, file)?;
    // The first two only have an effect before the first table is made.
    connection
        .execute_batch(
            "PRAGMA page_size = 4096;
             PRAGMA auto_vacuum = INCREMENTAL;
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA wal_autocheckpoint = 250;
             PRAGMA journal_size_limit = 67108864;
             PRAGMA cache_size = -8192;",
        )
        .map_err(database)?;
    #[cfg(feature = "planted-bugs")]
    if crate::planted::is(crate::planted::Bug::SkippedFsync) {
        let off = connection.execute_batch("PRAGMA synchronous = OFF");
        off.map_err(database)?;
    }
    migrate(&mut connection, file, steps)?;
    Ok(connection)
}

/// Opens the database for reading only.
pub(super) fn reader(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    configure(&connection)?;
    without_checkpoint_on_close(&connection)?;
    Ok(connection)
}

/// Makes closing this connection leave the write-ahead log as it is. After a failed commit nothing
/// must be synced through the same file handle again: the kernel may report success for pages it lost.
pub(super) fn without_checkpoint_on_close(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .map(|_| ())
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    connection.execute_batch("PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;")
}

/// Refuses a database that some other program made.
fn check_owner(connection: &Connection, file: &Path) -> Result<(), OpenError> {
    let owner: rusqlite::Result<(i32, i64)> = connection
        .query_row("PRAGMA application_id", [], |row| row.get(0))
        .and_then(|id| {
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| {
                Ok((id, row.get(0)?))
            })
        });
    match owner {
        Ok((APPLICATION_ID, _) | (0, 0)) => Ok(()),
        Ok(_) => Err(OpenError::Foreign {
            path: file.to_owned(),
        }),
        Err(source) => Err(OpenError::Database {
            path: file.to_owned(),
            source,
        }),
    }
}

fn migrate(connection: &mut Connection, file: &Path, steps: &[&str]) -> Result<(), OpenError> {
    let database = |source| OpenError::Database {
        path: file.to_owned(),
        source,
    };
    let found: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(database)?;
    let applied = usize::try_from(found)
        .ok()
        .filter(|applied| *applied <= steps.len());
    let Some(applied) = applied else {
        return Err(OpenError::Newer {
            path: file.to_owned(),
            found,
            known: steps.len(),
        });
    };
    for (index, step) in steps.iter().enumerate().skip(applied) {
        let transaction = connection.transaction().map_err(database)?;
        transaction.execute_batch(step).map_err(database)?;
        transaction
            .execute_batch(&format!(
                "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {};",
                index + 1
            ))
            .map_err(database)?;
        transaction.commit().map_err(database)?;
        tracing::info!(
            version = index + 1,
            "the journal's schema was brought up to date"
        );
    }
    Ok(())
}
