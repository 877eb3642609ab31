//! Worker: the task of one sink. It carries out what its [`Lane`] decides: attempts, records, reads.
//!
//! Invariants: at most `concurrency` attempts at a time and `queue_max` deliveries in memory; an offer
//! without a place in it goes to the journal, so a slow sink holds up nobody. The sink is closed only after its last attempt ended.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt, future::BoxFuture};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::Progress;
use super::handle::{ORDERS, Offer, Order, SinkHandle, SinkStatus};
use super::lane::{Command, DeliveryId, Job, Lane, LanePolicy};
use super::throttle::Halt;
use crate::clock::unix_ms;
use crate::event::Message;
use crate::journal::{Backlog, Journal, JournalError, PendingDelivery, State};
use crate::metrics::{Metrics, SinkState};
use crate::sink::{Class, Delivery, Origin, Receipt, Sink, SinkError};

/// Offers between dispatch and the worker.
const INBOX: usize = 256;
/// How often the sink's figures are published.
const PUBLISH_EVERY: Duration = Duration::from_millis(500);
/// Pause after a failed read of the journal.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// What stays alive as long as a delivery is in memory.
#[derive(Debug)]
struct Carry {
    progress: Arc<Progress>,
    /// The event's share of dispatch's memory bound.
    _event: Option<Arc<OwnedSemaphorePermit>>,
    /// The place in this sink's queue; `None` for one that goes straight to the journal.
    _place: Option<OwnedSemaphorePermit>,
}

/// What a worker runs on.
#[derive(Clone)]
pub struct Settings {
    /// The sink's name.
    pub name: Arc<str>,
    /// Retry and throttle.
    pub policy: LanePolicy,
    /// Time for one attempt.
    pub timeout: Duration,
    /// Deliveries in memory.
    pub queue_max: usize,
}

type Attempted = (Job<Carry>, Result<Receipt, SinkError>);
type Settled = (DeliveryId, State, i64, Result<(), JournalError>);

/// See the module's text.
pub struct Worker {
    settings: Settings,
    sink: Arc<dyn Sink>,
    journal: Arc<dyn Journal>,
    metrics: Arc<Metrics>,
    inbox: mpsc::Receiver<(Offer, Option<OwnedSemaphorePermit>)>,
    backlogged: Arc<AtomicBool>,
    orders: mpsc::Receiver<(Order, oneshot::Sender<SinkStatus>)>,
    status: watch::Sender<SinkStatus>,
    last_error: Option<(u64, SinkError)>,
    drain: CancellationToken,
    abort: CancellationToken,
    lane: Lane<Carry>,
    attempts: JoinSet<Attempted>,
    settles: FuturesUnordered<BoxFuture<'static, Settled>>,
}

impl Worker {
    /// Starts the task. While `before`, the sink's previous worker, is still ending, everything that is
    /// offered goes to the journal, so that order holds across the change.
    pub fn spawn(
        settings: Settings,
        sink: Arc<dyn Sink>,
        journal: Arc<dyn Journal>,
        metrics: Arc<Metrics>,
        before: Option<JoinHandle<()>>,
    ) -> SinkHandle {
        let (sender, inbox) = mpsc::channel(INBOX);
        let (orders, ordered) = mpsc::channel(ORDERS);
        let (status, seen) = watch::channel(SinkStatus::default());
        let places = Arc::new(Semaphore::new(settings.queue_max));
        let backlogged = Arc::new(AtomicBool::new(false));
        let (drain, abort) = (CancellationToken::new(), CancellationToken::new());
        let through_journal = Backlog {
            keys: None,
            ..Backlog::default()
        };
        let worker = Self {
            lane: Lane::new(settings.policy, through_journal),
            settings,
            sink,
            journal,
            metrics,
            inbox,
            backlogged: backlogged.clone(),
            orders: ordered,
            status,
            last_error: None,
            drain: drain.clone(),
            abort: abort.clone(),
            attempts: JoinSet::new(),
            settles: FuturesUnordered::new(),
        };
        let task = tokio::spawn(worker.run(before));
        SinkHandle {
            inbox: sender,
            places,
            backlogged,
            orders,
            status: seen,
            drain,
            abort,
            task: Mutex::new(Some(task)),
        }
    }

    async fn run(mut self, before: Option<JoinHandle<()>>) {
        if let Some(before) = before {
            self.wait_for(before).await;
        }
        let found = backlog(
            &self.settings.name,
            self.journal.clone(),
            self.drain.clone(),
        )
        .await;
        if let Some(backlog) = found {
            let paused = backlog.paused;
            self.lane = Lane::new(self.settings.policy, backlog);
            if paused {
                self.lane.pause();
            }
        }
        self.work().await;
        self.sink.close().await;
        self.publish();
    }

    /// Parks whatever comes until the previous worker has ended.
    async fn wait_for(&mut self, mut before: JoinHandle<()>) {
        loop {
            tokio::select! {
                _ = &mut before => break,
                Some((offer, place)) = self.inbox.recv() => self.take(offer, place),
                Some(settled) = self.settles.next() => self.settled(settled),
            }
        }
        while let Some(settled) = self.settles.next().await {
            self.settled(settled);
        }
    }

    async fn work(&mut self) {
        let mut offers = Vec::with_capacity(INBOX);
        let mut reading: Option<BoxFuture<'static, Result<Vec<PendingDelivery>, JournalError>>> =
            None;
        let mut asked = 0;
        let mut publish = tokio::time::interval(PUBLISH_EVERY);
        publish.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let (mut draining, mut closed) = (false, false);
        loop {
            let now_ms = unix_ms();
            // Here and not after the sleep: something else may wake the loop just when the time has come.
            self.carry_out_start();
            if let Some(limit) = self.lane.read(now_ms) {
                asked = limit;
                let (journal, name) = (self.journal.clone(), self.settings.name.clone());
                reading = Some(async move { journal.due(&name, now_ms, limit).await }.boxed());
            }
            // Not `is_empty`: an offer may be on its way into the closed inbox, and only the end of the inbox
            // says that none is.
            let finished =
                draining && closed && self.attempts.is_empty() && self.settles.is_empty();
            if finished {
                return;
            }
            let wake = self.lane.wake_at_ms(now_ms).filter(|wake| *wake > now_ms);
            let nap = Duration::from_millis(wake.unwrap_or(now_ms) - now_ms);
            tokio::select! {
                count = self.inbox.recv_many(&mut offers, INBOX), if !closed => {
                    for (offer, place) in offers.drain(..) {
                        self.take(offer, place);
                    }
                    closed = count == 0;
                    if closed && !draining {
                        draining = true;
                        self.drain_lane();
                    }
                }
                Some(joined) = self.attempts.join_next() => self.attempted(joined),
                Some(settled) = self.settles.next() => self.settled(settled),
                rows = async { match reading.as_mut() {
                    Some(reading) => reading.await,
                    None => std::future::pending().await,
                }} => {
                    reading = None;
                    self.load(rows, asked);
                }
                () = tokio::time::sleep(nap), if wake.is_some() => {}
                Some((order, answer)) = self.orders.recv() => {
                    self.obey(order);
                    // Nobody waits any more if this fails.
                    let _ = answer.send(self.status.borrow().clone());
                }
                _ = publish.tick() => self.publish(),
                () = self.drain.cancelled(), if !draining => {
                    draining = true;
                    self.inbox.close();
                    self.drain_lane();
                }
                () = self.abort.cancelled(), if draining && !self.attempts.is_empty() => {
                    self.attempts.shutdown().await;
                }
            }
        }
    }

    fn take(&mut self, offer: Offer, place: Option<OwnedSemaphorePermit>) {
        if place.is_none() {
            self.lane.set_backlogged();
        }
        let job = Job {
            delivery: offer.delivery,
            recorded: offer.recorded,
            carry: Carry {
                progress: offer.progress,
                _event: offer.event,
                _place: place,
            },
        };
        let commands = self.lane.offer(job, unix_ms());
        self.carry_out(commands);
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Pause => self.lane.pause(),
            Order::Resume => {
                let commands = self.lane.resume(unix_ms());
                self.carry_out(commands);
            }
        }
        self.publish();
    }

    fn drain_lane(&mut self) {
        let commands = self.lane.drain(unix_ms());
        self.carry_out(commands);
    }

    fn carry_out_start(&mut self) {
        let commands = self.lane.start(unix_ms());
        self.carry_out(commands);
    }

    fn load(&mut self, rows: Result<Vec<PendingDelivery>, JournalError>, asked: usize) {
        let now_ms = unix_ms();
        let rows = rows.unwrap_or_else(|error| {
            tracing::error!(sink = %self.settings.name, %error, "reading due deliveries failed");
            Vec::new()
        });
        let jobs = rows.into_iter().filter_map(|row| {
            Some(Job {
                carry: Carry {
                    progress: Arc::new(Progress::recorded(row.seq)),
                    _event: None,
                    _place: None,
                },
                delivery: Arc::new(delivery_of(row)?),
                recorded: true,
            })
        });
        let commands = self.lane.load(jobs.collect(), asked, now_ms);
        self.carry_out(commands);
    }

    fn carry_out(&mut self, commands: Vec<Command<Carry>>) {
        self.backlogged
            .store(self.lane.backlogged(), Ordering::Relaxed);
        for command in commands {
            match command {
                Command::Start(job) => self.start(job),
                Command::Settle(job, record) => {
                    let id = (job.delivery.seq, job.delivery.ordinal);
                    let (state, next_at_ms) = (record.state, record.next_at_ms);
                    if state == State::Dead {
                        self.metrics.dead_lettered(&record.sink, &record.code);
                        tracing::warn!(sink = %record.sink, route = %record.route, event = %job.delivery.origin.event_id,
                            code = %record.code, error = %record.detail, attempts = record.attempts, "delivery dead-lettered");
                    }
                    let journal = self.journal.clone();
                    let progress = job.carry.progress.clone();
                    let queued = progress.report(record, unix_ms(), |settlement| {
                        let mut settle = async move {
                            let result = journal.settle(settlement).await;
                            // Only now may the event's share of the memory bound be given back.
                            drop(job);
                            (id, state, next_at_ms, result)
                        }
                        .boxed();
                        // The first poll queues the records, and the journal writes in the order queued: an
                        // older delivery of a key is never seen after a younger one.
                        let settled = (&mut settle).now_or_never();
                        (settle, settled)
                    });
                    match queued {
                        None => self.lane.settled(id, state, next_at_ms),
                        Some((_, Some(settled))) => self.settled(settled),
                        Some((settle, None)) => self.settles.push(settle),
                    }
                }
            }
        }
    }

    fn start(&mut self, job: Job<Carry>) {
        let (sink, metrics) = (self.sink.clone(), self.metrics.clone());
        let timeout = self.settings.timeout;
        self.attempts.spawn(async move {
            let started = Instant::now();
            #[cfg(feature = "planted-bugs")]
            if crate::planted::is(crate::planted::Bug::SettleBeforeSend) {
                let delivery = job.delivery.clone();
                tokio::spawn(async move { drop(sink.deliver(&delivery).await) });
                let code = "planted".to_owned();
                return (job, Ok(Receipt { code }));
            }
            let attempt = AssertUnwindSafe(sink.deliver(&job.delivery)).catch_unwind();
            let result = match tokio::time::timeout(timeout, attempt).await {
                Ok(Ok(result)) => result,
                Ok(Err(_)) => Err(SinkError::new(
                    Class::Transient,
                    "bug",
                    "the sink's code panicked; please report it with the log",
                )),
                Err(_) => Err(SinkError::new(
                    Class::Transient,
                    "timeout",
                    format!("no answer within {}", humantime::format_duration(timeout)),
                )),
            };
            let word = match &result {
                Ok(_) => "delivered",
                Err(error) => error.class.as_str(),
            };
            metrics.attempt(&job.delivery.sink, word, started.elapsed().as_secs_f64());
            (job, result)
        });
    }

    fn attempted(&mut self, joined: Result<Attempted, tokio::task::JoinError>) {
        match joined {
            Ok((job, result)) => {
                let now_ms = unix_ms();
                let before = self.lane.halted(now_ms);
                let failure = result.as_ref().err().cloned();
                let commands = self.lane.finish(job, result, now_ms, fastrand::f64());
                self.carry_out(commands);
                if let Some(error) = failure {
                    self.failed(error, before, now_ms);
                }
            }
            // Only an aborted attempt ends like this: the journal still has the delivery.
            Err(error) => tracing::debug!(sink = %self.settings.name, %error, "attempt aborted"),
        }
    }

    /// Logs a failed attempt, and an alarm if it halted the sink.
    fn failed(&mut self, error: SinkError, before: Option<Halt>, now_ms: u64) {
        let halted = self.lane.halted(now_ms);
        if let Some(halt) = halted.filter(|_| halted != before) {
            let (sink, class) = (&self.settings.name, error.class.as_str());
            let told = match halt {
                Halt::Breaker => "sink halted: its breaker is open",
                Halt::Gone => {
                    "sink halted: the destination says it is gone; resume it once that is mended"
                }
                Halt::Configuration | Halt::Operator => {
                    "sink halted: its configuration needs an operator"
                }
            };
            tracing::error!(%sink, halt = halt.as_str(), class, code = %error.code, error = %error.detail, "{told}");
            self.metrics.sink_halted(sink, halt.as_str());
        }
        self.last_error = Some((now_ms, error));
    }

    fn settled(&mut self, (id, state, next_at_ms, result): Settled) {
        if let Err(error) = result {
            tracing::error!(sink = %self.settings.name, seq = id.0, %error, "recording a delivery failed; it will be made again");
        }
        self.lane.settled(id, state, next_at_ms);
    }

    fn publish(&self) {
        let lane = self.lane.stats(unix_ms());
        let state = SinkState {
            in_flight: lane.in_flight,
            queued: lane.queued,
            pending: lane.pending,
            limit: lane.limit,
            paused: lane.halted.is_some(),
        };
        self.metrics.sink_state(&self.settings.name, state);
        self.status.send_replace(SinkStatus {
            lane,
            last_error: self.last_error.clone(),
        });
    }
}

/// What the journal holds for a sink; asks until it answers, or gives up at shutdown.
async fn backlog(
    sink: &str,
    journal: Arc<dyn Journal>,
    drain: CancellationToken,
) -> Option<Backlog> {
    loop {
        match journal.backlog(sink).await {
            Ok(backlog) => return Some(backlog),
            Err(error) => {
                tracing::error!(%sink, %error, "reading the sink's backlog failed");
                tokio::select! {
                    () = drain.cancelled() => return None,
                    () = tokio::time::sleep(READ_AGAIN) => {}
                }
            }
        }
    }
}

/// A delivery as it was before it was parked; `None` for a record without a message, which is not a
/// sink's to deliver.
pub(crate) fn delivery_of(row: PendingDelivery) -> Option<Delivery> {
    let record = row.record;
    let message: Message = record.message?;
    Some(Delivery {
        seq: row.seq,
        ordinal: record.ordinal,
        route: record.route,
        sink: record.sink,
        origin: Arc::new(Origin::of(&row.event)),
        message_id: record.message_id,
        key: message.key.clone(),
        order: record.key_hash,
        plugins: record.plugins.into(),
        attempts: record.attempts,
        created_at_ms: row.created_at_ms,
        message,
    })
}
