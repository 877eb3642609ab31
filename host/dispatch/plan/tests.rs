//! Tests of `plan`: tables in, verdicts out.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use super::*;
use crate::event::EventId;

const NOW: u64 = 1_000_000;

fn event() -> Arc<Event> {
    Arc::new(Event {
        id: EventId::from_bytes([1; 16]),
        source: "didit".into(),
        provider: "didit".into(),
        kind: "status.updated".into(),
        provider_event_id: None,
        received_at_ms: 5,
        method: "POST".into(),
        path: "/hooks/didit".into(),
        query: String::new(),
        headers: Vec::new(),
        content_type: Some("application/json".into()),
        body: r#"{"subject":"u-1"}"#.into(),
        attributes: Vec::new(),
    })
}

fn route(name: &str, to: &[&str], key: Option<&str>) -> Arc<config::Route> {
    Arc::new(config::Route {
        name: name.into(),
        from: vec!["didit".into()],
        when: None,
        plugins: Vec::new(),
        to: to.iter().map(|name| (*name).into()).collect(),
        key: key.map(|text| crate::template::Template::parse(text, &["json"]).unwrap()),
    })
}

fn messages(sinks: &[Option<&str>]) -> Ended {
    let message = Message::of(&event());
    Ended::Messages(
        sinks
            .iter()
            .map(|sink| Message {
                sink: sink.map(str::to_owned),
                ..message.clone()
            })
            .collect(),
    )
}

fn planned(passes: Vec<(Arc<config::Route>, Ended)>) -> Plan {
    let matched = Matched {
        routes: passes.iter().map(|(route, _)| route.clone()).collect(),
        failed: Vec::new(),
        source_is_routed: true,
    };
    let passes = passes
        .into_iter()
        .map(|(route, ended)| RoutePass {
            route,
            passed: Passed {
                ended,
                plugins: "p@1".into(),
            },
        })
        .collect();
    plan(1, &event(), &matched, passes, NOW, 1.0)
}

fn waited(record: Record) -> PendingDelivery {
    PendingDelivery {
        seq: 1,
        event: event(),
        record,
        created_at_ms: NOW,
    }
}

fn sinks(plan: &Plan) -> Vec<(u32, &str)> {
    plan.deliveries
        .iter()
        .map(|d| (d.ordinal, d.sink.as_ref()))
        .collect()
}

#[test]
fn a_message_goes_to_all_sinks_or_to_the_one_that_its_plugin_chose() {
    let plan = planned(vec![(
        route("r", &["a", "b"], None),
        messages(&[None, Some("b")]),
    )]);
    assert_eq!(sinks(&plan), [(0, "a"), (1, "b"), (2, "b")]);
    assert!(plan.records.is_empty());
}

#[test]
fn a_sink_outside_of_the_route_is_a_dead_letter_that_names_it() {
    let plan = planned(vec![(route("r", &["a"], None), messages(&[Some("z")]))]);
    assert!(plan.deliveries.is_empty());
    let record = &plan.records[0];
    assert_eq!(
        (record.state, record.code.as_str()),
        (State::Dead, "unknown_sink")
    );
    assert!(record.detail.contains("`z`"), "{}", record.detail);
}

#[test]
fn message_ids_are_the_event_id_first_and_unique_for_each_sink() {
    let plan = planned(vec![
        (route("r1", &["a", "b"], None), messages(&[None, None])),
        (route("r2", &["b", "c"], None), messages(&[None])),
    ]);
    let id = event().id.to_string();
    let ids: Vec<(&str, &str)> = plan
        .deliveries
        .iter()
        .map(|d| (d.sink.as_ref(), d.message_id.strip_prefix(&id).unwrap()))
        .collect();
    assert_eq!(
        ids,
        [
            ("a", ""),
            ("b", ""),
            ("a", ".2"),
            ("b", ".2"),
            ("b", ".1025"),
            ("c", "")
        ]
    );
}

#[test]
fn order_holds_only_where_the_route_names_a_key_that_the_message_has() {
    let keyed = planned(vec![(
        route("r", &["a"], Some("{json:/subject}")),
        messages(&[None]),
    )]);
    assert_eq!(keyed.deliveries[0].key.as_deref(), Some("u-1"));
    assert!(keyed.deliveries[0].order.is_some());
    let absent = planned(vec![(
        route("r", &["a"], Some("{json:/nobody}")),
        messages(&[None]),
    )]);
    assert_eq!(
        (
            absent.deliveries[0].key.as_deref(),
            absent.deliveries[0].order
        ),
        (None, None)
    );
    let none = planned(vec![(route("r", &["a"], None), messages(&[None]))]);
    assert_eq!(none.deliveries[0].order, None);
}

#[test]
fn an_event_that_no_route_takes_is_on_record_with_the_reason() {
    let matched = |source_is_routed| Matched {
        routes: Vec::new(),
        failed: Vec::new(),
        source_is_routed,
    };
    let filtered = plan(1, &event(), &matched(true), Vec::new(), NOW, 1.0);
    assert_eq!(filtered.records[0].state, State::Dropped);
    let unrouted = plan(1, &event(), &matched(false), Vec::new(), NOW, 1.0);
    assert_eq!(unrouted.records[0].state, State::Dead);
    assert_eq!(unrouted.records[0].code, "no_route");
}

#[test]
fn a_filter_that_fails_is_a_dead_letter_beside_the_routes_that_match() {
    let matched = Matched {
        routes: Vec::new(),
        failed: vec![(route("r", &["a"], None), "no such key".into())],
        source_is_routed: true,
    };
    let plan = plan(1, &event(), &matched, Vec::new(), NOW, 1.0);
    assert_eq!(plan.records[0].code, "filter_failed");
    assert_eq!(plan.records[0].state, State::Dead);
}

#[test]
fn a_plugin_retry_waits_with_backoff_and_ends_in_the_dead_letters() {
    let retry = || Ended::Retry {
        after: None,
        reason: "busy".into(),
    };
    let first = planned(vec![(route("r", &["a"], None), retry())]);
    let record = &first.records[0];
    assert_eq!((record.state, record.attempts), (State::Pending, 1));
    assert_eq!(record.next_at_ms, 1_002_000);
    assert_eq!(record.sink.as_ref(), "");
    let mut last = record.clone();
    last.attempts = 9;
    let pass = RoutePass {
        route: route("r", &["a"], None),
        passed: Passed {
            ended: retry(),
            plugins: String::new(),
        },
    };
    let matched = Matched::default();
    let plan = replan(&waited(last), &matched, pass, NOW, 1.0);
    assert_eq!(
        (plan.records[0].state, plan.records[0].attempts),
        (State::Dead, 10)
    );
}

#[test]
fn a_retried_pass_takes_the_ordinal_of_what_waited() {
    let record = bare(1 << 16, "r".into(), State::Pending, NOW, &event());
    let route = route("r", &["a", "b"], None);
    let matched = Matched {
        routes: vec![route.clone()],
        failed: Vec::new(),
        source_is_routed: true,
    };
    let pass = RoutePass {
        route,
        passed: Passed {
            ended: messages(&[None]),
            plugins: String::new(),
        },
    };
    let plan = replan(&waited(record), &matched, pass, NOW, 1.0);
    assert_eq!(sinks(&plan), [(1 << 16, "a"), ((1 << 16) + 1, "b")]);
}
