//! The plugin from event to message.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod decisions;
mod decisions_more;
mod schema;

use hookswitch::{Event, Failure, Message, Outcome, testing};
use serde_json::{Value, json};

use super::NormalizeKyc;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/cases");

fn handle(config: Value, event: Event) -> Result<Message, Failure> {
    let host = testing::Host::<NormalizeKyc>::new(&config.to_string()).unwrap();
    match host.handle(event)? {
        Outcome::Forward(mut messages) if messages.len() == 1 => Ok(messages.remove(0)),
        other => panic!("not one message: {other:?}"),
    }
}

fn body(message: &Message) -> Value {
    serde_json::from_slice(&message.body).unwrap()
}

fn read(provider: &str, event: Value) -> Value {
    body(
        &handle(
            json!({}),
            testing::event("s")
                .with_provider(provider)
                .with_json(&event),
        )
        .unwrap(),
    )
}

#[test]
fn every_golden_case_holds_and_fits_the_schema() {
    let count =
        testing::cases::<NormalizeKyc>(CASES, "{}").unwrap_or_else(|error| panic!("{error}"));
    assert!(count >= 190, "only {count} cases");
    assert!(schema::check_cases() >= 190, "cases without a message");
}

#[test]
fn the_provider_is_the_configured_one_then_the_preset_then_the_source_name() {
    let table = [
        ("didit", "custom", json!({}), "didit"),
        ("didit", "veriff", json!({}), "veriff"),
        (
            "Legal_Talent",
            "standard-webhooks",
            json!({}),
            "legal-talent",
        ),
        ("entrust", "custom", json!({}), "onfido"),
        ("payments", "stripe", json!({}), "stripe-identity"),
        (
            "door",
            "didit",
            json!({"providers": {"door": "sumsub"}}),
            "sumsub",
        ),
    ];
    for (source, preset, config, expected) in table {
        let event = testing::event(source)
            .with_provider(preset)
            .with_json(&json!({}));
        let message = handle(config, event).unwrap();
        assert_eq!(body(&message)["provider"], expected, "{source} {preset}");
        assert!(
            message
                .attributes
                .contains(&("kyc.provider".into(), expected.into()))
        );
    }
}

#[test]
fn an_unknown_provider_is_marked_passed_or_rejected_as_configured() {
    let event = || {
        testing::event("shop")
            .with_type("order.paid")
            .with_body("text/plain", "hi")
    };
    let marked = handle(json!({}), event()).unwrap();
    assert_eq!(marked.event_type, "kyc.event");
    let marked = body(&marked);
    assert_eq!(
        (
            &marked["provider"],
            &marked["event_type"],
            &marked["recognised"]
        ),
        (&json!("custom"), &json!("order.paid"), &json!(false))
    );
    let host = |config| testing::Host::<NormalizeKyc>::new(config).unwrap();
    let passed = host(r#"{"on_unknown_provider":"pass"}"#).handle(event());
    assert_eq!(passed, Ok(Outcome::Unchanged));
    let rejected = host(r#"{"on_unknown_provider":"reject"}"#).handle(event());
    assert!(matches!(rejected, Err(Failure::Reject(_))));
}

#[test]
fn an_unlisted_event_is_logged_without_its_content() {
    let host = testing::Host::<NormalizeKyc>::new("{}").unwrap();
    let event = testing::event("didit").with_json(&json!({"status": "Testa Exampleton"}));
    host.handle(event).unwrap();
    let log = host.log();
    assert_eq!(
        log,
        ["warn: didit: an event with a type or status that the tables do not list"]
    );
}

#[test]
fn the_original_is_repeated_byte_for_byte_and_only_when_asked_for() {
    let sent = r#"{ "status":"Approved" ,"big":1e400, "b":1, "a":[1.10,18446744073709551616] }"#;
    let event = || testing::event("didit").with_body("application/json", sent);
    let without = handle(json!({}), event()).unwrap();
    assert!(
        !String::from_utf8(without.body)
            .unwrap()
            .contains("original")
    );
    let with = handle(json!({"include_original": true}), event()).unwrap();
    let expected = format!(r#""original":{sent}}}"#);
    assert!(String::from_utf8(with.body).unwrap().ends_with(&expected));
}

#[test]
fn a_body_that_is_not_json_is_rejected() {
    for bytes in [
        &b"not json"[..],
        b"{\"status\":\"Appr",
        b"[]",
        b"",
        b"{\"a\":\"\xff\"}",
    ] {
        let event = testing::event("didit").with_body("application/json", bytes);
        let failure = handle(json!({}), event).unwrap_err();
        assert!(matches!(failure, Failure::Reject(_)), "{failure:?}");
    }
}

#[test]
fn a_signature_that_does_not_cover_the_body_is_flagged() {
    for (coverage, expected) in [
        ("full", json!([])),
        ("partial", json!(["full-coverage-missing"])),
        ("none", json!(["full-coverage-missing"])),
    ] {
        let event = testing::event("didit")
            .with_attribute("coverage", coverage)
            .with_json(&json!({}));
        assert_eq!(
            body(&handle(json!({}), event).unwrap())["flags"],
            expected,
            "{coverage}"
        );
    }
}

#[test]
fn values_of_another_kind_than_documented_do_no_harm() {
    for value in [
        json!(null),
        json!(5),
        json!([]),
        json!({}),
        json!([{"a": [null]}]),
        json!(true),
    ] {
        for provider in crate::provider::Provider::ALL {
            let everything = json!({
                "webhook_type": value, "event": value, "type": value, "eventType": value, "data": value,
                "body": value, "payload": value, "decision": value, "verification": value, "status": value,
                "reviewResult": value, "workflowExecution": value, "timestamp": value, "created": value,
                "verification_result": value, "serviceData": value, "metadata": value,
            });
            let kyc = read(provider.name(), everything);
            schema::check(&kyc);
            assert_ne!(kyc["decision"], "approved", "{}: {value}", provider.name());
        }
    }
}

#[test]
fn config_problems_are_told_all_at_once() {
    let problems = |config: &str| {
        let error = testing::Host::<NormalizeKyc>::new(config).err().unwrap();
        error.problems().to_vec()
    };
    let two = problems(r#"{"schema":"kyc.v2","providers":{"door":"nobody"}}"#);
    assert_eq!(
        two[0],
        "`schema`: `kyc.v2` is unknown, the one there is is `kyc.v1`"
    );
    assert!(
        two[1]
            .starts_with("`providers.door`: `nobody` is no provider of this plugin, which knows `")
    );
    assert!(problems(r#"{"scheme":"kyc.v1"}"#)[0].starts_with("`scheme`: unknown field `scheme`"));
    assert!(
        problems(r#"{"persona_completed":"done"}"#)[0]
            .starts_with("`persona_completed`: unknown variant")
    );
}
