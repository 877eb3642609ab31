//! The audit log's rows: the end of the chain in the committer's hand, and reads.
//!
//! The chain is read once at the start and goes on from what was committed; what a transaction added is
//! taken back if it is rolled back.

use rusqlite::{Connection, OptionalExtension as _};

use super::codec::{signed, unsigned};
use crate::journal::audit::{Actor, Deed, Entry, Head, Row, link};

/// Entries in one answer.
pub(super) const ROWS_MAX: u32 = 1000;

/// The end of the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    committed: Head,
    head: Head,
}

impl Chain {
    /// As the database has it: by its head record, so that a log whose end was cut off goes on after the gap,
    /// which a check then finds for ever.
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let head = head(connection)?;
        Ok(Self {
            committed: head,
            head,
        })
    }

    /// Writes an entry.
    pub(super) fn add(
        &mut self,
        connection: &Connection,
        now_ms: u64,
        actor: &Actor,
        deed: &Deed,
    ) -> rusqlite::Result<Head> {
        let seq = self.head.seq + 1;
        let text = Entry::new(seq, now_ms, actor, deed).text();
        let hash = link(&self.head.hash, &text);
        connection
            .prepare_cached("INSERT INTO audit(seq, entry, hash) VALUES (?1, ?2, ?3)")?
            .execute((signed(seq), &text, hash.as_slice()))?;
        connection
            .prepare_cached(
                "INSERT INTO audit_head(one, seq, hash) VALUES (1, ?1, ?2)
                 ON CONFLICT DO UPDATE SET seq = excluded.seq, hash = excluded.hash",
            )?
            .execute((signed(seq), hash.as_slice()))?;
        self.head = Head { seq, hash };
        Ok(self.head)
    }

    /// The transaction was committed: gives the new head, if there is one.
    pub(super) fn keep(&mut self) -> Option<Head> {
        let is_new = self.head != self.committed;
        self.committed = self.head;
        is_new.then_some(self.head)
    }

    /// The transaction was rolled back.
    pub(super) fn take_back(&mut self) {
        self.head = self.committed;
    }
}

/// The head record.
pub(super) fn head(connection: &Connection) -> rusqlite::Result<Head> {
    let found = connection
        .query_row("SELECT seq, hash FROM audit_head", [], |row| {
            Ok(Head {
                seq: unsigned(row.get(0)?),
                hash: row.get(1)?,
            })
        })
        .optional()?;
    Ok(found.unwrap_or(Head::EMPTY))
}

/// Entries after `after`, oldest first.
pub(super) fn rows(connection: &Connection, after: u64, limit: u32) -> rusqlite::Result<Vec<Row>> {
    connection
        .prepare_cached("SELECT seq, entry, hash FROM audit WHERE seq > ?1 ORDER BY seq LIMIT ?2")?
        .query_map((signed(after), limit.clamp(1, ROWS_MAX)), |row| {
            Ok(Row {
                seq: unsigned(row.get(0)?),
                text: row.get(1)?,
                hash: row.get(2)?,
            })
        })?
        .collect()
}
