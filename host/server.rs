//! Server: the parts put together, in the order they start and the reverse order they stop.
//!
//! Start: config, journal, plugin engine, first generation, listeners, dispatch. Nothing is bound before
//! the config and every component are known to be good. Stop: ingress drains, dispatch hands over what
//! it has, sinks finish their attempts, the journal closes; each step has what is left of one deadline.

mod sinks;
mod state;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Control, ReloadReport, SinkOrder, Status};
use crate::config::{self, Config, Diagnostics};
use crate::dead_letter::{DeadLetters, ReplayError};
use crate::delivery::Order;
use crate::dispatch::Dispatcher;
use crate::fetch::Fetcher;
use crate::generation::{Current, Parts, Prepared, prepare, sweep};
use crate::ingress::{self, Deps, Limits, Listener, Sources};
use crate::journal::archive::{Acted, Which};
use crate::journal::audit::Actor;
use crate::journal::sqlite::{OpenError, Options, SqliteJournal};
use crate::journal::{Journal, JournalError};
use crate::metrics::Metrics;
use crate::plugin::Engine;
use crate::rejected;
use crate::reload::{self, Reloader};
use crate::shutdown::{Shutdown, Signals};

pub(crate) use state::NoState;
pub use state::PluginState;

/// How often the journal's figures are published.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);
/// What sinks get to end their attempts if the drain deadline has passed already.
const CUT_GRACE: Duration = Duration::from_millis(500);

/// Why the program does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The config, or something that it names, is not good.
    #[error("the configuration has errors")]
    Config(Diagnostics),
    /// The journal does not open.
    #[error("opening the journal failed")]
    Journal(#[source] OpenError),
    /// The plugin engine does not start.
    #[error("starting the plugin engine failed")]
    Engine(#[source] crate::plugin::engine::EngineError),
    /// The certificate, key or client CA is not good.
    #[error("loading the TLS certificate failed")]
    Tls(#[source] ingress::tls::TlsError),
    /// An address cannot be listened on.
    #[error("listening on {address} failed")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As asked; nothing was left undone that the journal does not know of.
    Drained,
    /// The journal failed; the log says why. Start again once the disk is well.
    JournalFailed,
}

/// A running program.
pub struct Server {
    /// Where webhooks come in.
    pub listen: SocketAddr,
    /// Where the admin API is, if it is on.
    pub admin: Option<SocketAddr>,
    /// Ends it.
    pub shutdown: Shutdown,
    /// Reloads it and tells its state.
    pub control: Arc<dyn Control>,
    running: Running,
}

/// What has to be stopped, in order.
struct Running {
    journal: Arc<SqliteJournal>,
    current: Arc<Current>,
    ingress: JoinHandle<()>,
    dispatch: JoinHandle<()>,
    stop_dispatch: CancellationToken,
    stop_rest: CancellationToken,
}

impl Server {
    /// Starts with the config in `file`. Warnings are logged.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running then.
    pub async fn start(file: &Path) -> Result<Self, StartError> {
        let mut first_seen = reload::fingerprint(&[file.to_owned()]);
        let (config, warnings) = config::load(file).map_err(StartError::Config)?;
        let named: Vec<PathBuf> = config.watched_files().into_iter().skip(1).collect();
        first_seen.extend(reload::fingerprint(&named));
        if !warnings.is_empty() {
            tracing::warn!("{}", warnings.render(false));
        }
        let server = config.server.clone();
        let journal = SqliteJournal::open(options(&config)).map_err(StartError::Journal)?;
        let metrics = Arc::new(Metrics::new());
        let parts = Parts {
            engine: Arc::new(engine(&config)?),
            state: Arc::new(PluginState::new(journal.state())),
            journal: journal.clone(),
            metrics: metrics.clone(),
        };
        let limits = Limits::new(&config.server, &config.storage);
        let prepared = prepare(config, warnings, &parts.engine, &parts.state, None)
            .await
            .map_err(StartError::Config)?;
        let tls = match &server.tls {
            None => None,
            Some(tls) => Some(Arc::new(
                ingress::tls::Identity::load(tls).map_err(StartError::Tls)?,
            )),
        };
        let listener = bind(server.listen).await?;
        let admin_listener = match server.admin {
            None => None,
            Some(address) => Some(bind(address).await?),
        };
        let listen = listener.local_addr().unwrap_or(server.listen);
        let admin = admin_listener.as_ref().and_then(|l| l.local_addr().ok());

        let shutdown = Shutdown::new();
        let (stop_dispatch, stop_rest) = (CancellationToken::new(), CancellationToken::new());
        let current = Arc::new(Current::new(prepared.start(1, &parts, None)));
        let reloader = Arc::new(Reloader::new(
            file.to_owned(),
            parts,
            current.clone(),
            tls.clone(),
            first_seen,
        ));
        let dispatcher = Dispatcher {
            journal: journal.clone(),
            current: current.clone(),
            metrics: metrics.clone(),
        };
        let dead_letters = DeadLetters::new(journal.clone(), dispatcher.clone());
        let rejected = Arc::new(rejected::Log::new(
            server.rejected_bytes_max,
            server.rejected_body_bytes_max,
        ));
        let control: Arc<dyn Control> = Arc::new(Controller {
            reloader: reloader.clone(),
            current: current.clone(),
            journal: journal.clone(),
            dead_letters: Arc::new(dead_letters),
            shutdown: shutdown.clone(),
        });
        metrics.reloaded(true, 1);

        let dispatch = tokio::spawn(dispatcher.run(stop_dispatch.clone()));
        tokio::spawn(sweep::run(
            journal.clone(),
            current.clone(),
            metrics.clone(),
            stop_rest.clone(),
        ));
        tokio::spawn(publish(journal.clone(), metrics.clone(), stop_rest.clone()));
        tokio::spawn(reload::watch(reloader, stop_rest.clone()));
        if let Some(listener) = admin_listener {
            let desk = admin::Deps {
                journal: journal.clone(),
                archive: journal.clone(),
                metrics: metrics.clone(),
                control: control.clone(),
                rejected: rejected.clone(),
            };
            let stop = stop_rest.clone();
            tokio::spawn(admin::serve(listener, Arc::new(desk), stop));
        }
        let deps = Deps {
            sources: current.clone() as Arc<dyn Sources>,
            journal: journal.clone(),
            metrics,
            fetcher: Arc::new(Fetcher::new()),
            rejected,
            limits,
            trusted_proxies: server.trusted_proxies,
            reject_rate: server.reject_rate,
            clock: ingress::system_clock(),
            tls,
        };
        let ingress = tokio::spawn(ingress::serve(listener, Arc::new(deps), shutdown.clone()));
        tracing::info!(%listen, admin = ?admin, generation = 1, "ready");
        Ok(Self {
            listen,
            admin,
            shutdown,
            control,
            running: Running {
                journal,
                current,
                ingress,
                dispatch,
                stop_dispatch,
                stop_rest,
            },
        })
    }

    /// Waits until [`Server::shutdown`] asks for the end or the journal fails, and ends in order.
    pub async fn wait(self) -> End {
        let Running {
            journal,
            current,
            ingress,
            dispatch,
            stop_dispatch,
            stop_rest,
        } = self.running;
        let end = tokio::select! {
            () = self.shutdown.draining() => End::Drained,
            () = journal.failed() => {
                tracing::error!("the journal failed: stopping, so that no webhook is accepted that is not safe");
                self.shutdown.force();
                End::JournalFailed
            }
        };
        ingress.await.ok();
        stop_dispatch.cancel();
        let cut = self.shutdown.cut_token().clone();
        let handed_over = tokio::select! {
            done = dispatch => done.is_ok(),
            () = cut.cancelled() => false,
        };
        if !handed_over {
            tracing::warn!("events in hand were left to the next start: the drain deadline passed");
        }
        drain_sinks(&current, &cut).await;
        stop_rest.cancel();
        journal.close().await;
        end
    }
}

/// Lets every sink end its attempts, until `cut`.
async fn drain_sinks(current: &Current, cut: &CancellationToken) {
    let generation = current.load();
    let mut tasks = Vec::new();
    for sink in generation.sinks.values() {
        sink.handle.drain();
        tasks.extend(sink.handle.take_task());
    }
    let mut all = futures_util::future::join_all(tasks);
    tokio::select! {
        _ = &mut all => return,
        () = cut.cancelled() => {}
    }
    for sink in generation.sinks.values() {
        sink.handle.abort();
    }
    if tokio::time::timeout(CUT_GRACE, all).await.is_err() {
        tracing::warn!(
            "some sinks did not end in time; what they had in hand is sent again after the next start"
        );
    }
}

/// Serves until a signal ends the program. SIGHUP reloads.
///
/// # Errors
/// See [`StartError`].
pub async fn serve(file: &Path) -> Result<End, StartError> {
    let server = Server::start(file).await?;
    match Signals::listen() {
        Ok(signals) => {
            let (reloads, mut requested) = mpsc::channel(1);
            let drain = server.running.current.load().config.server.drain;
            tokio::spawn(signals.watch(server.shutdown.clone(), drain, reloads));
            let control = server.control.clone();
            tokio::spawn(async move {
                while requested.recv().await.is_some() {
                    control.reload().await;
                }
            });
        }
        Err(error) => {
            tracing::error!(%error, "signals are not handled; stop the process by SIGKILL, nothing is lost")
        }
    }
    Ok(server.wait().await)
}

/// Checks all that [`Server::start`] would, and opens, binds and connects nothing. Components are compiled
/// into the cache that `run` uses.
///
/// # Errors
/// See [`StartError`].
pub async fn check(file: &Path) -> Result<(Config, Diagnostics), StartError> {
    let (config, warnings) = config::load(file).map_err(StartError::Config)?;
    if let Some(tls) = &config.server.tls {
        ingress::tls::read(tls).map_err(StartError::Tls)?;
    }
    let engine = engine(&config)?;
    let state: Arc<dyn crate::plugin::State> = Arc::new(NoState);
    prepare(config.clone(), warnings.clone(), &engine, &state, None)
        .await
        .map_err(StartError::Config)?;
    Ok((config, warnings))
}

/// Prepares all that [`Server::start`] would, for going through it by hand: opens, binds and connects nothing,
/// and gives plugins a store that is empty and is forgotten.
///
/// # Errors
/// See [`StartError`].
pub async fn rehearse(file: &Path) -> Result<Prepared, StartError> {
    let (config, warnings) = config::load(file).map_err(StartError::Config)?;
    let engine = engine(&config)?;
    let state: Arc<dyn crate::plugin::State> = Arc::new(state::Scratch::default());
    prepare(config, warnings, &engine, &state, None)
        .await
        .map_err(StartError::Config)
}

fn engine(config: &Config) -> Result<Engine, StartError> {
    Engine::new(components_folder(config)).map_err(StartError::Engine)
}

/// Where compiled components are kept.
fn components_folder(config: &Config) -> PathBuf {
    config.storage.path.join("components")
}

fn options(config: &Config) -> Options {
    let storage = &config.storage;
    Options {
        path: storage.path.clone(),
        retain: storage.retain,
        retain_dead_letters: storage.retain_dead_letters,
        size_bytes_max: storage.size_bytes_max,
        free_bytes_min: storage.free_bytes_min,
        dedupe_window: storage.dedupe_window,
        dedupe_ids_max: storage.dedupe_ids_max,
    }
}

async fn bind(address: SocketAddr) -> Result<Listener, StartError> {
    Listener::bind(address)
        .await
        .map_err(|source| StartError::Listen { address, source })
}

/// Publishes the journal's figures.
async fn publish(journal: Arc<SqliteJournal>, metrics: Arc<Metrics>, stop: CancellationToken) {
    let mut every = tokio::time::interval(PUBLISH_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = every.tick() => metrics.journal(journal.stats()),
            () = stop.cancelled() => return,
        }
    }
}

/// What the admin API sees of the program.
struct Controller {
    reloader: Arc<Reloader>,
    current: Arc<Current>,
    journal: Arc<SqliteJournal>,
    dead_letters: Arc<DeadLetters>,
    shutdown: Shutdown,
}

#[async_trait]
impl Control for Controller {
    async fn reload(&self) -> ReloadReport {
        self.reloader.reload().await
    }

    fn sinks(&self) -> Vec<admin::view::Sink> {
        let generation = self.current.load();
        let mut sinks: Vec<_> = generation
            .sinks
            .values()
            .map(|sink| sinks::view(&sink.config, &sink.handle.status()))
            .collect();
        sinks.sort_by(|one, other| one.name.cmp(&other.name));
        sinks
    }

    async fn order_sink(
        &self,
        name: &str,
        order: SinkOrder,
    ) -> Result<Option<admin::view::Sink>, JournalError> {
        let Some(sink) = self.current.load().sinks.get(name).cloned() else {
            return Ok(None);
        };
        // Kept first: a restart between the two must not forget it, and a worker that starts meanwhile reads it.
        self.journal
            .set_paused(name, order == SinkOrder::Pause)
            .await?;
        let order = match order {
            SinkOrder::Pause => Order::Pause,
            SinkOrder::Resume => Order::Resume,
        };
        tracing::warn!(sink = name, ?order, "an operator ordered a sink");
        // A worker that is ending has a successor, which reads what was kept.
        let status = sink.handle.order(order).await;
        let status = status.unwrap_or_else(|| sink.handle.status());
        Ok(Some(sinks::view(&sink.config, &status)))
    }

    async fn replay(&self, which: Which, actor: Actor) -> Result<Acted, ReplayError> {
        self.dead_letters.replay(which, actor).await
    }

    fn status(&self) -> Status {
        let stats = self.journal.stats();
        let mut not_ready = Vec::new();
        if self.shutdown.is_draining() {
            not_ready.push("draining");
        }
        if !stats.healthy {
            not_ready.push("journal_failed");
        }
        if stats.full {
            not_ready.push("journal_full");
        }
        Status {
            generation: self.current.load().number,
            ready: not_ready.is_empty(),
            not_ready,
        }
    }
}
