//! Tests of `route`: tables in, verdicts out.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use proptest::prelude::*;

use super::*;
use crate::event::{EventId, Header};

fn event(body: &str) -> Event {
    Event {
        id: EventId::from_bytes([7; 16]),
        source: "didit".into(),
        provider: "didit".into(),
        kind: "status.updated".to_owned(),
        provider_event_id: None,
        received_at_ms: 1_700_000_000_000,
        method: "POST".to_owned(),
        path: "/hooks/didit".to_owned(),
        query: "a=1".to_owned(),
        headers: vec![
            Header::new("x-tenant", "acme"),
            Header::new("accept", "a"),
            Header::new("accept", "b"),
        ],
        content_type: Some("application/json".to_owned()),
        body: body.to_owned().into(),
        attributes: vec![("coverage".to_owned(), "full".to_owned())],
    }
}

fn route(name: &str, from: &[&str], when: Option<&str>) -> Arc<config::Route> {
    Arc::new(config::Route {
        name: name.into(),
        from: from.iter().map(|name| (*name).into()).collect(),
        when: when.map(|text| Arc::new(Filter::compile(text).unwrap())),
        plugins: vec![],
        to: vec!["audit".into()],
        key: None,
    })
}

#[test]
fn filters_see_the_event_and_the_body() {
    let event = event(
        r#"{"n": 5, "f": 1.5, "big": 18446744073709551615, "s": "x\"ü", "l": [{"k": 1}, {"k": 2}], "z": null}"#,
    );
    for (filter, expected) in [
        ("true", true),
        (r#"event.type == "status.updated""#, true),
        (r#"event.type.startsWith("kyc.")"#, false),
        (
            r#"event.source == "didit" && event.provider == "didit""#,
            true,
        ),
        (
            r#"event.id == "07070707-0707-0707-0707-070707070707""#,
            true,
        ),
        (r#"event.provider_event_id == """#, true),
        (
            r#"event.method + event.path + "?" + event.query == "POST/hooks/didit?a=1""#,
            true,
        ),
        (
            r#"event.headers["x-tenant"] == "acme" && event.headers.accept == "a, b""#,
            true,
        ),
        (r#""x-other" in event.headers"#, false),
        (
            r#"has(event.headers.accept) && !has(event.headers.other)"#,
            true,
        ),
        (
            r#"event.headers[?"x-other"].orValue("none") == "none""#,
            true,
        ),
        (
            r#"event.content_type.matches("^application/(json|cbor)$")"#,
            true,
        ),
        (r#"event.attributes["coverage"] == "full""#, true),
        ("event.received_at > 1600000000000", true),
        (r#"event["type"] == "status.updated""#, true),
        (r#"[event].exists(e, e.type == "status.updated")"#, true),
        ("body.n == 5 && body.n < 5.5 && body.n in [4, 5]", true),
        ("body.f > 1 && body.f < 2", true),
        ("body.big > 18446744073709551614u", true),
        (r#"body.s == "x\"ü""#, true),
        ("body.l.exists(x, x.k == 2) && body.l.all(x, x.k > 0)", true),
        (
            "body.l.map(x, x.k) == [1, 2] && size(body.l.filter(x, x.k > 1)) == 1",
            true,
        ),
        ("body.l.exists_one(x, x.k == 1)", true),
        ("body.z == null && has(body.z) && !has(body.y)", true),
        ("size(body.l) == 2 && type(body.n) == int", true),
    ] {
        let compiled = Filter::compile(filter).unwrap_or_else(|e| panic!("{filter}: {e:?}"));
        assert_eq!(compiled.holds(&event), Ok(expected), "{filter}");
    }
}

#[test]
fn a_body_that_is_no_json_is_null() {
    for body in ["", "no json", "{\"a\": 1", "{} x", &"[".repeat(100_000)] {
        assert_eq!(
            Filter::compile("body == null").unwrap().holds(&event(body)),
            Ok(true)
        );
    }
}

#[test]
fn what_cannot_be_evaluated_says_why() {
    for (filter, reason) in [
        ("body.missing == 1", "No such key: missing"),
        (
            "body.n + 1 == \"a\" || body.n.startsWith(\"a\")",
            "found no matching overload for 'startsWith' applied to 'int.()'",
        ),
        (
            "event.type",
            "the filter gives a value of type `string`, not true or false",
        ),
        ("body.n / 0 == 1", "Division by zero"),
    ] {
        let failure = Filter::compile(filter)
            .unwrap()
            .holds(&event(r#"{"n": 5}"#))
            .unwrap_err();
        let start: String = reason.chars().take(20).collect();
        assert!(failure.starts_with(&start), "{filter}: {failure}");
    }
}

#[test]
fn only_a_filter_that_reads_the_body_has_it_parsed() {
    let event = event("{}");
    for (filter, parses) in [
        (r#"event.type == "x""#, false),
        (r#"event.headers["x-tenant"] == "acme""#, false),
        ("body == null", true),
        (r#"event.type == "x" && body.a == 1"#, false),
    ] {
        let facts = Facts::of(&event);
        let filter = Filter::compile(filter).unwrap();
        let _ = filter.holds_for(&facts);
        assert_eq!(facts.has_parsed_body(), parses, "{filter:?}");
    }
    assert!(
        !Filter::compile("event.type == 'body'")
            .unwrap()
            .reads_body()
    );
    assert!(Filter::compile("size(body) > 1").unwrap().reads_body());
}

#[test]
fn macros_over_big_lists_end() {
    let list: Vec<String> = (0..2000).map(|n| n.to_string()).collect();
    let event = event(&format!("[{}]", list.join(",")));
    for filter in [
        "body.exists(a, body.exists(b, body.exists(c, a + b + c == -1)))",
        "body.all(a, body.all(b, a + b >= 0))",
        "size(body.map(a, body.map(b, a + b))) == 0",
        "size(body.filter(a, size(body.filter(b, a + b >= 0)) > 0)) == 0",
        "body.exists_one(a, body.exists_one(b, a + b < 0))",
        "size(body.map(a, a > 1, body.map(b, b > 1, body))) == 0",
    ] {
        let begun = std::time::Instant::now();
        let failure = Filter::compile(filter).unwrap().holds(&event).unwrap_err();
        assert!(
            failure.starts_with("the filter takes too long"),
            "{filter}: {failure}"
        );
        // Generous: the bound is 100 ms, and machines that run tests are busy.
        assert!(
            begun.elapsed() < std::time::Duration::from_secs(20),
            "{filter}"
        );
    }
    let flat = "body.exists(a, a == 1999) && size(body.map(a, a + 1)) == 2000";
    assert_eq!(Filter::compile(flat).unwrap().holds(&event), Ok(true));
}

#[test]
fn what_is_no_filter_is_refused_with_its_place() {
    for (filter, why, part) in [
        ("event.tpye == \"a\"", "`event` has no field `tpye`", "tpye"),
        ("body.a == evnt.type", "unknown variable `evnt`", "evnt"),
        (
            "type == \"a\" && source == \"b\"",
            "unknown variable `source`",
            "source",
        ),
        (
            "event.type.startWith(\"a\")",
            "unknown function `startWith`",
            "startWith",
        ),
        ("sise(body) > 1", "unknown function `sise`", "sise"),
        ("\"ü\" == evnt.type", "unknown variable `evnt`", "evnt"),
        ("body.exists(x, y == 1)", "unknown variable `y`", "y"),
    ] {
        let errors = Filter::compile(filter).unwrap_err();
        assert_eq!(errors[0].why, why, "{filter}");
        assert_eq!(&filter[errors[0].at.clone()], part, "{filter}");
    }
    for filter in [
        "",
        "  ",
        "event.type ==",
        "(",
        "event.type == 'a",
        "a b",
        "\u{0}",
    ] {
        let errors = Filter::compile(filter).unwrap_err();
        assert!(errors[0].at.end <= filter.len(), "{filter}");
    }
}

#[test]
fn suggestions_name_what_was_probably_meant() {
    for (filter, hint) in [
        ("event.tpye == 'a'", "did you mean `event.type`?"),
        ("evnt.type == 'a'", "did you mean `event`?"),
        ("source == 'a'", "did you mean `event.source`?"),
        ("event.type.startWith('a')", "did you mean `startsWith`?"),
    ] {
        let errors = Filter::compile(filter).unwrap_err();
        assert_eq!(errors[0].hint.as_deref(), Some(hint), "{filter}");
    }
}

#[test]
fn long_and_deep_filters_are_refused() {
    let sum = format!("1{} == 1", "+1".repeat(1500));
    let parens = format!("{}1{} == 1", "(".repeat(1500), ")".repeat(1500));
    let long = format!("event.type == '{}'", "a".repeat(5000));
    for filter in [sum, parens, long] {
        assert!(Filter::compile(&filter).is_err(), "{}", &filter[..20]);
    }
    let flat = (0..80).map(|n| format!("event.type == 'type-number-{n}'"));
    let flat = flat.collect::<Vec<_>>().join(" || ");
    assert_eq!(Filter::compile(&flat).unwrap().holds(&event("")), Ok(false));
}

proptest! {
    #[test]
    fn no_text_makes_the_compiler_panic(text in r#"[a-z0-9.()\[\]{}"'+*/<>=!&|?:, ü-]{0,40}"#) {
        let _ = Filter::compile(&text);
    }

    #[test]
    fn no_combination_of_words_makes_the_compiler_panic(words in proptest::collection::vec(
        proptest::sample::select(vec!["event", ".", "type", "body", "(", ")", "[", "]", "exists", "x", ",", "==", "\"a\"", "&&", "?", ":", "1", "-", "has", "{", "}", "in", "map"]), 0..14,
    )) {
        if let Ok(filter) = Filter::compile(&words.join(" ")) {
            let _ = filter.holds(&event("{\"a\": [1]}"));
        }
    }
}

#[test]
fn routes_are_found_by_source_in_the_order_of_the_file() {
    let table = RouteTable::new(vec![
        route("b", &["didit", "k-id"], None),
        route("c", &["k-id"], None),
        route("a", &["didit"], Some("event.type == 'status.updated'")),
        route("d", &["didit"], Some("event.type == 'other'")),
        route("e", &["didit"], Some("body.x == 1")),
    ]);
    let matched = table.matching(&event("{}"));
    let names: Vec<&str> = matched.routes.iter().map(|route| &*route.name).collect();
    assert_eq!(names, ["b", "a"]);
    assert_eq!(&*matched.failed[0].0.name, "e");
    assert_eq!(matched.failed[0].1, "No such key: x");
    assert!(matched.source_is_routed);
    let elsewhere = table.matching(&Event {
        source: "other".into(),
        ..event("")
    });
    assert!(elsewhere.routes.is_empty() && !elsewhere.source_is_routed);
}

#[test]
fn ten_thousand_routes_of_other_sources_cost_nothing() {
    let mut routes: Vec<_> = (0..10_000)
        .map(|n| route(&format!("r{n}"), &[&format!("s{}", n % 1000)], None))
        .collect();
    routes.push(route("mine", &["didit"], None));
    let table = RouteTable::new(routes);
    // Whoever goes through all routes needs some 10^9 steps here.
    for _ in 0..100_000 {
        assert_eq!(table.matching(&event("")).routes.len(), 1);
    }
}
