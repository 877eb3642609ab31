//! Tests of the metrics page.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeSet;

use super::series::{Pairs, SERIES_MAX, Seldom, Singles};
use super::*;

/// Every metric with at least one sample, as empty families are left out of the page.
fn exercised() -> Metrics {
    let metrics = Metrics::new();
    metrics.accepted("didit", 0.001);
    metrics.duplicate("didit");
    metrics.refused(NO_SOURCE, "not_found");
    metrics.handshake("slack", "url_verification", "answered");
    metrics.connection_opened();
    metrics.dispatched("kyc", "dropped");
    metrics.plugin_call("normalize", "forward", 0.000_02);
    metrics.attempt("crm", "delivered", 0.01);
    metrics.dead_lettered("crm", "http_413");
    metrics.replayed(1);
    metrics.discarded(1);
    metrics.sink_state(
        "crm",
        SinkState {
            in_flight: 1,
            queued: 2,
            pending: 3,
            limit: 16,
            paused: true,
        },
    );
    metrics.sink_halted("crm", "breaker");
    metrics.unenforced("didit", "bad_signature");
    metrics.reloaded(true, 2);
    metrics.journal(JournalStats {
        open: 7,
        bytes: 4096,
        dead: 1,
        healthy: true,
        full: false,
    });
    metrics
}

/// Names as queries use them: counters with `_total`, histograms without their suffixes.
fn names(page: &str) -> BTreeSet<String> {
    page.lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| {
            let (name, kind) = line.split_once(' ').unwrap();
            match kind {
                "counter" => format!("{name}_total"),
                "info" => format!("{name}_info"),
                _ => name.to_owned(),
            }
        })
        .collect()
}

#[test]
fn the_reference_page_lists_exactly_the_metrics_there_are() {
    let page = include_str!("../../docs/reference/metrics.md");
    let documented: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `hookswitch_"))
        .map(|rest| format!("hookswitch_{}", rest.split('`').next().unwrap()))
        .collect();
    assert_eq!(names(&exercised().render()), documented);
}

#[test]
fn the_page_shows_what_was_counted_and_ends_as_openmetrics_asks() {
    let page = exercised().render();
    for line in [
        "hookswitch_accepted_events_total{source=\"didit\"} 1",
        "hookswitch_refused_requests_total{source=\"none\",code=\"not_found\"} 1",
        "hookswitch_sink_pending_deliveries{sink=\"crm\"} 3",
        "hookswitch_journal_healthy 1",
        "hookswitch_generation 2",
        "hookswitch_accept_seconds_count{source=\"didit\"} 1",
    ] {
        assert!(
            page.lines().any(|l| l == line),
            "{line} is missing in\n{page}"
        );
    }
    assert!(page.ends_with("# EOF\n"));
}

#[test]
fn a_removed_sink_leaves_the_gauges_and_keeps_its_counters() {
    let metrics = exercised();
    metrics.sink_removed("crm");
    let page = metrics.render();
    assert!(!page.contains("hookswitch_sink_paused{"));
    assert!(page.contains("hookswitch_sink_attempts_total{sink=\"crm\""));
}

#[test]
fn series_beyond_the_bound_share_one() {
    let mut registry = Registry::default();
    let make: fn() -> Counter = Counter::default;
    let singles = Singles::new(&mut registry, "single", "help", "label", make);
    let pairs = Pairs::new(&mut registry, "pair", "help", ["first", "second"], make);
    for n in 0..SERIES_MAX + 5 {
        singles.with(&n.to_string(), |counter| counter.inc());
        pairs.with(&(n % 7).to_string(), &n.to_string(), |counter| {
            counter.inc()
        });
    }
    // A series that is there already stays itself.
    singles.with("3", |counter| counter.inc());
    pairs.with("3", "3", |counter| counter.inc());
    let mut page = String::new();
    prometheus_client::encoding::text::encode(&mut page, &registry).unwrap();
    for line in [
        "single_total{label=\"3\"} 2",
        "single_total{label=\"other\"} 5",
        "pair_total{first=\"3\",second=\"3\"} 2",
        "pair_total{first=\"other\",second=\"other\"} 5",
    ] {
        assert!(page.lines().any(|l| l == line), "{line}");
    }
}

#[test]
fn a_counter_that_is_touched_seldom_has_no_more_series_than_others() {
    let mut registry = Registry::default();
    let counter = Seldom::new(&mut registry, "c", "c", ["a", "b", "c"]);
    for number in 0..=SERIES_MAX {
        counter.increment(["x", "y", &number.to_string()]);
    }
    counter.increment(["x", "y", "0"]);
    let mut page = String::new();
    prometheus_client::encoding::text::encode(&mut page, &registry).unwrap();
    assert!(page.contains("c_total{a=\"x\",b=\"y\",c=\"0\"} 2"));
    assert!(page.contains("c_total{a=\"other\",b=\"other\",c=\"other\"} 1"));
}
