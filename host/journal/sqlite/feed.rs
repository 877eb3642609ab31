//! The feed: hands every event that waits for its routes to the one caller of `next`, in order.
//!
//! Committed events go through memory, up to a bound. What does not fit is read from the database later:
//!
//! ```text
//!   handed over | gap: read from the database | queue: in memory | missed: committed, not in memory
//!   ------------+-----------------------------+------------------+--------------------------------> seq
//! ```
//!
//! The parts are disjoint and in order, and together they hold every event after the last one handed
//! over. The committer adds to the queue, or, once one event was missed, only to the missed part. The
//! caller takes from the gap first, then from the queue; when both are empty the missed part becomes the
//! gap, and the committer adds to the (empty) queue again. No part is ever re-ordered, so nothing is
//! skipped and nothing comes twice. A start with unfinished events begins with a gap that spans them all.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::query;
use super::reader::Readers;
use crate::event::Event;
use crate::journal::{JournalError, Seq, StoredEvent};

/// Events held in memory for a caller of `next` that falls behind.
pub(super) const FEED_EVENTS_MAX: usize = 16_384;
/// Bytes of those events.
pub(super) const FEED_BYTES_MAX: usize = 16 << 20;

/// Places after `after` up to and including `upto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) after: Seq,
    pub(super) upto: Seq,
}

/// What the caller of `next` has to do.
#[derive(Debug)]
pub(super) enum Take {
    Ready(Vec<StoredEvent>),
    Read(Gap),
    Wait,
}

/// The state machine, without I/O.
#[derive(Debug)]
pub(super) struct Line {
    gap: Option<Gap>,
    queue: VecDeque<StoredEvent>,
    queue_bytes: usize,
    missed: Option<Gap>,
    events_max: usize,
    bytes_max: usize,
}

impl Line {
    /// A line that begins with the events in `gap`.
    pub(super) fn new(gap: Option<Gap>, events_max: usize, bytes_max: usize) -> Self {
        Self {
            gap,
            queue: VecDeque::new(),
            queue_bytes: 0,
            missed: None,
            events_max,
            bytes_max,
        }
    }

    /// Adds an event that was committed; its place is above all earlier ones.
    pub(super) fn add(&mut self, stored: StoredEvent) {
        if let Some(missed) = &mut self.missed {
            missed.upto = stored.seq;
            return;
        }
        let bytes = weight(&stored.event);
        // One event always fits, however large.
        let fits = self.queue.len() < self.events_max
            && (self.queue.is_empty() || self.queue_bytes + bytes <= self.bytes_max);
        if fits {
            self.queue_bytes += bytes;
            self.queue.push_back(stored);
        } else {
            self.missed = Some(Gap {
                after: stored.seq - 1,
                upto: stored.seq,
            });
        }
    }

    /// The next step for the caller.
    pub(super) fn take(&mut self, max: usize) -> Take {
        if let Some(gap) = self.gap {
            return Take::Read(gap);
        }
        if self.queue.is_empty() {
            self.gap = self.missed.take();
            return self.gap.map_or(Take::Wait, Take::Read);
        }
        let taken: Vec<StoredEvent> = self.queue.drain(..max.min(self.queue.len())).collect();
        let bytes: usize = taken.iter().map(|stored| weight(&stored.event)).sum();
        self.queue_bytes = self.queue_bytes.saturating_sub(bytes);
        Take::Ready(taken)
    }

    /// The caller has read the gap up to and including `upto`.
    pub(super) fn has_read(&mut self, upto: Seq) {
        self.gap = self
            .gap
            .filter(|gap| upto < gap.upto)
            .map(|gap| Gap { after: upto, ..gap });
    }
}

/// About how much memory an event takes.
pub(super) fn weight(event: &Event) -> usize {
    let headers: usize = event
        .headers
        .iter()
        .map(|header| header.name.len() + header.value.len() + size_of_val(header))
        .sum();
    size_of::<Event>() + event.body.len() + event.path.len() + event.query.len() + headers
}

/// The state machine with its lock, its bell and its database.
#[derive(Debug)]
pub(super) struct Feed {
    line: Mutex<Line>,
    bell: Notify,
    readers: Readers,
    closed: std::sync::atomic::AtomicBool,
}

impl Feed {
    pub(super) fn new(line: Line, readers: Readers) -> Self {
        Self {
            line: Mutex::new(line),
            bell: Notify::new(),
            readers,
            closed: false.into(),
        }
    }

    /// Adds events that were committed, in order.
    pub(super) fn add(&self, stored: impl Iterator<Item = StoredEvent>) {
        let mut line = self.line();
        stored.for_each(|stored| line.add(stored));
        drop(line);
        // Keeps one ring if nobody waits yet.
        self.bell.notify_one();
    }

    /// See `Journal::next`. May be dropped at any await: nothing is taken before it is returned.
    pub(super) async fn next(&self, max: usize) -> Result<Vec<StoredEvent>, JournalError> {
        let max = max.max(1);
        loop {
            if self.closed.load(std::sync::atomic::Ordering::Acquire) {
                return Err(JournalError::Closed);
            }
            let step = self.line().take(max);
            match step {
                Take::Ready(events) => return Ok(events),
                Take::Wait => self.bell.notified().await,
                Take::Read(gap) => {
                    let (events, upto) = self
                        .readers
                        .read(move |connection| query::waiting(connection, gap, max))
                        .await?;
                    self.line().has_read(upto);
                    if !events.is_empty() {
                        return Ok(events);
                    }
                }
            }
        }
    }

    /// Makes `next` answer that the journal is closed.
    pub(super) fn close(&self) {
        self.closed
            .store(true, std::sync::atomic::Ordering::Release);
        self.bell.notify_one();
    }

    /// Closes the read connection; after [`Feed::close`].
    pub(super) async fn release(&self) {
        self.readers.close().await;
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
