//! A journal in memory whose answers a test chooses, for faults that the real one shows only on a sick disk.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hookswitch::event::{Event, EventId};
use hookswitch::journal::{
    AppendError, Appended, Backlog, DedupeKey, EventQuery, EventSummary, Journal, JournalError,
    JournalStats, PendingDelivery, Settlement, StoredEvent,
};
use tokio::sync::Semaphore;

/// What an append does.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Mode {
    Store,
    Fail(AppendError),
    /// Waits for a permit of [`FakeJournal::release`].
    Hold,
    Panic,
}

/// See the module.
pub(crate) struct FakeJournal {
    mode: Mutex<Mode>,
    stored: Mutex<Vec<(Arc<Event>, Option<DedupeKey>)>>,
    /// Appends that arrived, a permit each.
    pub(crate) arrived: Semaphore,
    /// Appends that may go on, a permit each.
    pub(crate) release: Semaphore,
    /// What [`Journal::events`] and [`Journal::event`] give.
    pub(crate) summaries: Mutex<Vec<EventSummary>>,
}

impl FakeJournal {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            mode: Mutex::new(Mode::Store),
            stored: Mutex::default(),
            arrived: Semaphore::new(0),
            release: Semaphore::new(0),
            summaries: Mutex::default(),
        })
    }

    pub(crate) fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    pub(crate) fn events(&self) -> Vec<Arc<Event>> {
        self.stored
            .lock()
            .unwrap()
            .iter()
            .map(|(event, _)| event.clone())
            .collect()
    }

    /// Waits until an append has arrived.
    pub(crate) async fn arrival(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }
}

#[async_trait]
impl Journal for FakeJournal {
    async fn append(
        &self,
        event: Arc<Event>,
        dedupe: Option<DedupeKey>,
    ) -> Result<Appended, AppendError> {
        self.arrived.add_permits(1);
        let mode = *self.mode.lock().unwrap();
        match mode {
            Mode::Store => {}
            Mode::Fail(error) => return Err(error),
            Mode::Hold => self.release.acquire().await.unwrap().forget(),
            Mode::Panic => panic!("a journal with a bug"),
        }
        let mut stored = self.stored.lock().unwrap();
        let known = dedupe.as_ref().is_some_and(|key| {
            stored
                .iter()
                .any(|(_, other)| other.as_ref().is_some_and(|other| other.hash == key.hash))
        });
        if known {
            return Ok(Appended::Duplicate);
        }
        stored.push((event, dedupe));
        Ok(Appended::Stored(i64::try_from(stored.len()).unwrap()))
    }

    async fn next(&self, _max: usize) -> Result<Vec<StoredEvent>, JournalError> {
        std::future::pending().await
    }

    async fn settle(&self, _settlement: Settlement) -> Result<(), JournalError> {
        Ok(())
    }

    async fn due(
        &self,
        _sink: &str,
        _now_ms: u64,
        _limit: usize,
    ) -> Result<Vec<PendingDelivery>, JournalError> {
        Ok(Vec::new())
    }

    async fn backlog(&self, _sink: &str) -> Result<Backlog, JournalError> {
        Ok(Backlog::default())
    }

    async fn set_paused(&self, _: &str, _: bool) -> Result<(), JournalError> {
        Ok(())
    }

    async fn pending_sinks(&self) -> Result<Vec<String>, JournalError> {
        Ok(Vec::new())
    }

    async fn events(&self, query: EventQuery) -> Result<Vec<EventSummary>, JournalError> {
        let summaries = self.summaries.lock().unwrap();
        let limit = usize::try_from(query.limit).unwrap();
        let wanted = |s: &&EventSummary| {
            query
                .source
                .as_ref()
                .is_none_or(|source| **source == *s.event.source)
                && query.before.is_none_or(|before| s.seq < before)
        };
        Ok(summaries
            .iter()
            .filter(wanted)
            .take(limit)
            .cloned()
            .collect())
    }

    async fn event(&self, id: EventId) -> Result<Option<EventSummary>, JournalError> {
        let summaries = self.summaries.lock().unwrap();
        Ok(summaries.iter().find(|s| s.event.id == id).cloned())
    }

    fn stats(&self) -> JournalStats {
        JournalStats {
            healthy: true,
            ..JournalStats::default()
        }
    }

    async fn close(&self) {}
}
