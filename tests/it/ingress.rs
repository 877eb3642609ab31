//! The webhook listener over real sockets: what it takes, what it refuses and how, time, memory, drain.

pub(crate) mod front;
pub(crate) mod journal;
pub(crate) mod raw;
pub(crate) mod secure;

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use hookswitch::journal::AppendError;
use tokio::io::AsyncWriteExt;

use front::{Front, SECRET};
use journal::Mode;
use raw::{Raw, ask, post};

/// Patience for what takes milliseconds on a good day.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn signature(body: &[u8]) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

#[tokio::test]
async fn a_signed_webhook_is_stored_byte_for_byte_and_its_id_is_the_answer() {
    let front = Front::start().await;
    let body = "{ \"b\":1,\r\n\"a\" : 1e2 }\u{7f}";
    let headers = format!(
        "content-type: application/json; charset=utf-8\r\nx-signature: {}\r\ncookie: a=b\r\nauthorization: Bearer x\r\n",
        signature(body.as_bytes())
    );
    let answer = ask(front.address, post("/hooks/signed?a=%20b", &headers, body)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.head.contains("content-type: application/json"));
    let events = front.journal.events();
    let event = &events[0];
    let expected = format!("{{\"id\":\"{}\",\"duplicate\":false}}", event.id);
    assert_eq!(answer.body, expected);
    assert_eq!(event.body, body.as_bytes());
    assert_eq!(
        (event.method.as_str(), event.path.as_str()),
        ("POST", "/hooks/signed")
    );
    assert_eq!(event.query, "a=%20b");
    assert_eq!(
        event.content_type.as_deref(),
        Some("application/json; charset=utf-8")
    );
    assert_eq!(
        event.attributes,
        [("coverage", "full"), ("verified", "true")].map(|(n, v)| (n.to_owned(), v.to_owned()))
    );
    let names: Vec<_> = event.headers.iter().map(|h| h.name.as_str()).collect();
    assert_eq!(
        names,
        ["host", "content-length", "content-type", "x-signature"]
    );
    assert_eq!(
        front.count("hookswitch_accepted_events_total{source=\"signed\"}"),
        1
    );
}

#[tokio::test]
async fn a_credential_in_the_query_is_checked_and_not_stored() {
    let front = Front::start().await;
    let path = format!("/hooks/token?a=1&token={SECRET}");
    assert_eq!(ask(front.address, post(&path, "", "{}")).await.status, 200);
    assert_eq!(
        ask(front.address, post("/hooks/token?token=no", "", "{}"))
            .await
            .status,
        401
    );
    let events = front.journal.events();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].query, "a=1");
}

#[tokio::test]
async fn each_bad_request_gets_its_status_and_code_and_none_is_stored() {
    let front = Front::with(|setup| {
        setup.open.content_types = vec!["application/json".to_owned()];
    })
    .await;
    let json = "content-type: application/json\r\n";
    let chunked = "POST /hooks/open HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n";
    let cases: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        ("unknown path", post("/hooks/ope", "", "").into(), 404, "not_found"),
        ("trailing slash", post("/hooks/open/", "", "").into(), 404, "not_found"),
        ("encoded path", post("/hooks/%6Fpen", "", "").into(), 404, "not_found"),
        ("method", "GET /hooks/open HTTP/1.1\r\nhost: t\r\n\r\n".into(), 405, "method_not_allowed"),
        ("media type", post("/hooks/open", "content-type: text/xml\r\n", "{}").into(), 415, "unsupported_media_type"),
        ("no media type", post("/hooks/open", "", "{}").into(), 415, "unsupported_media_type"),
        ("declared size", format!("POST /hooks/open HTTP/1.1\r\nhost: t\r\n{json}content-length: 65537\r\n\r\n").into(), 413, "body_too_large"),
        ("absurd size", format!("POST /hooks/open HTTP/1.1\r\nhost: t\r\n{json}content-length: 18446744073709551610\r\n\r\n").into(), 413, "body_too_large"),
        ("wrong signature", post("/hooks/signed", "x-signature: 00\r\n", "{}").into(), 401, "unauthorized"),
        ("no signature", post("/hooks/signed", "", "{}").into(), 401, "unauthorized"),
        ("NUL in a value", post("/hooks/open", "x-a: a\0b\r\n", "").into(), 400, "bad_request"),
        ("space before the colon", post("/hooks/open", "x-a : b\r\n", "").into(), 400, "bad_request"),
        ("no HTTP at all", "\x16\x03\x01\x02\0\x01\0\r\n\r\n".into(), 400, "bad_request"),
        ("wrong version", "POST /hooks/open HTTP/9.9\r\n\r\n".into(), 400, "bad_request"),
        ("two lengths", post("/hooks/open", "content-length: 7\r\n", "{}").into(), 400, "bad_request"),
        ("negative length", "POST /hooks/open HTTP/1.1\r\nhost: t\r\ncontent-length: -1\r\n\r\n".into(), 400, "bad_request"),
        ("chunks not last", post("/hooks/open", "transfer-encoding: chunked, gzip\r\n", "").into(), 400, "bad_request"),
        ("a chunk without size", format!("{chunked}\r\nxyz\r\n\r\n").into(), 400, "bad_request"),
        ("a chunk with a bare LF", format!("{chunked}\r\n2\n{{}}\n0\n\n").into(), 400, "bad_request"),
        ("header bytes", post("/hooks/open", &format!("x-a: {}\r\n", "a".repeat(16 * 1024)), "").into(), 431, "headers_too_large"),
        ("a head without end", format!("POST / HTTP/1.1\r\nx-a: {}", "a".repeat(200 * 1024)).into(), 431, "headers_too_large"),
        ("header count", post("/hooks/open", &"x-a: b\r\n".repeat(120), "").into(), 431, "headers_too_large"),
        ("target length", format!("POST /{} HTTP/1.1\r\n\r\n", "a".repeat(70_000)).into(), 414, "target_too_long"),
    ];
    for (name, request, status, code) in cases {
        let mut raw = Raw::connect(front.address).await;
        // The server may refuse, and close, before everything is written.
        let _ = raw.stream.write_all(&request).await;
        let answer = raw
            .answer()
            .await
            .unwrap_or_else(|| panic!("{name}: no answer"));
        // A head that does not end is refused for its size before its target is looked at.
        if name == "target length" && answer.status == 431 {
            continue;
        }
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{name}: {answer:?}"
        );
    }
    assert!(front.journal.events().is_empty());
    let answer = ask(front.address, "PUT /hooks/open HTTP/1.1\r\nhost: t\r\n\r\n").await;
    assert!(answer.head.contains("allow: post"));
}

#[tokio::test]
async fn operators_see_the_reason_that_senders_do_not() {
    let front = Front::start().await;
    let answer = ask(
        front.address,
        post("/hooks/signed", "x-signature: 00\r\n", "{}"),
    )
    .await;
    assert_eq!(answer.code(), "unauthorized");
    assert!(!answer.body.contains("signature"));
    let page = front.metrics.render();
    let line = page
        .lines()
        .find(|line| line.contains("refused") && line.contains("source=\"signed\""));
    assert!(
        line.is_some_and(|line| !line.contains("unauthorized")),
        "{page}"
    );
}

#[tokio::test]
async fn a_bare_line_feed_in_a_head_does_not_split_a_request() {
    let front = Front::start().await;
    let mut raw = Raw::connect(front.address).await;
    raw.send("POST /hooks/open HTTP/1.1\nhost: t\ncontent-length: 2\n\n{}")
        .await;
    let answer = raw.answer().await.unwrap();
    assert!(matches!(answer.status, 200 | 400), "{answer:?}");
    raw.stream.shutdown().await.unwrap();
    assert!(raw.answer().await.is_none());
}

#[tokio::test]
async fn a_length_beside_chunks_smuggles_nothing() {
    let front = Front::start().await;
    let hidden = post("/hooks/open", "", "hidden");
    let length = format!("content-length: {}\r\n", hidden.len() + 12);
    let chunked = "transfer-encoding: chunked\r\n".to_owned();
    for framing in [length.clone() + &chunked, chunked + &length] {
        let mut raw = Raw::connect(front.address).await;
        raw.send(format!(
            "POST /hooks/open HTTP/1.1\r\nhost: t\r\n{framing}\r\n2\r\n{{}}\r\n0\r\n\r\n{hidden}"
        ))
        .await;
        let answer = raw.answer().await.unwrap();
        // Chunks win, and the connection ends with this request (RFC 9112 section 6.1), so whoever
        // believed in the length has sent nothing that is taken for a request.
        assert!(matches!(answer.status, 200 | 400), "{answer:?}");
        assert!(answer.head.contains("connection: close"), "{answer:?}");
        assert!(raw.answer().await.is_none());
    }
    assert!(
        front
            .journal
            .events()
            .iter()
            .all(|event| event.body == "{}")
    );
}

#[tokio::test]
async fn journal_trouble_is_503_with_retry_after() {
    let front = Front::start().await;
    for (error, code) in [
        (AppendError::Busy, "overloaded"),
        (AppendError::Full, "journal_full"),
        (AppendError::Failed, "journal_failed"),
    ] {
        front.journal.set(Mode::Fail(error));
        let answer = ask(front.address, post("/hooks/open", "", "{}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, code));
        assert!(answer.head.contains("retry-after: "), "{answer:?}");
    }
}

#[tokio::test]
async fn a_bug_is_500_and_the_next_request_is_served() {
    let front = Front::start().await;
    front.journal.set(Mode::Panic);
    let answer = ask(front.address, post("/hooks/open", "", "{}")).await;
    assert_eq!((answer.status, answer.code().as_str()), (500, "bug"));
    front.journal.set(Mode::Store);
    assert_eq!(
        ask(front.address, post("/hooks/open", "", "{}"))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_repeated_event_is_2xx_without_a_second_one_also_when_sent_at_once() {
    let front = Front::start().await;
    let mut sent = tokio::task::JoinSet::new();
    for _ in 0..32 {
        sent.spawn(ask(
            front.address,
            post("/hooks/open", "webhook-id: e1\r\n", "{}"),
        ));
    }
    let answers = sent.join_all().await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    let first = answers
        .iter()
        .filter(|a| a.body.contains("\"duplicate\":false"))
        .count();
    assert_eq!((first, front.journal.events().len()), (1, 1));
    assert_eq!(
        front.count("hookswitch_duplicate_events_total{source=\"open\"}"),
        31
    );
}

#[tokio::test]
async fn a_gibibyte_in_chunks_is_cut_at_the_cap() {
    let front = Front::start().await;
    let mut raw = Raw::connect(front.address).await;
    raw.send("POST /hooks/open HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    let chunk = format!("10000\r\n{}\r\n", "a".repeat(0x10000));
    let mut written = 0_usize;
    while written < 1 << 30 {
        // An error, or no progress, is the server's refusal to read on.
        let write = raw.stream.write_all(chunk.as_bytes());
        match tokio::time::timeout(Duration::from_secs(2), write).await {
            Ok(Ok(())) => written += chunk.len(),
            Ok(Err(_)) | Err(_) => break,
        }
    }
    // The cap is 64 KiB; the rest went into socket buffers and the short farewell.
    assert!(written < 16 << 20, "{written} bytes were taken");
    assert_eq!(
        front.count("hookswitch_refused_requests_total{source=\"open\",code=\"body_too_large\"}"),
        1
    );
    assert!(front.journal.events().is_empty());
}

#[tokio::test]
async fn a_body_over_the_cap_in_chunks_gets_its_answer_before_the_close() {
    let front = Front::start().await;
    let mut raw = Raw::connect(front.address).await;
    raw.send("POST /hooks/open HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    raw.send(format!("10001\r\n{}\r\n0\r\n\r\n", "a".repeat(0x10001)))
        .await;
    let answer = raw.answer().await.unwrap();
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (413, "body_too_large")
    );
    assert!(answer.head.contains("connection: close"));
    assert!(raw.is_closed().await);
}

#[tokio::test]
async fn a_truncated_body_is_refused() {
    let front = Front::start().await;
    let mut raw = Raw::connect(front.address).await;
    raw.send("POST /hooks/open HTTP/1.1\r\nhost: t\r\ncontent-length: 10\r\n\r\n{}")
        .await;
    raw.stream.shutdown().await.unwrap();
    if let Some(answer) = raw.answer().await {
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "bad_request")
        );
    }
    assert!(front.journal.events().is_empty());
    assert_eq!(
        front.count("hookswitch_refused_requests_total{source=\"open\",code=\"bad_request\"}"),
        1
    );
}

#[tokio::test]
async fn slow_clients_are_told_and_cut() {
    let front = Front::with(|setup| {
        setup.limits.header_timeout = Duration::from_millis(200);
        setup.limits.body_timeout = Duration::from_millis(200);
    })
    .await;
    for (name, sent, code) in [
        (
            "half a head",
            "POST /hooks/open HTTP/1.1\r\nhost:",
            "header_timeout",
        ),
        (
            "half a body",
            "POST /hooks/open HTTP/1.1\r\nhost: t\r\ncontent-length: 9\r\n\r\n{",
            "body_timeout",
        ),
        (
            "no chunk",
            "POST /hooks/open HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n",
            "body_timeout",
        ),
    ] {
        let mut raw = Raw::connect(front.address).await;
        raw.send(sent).await;
        let answer = raw
            .answer()
            .await
            .unwrap_or_else(|| panic!("{name}: no answer"));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (408, code),
            "{name}"
        );
        assert!(raw.is_closed().await, "{name}");
    }
    let mut silent = Raw::connect(front.address).await;
    assert!(silent.is_closed().await);
    let mut dripping = Raw::connect(front.address).await;
    let drip = async {
        loop {
            if dripping.stream.write_all(b"P").await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, drip)
        .await
        .expect("a dripping client is cut");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let front = Front::start().await;
    let mut raw = Raw::connect(front.address).await;
    let two = post("/hooks/open", "", "{\"type\":\"one\"}") + &post("/hooks/none", "", "");
    raw.send(two + &post("/hooks/open", "", "{\"type\":\"three\"}"))
        .await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(raw.answer().await.unwrap().status);
    }
    assert_eq!(statuses, [200, 404, 200]);
    let kinds: Vec<_> = front
        .journal
        .events()
        .iter()
        .map(|e| e.kind.clone())
        .collect();
    assert_eq!(kinds, ["one", "three"]);
}

#[tokio::test]
async fn a_continue_is_sent_only_if_the_head_gives_no_reason_to_refuse() {
    let front = Front::start().await;
    let head = |path: &str, length: usize| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: t\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    for (request, status) in [
        (head("/hooks/none", 2), 404),
        (head("/hooks/open", 1 << 20), 413),
    ] {
        assert_eq!(ask(front.address, request).await.status, status);
    }
    let mut raw = Raw::connect(front.address).await;
    raw.send(head("/hooks/open", 2)).await;
    assert_eq!(raw.answer().await.unwrap().status, 100);
    raw.send("{}").await;
    assert_eq!(raw.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn one_source_cannot_hold_more_events_than_its_bound() {
    let front = Front::with(|setup| setup.open.in_flight_max = 1).await;
    front.journal.set(Mode::Hold);
    let first = tokio::spawn(ask(front.address, post("/hooks/open", "", "{}")));
    front.journal.arrival().await;
    let answer = ask(front.address, post("/hooks/open", "", "{}")).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "overloaded"));
    front.journal.release.add_permits(2);
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(
        ask(front.address, post("/hooks/open", "", "{}"))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn connections_over_the_bound_wait_for_a_place() {
    let front = Front::with(|setup| setup.limits.connections_max = 1).await;
    let mut first = Raw::connect(front.address).await;
    first.send(post("/hooks/open", "", "{}")).await;
    assert_eq!(first.answer().await.unwrap().status, 200);
    let mut second = Raw::connect(front.address).await;
    second.send(post("/hooks/open", "", "{}")).await;
    let waited = tokio::time::timeout(Duration::from_millis(200), second.answer()).await;
    assert!(waited.is_err());
    drop(first);
    assert_eq!(second.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_drain_finishes_what_runs_and_closes_the_rest() {
    let mut front = Front::start().await;
    front.journal.set(Mode::Hold);
    let mut idle = Raw::connect(front.address).await;
    idle.send("GET / HTTP/1.1\r\nhost: t\r\n\r\n").await;
    assert_eq!(idle.answer().await.unwrap().status, 404);
    let mut running = Raw::connect(front.address).await;
    running.send(post("/hooks/open", "", "{}")).await;
    front.journal.arrival().await;
    front.shutdown.begin(PATIENCE);
    assert!(idle.is_closed().await);
    front.journal.release.add_permits(1);
    let answer = running.answer().await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("connection: close"), "{answer:?}");
    assert!(running.is_closed().await);
    front.ended().await;
    assert!(tokio::net::TcpStream::connect(front.address).await.is_err());
}

#[tokio::test]
async fn a_drain_ends_at_its_deadline_whatever_still_runs() {
    let mut front = Front::start().await;
    front.journal.set(Mode::Hold);
    let mut running = Raw::connect(front.address).await;
    running.send(post("/hooks/open", "", "{}")).await;
    front.journal.arrival().await;
    front.shutdown.begin(Duration::from_millis(50));
    front.ended().await;
    assert!(running.answer().await.is_none());
}

#[tokio::test]
async fn a_status_without_a_body_is_answered_without_one() {
    let front = Front::with(|setup| setup.open.ok_status = 204).await;
    let mut raw = Raw::connect(front.address).await;
    for _ in 0..2 {
        raw.send(post("/hooks/open", "", "{}")).await;
        let answer = raw.answer().await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    }
}
