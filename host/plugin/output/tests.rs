//! Tests of the check of what plugins return.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use bytes::Bytes;

use super::*;
use crate::event::Header;
use crate::plugin::verifier::Covers;

fn message() -> Message {
    Message {
        sink: Some("crm".to_owned()),
        key: Some("subject 7 — ü".to_owned()),
        kind: "kyc.decision".to_owned(),
        content_type: Some("application/json; charset=utf-8".to_owned()),
        headers: vec![Header::new("x-reason", "fine")],
        body: Bytes::from_static(b"{}"),
        attributes: vec![("decision".to_owned(), "approved".to_owned())],
    }
}

/// Checks `message()` after `change`: `None` is fine, `Some` a part of the complaint.
#[track_caller]
fn one(change: impl FnOnce(&mut Message), expected: Option<&str>) {
    let mut message = message();
    change(&mut message);
    let found = check(&[message], &Limits::default());
    match expected {
        None => assert_eq!(found, Ok(())),
        Some(part) => {
            let complaint = found.unwrap_err();
            assert!(complaint.contains(part), "{complaint:?} has no {part:?}");
            assert!(complaint.starts_with("message 1: "), "{complaint:?}");
        }
    }
}

#[test]
fn a_good_message_passes() {
    one(|_| {}, None);
    one(|message| message.headers.clear(), None);
    one(|message| message.sink = None, None);
    one(|message| message.key = None, None);
    one(|message| message.content_type = None, None);
    one(|message| message.kind.clear(), None);
}

#[test]
fn no_message_at_all_is_refused() {
    let complaint = check(&[], &Limits::default()).unwrap_err();
    assert!(complaint.contains("drop the event with a reason"));
}

#[test]
fn number_and_size_are_capped() {
    let limits = Limits {
        messages: 2,
        output_bytes: 200,
        ..Limits::default()
    };
    assert_eq!(check(&[message(), message()], &limits), Ok(()));
    let complaint = check(&[message(), message(), message()], &limits).unwrap_err();
    assert_eq!(complaint, "forwarded 3 messages, `limits.messages` is 2");
    let mut large = message();
    large.body = Bytes::from(vec![0; 150]);
    let complaint = check(&[large.clone(), message()], &limits).unwrap_err();
    assert!(complaint.contains("`limits.output` is 200"), "{complaint}");
    // Names and attributes count as well as bodies.
    large.body = Bytes::new();
    large.attributes = vec![("a".repeat(100), "b".repeat(101))];
    assert!(check(&[large], &limits).is_err());
}

#[test]
fn header_names_must_be_lower_case_tokens_that_sinks_do_not_set() {
    let table = [
        ("x-fine", None),
        ("x_fine.1", None),
        ("", Some("lower-case token")),
        ("X-Upper", Some("lower-case token")),
        ("with space", Some("lower-case token")),
        ("evil\r\nhost", Some("lower-case token")),
        ("nul\0", Some("lower-case token")),
        ("colon:", Some("lower-case token")),
        ("gr\u{fc}n", Some("lower-case token")),
        ("host", Some("`host` is set by the sinks")),
        ("content-length", Some("set by the sinks")),
        ("content-type", Some("set by the sinks")),
        ("transfer-encoding", Some("set by the sinks")),
        ("connection", Some("set by the sinks")),
        ("keep-alive", Some("set by the sinks")),
        ("upgrade", Some("set by the sinks")),
        ("webhook-id", Some("set by the sinks")),
        ("webhook-signature", Some("set by the sinks")),
    ];
    for (name, expected) in table {
        one(
            |message| message.headers = vec![Header::new(name, "v")],
            expected,
        );
    }
    one(
        |message| message.headers = vec![Header::new("x".repeat(257), "v")],
        Some("257 bytes, 256 are allowed"),
    );
}

#[test]
fn header_values_must_not_break_out_of_their_line() {
    let table: [(&[u8], Option<&str>); 8] = [
        (b"", None),
        (b"a\tb c", None),
        (b"caf\xe9", None),
        (b"a\r\nx: y", Some("control character")),
        (b"a\nb", Some("control character")),
        (b"a\0b", Some("control character")),
        (b"a\x7f", Some("control character")),
        (b" a", Some("begins or ends with a blank")),
    ];
    for (value, expected) in table {
        let value = Bytes::copy_from_slice(value);
        one(
            |message| {
                let name = "x-a".to_owned();
                message.headers = vec![Header { name, value }];
            },
            expected,
        );
    }
}

#[test]
fn every_other_field_has_a_bound_and_a_syntax() {
    type Change = fn(&mut Message);
    let table: [(Change, Option<&str>); 20] = [
        (|m| m.sink = Some(String::new()), Some("name is empty")),
        (|m| m.sink = Some("s".repeat(257)), Some("257 bytes")),
        (|m| m.sink = Some("a\nb".into()), Some("not printable")),
        (|m| m.key = Some("k".repeat(1024)), None),
        (|m| m.key = Some("k".repeat(1025)), Some("1025 bytes, 1024")),
        (|m| m.key = Some("a\0".into()), Some("control character")),
        (|m| m.kind = "k".repeat(256), None),
        (|m| m.kind = "k".repeat(257), Some("257 bytes, 256")),
        (|m| m.kind = "gr\u{fc}n".into(), Some("not printable")),
        (|m| m.kind = "a\nb".into(), Some("not printable")),
        (|m| m.content_type = Some("text/plain".into()), None),
        (|m| m.content_type = Some(String::new()), Some("media type")),
        (|m| m.content_type = Some("json".into()), Some("media type")),
        (
            |m| m.content_type = Some("a/b\r\nx: y".into()),
            Some("media type"),
        ),
        (
            |m| m.content_type = Some("a/b; c\u{7f}".into()),
            Some("media type"),
        ),
        (
            |m| m.headers = vec![Header::new("a", "b"); 101],
            Some("101 headers, 100"),
        ),
        (
            |m| m.attributes = vec![(String::new(), String::new())],
            Some("no name"),
        ),
        (
            |m| m.attributes = vec![("a\u{1b}".into(), String::new())],
            Some("not printable"),
        ),
        (
            |m| m.attributes = vec![("a".into(), "b".repeat(4097))],
            Some("4097 bytes, 4096"),
        ),
        (
            |m| m.attributes = vec![("a".into(), "b".into()); 101],
            Some("101 attributes, 100"),
        ),
    ];
    for (change, expected) in table {
        one(change, expected);
    }
}

fn claim() -> Claim {
    Claim {
        covers: Covers::Full,
        event_id: Some("evt_1".to_owned()),
        event_type: "order.paid".to_owned(),
        credentials: vec!["x-token".to_owned()],
        attributes: vec![("key_id".to_owned(), "k1".to_owned())],
    }
}

#[test]
fn every_list_of_a_claim_has_a_bound_and_a_syntax() {
    type Change = fn(&mut Claim);
    let table: [(Change, Option<&str>); 14] = [
        (|_| {}, None),
        (|c| c.event_id = Some("i".repeat(1000)), None),
        (|c| c.event_type = "t".repeat(1000), None),
        (
            |c| c.event_id = Some("i".repeat(2000)),
            Some("`limits.output` is 1500"),
        ),
        (|c| c.credentials = vec!["c".into(); 16], None),
        (
            |c| c.credentials = vec!["c".into(); 17],
            Some("17 names of credentials, 16"),
        ),
        (|c| c.credentials = vec![String::new()], Some("no name")),
        (
            |c| c.credentials = vec!["c".repeat(257)],
            Some("257 bytes, 256"),
        ),
        (
            |c| c.credentials = vec!["a\nb".into()],
            Some("control character"),
        ),
        (
            |c| c.attributes = vec![("a".into(), "b".into()); 17],
            Some("17 attributes, 16"),
        ),
        (
            |c| c.attributes = vec![("gr\u{fc}n".into(), "b".into())],
            Some("not printable"),
        ),
        (
            |c| c.attributes = vec![("a".into(), "b\0".into())],
            Some("control character"),
        ),
        (
            |c| c.attributes = vec![("coverage".into(), "full".into())],
            Some("`coverage` is set by the host"),
        ),
        (
            |c| c.attributes = vec![("verified".into(), "true".into())],
            Some("`verified` is set by the host"),
        ),
    ];
    let limits = Limits {
        output_bytes: 1500,
        ..Limits::default()
    };
    for (index, (change, expected)) in table.into_iter().enumerate() {
        let mut claim = claim();
        change(&mut claim);
        match (check_claim(&claim, &limits), expected) {
            (Ok(()), None) => {}
            (Err(complaint), Some(part)) if complaint.contains(part) => {}
            (found, _) => panic!("case {index}: {found:?}"),
        }
    }
}
