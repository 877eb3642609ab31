//! Dead letters: the way back from the journal to the sinks.
//!
//! A replay is a commit first and an offer then: once the journal says that a delivery is pending again it is
//! offered to its sink, in a task that no caller can cut off; where the program ends in between, the next
//! start finds the delivery due. Deliveries keep their ids and messages. A sink that is busy takes them from
//! the journal later; what is in memory meanwhile is bounded by [`WEIGHT_MAX`].

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore, oneshot};

use crate::delivery::worker::delivery_of;
use crate::dispatch::Dispatcher;
use crate::journal::archive::{Act, Acted, Archive, Which};
use crate::journal::audit::Actor;
use crate::journal::{JournalError, PendingDelivery, Seq};

/// What replays may have in memory, in units of [`WEIGHT_UNIT`]: 16 MiB of bodies, or 1024 deliveries.
const WEIGHT_MAX: usize = 1024;
/// Bytes of body that count as one more unit.
const WEIGHT_UNIT: usize = 16 * 1024;
/// How long a replay waits for the one before it to reach the sinks.
const TURN_WAIT: Duration = Duration::from_secs(5);
/// Pause after the journal failed to give what was replayed.
const READ_AGAIN: Duration = Duration::from_millis(500);

/// Why nothing was replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Earlier ones are still on their way.
    #[error("an earlier replay is still on its way to its sinks; try again in a few seconds")]
    Busy,
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// See the module's text.
pub struct DeadLetters {
    archive: Arc<dyn Archive>,
    dispatcher: Dispatcher,
    turn: Arc<Mutex<()>>,
    weight: Arc<Semaphore>,
}

impl DeadLetters {
    /// Of this journal; `dispatcher` has the way to the sinks.
    #[must_use]
    pub fn new(archive: Arc<dyn Archive>, dispatcher: Dispatcher) -> Self {
        Self {
            archive,
            dispatcher,
            turn: Arc::default(),
            weight: Arc::new(Semaphore::new(WEIGHT_MAX)),
        }
    }

    /// Makes dead letters pending again and sends them on their way, those of sinks that are configured and
    /// those that died before a sink was chosen. Returns when that is on disk, not when they are delivered.
    ///
    /// # Errors
    /// See [`ReplayError`]; nothing was replayed then.
    pub async fn replay(
        self: &Arc<Self>,
        which: Which,
        actor: Actor,
    ) -> Result<Acted, ReplayError> {
        let turn = tokio::time::timeout(TURN_WAIT, self.turn.clone().lock_owned())
            .await
            .map_err(|_| ReplayError::Busy)?;
        let sinks = self
            .dispatcher
            .current
            .load()
            .sinks
            .keys()
            .cloned()
            .collect();
        let (reply, answer) = oneshot::channel();
        let this = Arc::clone(self);
        // A task of its own: a caller who hangs up must not leave deliveries between journal and sink.
        tokio::spawn(async move {
            let acted = this.archive.act(Act::Replay { which, sinks }, actor).await;
            let replayed: Vec<(Seq, u32)> = acted
                .iter()
                .flat_map(|acted| &acted.done)
                .map(|(id, seq)| (*seq, id.ordinal))
                .collect();
            // The caller may have hung up.
            let _ = reply.send(acted);
            this.send_off(replayed, turn).await;
        });
        let acted = answer.await.map_err(|_| JournalError::Closed)??;
        self.dispatcher.metrics.replayed(acted.done.len() as u64);
        Ok(acted)
    }

    /// Takes deliveries that are on record as held in memory to their sinks.
    async fn send_off(&self, mut replayed: Vec<(Seq, u32)>, turn: OwnedMutexGuard<()>) {
        while !replayed.is_empty() {
            match self.archive.pending(replayed.clone()).await {
                Ok(rows) => {
                    let Some(last) = rows.last() else {
                        break;
                    };
                    let read_upto = (last.seq, last.record.ordinal);
                    for row in rows {
                        self.offer(row).await;
                    }
                    let read = replayed.iter().position(|place| *place == read_upto);
                    replayed.drain(..=read.unwrap_or(replayed.len() - 1));
                }
                // The next start finds them due.
                Err(JournalError::Closed) => return,
                Err(error) => {
                    tracing::error!(%error, "reading replayed deliveries failed");
                    tokio::time::sleep(READ_AGAIN).await;
                }
            }
        }
        drop(turn);
    }

    async fn offer(&self, row: PendingDelivery) {
        // Without a message it waits for its plugins; dispatch looks for those by itself.
        let Some(delivery) = delivery_of(row) else {
            return;
        };
        let units = (1 + delivery.message.body.len() / WEIGHT_UNIT).min(WEIGHT_MAX);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        if let Ok(share) = self.weight.clone().acquire_many_owned(units).await {
            self.dispatcher.offer_held(delivery, share).await;
        }
    }
}
