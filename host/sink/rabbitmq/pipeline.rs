//! Pipeline: everything that is in flight on one channel.
//!
//! Owns each publish from its first frame to its confirm, so that a delivery can be cancelled at any
//! time: dropping a half-made publish would shift the channel's delivery tags. Confirms are taken in
//! rounds that end when none is left, because [`Returns`] is certain only about a round without gaps;
//! a publish wakes its own slot, so a round costs as much as there are confirms, not as there are
//! publishes in flight.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use lapin::message::BasicReturnMessage;
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation, Event};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::failure;
use super::returns::{Confirm, Fate, Returns};
use crate::sink::{Class, Receipt, SinkError};

/// Publishes without a confirm, those of cancelled deliveries included. A broker that lets it come to
/// this is stuck; then the connection is given up.
const IN_FLIGHT_MAX: usize = 16_384;

/// How a delivery ended.
pub(super) type Outcome = Result<Receipt, SinkError>;

/// One message to publish.
pub(super) struct Job {
    pub(super) routing_key: ShortString,
    pub(super) properties: BasicProperties,
    pub(super) message_id: String,
    pub(super) body: Bytes,
    pub(super) done: oneshot::Sender<Outcome>,
}

type Publish = Pin<Box<dyn Future<Output = lapin::Result<Confirmation>> + Send>>;

/// A publish without a confirm yet.
struct Slot {
    publish: Publish,
    message_id: String,
    done: oneshot::Sender<Outcome>,
    waker: Waker,
}

/// See the module's text.
pub(super) struct Pipeline {
    channel: Channel,
    exchange: ShortString,
    blocked: Arc<AtomicBool>,
    slots: HashMap<u64, Slot>,
    next_slot: u64,
    ready: Arc<Ready>,
    returns: Returns,
    /// How long the broker may confirm nothing at all while something is in flight.
    stall: Duration,
    /// When that time began.
    quiet_since: Instant,
}

impl Pipeline {
    /// A pipeline for a channel in confirm mode. `blocked` is set while the broker takes no messages;
    /// after `stall` without any confirm it gives the connection up.
    pub(super) fn new(
        channel: Channel,
        exchange: ShortString,
        blocked: Arc<AtomicBool>,
        stall: Duration,
    ) -> Self {
        Self {
            channel,
            exchange,
            blocked,
            slots: HashMap::new(),
            next_slot: 0,
            ready: Arc::default(),
            returns: Returns::default(),
            stall,
            quiet_since: Instant::now(),
        }
    }

    /// Publishes what comes from `queue` until the connection or channel ends or the sink is closed,
    /// and tells everything that is still in flight.
    pub(super) async fn run(
        mut self,
        events: impl Stream<Item = Event>,
        mut queue: mpsc::Receiver<Job>,
        stop: &CancellationToken,
    ) {
        tokio::pin!(events);
        let ready = self.ready.clone();
        let cause = loop {
            let open = !self.blocked.load(Ordering::Relaxed);
            if !open || self.slots.is_empty() {
                self.quiet_since = Instant::now();
            }
            tokio::select! {
                () = ready.some.notified() => {}
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(_)) => self.blocked.store(true, Ordering::Relaxed),
                    Some(Event::ConnectionUnblocked) => self.blocked.store(false, Ordering::Relaxed),
                    Some(Event::Error(error)) => break error.to_string(),
                    Some(_) => {}
                    None => break "the connection was closed".to_owned(),
                },
                job = queue.recv(), if open => match job {
                    Some(job) => {
                        self.start(job);
                        // What has gathered goes out with the same write.
                        while let Ok(job) = queue.try_recv() {
                            self.start(job);
                        }
                    }
                    None => break "the sink was closed".to_owned(),
                },
                // A queue that lost its leader can hang the broker's side of a channel for ever, while
                // a new channel works at once.
                () = sleep_until(self.quiet_since + self.stall), if open && !self.slots.is_empty() => {
                    break format!("nothing was confirmed for {:?}", self.stall);
                }
                () = stop.cancelled() => break "the sink was closed".to_owned(),
            }
            if let Err(cause) = self.settle() {
                break cause;
            }
        };
        for slot in self.slots.into_values() {
            // A delivery that was cancelled does not listen.
            let _ = slot.done.send(Err(failure::unknown_outcome(&cause)));
        }
    }

    /// Makes a slot for the job. Its publish is polled for the first time in [`Self::settle`], which
    /// puts all of its frames into the channel's queue at once.
    fn start(&mut self, job: Job) {
        if job.done.is_closed() {
            return;
        }
        let channel = self.channel.clone();
        let exchange = self.exchange.clone();
        let publish = async move {
            let options = BasicPublishOptions {
                mandatory: true,
                ..BasicPublishOptions::default()
            };
            channel
                .basic_publish(
                    exchange,
                    job.routing_key,
                    options,
                    &job.body,
                    job.properties,
                )
                .await?
                .await
        };
        let id = self.next_slot;
        self.next_slot += 1;
        let wake = SlotWake {
            id,
            ready: self.ready.clone(),
        };
        let slot = Slot {
            publish: Box::pin(publish),
            message_id: job.message_id,
            done: job.done,
            waker: Arc::new(wake).into(),
        };
        slot.waker.wake_by_ref();
        self.slots.insert(id, slot);
    }

    /// Takes every confirm there is, and answers the deliveries.
    fn settle(&mut self) -> Result<(), String> {
        let mut confirms = Vec::new();
        let mut waiting = Vec::new();
        let mut broken = None;
        // Until nothing is ready: see `Returns` for why a round may have no gaps.
        loop {
            let ids = self.ready.take();
            if ids.is_empty() {
                break;
            }
            for id in ids {
                let Some(slot) = self.slots.get_mut(&id) else {
                    continue;
                };
                let mut context = Context::from_waker(&slot.waker);
                let Poll::Ready(result) = slot.publish.as_mut().poll(&mut context) else {
                    continue;
                };
                let Some(slot) = self.slots.remove(&id) else {
                    continue;
                };
                match result {
                    Ok(confirmation) => {
                        confirms.push(confirm(slot.message_id, confirmation));
                        waiting.push(slot.done);
                    }
                    Err(error) => {
                        let cause = error.to_string();
                        let _ = slot.done.send(Err(failure::unknown_outcome(&cause)));
                        broken = Some(cause);
                    }
                }
            }
        }
        if !confirms.is_empty() {
            self.quiet_since = Instant::now();
        }
        let fates = self.returns.judge(&confirms);
        for (done, fate) in waiting.into_iter().zip(fates) {
            // A delivery that was cancelled does not listen.
            let _ = done.send(outcome(fate));
        }
        if self.slots.len() > IN_FLIGHT_MAX {
            broken.get_or_insert_with(|| "the broker confirms nothing".to_owned());
        }
        broken.map_or(Ok(()), Err)
    }
}

fn confirm(message_id: String, confirmation: Confirmation) -> Confirm {
    let ack = confirmation.is_ack();
    let took = confirmation.take_message().map(|returned| id_of(&returned));
    Confirm {
        message_id,
        ack,
        took,
    }
}

fn id_of(returned: &BasicReturnMessage) -> String {
    let id = returned.delivery.properties.message_id().as_ref();
    id.map_or_else(String::new, |id| id.as_str().to_owned())
}

fn outcome(fate: Fate) -> Outcome {
    match fate {
        Fate::Stored => Ok(Receipt {
            code: "ack".to_owned(),
        }),
        Fate::Unroutable => Err(SinkError::new(
            Class::Configuration,
            "unroutable",
            "no queue is bound to the exchange with this routing key",
        )),
        Fate::Refused => Err(SinkError::new(
            Class::Transient,
            "nacked",
            "the broker refused the message; a queue may be full",
        )),
        Fate::Unknown => Err(failure::unknown_outcome(
            "its confirm came together with another message's return",
        )),
    }
}

/// Slots that want to be polled.
#[derive(Default)]
struct Ready {
    ids: Mutex<Vec<u64>>,
    some: Notify,
}

impl Ready {
    fn take(&self) -> Vec<u64> {
        std::mem::take(&mut *self.ids.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Wakes one slot.
struct SlotWake {
    id: u64,
    ready: Arc<Ready>,
}

impl Wake for SlotWake {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut ids = self
            .ready
            .ids
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        ids.push(self.id);
        drop(ids);
        self.ready.some.notify_one();
    }
}
