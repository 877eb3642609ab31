//! The dedupe window: which provider event ids were seen, in memory, backed by the `dedupe` table.
//!
//! A unique index over random hashes would make each commit write as many pages as it has ids, so the
//! table is only appended to, and the index is this map, built once at [`Window::load`] (about 0.5 s a
//! million ids) before anything is accepted: a repetition is recognised from the first request on.
//! Owned by the committer; what a batch noted is taken back if the batch is rolled back.

use std::collections::HashMap;

use rusqlite::Connection;

use super::codec::{signed, unsigned};

/// Rows that one [`Window::trim`] removes at most.
const TRIM_ROWS_MAX: usize = 1000;

/// Seconds are exact enough for an expiry and make an entry 20 bytes instead of 32.
type Seconds = u32;

#[derive(Debug)]
pub(super) struct Window {
    seen: HashMap<[u8; 16], Seconds>,
    /// What the running batch noted, with what was there before.
    noted: Vec<([u8; 16], Option<Seconds>)>,
    /// Rows in the table.
    rows: usize,
    ids_max: usize,
    window_ms: u64,
}

impl Window {
    /// Reads the newest `ids_max` rows.
    pub(super) fn load(
        connection: &Connection,
        now_ms: u64,
        ids_max: usize,
        window_ms: u64,
    ) -> rusqlite::Result<Self> {
        let rows: i64 =
            connection.query_row("SELECT count(*) FROM dedupe", [], |row| row.get(0))?;
        let rows = usize::try_from(rows).unwrap_or(0);
        let mut seen = HashMap::with_capacity(rows.min(ids_max));
        let mut statement = connection
            .prepare("SELECT hash, expires_at FROM dedupe ORDER BY rowid DESC LIMIT ?1")?;
        let mut found = statement.query([signed(ids_max as u64)])?;
        while let Some(row) = found.next()? {
            let expires_at_ms = unsigned(row.get(1)?);
            if expires_at_ms > now_ms {
                seen.entry(row.get(0)?)
                    .or_insert_with(|| seconds(expires_at_ms));
            }
        }
        Ok(Self {
            seen,
            noted: Vec::new(),
            rows,
            ids_max,
            window_ms,
        })
    }

    /// True if `hash` was seen and has not expired.
    pub(super) fn contains(&self, hash: &[u8; 16], now_ms: u64) -> bool {
        self.seen
            .get(hash)
            .is_some_and(|expiry| u64::from(*expiry) * 1000 > now_ms)
    }

    /// Notes `hash` in memory and in the table.
    pub(super) fn note(
        &mut self,
        connection: &Connection,
        hash: [u8; 16],
        expires_at_ms: u64,
        now_ms: u64,
    ) -> rusqlite::Result<()> {
        let expires_at_ms = expires_at_ms.min(now_ms.saturating_add(self.window_ms));
        connection
            .prepare_cached("INSERT INTO dedupe(hash, expires_at) VALUES (?1, ?2)")?
            .execute((hash, signed(expires_at_ms)))?;
        let before = self.seen.insert(hash, seconds(expires_at_ms));
        self.noted.push((hash, before));
        Ok(())
    }

    /// The batch was committed.
    pub(super) fn keep(&mut self) {
        self.rows += self.noted.len();
        self.noted.clear();
    }

    /// The batch was rolled back.
    pub(super) fn take_back(&mut self) {
        while let Some((hash, before)) = self.noted.pop() {
            match before {
                Some(expiry) => self.seen.insert(hash, expiry),
                None => self.seen.remove(&hash),
            };
        }
    }

    /// True if the count is above its bound.
    pub(super) fn is_over(&self) -> bool {
        self.rows > self.ids_max
    }

    /// Removes some of the oldest rows, as far as they have expired or are too many. True if there may be
    /// more. In a transaction of its own.
    pub(super) fn trim(&mut self, connection: &Connection, now_ms: u64) -> rusqlite::Result<bool> {
        let over = self.rows.saturating_sub(self.ids_max);
        let mut gone: Vec<(i64, [u8; 16], u64)> = Vec::new();
        {
            let mut statement = connection.prepare_cached(
                "SELECT rowid, hash, expires_at FROM dedupe ORDER BY rowid LIMIT ?1",
            )?;
            let mut found = statement.query([signed(TRIM_ROWS_MAX as u64)])?;
            while let Some(row) = found.next()? {
                let expires_at_ms = unsigned(row.get(2)?);
                if gone.len() >= over && expires_at_ms > now_ms {
                    break;
                }
                gone.push((row.get(0)?, row.get(1)?, expires_at_ms));
            }
        }
        let Some((last, _, _)) = gone.last() else {
            return Ok(false);
        };
        connection
            .prepare_cached("DELETE FROM dedupe WHERE rowid <= ?1")?
            .execute([last])?;
        for (_, hash, expires_at_ms) in &gone {
            // A later row may have noted the same id again.
            if self.seen.get(hash) == Some(&seconds(*expires_at_ms)) {
                self.seen.remove(hash);
            }
        }
        self.rows = self.rows.saturating_sub(gone.len());
        // Half of a big map is given back once it is mostly empty.
        if self.seen.len() < self.seen.capacity() / 4 {
            self.seen.shrink_to(self.seen.len() * 2);
        }
        Ok(gone.len() == TRIM_ROWS_MAX)
    }
}

/// Rounded up, so that nothing is forgotten early.
fn seconds(at_ms: u64) -> Seconds {
    u32::try_from(at_ms.div_ceil(1000)).unwrap_or(u32::MAX)
}
