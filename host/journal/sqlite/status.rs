//! What everybody may look at without asking the committer: figures, health, and counts by sink.
//!
//! Written by the committer only, after the commit that made it true.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::journal::JournalStats;

/// What a batch changes in the figures.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) open: i64,
    pub(super) dead: i64,
    pub(super) pending: Vec<(Arc<str>, i64)>,
    /// Of the pending ones those that a sink holds in memory.
    pub(super) held: Vec<(Arc<str>, i64)>,
}

type BySink = HashMap<Arc<str>, u64>;

#[derive(Debug)]
pub(super) struct Status {
    open: AtomicU64,
    dead: AtomicU64,
    bytes: AtomicU64,
    healthy: AtomicBool,
    full: AtomicBool,
    pending: Mutex<BySink>,
    held: Mutex<BySink>,
    failed: watch::Sender<bool>,
}

impl Status {
    pub(super) fn new(open: u64, dead: u64, pending: Vec<(String, u64)>) -> Self {
        Self {
            open: open.into(),
            dead: dead.into(),
            bytes: 0.into(),
            healthy: true.into(),
            full: false.into(),
            pending: Mutex::new(
                pending
                    .into_iter()
                    .map(|(sink, count)| (sink.into(), count))
                    .collect(),
            ),
            // Nothing is held by a process that has just started.
            held: Mutex::default(),
            failed: watch::Sender::new(false),
        }
    }

    pub(super) fn apply(&self, changes: &Changes) {
        add(&self.open, changes.open);
        add(&self.dead, changes.dead);
        apply(&self.pending, &changes.pending);
        apply(&self.held, &changes.held);
    }

    pub(super) fn set_bytes(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns what it was.
    pub(super) fn set_full(&self, full: bool) -> bool {
        self.full.swap(full, Ordering::Relaxed)
    }

    pub(super) fn fail(&self) {
        self.healthy.store(false, Ordering::Release);
        self.failed.send_replace(true);
    }

    /// Waits for [`Status::fail`].
    pub(super) async fn failed(&self) {
        // The sender lives as long as `self`, so this ends only with the value.
        let _ = self.failed.subscribe().wait_for(|failed| *failed).await;
    }

    pub(super) fn pending_of(&self, sink: &str) -> u64 {
        lock(&self.pending).get(sink).copied().unwrap_or(0)
    }

    pub(super) fn held_of(&self, sink: &str) -> u64 {
        lock(&self.held).get(sink).copied().unwrap_or(0)
    }

    pub(super) fn pending_sinks(&self) -> Vec<String> {
        let mut sinks: Vec<String> = lock(&self.pending)
            .keys()
            .map(|sink| sink.to_string())
            .collect();
        sinks.sort();
        sinks
    }

    pub(super) fn stats(&self) -> JournalStats {
        JournalStats {
            open: self.open.load(Ordering::Relaxed),
            bytes: self.bytes(),
            dead: self.dead.load(Ordering::Relaxed),
            healthy: self.healthy.load(Ordering::Acquire),
            full: self.full.load(Ordering::Relaxed),
        }
    }
}

fn apply(figures: &Mutex<BySink>, changes: &[(Arc<str>, i64)]) {
    if changes.is_empty() {
        return;
    }
    let mut figures = lock(figures);
    for (sink, delta) in changes {
        let count = figures.get(sink).copied().unwrap_or(0);
        match count.saturating_add_signed(*delta) {
            0 => figures.remove(sink),
            count => figures.insert(Arc::clone(sink), count),
        };
    }
}

fn lock(figures: &Mutex<BySink>) -> MutexGuard<'_, BySink> {
    figures.lock().unwrap_or_else(PoisonError::into_inner)
}

fn add(figure: &AtomicU64, delta: i64) {
    // One writer only, so load and store need not be one step.
    let value = figure.load(Ordering::Relaxed).saturating_add_signed(delta);
    figure.store(value, Ordering::Relaxed);
}
