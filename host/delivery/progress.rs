//! Progress: what of one event's deliveries has to be written, and when.
//!
//! Pure. The common case costs one write: all deliveries end well, and then all records go to the
//! journal together. As soon as one of them has to wait, everything known is written at once, the
//! others as held in memory, and from then on each delivery writes its own record. Until the first
//! write the event is unplanned in the journal, so a crash plans it again from the beginning.
//!
//! Invariant: the journal gets what is written in the order of the reports. Otherwise a sink's own record
//! could come before the one that puts the event on record: a crash between them would lose the other
//! sinks' deliveries, and without a crash the word that the sink holds its delivery would hide the record.

use std::sync::{Arc, Mutex, PoisonError};

use crate::journal::{HELD_IN_MEMORY, Record, Seq, Settlement, State};
use crate::sink::Delivery;

/// Shared by the deliveries of one event.
#[derive(Debug)]
pub struct Progress {
    seq: Seq,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Deliveries that have not been reported yet; empty once anything was written.
    outstanding: Vec<Arc<Delivery>>,
    /// Final records that wait for the others.
    records: Vec<Record>,
    written: bool,
}

impl Progress {
    /// For an event with these deliveries to make, and these records of what ended before a sink.
    #[must_use]
    pub fn new(seq: Seq, outstanding: Vec<Arc<Delivery>>, records: Vec<Record>) -> Self {
        Self {
            seq,
            inner: Mutex::new(Inner {
                outstanding,
                records,
                written: false,
            }),
        }
    }

    /// For a delivery that has a record in the journal already.
    #[must_use]
    pub fn recorded(seq: Seq) -> Self {
        Self {
            seq,
            inner: Mutex::new(Inner {
                outstanding: Vec::new(),
                records: Vec::new(),
                written: true,
            }),
        }
    }

    /// Takes the record of one delivery, and hands what must be written now, if anything, to `queue`, which
    /// has to put it into the journal's queue before it returns. It is called under a lock: nothing of the
    /// event is queued at the same time by another sink.
    pub fn report<Q>(
        &self,
        record: Record,
        now_ms: u64,
        queue: impl FnOnce(Settlement) -> Q,
    ) -> Option<Q> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let settlement = self.take(&mut inner, record, now_ms)?;
        Some(queue(settlement))
    }

    fn take(&self, inner: &mut Inner, record: Record, now_ms: u64) -> Option<Settlement> {
        if inner.written {
            return Some(self.settlement(vec![record]));
        }
        inner
            .outstanding
            .retain(|delivery| delivery.ordinal != record.ordinal);
        let pending = record.state == State::Pending;
        inner.records.push(record);
        if !pending && !inner.outstanding.is_empty() {
            return None;
        }
        inner.written = true;
        let mut records = std::mem::take(&mut inner.records);
        for delivery in std::mem::take(&mut inner.outstanding) {
            let mut held = super::record(&delivery, State::Pending, now_ms);
            held.next_at_ms = HELD_IN_MEMORY;
            records.push(held);
        }
        Some(self.settlement(records))
    }

    fn settlement(&self, records: Vec<Record>) -> Settlement {
        Settlement {
            seq: self.seq,
            records,
            planned: true,
        }
    }
}

#[cfg(test)]
#[path = "progress_tests.rs"]
mod tests;
