//! The journal of the simulation: what `Journal` promises, and nothing better.
//!
//! A settlement waits in a queue until it is committed, its answer waits until the caller takes it, and a
//! read gives what was committed when it looked. What is not committed is gone after a crash.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::delivery;
use super::world::Mischief;
use crate::journal::{Backlog, HELD_IN_MEMORY, Record, Seq, Settlement, State};
use crate::sink::Delivery;

/// Names the caller of a settlement.
pub(super) type Ticket = u64;

/// What is on disk of an event.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    planned: bool,
    rows: BTreeMap<u32, Row>,
}

/// The last record of a delivery.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) record: Record,
    created_at_ms: u64,
}

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub(super) struct JournalModel {
    /// A broken promise: what sinks hold counts as waiting in the journal.
    held_counts: bool,
    /// A broken promise: keyed deliveries do not wait for older events that are not planned again yet.
    impatient: bool,
    /// Events up to this one were there when the process started.
    found_upto: Seq,
    entries: BTreeMap<Seq, Entry>,
    queue: VecDeque<(Ticket, Settlement)>,
    tickets: Ticket,
}

impl JournalModel {
    /// An empty journal, with or without a broken promise.
    pub(super) fn new(mischief: Option<Mischief>) -> Self {
        Self {
            held_counts: mischief == Some(Mischief::HeldCounts),
            impatient: mischief == Some(Mischief::Impatient),
            ..Self::default()
        }
    }

    /// Stores an event.
    pub(super) fn append(&mut self, seq: Seq) {
        self.entries.insert(seq, Entry::default());
    }

    /// Queues a settlement; its ticket is in the answer of the [`JournalModel::commit`] that wrote it.
    pub(super) fn settle(&mut self, settlement: Settlement) -> Ticket {
        self.tickets += 1;
        self.queue.push_back((self.tickets, settlement));
        self.tickets
    }

    /// Settlements that wait.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// A broken promise: changes the order of what waits.
    pub(super) fn shuffle(&mut self, rng: &mut fastrand::Rng) {
        rng.shuffle(self.queue.make_contiguous());
    }

    /// A broken promise: the first of what waits is answered, but not written.
    pub(super) fn lose(&mut self) {
        if let Some((_, settlement)) = self.queue.front_mut() {
            settlement.records.clear();
        }
    }

    /// Writes the first `count` of what waits.
    pub(super) fn commit(&mut self, count: usize) -> Vec<Ticket> {
        let count = count.min(self.queue.len());
        let batch: Vec<_> = self.queue.drain(..count).collect();
        batch
            .into_iter()
            .map(|(ticket, settlement)| {
                self.write(settlement);
                ticket
            })
            .collect()
    }

    fn write(&mut self, settlement: Settlement) {
        let entry = self.entries.entry(settlement.seq).or_default();
        entry.planned |= settlement.planned;
        for mut record in settlement.records {
            let old = entry.rows.get(&record.ordinal);
            let created_at_ms = old.map_or(record.at_ms, |old| old.created_at_ms);
            if record.message.is_none() {
                record.message = old.and_then(|old| old.record.message.clone());
            }
            entry.rows.insert(
                record.ordinal,
                Row {
                    record,
                    created_at_ms,
                },
            );
        }
    }

    /// `Journal::due`, as deliveries.
    pub(super) fn due(&self, sink: &str, now_ms: u64, limit: usize) -> Vec<Delivery> {
        let mut keys = HashSet::new();
        let mut found: Vec<(i64, Seq, &Row)> = Vec::new();
        let unplanned = self.entries.iter().find(|(_, entry)| !entry.planned);
        let keyed_before = unplanned
            .map(|(seq, _)| *seq)
            .filter(|seq| *seq <= self.found_upto && !self.impatient)
            .unwrap_or(Seq::MAX);
        for (seq, row) in self.pending(sink) {
            let is_head = row.record.key_hash.is_none_or(|key| keys.insert(key));
            let is_due = u64::try_from(row.record.next_at_ms).is_ok_and(|at| at <= now_ms);
            let may_go = row.record.key_hash.is_none() || seq < keyed_before;
            if is_head && is_due && may_go {
                found.push((row.record.next_at_ms, seq, row));
            }
        }
        found.sort_by_key(|(at, seq, row)| (*at, *seq, row.record.ordinal));
        found
            .into_iter()
            .take(limit)
            .map(|(_, seq, row)| Delivery {
                attempts: row.record.attempts,
                created_at_ms: row.created_at_ms,
                ..delivery(seq, row.record.ordinal, sink, row.record.key_hash)
            })
            .collect()
    }

    /// `Journal::backlog`.
    pub(super) fn backlog(&self, sink: &str) -> Backlog {
        let mut keys: HashMap<i64, u64> = HashMap::new();
        let mut backlog = Backlog::default();
        let waiting = self
            .pending(sink)
            .filter(|(_, row)| self.held_counts || row.record.next_at_ms != HELD_IN_MEMORY);
        for (_, row) in waiting {
            backlog.pending += 1;
            if let Some(key) = row.record.key_hash {
                *keys.entry(key).or_default() += 1;
            }
        }
        backlog.keys = Some(keys.into_iter().collect());
        backlog
    }

    /// Events that wait for their routes, oldest first.
    pub(super) fn unplanned(&self) -> Vec<Seq> {
        let open = self.entries.iter().filter(|(_, entry)| !entry.planned);
        open.map(|(seq, _)| *seq).collect()
    }

    /// The process is gone, and starts anew.
    pub(super) fn crash(&mut self, now_ms: u64) {
        self.queue.clear();
        self.found_upto = self.entries.keys().next_back().copied().unwrap_or(0);
        let now = i64::try_from(now_ms).unwrap_or(i64::MAX - 1);
        for entry in self.entries.values_mut() {
            for row in entry.rows.values_mut() {
                if row.record.next_at_ms == HELD_IN_MEMORY {
                    row.record.next_at_ms = now;
                }
            }
        }
    }

    /// What is on record of a delivery, in words.
    pub(super) fn told(&self, seq: Seq, ordinal: u32) -> String {
        let entry = self.entries.get(&seq);
        match entry.and_then(|entry| entry.rows.get(&ordinal)) {
            None => "no record".to_owned(),
            Some(Row { record, .. }) if record.next_at_ms == HELD_IN_MEMORY => "held".to_owned(),
            Some(Row { record, .. }) => {
                format!("{} at {}", record.state.as_str(), record.next_at_ms)
            }
        }
    }

    /// What is on record of a delivery.
    pub(super) fn state(&self, seq: Seq, ordinal: u32) -> Option<State> {
        let row = self.entries.get(&seq)?.rows.get(&ordinal)?;
        Some(row.record.state)
    }

    fn pending<'a>(&'a self, sink: &'a str) -> impl Iterator<Item = (Seq, &'a Row)> {
        self.entries
            .iter()
            .flat_map(|(seq, entry)| entry.rows.values().map(|row| (*seq, row)))
            .filter(move |(_, row)| {
                row.record.state == State::Pending && row.record.sink.as_ref() == sink
            })
    }
}
