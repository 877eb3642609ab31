//! The queue to the committer: bounded in operations and in bytes.
//!
//! Appends never wait for room, so that a sender is told at once to come back later; settlements, state
//! and acts wait, in the order of the calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::{mpsc, oneshot};

use super::operation::{ActFor, Append, Operation, Settle, StateWrite};
use super::settle::EncodedEvent;
use crate::event::Event;
use crate::journal::archive::{Act, Acted};
use crate::journal::audit::Actor;
use crate::journal::state::{StateError, Write, Wrote};
use crate::journal::{AppendError, Appended, DedupeKey, JournalError, Settlement};

/// Operations that wait for the committer; also how many settlements it keeps back while the disk is full.
pub(super) const QUEUE_OPERATIONS_MAX: usize = 4096;
/// Bytes of events that wait for their commit, but for one event that is larger alone.
pub(super) const QUEUE_BYTES_MAX: usize = 64 << 20;

#[derive(Clone, Debug)]
pub(super) struct Queue {
    sender: mpsc::Sender<Operation>,
    bytes: Arc<AtomicUsize>,
    closed: Arc<AtomicBool>,
}

/// Bytes that count as waiting until this is dropped, which is when the operation is answered.
#[derive(Debug)]
pub(super) struct Load {
    bytes: usize,
    waiting: Arc<AtomicUsize>,
}

impl Drop for Load {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Queue {
    pub(super) fn new() -> (Self, mpsc::Receiver<Operation>) {
        let (sender, operations) = mpsc::channel(QUEUE_OPERATIONS_MAX);
        let queue = Self {
            sender,
            bytes: Arc::default(),
            closed: Arc::default(),
        };
        (queue, operations)
    }

    pub(super) async fn append(
        &self,
        event: Arc<Event>,
        dedupe: Option<DedupeKey>,
    ) -> Result<Appended, AppendError> {
        if self.is_closed() {
            return Err(AppendError::Failed);
        }
        let encoded = EncodedEvent::new(event);
        let load = self.load(encoded.bytes()).ok_or(AppendError::Busy)?;
        let (reply, answer) = oneshot::channel();
        let operation = Operation::Append(Append {
            encoded,
            dedupe,
            load,
            reply,
        });
        self.sender
            .try_send(operation)
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => AppendError::Busy,
                mpsc::error::TrySendError::Closed(_) => AppendError::Failed,
            })?;
        #[cfg(feature = "planted-bugs")]
        if crate::planted::is(crate::planted::Bug::AckBeforeCommit) {
            return Ok(Appended::Stored(0));
        }
        answer.await.unwrap_or(Err(AppendError::Failed))
    }

    pub(super) async fn settle(&self, settlement: Settlement) -> Result<(), JournalError> {
        let (reply, answer) = oneshot::channel();
        self.sender
            .send(Operation::Settle(Settle { settlement, reply }))
            .await
            .map_err(|_| JournalError::Closed)?;
        answer.await.unwrap_or(Err(JournalError::Closed))
    }

    pub(super) async fn state(&self, write: Write) -> Result<Wrote, StateError> {
        let (reply, answer) = oneshot::channel();
        self.sender
            .send(Operation::State(StateWrite { write, reply }))
            .await
            .map_err(|_| StateError::Closed)?;
        answer.await.unwrap_or(Err(StateError::Closed))
    }

    pub(super) async fn act(&self, act: Act, actor: Actor) -> Result<Acted, JournalError> {
        let (reply, answer) = oneshot::channel();
        self.sender
            .send(Operation::Act(Box::new(ActFor { act, actor, reply })))
            .await
            .map_err(|_| JournalError::Closed)?;
        answer.await.unwrap_or(Err(JournalError::Closed))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Takes no more appends, and waits until the committer has committed the rest and ended.
    pub(super) async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let (reply, done) = oneshot::channel();
        if self.sender.send(Operation::Close(reply)).await.is_ok() {
            // An error means that the committer ended already.
            let _ = done.await;
        }
        self.sender.closed().await;
    }

    fn load(&self, bytes: usize) -> Option<Load> {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let load = Load {
            bytes,
            waiting: Arc::clone(&self.bytes),
        };
        (before == 0 || before.saturating_add(bytes) <= QUEUE_BYTES_MAX).then_some(load)
    }
}
