//! Reading bodies.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn text(body: &str, path: &str) -> Option<String> {
    let document = Document::json(body.as_bytes()).unwrap();
    document
        .root()
        .at(path)
        .and_then(Node::text)
        .map(Cow::into_owned)
}

#[test]
fn numbers_of_any_size_keep_their_spelling() {
    for number in ["1.18e+38", "18446744073709551616", "-0.50", "1e400"] {
        let body = format!(r#"{{"a":{{"b":{number}}}}}"#);
        assert_eq!(text(&body, "/a/b").as_deref(), Some(number));
    }
}

#[test]
fn null_absent_blank_and_containers_are_no_text() {
    for body in [
        r#"{"a":null}"#,
        "{}",
        r#"{"a":""}"#,
        r#"{"a":" "}"#,
        r#"{"a":{}}"#,
        r#"{"a":[1]}"#,
    ] {
        assert_eq!(text(body, "/a"), None, "{body}");
    }
}

#[test]
fn escapes_are_decoded_in_keys_and_values() {
    assert_eq!(
        text(r#"{"\u0061":"\u00e9\/"}"#, "/a").as_deref(),
        Some("é/")
    );
}

#[test]
fn the_last_of_a_repeated_key_counts() {
    assert_eq!(text(r#"{"a":"1","a":"2"}"#, "/a").as_deref(), Some("2"));
}

#[test]
fn a_byte_order_mark_is_skipped() {
    assert_eq!(text("\u{feff}{\"a\":\"1\"}", "/a").as_deref(), Some("1"));
}

#[test]
fn deep_nesting_that_nobody_looks_into_does_no_harm() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let body = format!(r#"{{"a":"1","deep":{deep}}}"#);
    assert_eq!(text(&body, "/a").as_deref(), Some("1"));
}

#[test]
fn what_is_not_a_json_object_is_rejected_with_the_place_and_without_the_data() {
    let table = [
        (
            "",
            "the body is not JSON: it ends too early, at line 1 column 0",
        ),
        (
            r#"{"name":"Testa"#,
            "the body is not JSON: it ends too early, at line 1 column 14",
        ),
        (
            r#"{"name":Testa}"#,
            "the body is not JSON: syntax error at line 1 column 9",
        ),
        ("[]", "the body is JSON but not an object"),
        ("null", "the body is JSON but not an object"),
    ];
    for (body, expected) in table {
        let reason = Document::json(body.as_bytes())
            .err()
            .map(|failure| failure.to_string());
        assert_eq!(reason.as_deref(), Some(expected), "{body}");
    }
}
