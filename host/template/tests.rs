//! Tests of `template`: tables in, verdicts out.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::event::{EventId, Header};

const ALL: [&str; 8] = [
    "type", "source", "provider", "id", "key", "json", "header", "attr",
];

fn origin() -> Origin {
    Origin {
        event_id: EventId::from_bytes([7; 16]),
        source: "didit".into(),
        provider: "didit".into(),
        provider_event_id: None,
        received_at_ms: 0,
    }
}

fn message(body: &str) -> Message {
    Message {
        sink: None,
        key: None,
        kind: "kyc.decision".to_owned(),
        content_type: None,
        headers: vec![Header::new("x-tenant", "acme")],
        body: body.to_owned().into(),
        attributes: vec![("coverage".to_owned(), "full".to_owned())],
    }
}

fn check(template: &str, body: &str, expected: Option<&str>) {
    let (origin, message) = (origin(), message(body));
    let context = Context {
        origin: &origin,
        message: &message,
        key: Some("k1"),
    };
    let rendered = Template::parse(template, &ALL).unwrap().render(context);
    assert_eq!(rendered.as_deref(), expected, "{template} {body}");
}

#[test]
fn placeholders_are_filled() {
    check("", "", Some(""));
    check("plain", "", Some("plain"));
    check("{type}", "", Some("kyc.decision"));
    check("a.{source}.{provider}.{key}", "", Some("a.didit.didit.k1"));
    check("{id}", "", Some("07070707-0707-0707-0707-070707070707"));
    check("{header:X-Tenant}/{attr:coverage}", "", Some("acme/full"));
    check("{{{type}}} {{type}} ü", "", Some("{kyc.decision} {type} ü"));
}

#[test]
fn a_placeholder_without_value_gives_nothing() {
    check("{header:other}", "", None);
    check("{attr:other}", "", None);
    check("{json:/a}", "not json", None);
    check("{json:/a}", "", None);
    check("{json:/a}", "{\"a\": 1", None);
    check("{json:/a}", "{\"a\": 1} x", None);
    check("{json:/a}", "{\"b\": 1}", None);
    check("{json:/a}", "{\"a\": null}", None);
    check("{json:/a}", "{\"a\": {}}", None);
    check("{json:/a}", "{\"a\": []}", None);
    check("{json:/a/b}", "{\"a\": 1}", None);
    check("{json:/0}", "{\"a\": 1}", None);
    check("{json:/2}", "[0, 1]", None);
    check("{json:/01}", "[0, 1]", None);
    check("{json:/-}", "[0, 1]", None);
}

#[test]
fn json_values_are_written_as_in_the_body() {
    check("{json:/a}", "{\"a\": 10.00}", Some("10.00"));
    check(
        "{json:/a}",
        "{\"a\": 12345678901234567890123}",
        Some("12345678901234567890123"),
    );
    check("{json:/a}", "{\"a\": 1e400}", Some("1e400"));
    check("{json:/a}", "{\"a\": true}", Some("true"));
    check("{json:/a}", "{\"a\": \"\"}", Some(""));
    check("{json:/a}", "{\"a\": \"x\\\"\\u00e9\\n\"}", Some("x\"é\n"));
}

#[test]
fn pointers_follow_rfc_6901() {
    let body = r#"{"": 0, "a/b": 1, "m~n": 2, "c%d": 3, "d": [{"e": "x"}, {"e": "y"}], "~1": 4, "t": {"u": 5}}"#;
    for (pointer, value) in [
        ("/", "0"),
        ("/a~1b", "1"),
        ("/m~0n", "2"),
        ("/c%d", "3"),
        ("/d/1/e", "y"),
        ("/~01", "4"),
        ("/t/u", "5"),
    ] {
        check(&format!("{{json:{pointer}}}"), body, Some(value));
    }
}

#[test]
fn several_pointers_are_found_in_one_pass() {
    let body = r#"{"b": {"c": 2, "d": 3}, "a": 1}"#;
    check(
        "{json:/a}-{json:/b/d}-{json:/b/c}-{json:/a}",
        body,
        Some("1-3-2-1"),
    );
    check("{json:/a}-{json:/b}-{json:/b/c}", body, None);
}

#[test]
fn of_names_that_stand_twice_the_last_one_counts() {
    check("{json:/a}", r#"{"a": 1, "a": 2}"#, Some("2"));
    check("{json:/a/b}", r#"{"a": {"b": 1}, "a": {"c": 2}}"#, None);
}

#[test]
fn a_deep_body_has_no_values_and_costs_no_stack() {
    let deep = "[".repeat(100_000);
    check("{json:/0/0}", &deep, None);
}

#[test]
fn what_is_no_template_is_refused_with_its_place() {
    for (template, why, at) in [
        ("a{type", "`{` is not closed", 1..6),
        ("a}b", "`}` closes nothing", 1..2),
        ("{}", "unknown placeholder `{}`", 0..2),
        ("{tpye}", "unknown placeholder `{tpye}`", 0..6),
        (
            "x{json:a}",
            "the JSON Pointer `a` does not begin with a slash",
            1..9,
        ),
        (
            "{json:/a~2}",
            "the JSON Pointer `/a~2` has a lone `~`",
            0..11,
        ),
        ("{json}", "`{json}` does not say which one", 0..6),
        ("{header:}", "`{header:}` does not say which one", 0..9),
        ("{type:a}", "`type` takes nothing after a colon", 0..8),
    ] {
        let error = Template::parse(template, &ALL).unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.at),
            (why, at),
            "{template}"
        );
    }
    let error = Template::parse("{json:/a}", &["type"]).unwrap_err();
    assert_eq!(error.to_string(), "`{json:/a}` cannot be used here");
    assert_eq!(error.hint.unwrap(), "there are `{type}`");
}
