//! Metrics: every number that `/metrics` shows, by name.
//!
//! Callers name sources, routes, plugins and sinks as text; the handles behind the names are cached, so a
//! call on the hot path costs a hash look-up and an atomic add. The number of label values is bounded by
//! [`series::SERIES_MAX`]; what comes after is counted under `other`. `docs/reference/metrics.md` lists
//! every name, and a test compares the two.

pub mod series;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::journal::JournalStats;
use series::{Pairs, Seldom, Singles};

/// Media type of [`Metrics::render`]: OpenMetrics 1.0, which Prometheus reads since 2.5.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Label value for a request that belongs to no source.
pub const NO_SOURCE: &str = "none";

/// 100 us to 10 s, for the way from head to answer and for attempts: fsync and networks live in it.
const SECONDS_BUCKETS: [f64; 14] = [
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0,
];

/// 10 us to 5 s, for plugin calls: a fresh instance takes about 20 us, the default limit is 50 ms.
const PLUGIN_SECONDS_BUCKETS: [f64; 12] = [
    0.000_01, 0.000_025, 0.000_05, 0.0001, 0.000_25, 0.0005, 0.001, 0.005, 0.025, 0.1, 1.0, 5.0,
];

fn seconds() -> Histogram {
    Histogram::new(SECONDS_BUCKETS)
}

fn plugin_seconds() -> Histogram {
    Histogram::new(PLUGIN_SECONDS_BUCKETS)
}

/// A sink's figures at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct SinkState {
    /// Attempts under way.
    pub in_flight: u64,
    /// Deliveries that wait in memory.
    pub queued: u64,
    /// Deliveries that wait in the journal.
    pub pending: u64,
    /// Attempts at a time that are allowed now.
    pub limit: u64,
    /// True while nothing is sent.
    pub paused: bool,
}

/// All metrics of the program. One per process; clones of handles are not kept outside.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    accepted: Singles<Counter>,
    accept_seconds: Singles<Histogram>,
    duplicates: Singles<Counter>,
    refused: Pairs<Counter>,
    handshakes: Seldom<3>,
    unenforced: Pairs<Counter>,
    connections_open: Gauge,
    connections: Counter,
    dispatched: Pairs<Counter>,
    plugin_calls: Pairs<Counter>,
    plugin_seconds: Singles<Histogram>,
    attempts: Pairs<Counter>,
    attempt_seconds: Singles<Histogram>,
    dead_letters: Pairs<Counter>,
    replayed: Counter,
    discarded: Counter,
    sink_in_flight: Singles<Gauge>,
    sink_queued: Singles<Gauge>,
    sink_pending: Singles<Gauge>,
    sink_limit: Singles<Gauge>,
    sink_paused: Singles<Gauge>,
    sink_halts: Pairs<Counter>,
    reloads: Singles<Counter>,
    generation: Gauge,
    journal_open: Gauge,
    journal_bytes: Gauge,
    journal_dead: Gauge,
    journal_healthy: Gauge,
    journal_full: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("hookswitch");
        let r = &mut registry;
        let build = prometheus_client::metrics::info::Info::new(vec![(
            "version",
            env!("CARGO_PKG_VERSION"),
        )]);
        r.register("build", "Which build runs", build);
        Self {
            accepted: Singles::new(
                r,
                "accepted_events",
                "Events stored and answered with 2xx",
                "source",
                Counter::default,
            ),
            accept_seconds: Singles::new(
                r,
                "accept_seconds",
                "Time from a request's complete head to its 2xx",
                "source",
                seconds,
            ),
            duplicates: Singles::new(
                r,
                "duplicate_events",
                "Events that were stored before, answered with 2xx",
                "source",
                Counter::default,
            ),
            refused: Pairs::new(
                r,
                "refused_requests",
                "Requests answered with an error, by operator's code",
                ["source", "code"],
                Counter::default,
            ),
            handshakes: Seldom::new(
                r,
                "handshakes",
                "Providers' questions whether a URL is ours, by outcome",
                ["source", "handshake", "outcome"],
            ),
            unenforced: Pairs::new(
                r,
                "unenforced_events",
                "Events taken although they are not authentic, by reason",
                ["source", "code"],
                Counter::default,
            ),
            connections_open: plain(
                r,
                "open_connections",
                "Connections of webhook senders open now",
            ),
            connections: plain(r, "connections", "Connections of webhook senders accepted"),
            dispatched: Pairs::new(
                r,
                "dispatched_events",
                "Events that left dispatch, by outcome",
                ["route", "outcome"],
                Counter::default,
            ),
            plugin_calls: Pairs::new(
                r,
                "plugin_calls",
                "Plugin calls, by outcome",
                ["plugin", "outcome"],
                Counter::default,
            ),
            plugin_seconds: Singles::new(
                r,
                "plugin_call_seconds",
                "Time of a plugin call, instantiation included",
                "plugin",
                plugin_seconds,
            ),
            attempts: Pairs::new(
                r,
                "sink_attempts",
                "Delivery attempts, by result",
                ["sink", "result"],
                Counter::default,
            ),
            attempt_seconds: Singles::new(
                r,
                "sink_attempt_seconds",
                "Time of a delivery attempt",
                "sink",
                seconds,
            ),
            dead_letters: Pairs::new(
                r,
                "dead_letters",
                "Deliveries given up, by cause",
                ["sink", "code"],
                Counter::default,
            ),
            replayed: plain(
                r,
                "replayed_deliveries",
                "Dead letters sent on their way again",
            ),
            discarded: plain(
                r,
                "discarded_deliveries",
                "Dead letters given up for good by an operator",
            ),
            sink_in_flight: Singles::new(
                r,
                "sink_in_flight_deliveries",
                "Attempts going on now",
                "sink",
                Gauge::default,
            ),
            sink_queued: Singles::new(
                r,
                "sink_queued_deliveries",
                "Deliveries that wait in memory",
                "sink",
                Gauge::default,
            ),
            sink_pending: Singles::new(
                r,
                "sink_pending_deliveries",
                "Deliveries that wait in the journal",
                "sink",
                Gauge::default,
            ),
            sink_limit: Singles::new(
                r,
                "sink_limit_deliveries",
                "Attempts at a time that the sink's adaptive limit allows now",
                "sink",
                Gauge::default,
            ),
            sink_paused: Singles::new(
                r,
                "sink_paused",
                "1 while nothing is sent: configuration error, open breaker, gone, or an operator's pause",
                "sink",
                Gauge::default,
            ),
            sink_halts: Pairs::new(
                r,
                "sink_halts",
                "Times that errors halted a sink, by cause",
                ["sink", "cause"],
                Counter::default,
            ),
            reloads: Singles::new(
                r,
                "reloads",
                "Configuration reloads, by outcome",
                "outcome",
                Counter::default,
            ),
            generation: plain(
                r,
                "generation",
                "Number of the running configuration, from 1",
            ),
            journal_open: plain(r, "journal_open_events", "Events that are not finished"),
            journal_bytes: plain(r, "journal_bytes", "Bytes in use by the journal"),
            journal_dead: plain(
                r,
                "journal_dead_deliveries",
                "Deliveries kept as dead letters",
            ),
            journal_healthy: plain(r, "journal_healthy", "0 after a failed commit"),
            journal_full: plain(
                r,
                "journal_full",
                "1 while new events are refused for want of space",
            ),
            registry,
        }
    }

    /// A webhook was stored and answered; seconds from the complete head to the answer.
    pub fn accepted(&self, source: &str, seconds: f64) {
        self.accepted.with(source, |counter| counter.inc());
        self.accept_seconds
            .with(source, |histogram| histogram.observe(seconds));
    }

    /// A webhook was a duplicate.
    pub fn duplicate(&self, source: &str) {
        self.duplicates.with(source, |counter| counter.inc());
    }

    /// A request was refused with this stable error code (`bad_signature`, `body_too_large`, `journal_full`).
    /// `source` is [`NO_SOURCE`] where the request did not get as far as one.
    pub fn refused(&self, source: &str, code: &str) {
        self.refused.with(source, code, |counter| counter.inc());
    }

    /// A handshake ended: `answered`, `unauthorized`, `bad_challenge`, `unexpected_value`, `bad_url`, `overloaded`;
    /// and what it wanted fetched: `confirmed`, `not_confirmed`.
    pub fn handshake(&self, source: &str, handshake: &str, outcome: &str) {
        self.handshakes.increment([source, handshake, outcome]);
    }

    /// An event was taken although verification said no, because its source does not enforce.
    pub fn unenforced(&self, source: &str, code: &str) {
        self.unenforced.with(source, code, |counter| counter.inc());
    }

    /// A connection was accepted on the webhook listener.
    pub fn connection_opened(&self) {
        self.connections.inc();
        self.connections_open.inc();
    }

    /// A connection of the webhook listener ended.
    pub fn connection_closed(&self) {
        self.connections_open.dec();
    }

    /// An event left dispatch: `delivered_to` sinks planned, or ended as `dropped`, `unrouted`, `dead`.
    pub fn dispatched(&self, route: &str, outcome: &str) {
        self.dispatched
            .with(route, outcome, |counter| counter.inc());
    }

    /// A plugin call ended: `unchanged`, `forward`, `drop`, `reject`, `retry`, or an error code.
    pub fn plugin_call(&self, plugin: &str, outcome: &str, seconds: f64) {
        self.plugin_calls
            .with(plugin, outcome, |counter| counter.inc());
        self.plugin_seconds
            .with(plugin, |histogram| histogram.observe(seconds));
    }

    /// An attempt ended: `delivered`, `transient`, `configuration`, `permanent`.
    pub fn attempt(&self, sink: &str, result: &str, seconds: f64) {
        self.attempts.with(sink, result, |counter| counter.inc());
        self.attempt_seconds
            .with(sink, |histogram| histogram.observe(seconds));
    }

    /// A delivery was dead-lettered with this code.
    pub fn dead_lettered(&self, sink: &str, code: &str) {
        self.dead_letters.with(sink, code, |counter| counter.inc());
    }

    /// So many dead letters were replayed.
    pub fn replayed(&self, count: u64) {
        self.replayed.inc_by(count);
    }

    /// So many dead letters were discarded.
    pub fn discarded(&self, count: u64) {
        self.discarded.inc_by(count);
    }

    /// A sink's present state.
    pub fn sink_state(&self, sink: &str, state: SinkState) {
        for (gauges, value) in [
            (&self.sink_in_flight, state.in_flight),
            (&self.sink_queued, state.queued),
            (&self.sink_pending, state.pending),
            (&self.sink_limit, state.limit),
            (&self.sink_paused, u64::from(state.paused)),
        ] {
            gauges.with(sink, |gauge| set(gauge, value));
        }
    }

    /// Errors halted a sink: `configuration`, `breaker` or `gone`.
    pub fn sink_halted(&self, sink: &str, cause: &str) {
        self.sink_halts.with(sink, cause, |counter| counter.inc());
    }

    /// Forget a sink that is gone. Its counters stay, as counters must not go back.
    pub fn sink_removed(&self, sink: &str) {
        for gauges in [
            &self.sink_in_flight,
            &self.sink_queued,
            &self.sink_pending,
            &self.sink_limit,
            &self.sink_paused,
        ] {
            gauges.remove(sink);
        }
    }

    /// A reload ended.
    pub fn reloaded(&self, ok: bool, generation: u64) {
        self.reloads
            .with(if ok { "ok" } else { "rejected" }, |counter| counter.inc());
        set(&self.generation, generation);
    }

    /// The journal's present state.
    pub fn journal(&self, stats: JournalStats) {
        set(&self.journal_open, stats.open);
        set(&self.journal_bytes, stats.bytes);
        set(&self.journal_dead, stats.dead);
        set(&self.journal_healthy, u64::from(stats.healthy));
        set(&self.journal_full, u64::from(stats.full));
    }

    /// The page in the OpenMetrics text format; see [`CONTENT_TYPE`].
    #[must_use]
    pub fn render(&self) -> String {
        let mut page = String::with_capacity(16 * 1024);
        // Writing into a `String` cannot fail; an encoder's own error would cut the page short, which a
        // scraper reports because the closing `# EOF` is missing.
        if prometheus_client::encoding::text::encode(&mut page, &self.registry).is_err() {
            tracing::error!("metrics could not be encoded; the page is incomplete");
        }
        page
    }
}

/// Registers a metric without labels.
fn plain<M>(registry: &mut Registry, name: &str, help: &str) -> M
where
    M: prometheus_client::registry::Metric + Default + Clone,
{
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

/// Sets a gauge, which is signed, to an unsigned number.
fn set(gauge: &Gauge, value: u64) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}

#[cfg(test)]
mod tests;
