//! Request files, secrets and what the command prints.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::io::Write;

use clap::Parser;
use futures_util::FutureExt as _;

use super::request::RawRequest;
use super::{Args, judge};

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: Args,
}

fn file(content: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content).unwrap();
    file
}

/// What `hookswitch verify FLAGS request` prints.
fn printed(flags: &[&str], request: &[u8]) -> String {
    let file = file(request);
    let path = file.path().to_str().unwrap();
    let command = Command::try_parse_from([&["verify"], flags, &[path]].concat());
    let args = command.unwrap_or_else(|error| panic!("{error}")).args;
    let judged = judge(&args).now_or_never();
    match judged.expect("a scheme judges at once") {
        Ok(outcome) => outcome.text(),
        Err(usage) => usage.to_string(),
    }
}

const IDWISE: &[u8] =
    b"POST /hooks/idwise HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t-1\r\n\r\n\
    {\"event\":\"Finished Journey\",\"body\":{\"eventId\":\"i-1\"}}";

#[test]
fn a_valid_request_is_named_with_id_type_and_coverage() {
    assert_eq!(
        printed(&["--provider", "idwise", "--secret", "t-1"], IDWISE),
        "valid\n  event id:   i-1\n  event type: Finished Journey\n  coverage:   none (nothing protects the body \
         against change)"
    );
}

#[test]
fn an_invalid_request_is_told_why_and_not_what_was_expected() {
    let text = printed(&["--provider", "idwise", "--secret", "t-2"], IDWISE);
    assert_eq!(
        text,
        "invalid: bad_credential: the Bearer credential in `authorization` is none of the configured secrets"
    );
}

#[test]
fn several_secrets_are_tried_in_turn() {
    let flags = ["--provider", "idwise", "--secret", "t-2", "--secret", "t-1"];
    assert!(printed(&flags, IDWISE).starts_with("valid\n"));
}

#[test]
fn a_secret_comes_from_a_file_without_its_line_break() {
    let secret = file(b"t-1\n");
    let reference = format!("file:{}", secret.path().display());
    let flags = ["--provider", "idwise", "--secret", &reference];
    assert!(printed(&flags, IDWISE).starts_with("valid\n"));
}

#[test]
fn wrong_usage_says_what_to_do() {
    let cases = [
        (
            &["--provider", "idwize", "--secret", "x"][..],
            "error: there is no provider `idwize`\n  hint: did you mean `idwise`?",
        ),
        (
            &["--provider", "legal_talent", "--secret", "x"],
            "error: there is no provider `legal_talent`\n  hint: did you mean `legal-talent`?",
        ),
        (
            &["--provider", "github", "--secret", " "],
            "error: secret 1 is empty\n  hint: anybody could sign with it; give the one that the provider shows",
        ),
        (
            &["--provider", "github"],
            "error: there is no secret to verify with\n  hint: give at least one, as `env:NAME` or `file:PATH`",
        ),
        (
            &[
                "--provider",
                "github",
                "--secret",
                "env:HOOKSWITCH_TEST_IS_NOT_SET",
            ],
            "error: the variable `HOOKSWITCH_TEST_IS_NOT_SET` is not set, or is not text\n  hint: export it in the \
             shell that runs this command",
        ),
        (
            &["--provider", "standard-webhooks", "--secret", "whsec_"],
            "error: secret 1 is empty\n  hint: anybody could sign with it; give the one that the provider shows",
        ),
    ];
    for (flags, wanted) in cases {
        assert_eq!(printed(flags, IDWISE), wanted);
    }
}

#[test]
fn a_scheme_that_is_off_by_default_is_recognised_and_said_so() {
    // HMAC-SHA256 of `1700000000:s:Approved:status.updated` under `k`, made with Python's hmac.
    let request = b"POST / HTTP/1.1\r\nX-Timestamp: 1700000000\r\nX-Signature-Simple: \
        f50d643bc1d14dabef5f199fc9e832d9a4859d9056561c89d3777aa47b30e9a0\r\n\r\n{\"session_id\":\"s\",\"status\":\"Approved\",\"webhook_type\":\"status.updated\"}";
    let text = printed(
        &["--provider", "didit", "--secret", "k", "--at", "1700000000"],
        request,
    );
    assert!(text.starts_with("valid\n"), "{text}");
    assert!(text.contains("coverage:   partial"), "{text}");
    assert!(text.contains("`simple = \"true\"`"), "{text}");
}

#[test]
fn the_time_and_the_tolerance_can_be_chosen() {
    // HMAC-SHA256 of `1700000000.{}` under `k`, made with Python's hmac.
    let request = b"POST / HTTP/1.1\r\nStripe-Signature: t=1700000000,v1=\
        c6ef4734033cee2367414a0939385eca0397754aa7a59716da7463a9298b5146\r\n\r\n{}";
    let flags = |more: &[&'static str]| [&["--provider", "stripe", "--secret", "k"], more].concat();
    assert!(printed(&flags(&[]), request).starts_with("invalid: stale: the timestamp is "));
    assert!(printed(&flags(&["--at", "1700000300"]), request).starts_with("valid"));
    assert!(printed(&flags(&["--at", "1700000301"]), request).starts_with("invalid: stale"));
    assert!(
        printed(
            &flags(&["--at", "1700000301", "--tolerance", "10m"]),
            request
        )
        .starts_with("valid")
    );
    assert!(printed(&flags(&["--tolerance", "none"]), request).starts_with("valid"));
}

fn parsed(text: &[u8]) -> RawRequest {
    RawRequest::parse(text).unwrap_or_else(|usage| panic!("{usage}"))
}

#[test]
fn the_body_is_byte_exact() {
    let request = parsed(b"POST /a?b=c HTTP/1.1\r\nX-A: 1\r\n\r\n\xff\x00 {}\r\n");
    let seen = request.as_request();
    assert_eq!((seen.method, seen.target), ("POST", "/a?b=c"));
    assert_eq!(seen.body, b"\xff\x00 {}\r\n");
}

#[test]
fn a_length_ends_the_body() {
    let request = parsed(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}\n");
    assert_eq!(request.as_request().body, b"{}");
}

#[test]
fn a_chunked_body_is_put_together() {
    let request = parsed(
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\n{\"a\"\r\n3\r\n:1}\r\n0\r\nT: 1\r\n\r\n",
    );
    assert_eq!(request.as_request().body, b"{\"a\":1}");
}

#[test]
fn line_feeds_alone_end_lines_too() {
    let request = parsed(b"POST http://h.example/p HTTP/1.1\nX-A: 1\n\n{}");
    assert_eq!(request.as_request().target, "/p");
    assert_eq!(request.as_request().body, b"{}");
}

#[test]
fn what_is_no_request_is_refused() {
    let cases: [&[u8]; 6] = [
        b"",
        b"{}",
        b"POST / HTTP/1.1\r\nX-A: 1\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n{}",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{}",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}",
    ];
    for case in cases {
        assert!(RawRequest::parse(case).is_err(), "{case:?}");
    }
}
