//! Metrics: every number that `/metrics` shows, by name.

use crate::journal::JournalStats;

#[derive(Debug, Default)]
pub struct Metrics;

impl Metrics {
    pub fn new() -> Self {
        Self
    }
    /// A webhook was stored and answered; seconds from the complete head to the answer.
    pub fn accepted(&self, _source: &str, _seconds: f64) {}
    /// A webhook was a duplicate.
    pub fn duplicate(&self, _source: &str) {}
    /// A request was refused with this stable error code (`bad_signature`, `body_too_large`, `journal_full`).
    pub fn refused(&self, _source: &str, _code: &str) {}
    /// An event left dispatch: `delivered_to` sinks planned, or ended as `dropped`, `unrouted`, `dead`.
    pub fn dispatched(&self, _route: &str, _outcome: &str) {}
    /// A plugin call ended: `unchanged`, `forward`, `drop`, `reject`, `retry`, or an error code.
    pub fn plugin_call(&self, _plugin: &str, _outcome: &str, _seconds: f64) {}
    /// An attempt ended: `delivered`, `transient`, `configuration`, `permanent`.
    pub fn attempt(&self, _sink: &str, _result: &str, _seconds: f64) {}
    /// A delivery was dead-lettered with this code.
    pub fn dead_lettered(&self, _sink: &str, _code: &str) {}
    /// A sink's present state.
    pub fn sink_state(&self, _sink: &str, _in_flight: u64, _queued: u64, _pending: u64, _paused: bool) {}
    /// Forget a sink that is gone.
    pub fn sink_removed(&self, _sink: &str) {}
    /// A reload ended.
    pub fn reloaded(&self, _ok: bool, _generation: u64) {}
    /// The journal's present state.
    pub fn journal(&self, _stats: JournalStats) {}
    /// The page in the Prometheus text format.
    pub fn render(&self) -> String {
        String::new()
    }
}
