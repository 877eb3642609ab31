//! Admin: what operators and their machines ask of the running program, on a port of its own.
//!
//! Health, metrics, events, dead letters and reload, never on the webhook listener. It asks the journal, its
//! archive and [`Control`]; it changes nothing by itself. Invariants: no page can be read or triggered from a web page
//! in a browser ([`guard`]), every answer is bounded, and no answer holds a secret of the configuration.
//! Event bodies and headers are shown as received, so the port is for operators only.

mod answer;
pub mod api;
pub mod client;
mod dead_letters;
pub mod guard;
pub mod listener;
pub mod query;
pub mod rejected;
pub mod view;

use std::sync::Arc;

use async_trait::async_trait;

use crate::dead_letter::ReplayError;
use crate::journal::archive::{Acted, Archive, Which};
use crate::journal::audit::Actor;
use crate::journal::{Journal, JournalError};
use crate::metrics::Metrics;
use crate::rejected::Log;

pub use listener::serve;

/// What the admin listener works with.
pub struct Deps {
    /// The running program.
    pub control: Arc<dyn Control>,
    /// Events.
    pub journal: Arc<dyn Journal>,
    /// Dead letters, and the audit log.
    pub archive: Arc<dyn Archive>,
    /// Numbers.
    pub metrics: Arc<Metrics>,
    /// Requests that got no 2xx.
    pub rejected: Arc<Log>,
}

/// What the admin API can ask of the running program.
#[async_trait]
pub trait Control: Send + Sync + 'static {
    /// Reads the config again and swaps the generation if it is good.
    async fn reload(&self) -> ReloadReport;
    /// Makes dead letters pending again and sends them on their way; returns once that is on disk.
    async fn replay(&self, which: Which, actor: Actor) -> Result<Acted, ReplayError>;
    /// The present state.
    fn status(&self) -> Status;
    /// Sinks by name.
    fn sinks(&self) -> Vec<view::Sink>;
    /// Pauses or resumes a sink, durably, and gives its state then; `None` if there is no such sink.
    ///
    /// # Errors
    /// If the order could not be kept; the sink goes on as before.
    async fn order_sink(
        &self,
        name: &str,
        order: SinkOrder,
    ) -> Result<Option<view::Sink>, JournalError>;
}

/// What an operator wants of a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkOrder {
    /// Send nothing more.
    Pause,
    /// Go on, whatever stopped it.
    Resume,
}

/// How a reload went.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ReloadReport {
    /// True if the new config is the running one.
    pub ok: bool,
    /// Number of the generation that runs now, from 1.
    pub generation: u64,
    /// What changed, a line each (`plugin normalize-kyc: 3f2a... -> 9b1c...`); empty if nothing did.
    pub changes: Vec<String>,
    /// The rendered diagnostics, without colours; empty if there are none.
    pub diagnostics: String,
}

/// The present state.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Status {
    /// Number of the running generation.
    pub generation: u64,
    /// True while the program takes webhooks: started, journal healthy and not full, not draining.
    pub ready: bool,
    /// Why not, in stable words (`starting`, `draining`, `journal_failed`, `journal_full`); empty if ready.
    pub not_ready: Vec<&'static str>,
}
