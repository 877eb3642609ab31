//! The admin listener over real sockets: health, metrics, events, reload, and who is kept out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use hookswitch::admin::{self, Control, Deps, ReloadReport, SinkOrder, Status, view};
use hookswitch::dead_letter::ReplayError;
use hookswitch::event::{Event, EventId, Header};
use hookswitch::ingress::Listener;
use hookswitch::journal::archive::{Acted, Which};
use hookswitch::journal::audit::Actor;
use hookswitch::journal::sqlite::{Options, SqliteJournal};
use hookswitch::journal::{
    Attempt, DeliverySummary, EventSummary, HELD_IN_MEMORY, JournalError, Record, State,
};
use hookswitch::metrics::Metrics;
use hookswitch::rejected::{Log, Rejected};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::ingress::journal::FakeJournal;
use crate::ingress::raw::{Answer, ask};

#[derive(Default)]
struct Program {
    bad: AtomicBool,
    paused: AtomicBool,
}

fn crm(paused: bool) -> view::Sink {
    view::Sink {
        name: "crm".to_owned(),
        kind: "http".to_owned(),
        in_flight: 1,
        limit: 16,
        queued: 2,
        pending: 3,
        halted: paused.then(|| "operator".to_owned()),
        halted_until: None,
        last_error: None,
    }
}

#[async_trait]
impl Control for Program {
    async fn reload(&self) -> ReloadReport {
        let ok = !self.bad.load(Ordering::Relaxed);
        ReloadReport {
            ok,
            generation: 7,
            changes: Vec::new(),
            diagnostics: if ok {
                String::new()
            } else {
                "error[x]: no".to_owned()
            },
        }
    }

    fn sinks(&self) -> Vec<view::Sink> {
        vec![crm(self.paused.load(Ordering::Relaxed))]
    }

    async fn order_sink(
        &self,
        name: &str,
        order: SinkOrder,
    ) -> Result<Option<view::Sink>, JournalError> {
        if name != "crm" {
            return Ok(None);
        }
        self.paused
            .store(order == SinkOrder::Pause, Ordering::Relaxed);
        Ok(self.sinks().pop())
    }

    async fn replay(&self, _: Which, _: Actor) -> Result<Acted, ReplayError> {
        Err(ReplayError::Busy)
    }

    fn status(&self) -> Status {
        let ready = !self.bad.load(Ordering::Relaxed);
        Status {
            generation: 7,
            ready,
            not_ready: if ready {
                Vec::new()
            } else {
                vec!["journal_full"]
            },
        }
    }
}

struct Desk {
    address: SocketAddr,
    journal: Arc<FakeJournal>,
    program: Arc<Program>,
    _folder: tempfile::TempDir,
    rejected: Arc<Log>,
    _stop: DropGuard,
}

/// A real one, empty.
fn archive(folder: &std::path::Path) -> Arc<SqliteJournal> {
    let day = std::time::Duration::from_secs(24 * 3600);
    SqliteJournal::open(Options {
        path: folder.join("journal"),
        retain: day,
        retain_dead_letters: day,
        size_bytes_max: 1 << 30,
        free_bytes_min: 0,
        dedupe_window: day,
        dedupe_ids_max: 1000,
    })
    .unwrap()
}

impl Desk {
    async fn start() -> Self {
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .unwrap();
        let address = listener.local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let rejected = Arc::new(Log::new(1 << 20, 8));
        let (journal, program) = (FakeJournal::new(), Arc::new(Program::default()));
        let deps = Deps {
            control: program.clone(),
            journal: journal.clone(),
            archive: archive(folder.path()),
            metrics: Arc::new(Metrics::new()),
            rejected: rejected.clone(),
        };
        let stop = CancellationToken::new();
        tokio::spawn(admin::serve(listener, Arc::new(deps), stop.clone()));
        Self {
            address,
            journal,
            program,
            _folder: folder,
            rejected,
            _stop: stop.drop_guard(),
        }
    }

    async fn ask(&self, request: &str) -> Answer {
        ask(
            self.address,
            format!("{request} HTTP/1.1\r\nhost: {}\r\n\r\n", self.address),
        )
        .await
    }

    async fn json(&self, request: &str) -> serde_json::Value {
        serde_json::from_str(&self.ask(request).await.body).unwrap()
    }
}

fn summary(seq: i64, source: &str, body: &'static [u8]) -> EventSummary {
    let record = Record {
        ordinal: 0,
        route: "kyc".into(),
        sink: "crm".into(),
        state: State::Pending,
        attempts: 1,
        at_ms: 1_000_000_000_500,
        next_at_ms: 1_000_000_001_000,
        key_hash: None,
        code: "http_503".to_owned(),
        detail: String::new(),
        plugins: "normalize-kyc@3f2a".to_owned(),
        message_id: "m-1".to_owned(),
        message: None,
        attempt: None,
    };
    let held = Record {
        ordinal: 1,
        next_at_ms: HELD_IN_MEMORY,
        ..record.clone()
    };
    let attempt = Attempt {
        number: 1,
        at_ms: 1_000_000_000_500,
        class: "transient",
        code: "http_503".to_owned(),
        detail: "503 Service Unavailable".to_owned(),
    };
    EventSummary {
        seq,
        event: Arc::new(Event {
            id: EventId::now(),
            source: source.into(),
            provider: "didit".into(),
            kind: "status.updated".to_owned(),
            provider_event_id: Some("evt_1".to_owned()),
            received_at_ms: 1_000_000_000_000,
            method: "POST".to_owned(),
            path: "/hooks/didit".to_owned(),
            query: String::new(),
            headers: vec![Header::new("content-type", "application/json")],
            content_type: None,
            body: Bytes::from_static(body),
            attributes: vec![("coverage".to_owned(), "full".to_owned())],
        }),
        body_bytes: body.len() as u64,
        finished: false,
        deliveries: vec![
            DeliverySummary {
                record,
                attempts: vec![attempt],
            },
            DeliverySummary {
                record: held,
                attempts: Vec::new(),
            },
        ],
    }
}

#[tokio::test]
async fn health_and_readiness_tell_apart_alive_and_taking_webhooks() {
    let desk = Desk::start().await;
    assert_eq!(desk.ask("GET /livez").await.status, 200);
    assert_eq!(desk.ask("GET /readyz").await.status, 200);
    desk.program.bad.store(true, Ordering::Relaxed);
    assert_eq!(desk.ask("GET /livez").await.status, 200);
    let answer = desk.ask("GET /readyz").await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("journal_full"));
}

#[tokio::test]
async fn metrics_have_the_media_type_that_prometheus_expects() {
    let answer = Desk::start().await.ask("GET /metrics").await;
    assert!(
        answer
            .head
            .contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(
        answer.body.contains("hookswitch_journal_healthy 1\n"),
        "{}",
        answer.body
    );
    assert!(answer.body.ends_with("# EOF\n"));
}

#[tokio::test]
async fn a_reload_answers_with_its_outcome() {
    let desk = Desk::start().await;
    assert_eq!(desk.ask("POST /reload").await.status, 200);
    desk.program.bad.store(true, Ordering::Relaxed);
    let answer = desk.ask("POST /reload").await;
    assert_eq!(answer.status, 422);
    assert!(answer.body.contains("error[x]: no"));
    let answer = desk.ask("GET /reload").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (405, "method_not_allowed")
    );
    assert!(answer.head.contains("allow: post"));
}

#[tokio::test]
async fn events_are_listed_in_pages_and_by_source() {
    let desk = Desk::start().await;
    for seq in [3, 2, 1] {
        let source = if seq == 2 { "idwise" } else { "didit" };
        desk.journal
            .summaries
            .lock()
            .unwrap()
            .push(summary(seq, source, b"{}"));
    }
    let page = desk.json("GET /events?limit=2").await;
    assert_eq!(page["events"].as_array().unwrap().len(), 2);
    assert_eq!(page["next"], 2);
    let page = desk.json("GET /events?limit=2&before=2").await;
    assert_eq!(page["events"].as_array().unwrap().len(), 1);
    assert!(page["next"].is_null());
    let page = desk.json("GET /events?source=idwise").await;
    let event = &page["events"][0];
    assert_eq!(event["source"], "idwise");
    assert_eq!(event["type"], "status.updated");
    assert_eq!(event["provider_event_id"], "evt_1");
    assert_eq!(event["received_at"], "2001-09-09T01:46:40.000Z");
    assert_eq!(event["body_bytes"], 2);
    let deliveries = &event["deliveries"];
    assert_eq!(deliveries[0]["state"], "pending");
    assert_eq!(deliveries[0]["next_at"], "2001-09-09T01:46:41.000Z");
    assert_eq!(deliveries[0]["message_id"], "m-1");
    assert!(deliveries[1]["next_at"].is_null());
    assert!(event.get("body").is_none());
}

#[tokio::test]
async fn one_event_is_shown_with_attempts_and_its_body_can_be_downloaded() {
    let desk = Desk::start().await;
    let text = summary(1, "didit", b"{\"a\":1}");
    let binary = summary(2, "didit", b"\xff\0\x01");
    let (text_id, binary_id) = (text.event.id, binary.event.id);
    desk.journal
        .summaries
        .lock()
        .unwrap()
        .extend([text, binary]);
    let event = desk.json(&format!("GET /events/{text_id}")).await;
    assert_eq!(
        event["body"],
        serde_json::json!({"encoding":"utf-8","text":"{\"a\":1}","truncated":false})
    );
    assert_eq!(event["headers"][0][0], "content-type");
    assert_eq!(event["deliveries"][0]["history"][0]["code"], "http_503");
    let event = desk.json(&format!("GET /events/{binary_id}")).await;
    assert_eq!(event["body"]["encoding"], "base64");
    let answer = desk.ask(&format!("GET /events/{text_id}?body=raw")).await;
    assert_eq!(answer.body, "{\"a\":1}");
    assert!(answer.head.contains("content-disposition: attachment"));
    assert!(answer.head.contains("x-content-type-options: nosniff"));
}

fn reject(log: &Log, source: &str, code: &str) {
    let place = log.place(source, code, 1_000_000_000_000).unwrap();
    log.keep(
        place,
        Rejected {
            number: 0,
            at_ms: 1_000_000_000_000,
            source: source.into(),
            code: code.to_owned(),
            detail: "signed 400 s ago".to_owned(),
            status: 401,
            enforced: true,
            client: [203, 0, 113, 9].into(),
            client_is_known: source != "didit",
            peer: [10, 0, 0, 1].into(),
            method: "POST".to_owned(),
            path: "/hooks".to_owned(),
            query: String::new(),
            headers: vec![("x-signature".to_owned(), "****a1b2".to_owned())],
            headers_cut: false,
            body: Bytes::from("0123456789"),
            body_bytes: Some(10),
        },
    );
}

#[tokio::test]
async fn rejected_requests_are_listed_in_pages_and_shown_one_by_one() {
    let desk = Desk::start().await;
    for (source, code) in [
        ("didit", "stale"),
        ("idwise", "bad_credential"),
        ("idwise", "bad_credential"),
    ] {
        reject(&desk.rejected, source, code);
    }
    let page = desk.json("GET /rejected?limit=2").await;
    let numbers = |page: &serde_json::Value| -> Vec<u64> {
        let list = page["rejected"].as_array().unwrap();
        list.iter()
            .map(|one| one["number"].as_u64().unwrap())
            .collect()
    };
    assert_eq!((numbers(&page), &page["next"]), (vec![3, 2], &2.into()));
    let page = desk.json("GET /rejected?limit=2&before=2").await;
    assert_eq!(
        (numbers(&page), &page["next"]),
        (vec![1], &serde_json::Value::Null)
    );
    assert_eq!(
        page["rejected"][0],
        serde_json::json!({
            "number": 1, "at": "2001-09-09T01:46:40.000Z", "source": "didit", "code": "stale",
            "detail": "signed 400 s ago", "status": 401, "enforced": true, "client": null,
            "peer": "10.0.0.1", "method": "POST", "path": "/hooks", "query": "", "body_bytes": 10,
        })
    );
    let page = desk
        .json("GET /rejected?code=bad_credential&since=2001-09-09T00:00:00Z")
        .await;
    assert_eq!((numbers(&page), &page["skipped"]), (vec![3, 2], &0.into()));
    let one = desk.json("GET /rejected/1").await;
    assert_eq!(
        one["headers"][0],
        serde_json::json!(["x-signature", "****a1b2"])
    );
    let body = serde_json::json!({"encoding": "utf-8", "text": "01234567", "truncated": true});
    assert_eq!(one["body"], body);
}

#[tokio::test]
async fn what_cannot_be_answered_says_why_in_json() {
    let desk = Desk::start().await;
    for (request, status, code) in [
        ("GET /events?state=lost", 400, "bad_query"),
        ("GET /events?limit=5000", 400, "bad_query"),
        ("GET /events/42", 400, "bad_id"),
        (
            "GET /events/0193a5e4-7c1b-7d3e-9a40-0c5f7b1e2d33",
            404,
            "no_such_event",
        ),
        ("GET /rejected?state=dead", 400, "bad_query"),
        ("GET /rejected/1", 404, "no_such_request"),
        ("GET /rejected/one", 400, "bad_number"),
        ("GET /rejectedness", 404, "not_found"),
        ("DELETE /rejected/1", 405, "method_not_allowed"),
        ("GET /nothing", 404, "not_found"),
        ("DELETE /events", 405, "method_not_allowed"),
    ] {
        let answer = desk.ask(request).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{request}"
        );
    }
}

#[tokio::test]
async fn web_pages_in_a_browser_are_kept_out() {
    let desk = Desk::start().await;
    for headers in [
        "host: attacker.example.com\r\n",
        "host: 127.0.0.1\r\norigin: http://attacker.example.com\r\n",
    ] {
        let answer = ask(
            desk.address,
            format!("POST /reload HTTP/1.1\r\n{headers}\r\n"),
        )
        .await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (403, "host_not_allowed")
        );
        assert!(!answer.head.contains("access-control"));
    }
}

#[tokio::test]
async fn the_command_line_asks_through_the_same_api() {
    let desk = Desk::start().await;
    desk.journal
        .summaries
        .lock()
        .unwrap()
        .push(summary(1, "didit", b"{}"));
    let id = desk.journal.summaries.lock().unwrap()[0]
        .event
        .id
        .to_string();
    let admin = format!("http://{}", desk.address);
    let run = |args: Vec<String>| {
        let admin = admin.clone();
        tokio::task::spawn_blocking(move || {
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hookswitch"));
            command
                .args(args)
                .env("HOOKSWITCH_ADMIN", admin)
                .output()
                .unwrap()
        })
    };
    let args = |args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
    let listed = run(args(&["events", "list"])).await.unwrap();
    let text = String::from_utf8(listed.stdout).unwrap();
    assert!(text.starts_with("SOURCE"), "{text}");
    assert!(
        text.contains(&id) && text.contains("pending 2 (http_503)"),
        "{text}"
    );
    let shown = run(args(&["events", "show", &id])).await.unwrap();
    assert_eq!(shown.status.code(), Some(0));
    assert!(
        String::from_utf8(shown.stdout)
            .unwrap()
            .contains("attempt 1 failed")
    );
    let json = run(args(&["events", "show", "--json", &id])).await.unwrap();
    assert!(serde_json::from_slice::<serde_json::Value>(&json.stdout).is_ok());
    for (arguments, code) in [
        (
            vec!["events", "show", "0193a5e4-7c1b-7d3e-9a40-0c5f7b1e2d33"],
            1,
        ),
        (vec!["events", "show", "no-id"], 64),
        (vec!["events", "list", "--since", "soon"], 64),
        (vec!["evnts"], 64),
        (vec!["--version"], 0),
        (vec!["completions", "bash"], 0),
    ] {
        let ended = run(args(&arguments)).await.unwrap();
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}");
    }
}
