//! What goes out, and that it goes out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use clap::Parser;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Args, Outgoing};
use crate::provider;
use crate::secret::Secret;
use crate::verify::{Params, Request, Verifier};

const NOW_MS: u64 = 1_760_000_000_000;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: Args,
}

fn args(flags: &[&str]) -> Args {
    Command::try_parse_from([&["send"], flags].concat())
        .unwrap_or_else(|error| panic!("{error}"))
        .args
}

fn outgoing(flags: &[&str]) -> Outgoing {
    Outgoing::new(&args(flags), NOW_MS).unwrap_or_else(|usage| panic!("{usage}"))
}

fn accepted(out: &Outgoing, preset: &str, secret: &str) -> bool {
    let preset = provider::preset(preset).unwrap();
    let params = Params::default();
    let target = out.uri.path_and_query().unwrap().to_string();
    Verifier::new(&preset.scheme, &[Secret::new(secret)], &params)
        .unwrap()
        .verify(
            Request {
                method: "POST",
                target: &target,
                headers: &out.headers,
                body: &out.body,
            },
            NOW_MS,
        )
        .is_ok()
}

#[test]
fn a_sample_is_accepted_and_a_tampered_one_is_not() {
    let cases = [
        ("didit", "s"),
        ("idwise", "user:password"),
        ("idwise", "token"),
        ("legal-talent", "s"),
        ("k-id", "s"),
        ("stripe", "whsec_s"),
        ("gitlab", "plain token"),
        ("cloudevents", "token"),
    ];
    for (preset, secret) in cases {
        let flags = [preset, "--to", "http://127.0.0.1:1/in", "--secret", secret];
        let out = outgoing(&flags);
        assert!(accepted(&out, preset, secret), "{preset}");
        assert!(out.event_id.is_some(), "{preset}");
        let forged = outgoing(&[&flags[..], &["--tamper"]].concat());
        assert!(!accepted(&forged, preset, secret), "{preset}");
    }
}

#[test]
fn two_calls_send_two_events() {
    let flags = ["didit", "--to", "http://127.0.0.1:1/in", "--secret", "s"];
    assert_ne!(outgoing(&flags).event_id, outgoing(&flags).event_id);
}

#[test]
fn a_target_that_is_no_url_is_refused() {
    for to in ["127.0.0.1", "ftp://h.example/", "/hooks", "http://"] {
        let args = args(&["didit", "--to", to, "--secret", "s"]);
        assert!(Outgoing::new(&args, NOW_MS).is_err(), "{to}");
    }
}

#[tokio::test]
async fn the_event_goes_over_http_and_the_answer_is_shown() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hooks/k-id", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut seen = vec![];
        while !seen.ends_with(b"}\n") {
            socket.read_buf(&mut seen).await.unwrap();
        }
        socket
            .write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\nok")
            .await
            .unwrap();
        String::from_utf8(seen).unwrap()
    });
    let out = outgoing(&["k-id", "--to", &url, "--secret", "s"]);
    let answer = out.post().await.unwrap();
    assert_eq!(answer.status, 202);
    assert!(out.text(&answer).ends_with("-> 202 Accepted\nok"));
    let seen = server.await.unwrap().to_ascii_lowercase();
    assert!(seen.starts_with("post /hooks/k-id http/1.1\r\n"), "{seen}");
    assert!(
        seen.contains("x-signature-timestamp: 1760000000\r\n"),
        "{seen}"
    );
}
