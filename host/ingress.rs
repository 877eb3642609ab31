//! Ingress: from a socket to an event that is safe.
//!
//! The stages of a request, in this order, each cheaper than the next:
//!
//! ```text
//! connection (bounded, watched) -> head (bytes, fields, time) -> source by exact path
//!   -> client's strikes, address and certificate -> rate -> method -> content type -> in-flight bound
//!   -> body (bytes, time) -> verify -> journal.append -> 2xx
//!                         |        +--> signed handshake -> 2xx
//!                         +--> handshake that is not signed -> 2xx
//! ```
//!
//! Invariants: the 2xx of an event leaves only after [`Journal::append`] returned `Ok`; the body's bytes are never
//! re-encoded; each way to fail is a row of [`answer::Refusal`]; nothing a sender does makes memory grow
//! beyond connections times heads plus in-flight times bodies. Ingress knows sources and their verifiers,
//! and knows neither routes nor other plugins nor sinks. With admin and the HTTP sink it is the only module
//! that knows hyper.

mod admission;
pub mod answer;
pub mod body;
pub mod certificate;
pub mod client;
pub mod connection;
pub(crate) mod event;
pub mod gate;
pub mod headers;
pub mod key_ring;
pub mod listener;
mod log_budget;
pub mod pace;
pub mod proof;
pub mod rate;
mod report;
pub mod request;
pub mod shake;
pub mod socket;
mod strikes;
pub mod tls;

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::config;
use crate::fetch::Fetcher;
use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::rejected;

pub use listener::{Listener, serve};
pub use proof::Proof;

/// The sources of the running generation.
pub trait Sources: Send + Sync + 'static {
    /// The source whose path this is, exactly.
    fn by_path(&self, path: &str) -> Option<Arc<Intake>>;
}

/// A source with what judges its requests.
#[derive(Debug)]
pub struct Intake {
    /// As configured.
    pub source: Arc<config::Source>,
    /// Says whether a request is authentic.
    pub proof: Proof,
}

/// Bounds of the listener; per-source bounds are in [`config::Source`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time for a head, and for a TLS handshake.
    pub header_timeout: Duration,
    /// Time for a body, all of it.
    pub body_timeout: Duration,
    /// Bytes of a head.
    pub header_bytes_max: usize,
    /// Connections at a time.
    pub connections_max: usize,
    /// How long a provider's event id is remembered; zero forgets at once.
    pub dedupe_window: Duration,
}

impl Limits {
    /// The limits that a configuration asks for.
    #[must_use]
    pub fn new(server: &config::Server, storage: &config::Storage) -> Self {
        Self {
            header_timeout: server.header_timeout,
            body_timeout: server.body_timeout,
            header_bytes_max: server.header_bytes_max,
            connections_max: server.connections_max,
            dedupe_window: storage.dedupe_window,
        }
    }
}

/// Milliseconds since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The machine's clock.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(crate::clock::unix_ms)
}

/// What ingress works with.
pub struct Deps {
    /// Sources by path; a reload swaps what is behind it.
    pub sources: Arc<dyn Sources>,
    /// Where events become safe.
    pub journal: Arc<dyn Journal>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// For what a handshake wants fetched.
    pub fetcher: Arc<Fetcher>,
    /// Requests that got no 2xx.
    pub rejected: Arc<rejected::Log>,
    /// Bounds.
    pub limits: Limits,
    /// Proxies whose word on the client's address is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// Refusals that one address may cause; `None` watches none.
    pub reject_rate: Option<config::Rate>,
    /// Now.
    pub clock: Clock,
    /// TLS, if the listener has it.
    pub tls: Option<Arc<tls::Identity>>,
}
