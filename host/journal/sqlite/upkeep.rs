//! Upkeep: what the committer does between batches, in small transactions, so that nobody waits for long.
//!
//! Removed are: finished events that are old enough; finished events with dead letters once those are old
//! enough, too; the oldest finished events without dead letters while the database is near its bound;
//! dedupe ids and plugin state that expired. Free pages are given back to the disk when there are many.
//! An event that is not finished is never removed, and a dead letter never before its time.

use std::collections::VecDeque;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::codec::{signed, unsigned};
use super::dedupe::Window;
use super::space::Pages;
use super::status::Changes;
use crate::journal::{Seq, state};

/// Events that one step looks at.
const STEP_EVENTS_MAX: u32 = 200;
/// Bytes of bodies that one step removes.
const STEP_BYTES_MAX: u64 = 8 << 20;
/// Pages that one step gives back to the disk.
const STEP_PAGES: u32 = 256;
/// Free pages below which none are given back: the next events will use them.
const FREE_PAGES_KEPT: u64 = 1024;

/// The part of the options that upkeep goes by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) retain_ms: u64,
    pub(super) retain_dead_letters_ms: u64,
    pub(super) size_bytes_max: u64,
    /// Between two passes over the table that found little to do.
    pub(super) pause: Duration,
}

impl Terms {
    /// Bytes in use at which the oldest finished events go before their time: nine tenths of the bound.
    fn size_bytes_high(&self) -> u64 {
        self.size_bytes_max / 10 * 9
    }
}

/// A kind of work, with the place it has reached.
#[derive(Clone, Copy, Debug)]
enum Job {
    Expire { after: Seq },
    ExpireDead { after: (i64, Seq) },
    Shrink { after: Seq, removed: u64 },
    TrimDedupe,
    TrimState,
    GiveBack,
}

#[derive(Debug)]
pub(super) struct Upkeep {
    terms: Terms,
    jobs: VecDeque<Job>,
    next_pass_ms: u64,
    next_shrink_ms: u64,
}

/// What a step did.
#[derive(Debug, Default)]
pub(super) struct Stepped {
    pub(super) changes: Changes,
    /// Expired plugin state went: sums of bytes have to be made again.
    pub(super) state_trimmed: bool,
}

/// What a step works on.
pub(super) struct Site<'c> {
    pub(super) connection: &'c Connection,
    pub(super) window: &'c mut Window,
    pub(super) now_ms: u64,
    /// The last place that was given to an event.
    pub(super) last_seq: Seq,
}

impl Upkeep {
    pub(super) fn new(terms: Terms) -> Self {
        Self {
            terms,
            jobs: VecDeque::new(),
            next_pass_ms: 0,
            next_shrink_ms: 0,
        }
    }

    pub(super) fn has_work(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// Puts off what is left, after an error that may pass.
    pub(super) fn put_off(&mut self) {
        self.jobs.clear();
    }

    /// Notes what there is to do. Called about once a second; `is_short` says that the disk needs every
    /// page that can be given back.
    pub(super) fn plan(&mut self, pages: Pages, is_short: bool, window: &Window, now_ms: u64) {
        let pause_ms = u64::try_from(self.terms.pause.as_millis()).unwrap_or(u64::MAX);
        if now_ms >= self.next_pass_ms {
            self.next_pass_ms = now_ms.saturating_add(pause_ms);
            self.add(Job::Expire { after: 0 });
            self.add(Job::ExpireDead { after: (0, 0) });
            self.add(Job::TrimDedupe);
            self.add(Job::TrimState);
        }
        if window.is_over() {
            self.add(Job::TrimDedupe);
        }
        if pages.bytes_used() > self.terms.size_bytes_high() && now_ms >= self.next_shrink_ms {
            self.next_shrink_ms = now_ms.saturating_add(pause_ms);
            self.add(Job::Shrink {
                after: 0,
                removed: 0,
            });
        }
        let free_pages_kept = if is_short {
            0
        } else {
            FREE_PAGES_KEPT.max(pages.all / 4)
        };
        if pages.free > free_pages_kept {
            self.add(Job::GiveBack);
        }
    }

    fn add(&mut self, job: Job) {
        let is_same = |other: &Job| std::mem::discriminant(other) == std::mem::discriminant(&job);
        if !self.jobs.iter().any(is_same) {
            self.jobs.push_back(job);
        }
    }

    /// Does a small part of the first job.
    pub(super) fn step(&mut self, site: &mut Site<'_>) -> rusqlite::Result<Stepped> {
        let mut stepped = Stepped::default();
        let Some(job) = self.jobs.pop_front() else {
            return Ok(stepped);
        };
        let rest = match job {
            Job::Expire { after } => self.expire(site, after)?,
            Job::ExpireDead { after } => self.expire_dead(site, after, &mut stepped.changes)?,
            Job::Shrink { after, removed } => self.shrink(site, after, removed)?,
            Job::TrimDedupe => site
                .window
                .trim(site.connection, site.now_ms)?
                .then_some(Job::TrimDedupe),
            Job::TrimState => {
                let trimmed = state::trim(site.connection, site.now_ms)?;
                stepped.state_trimmed = trimmed > 0;
                (trimmed >= state::TRIM_ROWS_MAX).then_some(Job::TrimState)
            }
            Job::GiveBack => give_back(site.connection)?.then_some(Job::GiveBack),
        };
        self.jobs.extend(rest);
        Ok(stepped)
    }

    fn expire(&self, site: &Site<'_>, after: Seq) -> rusqlite::Result<Option<Job>> {
        let horizon_ms = site.now_ms.saturating_sub(self.terms.retain_ms);
        let seen = look(site.connection, after, |event| {
            event.received_at_ms < horizon_ms
        })?;
        remove(site, &seen.removable)?;
        Ok(seen.next.map(|after| Job::Expire { after }))
    }

    fn shrink(
        &mut self,
        site: &Site<'_>,
        after: Seq,
        removed: u64,
    ) -> rusqlite::Result<Option<Job>> {
        if Pages::count(site.connection)?.bytes_used() <= self.terms.size_bytes_high() {
            self.next_shrink_ms = 0;
            return Ok(None);
        }
        let seen = look(site.connection, after, |_| true)?;
        remove(site, &seen.removable)?;
        let removed = removed + seen.removable.len() as u64;
        if seen.next.is_none() && removed > 0 {
            self.next_shrink_ms = 0;
        }
        Ok(seen.next.map(|after| Job::Shrink { after, removed }))
    }

    fn expire_dead(
        &self,
        site: &Site<'_>,
        after: (i64, Seq),
        changes: &mut Changes,
    ) -> rusqlite::Result<Option<Job>> {
        let horizon = signed(
            site.now_ms
                .saturating_sub(self.terms.retain_dead_letters_ms),
        );
        let event_horizon = signed(site.now_ms.saturating_sub(self.terms.retain_ms));
        let mut removable = Vec::new();
        let mut looked_at = 0;
        let mut last = after;
        {
            let mut statement = site.connection.prepare_cached(
                "SELECT dead.at, dead.event_seq,
                   event.received_at < ?2
                   AND NOT EXISTS (SELECT 1 FROM open WHERE open.seq = dead.event_seq)
                   AND NOT EXISTS (SELECT 1 FROM delivery AS other WHERE other.event_seq = dead.event_seq
                     AND other.state = 'dead' AND other.at >= ?1)
                 FROM delivery AS dead INDEXED BY delivery_dead JOIN event ON event.seq = dead.event_seq
                 WHERE dead.state = 'dead' AND dead.at < ?1 AND (dead.at, dead.event_seq) > (?3, ?4)
                 ORDER BY dead.at, dead.event_seq LIMIT ?5",
            )?;
            let mut rows =
                statement.query((horizon, event_horizon, after.0, after.1, STEP_EVENTS_MAX))?;
            while let Some(row) = rows.next()? {
                looked_at += 1;
                last = (row.get(0)?, row.get(1)?);
                if row.get(2)? && !removable.contains(&last.1) {
                    removable.push(last.1);
                }
            }
        }
        for seq in &removable {
            changes.dead -= dead_letters(site.connection, *seq)?;
        }
        remove(site, &removable)?;
        Ok((looked_at == STEP_EVENTS_MAX).then_some(Job::ExpireDead { after: last }))
    }
}

/// What [`look`] tells its caller of an event.
struct Seen {
    received_at_ms: u64,
}

struct Looked {
    removable: Vec<Seq>,
    /// Where to go on, if there may be more.
    next: Option<Seq>,
}

/// Goes through some events, oldest first, until one is not `wanted`; finished ones without dead letters
/// are removable.
fn look(
    connection: &Connection,
    after: Seq,
    wanted: impl Fn(&Seen) -> bool,
) -> rusqlite::Result<Looked> {
    let mut statement = connection.prepare_cached(
        "SELECT event.seq, event.received_at, length(event.body),
           NOT EXISTS (SELECT 1 FROM open WHERE open.seq = event.seq)
           AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.event_seq = event.seq
             AND delivery.state = 'dead')
         FROM event WHERE event.seq > ?1 ORDER BY event.seq LIMIT ?2",
    )?;
    let mut rows = statement.query((after, STEP_EVENTS_MAX))?;
    let mut looked = Looked {
        removable: Vec::new(),
        next: None,
    };
    let mut count = 0;
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let seq = row.get(0)?;
        let seen = Seen {
            received_at_ms: unsigned(row.get(1)?),
        };
        if !wanted(&seen) {
            return Ok(looked);
        }
        if row.get(3)? {
            looked.removable.push(seq);
            bytes += unsigned(row.get(2)?);
        }
        count += 1;
        if count == STEP_EVENTS_MAX || bytes >= STEP_BYTES_MAX {
            looked.next = Some(seq);
            return Ok(looked);
        }
    }
    Ok(looked)
}

/// Removes events with all that belongs to them.
fn remove(site: &Site<'_>, events: &[Seq]) -> rusqlite::Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let transaction = Transaction::new_unchecked(site.connection, TransactionBehavior::Immediate)?;
    // The places of removed events are never given again, though their rows are gone.
    transaction
        .prepare_cached("INSERT OR REPLACE INTO meta(name, value) VALUES ('last_seq', ?1)")?
        .execute([site.last_seq])?;
    for sql in [
        "DELETE FROM event WHERE seq = ?1",
        "DELETE FROM delivery WHERE event_seq = ?1",
        "DELETE FROM message WHERE event_seq = ?1",
        "DELETE FROM attempt WHERE event_seq = ?1",
    ] {
        let mut statement = transaction.prepare_cached(sql)?;
        for seq in events {
            statement.execute([seq])?;
        }
    }
    transaction.commit()
}

fn dead_letters(connection: &Connection, seq: Seq) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT count(*) FROM delivery WHERE event_seq = ?1 AND state = 'dead'")?
        .query_row([seq], |row| row.get(0))
}

/// Gives some free pages back to the disk; true if there are still too many.
fn give_back(connection: &Connection) -> rusqlite::Result<bool> {
    {
        // Each row is a page that was moved, so the statement has to be run to its end.
        let mut statement =
            connection.prepare(&format!("PRAGMA incremental_vacuum({STEP_PAGES})"))?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
    }
    let pages = Pages::count(connection)?;
    Ok(pages.free > (FREE_PAGES_KEPT / 2).max(pages.all / 8))
}
