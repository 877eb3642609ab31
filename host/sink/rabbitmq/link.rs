//! Link: the task that keeps the connection to the broker.
//!
//! Own code although lapin can recover connections itself: its recovery was seen to stall for 32 s and
//! to leave confirms without an answer. Here every connection is a new one, and what was in flight on
//! the old one is told that its outcome is unknown.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lapin::options::{ConfirmSelectOptions, ExchangeDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, ExchangeKind};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::failure;
use super::pipeline::{Job, Outcome, Pipeline};
use crate::sink::{Class, Receipt, SinkError};

/// Bounds of the pause before a connection is tried again; half of it is jitter.
const BACKOFF_MIN: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Time for TCP, TLS, login, channel and the lookup of the exchange.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for a polite goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Jobs between the deliveries and the pipeline; more wait in their deliveries.
const QUEUE: usize = 64;

/// Where to connect to, and how. Not printable: the URI holds the password.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) uri: AMQPUri,
    pub(super) exchange: ShortString,
    /// How long the broker may confirm nothing before the connection is given up.
    pub(super) stall: Duration,
}

/// The state of the connection.
#[derive(Clone)]
enum State {
    /// No connection yet, or none any more; why the last attempt failed, if one did.
    Down(Option<SinkError>),
    /// Messages go here.
    Up(mpsc::Sender<Job>),
}

/// A handle on the task. The task ends when [`Link::close`] is called or the last handle is gone.
#[derive(Clone)]
pub(super) struct Link {
    state: watch::Receiver<State>,
    blocked: Arc<AtomicBool>,
    task: Arc<Task>,
}

struct Task {
    stop: CancellationToken,
    handle: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Link {
    /// Starts the task, which starts connecting.
    pub(super) fn start(place: Place) -> Self {
        let (state_out, state) = watch::channel(State::Down(None));
        let blocked = Arc::new(AtomicBool::new(false));
        let stop = CancellationToken::new();
        let keeper = Keeper {
            place,
            state: state_out,
            blocked: blocked.clone(),
        };
        let handle = tokio::spawn(keeper.run(stop.clone()));
        Self {
            state,
            blocked,
            task: Arc::new(Task {
                stop,
                handle: std::sync::Mutex::new(Some(handle)),
            }),
        }
    }

    /// Waits for a connection, hands the job over and waits for its outcome. Does not end by itself
    /// while the broker is away: the caller sets the limit.
    pub(super) async fn publish(
        &self,
        job: Job,
        confirmed: oneshot::Receiver<Outcome>,
    ) -> Result<Receipt, SinkError> {
        let jobs = self.connected().await?;
        if jobs.send(job).await.is_err() {
            return Err(failure::disconnected());
        }
        // Dropped without an answer: it never left the queue.
        confirmed
            .await
            .unwrap_or_else(|_| Err(failure::disconnected()))
    }

    async fn connected(&self) -> Result<mpsc::Sender<Job>, SinkError> {
        let mut state = self.state.clone();
        loop {
            match &*state.borrow_and_update() {
                State::Up(jobs) => return Ok(jobs.clone()),
                // Waiting would not help: somebody has to change something.
                State::Down(Some(error)) if error.class == Class::Configuration => {
                    return Err(error.clone());
                }
                State::Down(_) => {}
            }
            if state.changed().await.is_err() {
                return Err(failure::disconnected());
            }
        }
    }

    /// What to say of a delivery that ran out of time.
    pub(super) fn why_late(&self, patience: Duration) -> SinkError {
        if self.blocked.load(Ordering::Relaxed) {
            let detail = "the broker takes no messages, as it is short of memory or disk";
            return SinkError::new(Class::Transient, "blocked", detail);
        }
        match &*self.state.borrow() {
            State::Down(Some(error)) => error.clone(),
            State::Down(None) => SinkError::new(
                Class::Transient,
                "unreachable",
                format!("no connection to the broker within {patience:?}"),
            ),
            State::Up(_) => SinkError::new(
                Class::Transient,
                "confirm_timeout",
                format!("the broker did not confirm within {patience:?}"),
            ),
        }
    }

    /// Closes the connection.
    pub(super) async fn close(&self) {
        self.task.stop.cancel();
        let handle = {
            let mut handle = self
                .task
                .handle
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            handle.take()
        };
        if let Some(handle) = handle {
            // Its end is all that is asked for; the sink is going away.
            let _ = timeout(CLOSE_TIMEOUT * 2, handle).await;
        }
    }
}

/// The task's side.
struct Keeper {
    place: Place,
    state: watch::Sender<State>,
    blocked: Arc<AtomicBool>,
}

impl Keeper {
    async fn run(self, stop: CancellationToken) {
        // Dropping `keep` at `stop` drops the pipeline, which tells its jobs.
        tokio::select! {
            () = self.keep(&stop) => {}
            () = stop.cancelled() => {}
        }
    }

    async fn keep(&self, stop: &CancellationToken) {
        let mut backoff = BACKOFF_MIN;
        loop {
            let opened = timeout(CONNECT_TIMEOUT, self.open()).await;
            let error = match opened {
                Ok(Ok((connection, channel))) => {
                    let since = Instant::now();
                    self.serve(connection, channel, stop).await;
                    // A connection that breaks at once is no reason to hammer the broker.
                    if since.elapsed() > BACKOFF_MAX {
                        backoff = BACKOFF_MIN;
                    }
                    SinkError::new(Class::Transient, "disconnected", "the connection ended")
                }
                Ok(Err(error)) => failure::of_connecting(&error, self.place.exchange.as_str()),
                Err(_elapsed) => SinkError::new(
                    Class::Transient,
                    "unreachable",
                    format!("no connection to the broker within {CONNECT_TIMEOUT:?}"),
                ),
            };
            tracing::info!(code = %error.code, "RabbitMQ connection is down; trying again: {error}");
            self.state.send_replace(State::Down(Some(error)));
            sleep(backoff.mul_f64(0.5 + 0.5 * fastrand::f64())).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    /// Connects, looks the exchange up, and opens the channel for publishing.
    async fn open(&self) -> lapin::Result<(Connection, Channel)> {
        let properties = ConnectionProperties::default().with_connection_name("hookswitch".into());
        let connection = Connection::connect_uri(self.place.uri.clone(), properties).await?;
        // The default exchange always exists, and may not be declared.
        if !self.place.exchange.as_str().is_empty() {
            // A channel of its own, as a failed lookup closes the channel.
            let lookup = connection.create_channel().await?;
            let options = ExchangeDeclareOptions {
                passive: true,
                ..ExchangeDeclareOptions::default()
            };
            let name = self.place.exchange.clone();
            // A passive declaration compares nothing but the name.
            let kind = ExchangeKind::Direct;
            lookup
                .exchange_declare(name, kind, options, FieldTable::default())
                .await?;
            lookup.close(200, "looked up".into()).await?;
        }
        let channel = connection.create_channel().await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        Ok((connection, channel))
    }

    /// Publishes until the connection or channel ends.
    async fn serve(&self, connection: Connection, channel: Channel, stop: &CancellationToken) {
        let events = connection.events_listener();
        // It may have been blocked before anybody listened.
        let blocked = connection.status().blocked();
        self.blocked.store(blocked, Ordering::Relaxed);
        let (jobs, queue) = mpsc::channel(QUEUE);
        self.state.send_replace(State::Up(jobs));
        let pipeline = Pipeline::new(
            channel,
            self.place.exchange.clone(),
            self.blocked.clone(),
            self.place.stall,
        );
        pipeline.run(events, queue, stop).await;
        self.blocked.store(false, Ordering::Relaxed);
        // The connection may be gone already; then there is nobody to say goodbye to.
        let _ = timeout(CLOSE_TIMEOUT, connection.close(200, "bye".into())).await;
    }
}
