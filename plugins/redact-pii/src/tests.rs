//! The plugin from event to message.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use hookswitch::testing::{self, Host};
use hookswitch::{Event, Failure, Outcome};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::RedactPii;

const KEY: &str = "0123456789abcdef";

fn handle(config: &Value, event: Event) -> Result<Outcome, Failure> {
    Host::<RedactPii>::new(&config.to_string())
        .unwrap_or_else(|error| panic!("{error}"))
        .handle(event)
}

/// The body that a body becomes; `=` where the event goes on unchanged.
fn check(config: Value, body: &str, expected: &str) {
    let event = testing::event("s")
        .with_type("t")
        .with_body("application/json", body);
    let got = match handle(&config, event).unwrap() {
        Outcome::Unchanged => "=".to_owned(),
        Outcome::Forward(messages) => {
            assert_eq!((messages.len(), messages[0].event_type.as_str()), (1, "t"));
            assert_eq!(
                messages[0].content_type.as_deref(),
                Some("application/json")
            );
            String::from_utf8(messages[0].body.clone()).unwrap()
        }
        Outcome::Drop(reason) => panic!("{reason}"),
    };
    assert_eq!(got, expected, "{config} {body}");
}

#[test]
fn every_golden_case_holds() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/cases");
    let count = testing::cases::<RedactPii>(folder, "{}").unwrap_or_else(|error| panic!("{error}"));
    assert!(count >= 4);
}

#[test]
fn dropped_values_go_with_their_key() {
    let drop = |pointers: &[&str]| json!({"drop": pointers});
    check(drop(&["/a"]), r#"{"a":1,"b":2}"#, r#"{"b":2}"#);
    check(drop(&["/b"]), r#"{ "a": 1, "b": 2 }"#, r#"{"a":1}"#);
    check(drop(&["/a"]), r#"{"a":1}"#, "{}");
    check(
        drop(&["/a/b"]),
        r#"{"a":{"b":1},"c":[1, 2]}"#,
        r#"{"a":{},"c":[1, 2]}"#,
    );
    check(drop(&["/a/0", "/a/2"]), r#"{"a":[1,2,3]}"#, r#"{"a":[2]}"#);
    check(drop(&["/a"]), r#"{"a":null}"#, "{}");
    check(drop(&["/a"]), r#"{"a":1,"b":2,"a":3}"#, r#"{"b":2}"#);
    check(drop(&["/0"]), "[1,2]", "[2]");
}

#[test]
fn pointers_meet_what_rfc_6901_says_and_a_star_meets_everything() {
    let drop = |pointer: &str| json!({"drop": [pointer]});
    check(drop("/a~1b"), r#"{"a/b":1}"#, "{}");
    check(drop("/m~0n"), r#"{"m~n":1}"#, "{}");
    check(drop("/~01"), r#"{"~1":1}"#, "{}");
    check(drop("/"), r#"{"":1,"a":2}"#, r#"{"a":2}"#);
    check(drop("/a"), r#"{"\u0061":1}"#, "{}");
    check(drop("/~2"), r#"{"*":1,"a":2}"#, r#"{"a":2}"#);
    check(
        drop("/*/x"),
        r#"{"a":{"x":1},"b":{"y":2}}"#,
        r#"{"a":{},"b":{"y":2}}"#,
    );
    check(
        drop("/a/*/x"),
        r#"{"a":[{"x":1},5,{"x":2,"y":3}]}"#,
        r#"{"a":[{},5,{"y":3}]}"#,
    );
    check(drop("/*"), r#"{"a":1,"b":2}"#, "{}");
    for missed in ["/A", "/a/b", "/b/00", "/b/-", "/b/+1", "/b/7", "/a/*"] {
        check(drop(missed), r#"{"a":1,"b":[2,3]}"#, "=");
    }
}

#[test]
fn masks_show_at_most_half_of_a_value_and_not_its_length() {
    let mask = |keep: Option<usize>| match keep {
        Some(keep) => json!({"mask": [{"pointer": "/a", "keep_last": keep}]}),
        None => json!({"mask": ["/a"]}),
    };
    let table = [
        (None, r#""secret""#, r#""***""#),
        (None, "12345", r#""***""#),
        (None, "true", r#""***""#),
        (None, r#"{"b":1}"#, r#""***""#),
        (Some(4), r#""XX0001234""#, r#""***1234""#),
        (Some(4), "123456789", r#""***6789""#),
        (Some(4), r#""12345""#, r#""***45""#),
        (Some(4), r#""1""#, r#""***""#),
        (Some(2), r#""äöüß""#, r#""***üß""#),
        (Some(1), r#""a\"b\"""#, r#""***\"""#),
        (Some(4), "[1,2,3,4]", r#""***""#),
    ];
    for (keep, value, expected) in table {
        check(
            mask(keep),
            &format!(r#"{{"a":{value}}}"#),
            &format!(r#"{{"a":{expected}}}"#),
        );
    }
    check(mask(None), r#"{"a":null}"#, "=");
    check(mask(None), r#"{"a":"***"}"#, "=");
}

#[test]
fn hashes_are_hmac_sha256_in_hex_as_another_implementation_has_them() {
    let hash = |prefix: &str| json!({"hash": {"pointers": ["/a"], "key": KEY, "prefix": prefix}});
    // python3: hmac.new(b"0123456789abcdef", TEXT, "sha256").hexdigest()
    let table = [
        (
            r#""testa@example.com""#,
            "d491215556abad35c5cfaed344f14e91736f7be1fcedce54385e6b630de72ee7",
        ),
        (
            r#""caf\u00e9""#,
            "4d28c2d191e1ee3a1607cfd02a9665f2918ce0d2edf2bb5ec4c2f1a2040b7fac",
        ),
        (
            "42",
            "8d24a2a526d5f556469db8b6280e3a7b877a41155ca536be3a1f2a9d2be0eacd",
        ),
        (
            r#""42""#,
            "8d24a2a526d5f556469db8b6280e3a7b877a41155ca536be3a1f2a9d2be0eacd",
        ),
        (
            r#"{ "b" : [ 1, "x \" y" ] }"#,
            "851ffc64f4784ad753ff424d70efad7f1a18b97f0ad5ac1cfe398648721c3b3b",
        ),
    ];
    for (value, expected) in table {
        check(
            hash("h:"),
            &format!(r#"{{"a":{value}}}"#),
            &format!(r#"{{"a":"h:{expected}"}}"#),
        );
    }
    check(hash(""), r#"{"a":null}"#, "=");
}

#[test]
fn where_rules_meet_the_one_that_leaves_least_counts() {
    let hash = json!({"pointers": ["/a/x", "/*/z"], "key": KEY});
    let config = json!({"drop": ["/a/*"], "mask": ["/*/x", "/*/y", {"pointer": "/b/z", "keep_last": 2}], "hash": hash});
    check(
        config,
        r#"{"a":{"x":1,"y":2},"b":{"x":"abcdef","y":"abcdef","z":null}}"#,
        r#"{"a":{},"b":{"x":"***","y":"***","z":null}}"#,
    );
}

#[test]
fn a_body_that_is_not_json_is_rejected_or_passed_as_configured() {
    for body in ["not json", "", r#"{"a":"Testa"#, "a=b&c=d"] {
        let event = || testing::event("s").with_body("text/plain", body);
        let failure = handle(&json!({"drop": ["/a"]}), event()).unwrap_err();
        assert!(matches!(&failure, Failure::Reject(reason) if !reason.contains("Testa")));
        let passed = handle(&json!({"drop": ["/a"], "on_not_json": "pass"}), event());
        assert_eq!(passed, Ok(Outcome::Unchanged));
    }
}

#[test]
fn config_problems_are_told_all_at_once_and_never_show_the_key() {
    let problems = |config: Value| {
        let error = Host::<RedactPii>::new(&config.to_string()).err().unwrap();
        error.problems().join("\n")
    };
    assert_eq!(
        problems(json!({
            "drop": ["name", "", "/a~3"],
            "mask": ["/b", {"pointer": "/c", "keep_last": 0}],
            "hash": {"pointers": ["/b"], "key": "short secret"},
        })),
        "`hash.key`: has 12 bytes, must have at least 16\n\
         `mask[1].keep_last`: must be at least 1; to keep nothing, leave it out\n\
         `drop[0]`: `name` is not a JSON Pointer: it must begin with `/`, as `/person/name`\n\
         `drop[1]`: an empty pointer is the whole body; name a part of it, as `/person/name`\n\
         `drop[2]`: `/a~3` is not a JSON Pointer: after `~` comes `0` (for `~`), `1` (for `/`) or `2` (for `*`)\n\
         `hash.pointers[0]`: `/b` is in `mask[0]` already; keep one of the two"
    );
    let table = [
        (
            json!({}),
            "nothing to do: give pointers in `drop`, `mask` or `hash`",
        ),
        (
            json!({"drop": "/a"}),
            "`drop`: invalid type: string, expected a sequence",
        ),
        (
            json!({"remove": ["/a"]}),
            "`remove`: unknown field `remove`, expected one of `drop`, `mask`, `hash`, `on_not_json`",
        ),
        (
            json!({"hash": "0123456789abcdef-key"}),
            "`hash`: invalid type: string, expected struct Hash",
        ),
        (
            json!({"mask": [5]}),
            "`mask[0]`: invalid type: integer, expected a pointer, or a table of `pointer` and `keep_last`",
        ),
    ];
    for (config, expected) in table {
        assert_eq!(problems(config), expected);
    }
}

/// Any JSON, some of it deep, with keys that rules may meet.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z\"\\\\ é]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c*/~]", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The same on a tree, the plain way.
fn model(value: &mut Value, path: &[&str]) {
    let Some((segment, rest)) = path.split_first() else {
        return;
    };
    match value {
        Value::Object(members) => {
            if rest.is_empty() {
                members.retain(|key, _| *segment != "*" && key != segment);
            } else {
                for (key, value) in members {
                    if *segment == "*" || key == segment {
                        model(value, rest);
                    }
                }
            }
        }
        Value::Array(elements) => {
            let index = segment.parse::<usize>().ok();
            if rest.is_empty() {
                let mut at = 0..;
                elements.retain(|_| {
                    let here = at.next();
                    *segment != "*" && here != index
                });
            } else {
                for (at, value) in elements.iter_mut().enumerate() {
                    if *segment == "*" || Some(at) == index {
                        model(value, rest);
                    }
                }
            }
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn dropping_does_what_dropping_from_a_tree_does(
        body in any_json(),
        path in prop::collection::vec(prop_oneof![Just("a"), Just("b"), Just("*"), Just("0"), Just("1")], 1..4),
    ) {
        let event = testing::event("s").with_json(&body);
        let config = json!({"drop": [format!("/{}", path.join("/"))]});
        let got = match handle(&config, event) {
            Ok(Outcome::Unchanged) => body.clone(),
            Ok(Outcome::Forward(messages)) => serde_json::from_slice(&messages[0].body).unwrap(),
            other => panic!("{other:?}"),
        };
        let mut expected = body;
        model(&mut expected, &path);
        prop_assert_eq!(got, expected);
    }
}
