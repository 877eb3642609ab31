//! Handle: the way to a running worker, for dispatch, reload and operators.
//!
//! Invariant: an offer waits at most [`OFFER_WAIT`] for room, so a slow sink holds up nobody.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Progress;
use super::lane::LaneStats;
use crate::sink::{Delivery, SinkError};

/// How long an offer waits for room before the sink counts as slow. Long enough for a healthy sink to
/// drain its queue, short enough that events for other sinks hardly notice.
const OFFER_WAIT: Duration = Duration::from_millis(250);

/// Operators' orders that may wait for the worker.
pub(super) const ORDERS: usize = 16;

/// A planned delivery on its way to a worker.
#[derive(Debug)]
pub struct Offer {
    /// The delivery.
    pub delivery: Arc<Delivery>,
    /// Its event's progress.
    pub progress: Arc<Progress>,
    /// Its event's share of dispatch's memory bound.
    pub event: Option<Arc<OwnedSemaphorePermit>>,
    /// True if the journal has a record of it already.
    pub recorded: bool,
}

/// What an operator wants of a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Start nothing more.
    Pause,
    /// Go on, whatever stopped it.
    Resume,
}

/// How a sink does.
#[derive(Clone, Debug, Default)]
pub struct SinkStatus {
    /// Figures.
    pub lane: LaneStats,
    /// The last failed attempt: when, in milliseconds since the Unix epoch, and why.
    pub last_error: Option<(u64, SinkError)>,
}

/// See the module's text.
pub struct SinkHandle {
    pub(super) inbox: mpsc::Sender<(Offer, Option<OwnedSemaphorePermit>)>,
    pub(super) places: Arc<Semaphore>,
    pub(super) backlogged: Arc<AtomicBool>,
    pub(super) orders: mpsc::Sender<(Order, oneshot::Sender<SinkStatus>)>,
    pub(super) status: watch::Receiver<SinkStatus>,
    pub(super) drain: CancellationToken,
    pub(super) abort: CancellationToken,
    pub(super) task: Mutex<Option<JoinHandle<()>>>,
}

impl SinkHandle {
    /// Hands a delivery over; gives it back if the worker is closing.
    ///
    /// # Errors
    /// The offer itself, for the sink's next worker.
    pub async fn offer(&self, offer: Offer) -> Result<(), Offer> {
        let place = match self.places.clone().try_acquire_owned() {
            Ok(place) => Some(place),
            Err(_) if self.backlogged.load(Ordering::Relaxed) => None,
            Err(_) => tokio::time::timeout(OFFER_WAIT, self.places.clone().acquire_owned())
                .await
                .ok()
                .and_then(Result::ok),
        };
        self.inbox
            .send((offer, place))
            .await
            .map_err(|rejected| rejected.0.0)
    }

    /// Gives an operator's order, and how the sink does once it was carried out. `None` if the worker is ending.
    pub async fn order(&self, order: Order) -> Option<SinkStatus> {
        let (answer, answered) = oneshot::channel();
        self.orders.send((order, answer)).await.ok()?;
        answered.await.ok()
    }

    /// How the sink does; at most half a second old.
    #[must_use]
    pub fn status(&self) -> SinkStatus {
        self.status.borrow().clone()
    }

    /// Starts nothing more and parks what waits; running attempts may end.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Gives up on running attempts; their outcome is unknown and they are made again.
    pub fn abort(&self) {
        self.abort.cancel();
    }

    /// The worker's task, once; it ends after [`SinkHandle::drain`].
    pub fn take_task(&self) -> Option<JoinHandle<()>> {
        self.task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}
