//! Tests of the table of answers.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

#[test]
fn the_reference_page_and_the_table_agree() {
    let page = include_str!("../../../docs/reference/errors.md");
    let documented: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with('|') && line.contains("| `"))
        .collect();
    let expected: Vec<String> = Refusal::ALL
        .iter()
        .map(|refusal| {
            let row = refusal.row();
            let retry = row
                .retry_after_secs
                .map_or("-".to_owned(), |s| format!("{s} s"));
            format!(
                "| {} | `{}` | {} | {retry} |",
                row.status, row.code, row.message
            )
        })
        .collect();
    for (line, expected) in documented.iter().zip(&expected) {
        assert!(
            line.starts_with(expected.as_str()),
            "docs: {line}\ncode: {expected}"
        );
    }
    assert_eq!(
        documented.len(),
        expected.len(),
        "rows of docs/reference/errors.md"
    );
}

#[test]
fn every_body_is_json_with_code_and_message() {
    for refusal in Refusal::ALL {
        let row = refusal.row();
        let body: serde_json::Value = serde_json::from_str(row.body).unwrap();
        assert_eq!(body["error"]["code"], row.code);
        assert_eq!(body["error"]["message"], row.message);
        let status = StatusCode::from_u16(row.status).unwrap();
        assert!(status.canonical_reason().is_some());
    }
}

#[test]
fn codes_are_unique() {
    let mut codes: Vec<_> = Refusal::ALL
        .iter()
        .map(|refusal| refusal.row().code)
        .collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), Refusal::ALL.len());
}

#[test]
fn what_a_sender_should_try_again_carries_retry_after() {
    for refusal in Refusal::ALL {
        let row = refusal.row();
        assert_eq!(
            row.retry_after_secs.is_some(),
            matches!(row.status, 429 | 503),
            "{}",
            row.code
        );
    }
}

#[test]
fn a_status_without_a_body_gets_none() {
    use http_body::Body as _;
    assert!(accepted(204, Some(EventId::now())).body().is_end_stream());
    assert!(!accepted(200, Some(EventId::now())).body().is_end_stream());
}

#[test]
fn the_raw_answer_is_complete_http() {
    let raw = Refusal::HeaderTimeout.raw();
    let text = std::str::from_utf8(&raw).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 408 Request Timeout\r\n"));
    assert!(head.contains(&format!("content-length: {}", body.len())));
}
