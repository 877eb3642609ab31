//! What halts a sink and what makes it go on: breaker, 410, configuration errors, operators.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use crate::support::host::Host;
use crate::support::receiver::Receiver;
use crate::support::sender::{Client, didit_approved};
use crate::support::{PATIENCE, eventually};

const SECRET: &str = "didit-test-secret";
const ENV: [(&str, &str); 1] = [("DIDIT_SECRET", SECRET)];

/// Two sinks on one route: what halts one must not halt the other.
fn config(crm: &Receiver, beside: &Receiver) -> String {
    format!(
        r#"
[storage]
path = "data"

[sources.didit]
path = "/hooks/didit"
provider = "didit"
secrets = ["env:DIDIT_SECRET"]

[sinks.crm]
type = "http"
url = "{crm}"
allow_private = ["127.0.0.0/8"]
concurrency = 1
pause = "1h"
breaker = {{ failures = 3, open = "100ms" }}
retry = {{ attempts = 4, base = "10ms", max = "10ms" }}

[sinks.beside]
type = "http"
url = "{beside}"
allow_private = ["127.0.0.0/8"]

[[routes]]
name = "all"
from = ["didit"]
to = ["crm", "beside"]
"#,
        crm = crm.url(),
        beside = beside.url(),
    )
}

struct Setting {
    host: Host,
    client: Client,
    crm: Receiver,
    beside: Receiver,
    /// What `crm` answers.
    answer: Arc<AtomicU16>,
    /// How often `crm` was asked.
    asked: Arc<AtomicUsize>,
    sent: usize,
}

impl Setting {
    async fn start(dir: &Path) -> Self {
        let (crm, beside) = (Receiver::start().await, Receiver::start().await);
        let answer = Arc::new(AtomicU16::new(200));
        let asked = Arc::new(AtomicUsize::new(0));
        let (said, count) = (answer.clone(), asked.clone());
        crm.answer(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            said.load(Ordering::SeqCst)
        });
        let host = Host::start(dir, &config(&crm, &beside), &ENV);
        Self {
            host,
            client: Client::new(),
            crm,
            beside,
            answer,
            asked,
            sent: 0,
        }
    }

    async fn send(&mut self, events: usize) {
        for _ in 0..events {
            let body = didit_approved(&format!("e-{}", self.sent), "user");
            let url = self.host.url("/hooks/didit");
            let answer = self.client.didit(&url, SECRET, &body).await.unwrap();
            assert_eq!(answer.status, 200);
            self.sent += 1;
        }
    }

    async fn sink(&self) -> serde_json::Value {
        let page = self.host.admin_json(&self.client, "/sinks").await;
        let sinks = page["sinks"].as_array().unwrap();
        sinks.iter().find(|s| s["name"] == "crm").unwrap().clone()
    }

    async fn until_halted(&self, why: &str) {
        eventually("the sink to be halted", PATIENCE, async || {
            (self.sink().await["halted"] == why).then_some(())
        })
        .await;
    }

    async fn until_all_at_crm(&self) {
        eventually("all events to reach the sink", PATIENCE, async || {
            (self.crm.count() == self.sent).then_some(())
        })
        .await;
    }

    async fn until_all_beside(&self) {
        eventually("all events to reach the other sink", PATIENCE, async || {
            (self.beside.count() == self.sent).then_some(())
        })
        .await;
    }

    /// The command line, as an operator types it.
    fn sinks(&self, arguments: &[&str]) -> (bool, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_hookswitch"))
            .arg("sinks")
            .args(arguments)
            .args(["--admin", &self.host.admin.to_string()])
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_breaker_counts_no_attempts_and_closes_by_itself_when_the_destination_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut setting = Setting::start(dir.path()).await;
    setting.answer.store(503, Ordering::SeqCst);
    setting.send(20).await;
    setting.until_halted("breaker").await;
    setting.until_all_beside().await;
    let halts = "hookswitch_sink_halts_total";
    assert!(setting.host.metric(&setting.client, halts).await >= 1.0);
    // Twenty events with four attempts each would be eighty; the breaker holds nearly all of them back.
    assert!(setting.asked.load(Ordering::SeqCst) < 40);
    setting.answer.store(200, Ordering::SeqCst);
    let dead = setting
        .host
        .metric(&setting.client, "hookswitch_dead_letters_total")
        .await as usize;
    eventually("the rest to reach the sink", PATIENCE, async || {
        (setting.crm.count() + dead == setting.sent).then_some(())
    })
    .await;
    assert!(dead < 10, "{dead} of 20 were given up in a short outage");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_that_is_gone_gets_nothing_more_until_an_operator_resumes_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut setting = Setting::start(dir.path()).await;
    setting.answer.store(410, Ordering::SeqCst);
    setting.send(5).await;
    setting.until_halted("gone").await;
    setting.until_all_beside().await;
    assert_eq!(setting.asked.load(Ordering::SeqCst), 1);
    let sink = setting.sink().await;
    assert_eq!(sink["halted_until"], serde_json::Value::Null);
    assert_eq!(sink["last_error"]["code"], "gone");
    setting.answer.store(200, Ordering::SeqCst);
    let (done, text) = setting.sinks(&["resume", "crm"]);
    assert!(done && text.contains("sending"), "{text}");
    setting.until_all_at_crm().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_error_is_retried_by_hand_at_once_and_costs_no_attempt() {
    let dir = tempfile::tempdir().unwrap();
    let mut setting = Setting::start(dir.path()).await;
    setting.answer.store(401, Ordering::SeqCst);
    setting.send(3).await;
    setting.until_halted("configuration").await;
    // More often than the four attempts that a delivery has.
    for _ in 0..6 {
        assert!(setting.sinks(&["resume", "crm"]).0);
        setting.until_halted("configuration").await;
    }
    setting.answer.store(200, Ordering::SeqCst);
    assert!(setting.sinks(&["resume", "crm"]).0);
    setting.until_all_at_crm().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operators_pause_holds_over_a_restart_and_ends_with_resume() {
    let dir = tempfile::tempdir().unwrap();
    let mut setting = Setting::start(dir.path()).await;
    let (done, text) = setting.sinks(&["pause", "crm"]);
    assert!(done && text.contains("halted (operator)"), "{text}");
    setting.send(5).await;
    setting.until_all_beside().await;
    setting.host.kill();
    setting.host.start_again();
    setting.send(5).await;
    setting.until_halted("operator").await;
    assert_eq!(setting.asked.load(Ordering::SeqCst), 0);
    let (done, text) = setting.sinks(&["list"]);
    assert!(done && text.contains("halted (operator)"), "{text}");
    assert!(setting.sinks(&["resume", "crm"]).0);
    setting.until_all_at_crm().await;
    setting.host.kill();
    setting.host.start_again();
    setting.send(1).await;
    setting.until_all_at_crm().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ordering_a_sink_that_does_not_exist_names_those_that_do() {
    let dir = tempfile::tempdir().unwrap();
    let setting = Setting::start(dir.path()).await;
    let (done, text) = setting.sinks(&["pause", "crn"]);
    assert!(!done);
    assert_eq!(text, "error: no sink `crn`; there are: beside, crm\n");
}
