//! Reload under load, good and bad, and plugins that misbehave beside one that does not.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::Full;

use crate::support::host::Host;
use crate::support::receiver::Receiver;
use crate::support::sender::{Client, didit_approved, hmac_hex};
use crate::support::{PATIENCE, eventually, plugin};

const SECRET: &str = "didit-test-secret";
const ENV: [(&str, &str); 2] = [
    ("DIDIT_SECRET", SECRET),
    ("CRM_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
];

fn config(component: &str, crm: &Receiver, concurrency: usize) -> String {
    format!(
        r#"
[storage]
path = "data"

[sources.didit]
path = "/hooks/didit"
provider = "didit"
secrets = ["env:DIDIT_SECRET"]

[plugins.normalize-kyc]
component = "{component}"

[sinks.crm]
type = "http"
url = "{crm}"
sign = {{ scheme = "standard-webhooks", secret = "env:CRM_SECRET" }}
allow_private = ["127.0.0.0/8"]
concurrency = {concurrency}
retry = {{ attempts = 1000, base = "50ms", max = "200ms" }}

[[routes]]
name = "kyc"
from = ["didit"]
plugins = ["normalize-kyc"]
to = ["crm"]
key = "{{json:/subject}}"
"#,
        crm = crm.url(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_under_load_fail_no_request_lose_no_event_and_keep_order() {
    let dir = tempfile::tempdir().unwrap();
    let crm = Receiver::start().await;
    let component = plugin("normalize_kyc");
    let copy = dir.path().join("normalize_kyc.wasm");
    std::fs::copy(&component, &copy).unwrap();
    let host = Host::start(dir.path(), &config("normalize_kyc.wasm", &crm, 4), &ENV);
    let client = Client::new();
    let url = host.url("/hooks/didit");

    let stop = Arc::new(AtomicBool::new(false));
    let ledger = Arc::new(Mutex::new(Vec::new()));
    let counter = Arc::new(AtomicU64::new(0));
    let crm = Arc::new(crm);
    let senders: Vec<_> = (0..4)
        .map(|sender| {
            let crm = crm.clone();
            let (client, url) = (client.clone(), url.clone());
            let (stop, ledger, counter) = (stop.clone(), ledger.clone(), counter.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let number = counter.fetch_add(1, Ordering::Relaxed);
                    // Each sender has a subject of its own, so its events have an order.
                    let body = didit_approved(&format!("e-{number}"), &format!("user-{sender}"));
                    let answer = client
                        .didit(&url, SECRET, &body)
                        .await
                        .expect("no failed request");
                    assert_eq!(answer.status, 200);
                    let id = answer.json()["id"].as_str().unwrap().to_owned();
                    ledger.lock().unwrap().push((sender, id));
                    // A steady load, not an ever longer backlog.
                    while ledger.lock().unwrap().len() > crm.count() + 64 {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                }
            })
        })
        .collect();

    let admin = format!("http://{}/reload", host.admin);
    for round in 1..=10usize {
        let wanted = ledger.lock().unwrap().len() + 50;
        eventually("load", PATIENCE, async || {
            (ledger.lock().unwrap().len() >= wanted).then_some(())
        })
        .await;
        if round.is_multiple_of(2) {
            // A bad one: the running generation stays, and the answer says why.
            host.rewrite("[sources.didit]\npath = 7\n");
            let request = http::Request::post(&admin).body(Full::default()).unwrap();
            let answer = client.send(request).await.unwrap();
            assert_eq!(answer.status, 422);
            let report = answer.json();
            assert_eq!(report["ok"], false);
            assert!(
                report["diagnostics"]
                    .as_str()
                    .unwrap()
                    .contains("routes.toml:"),
                "{report}"
            );
        } else {
            let before = host.metric(&client, "hookswitch_generation").await;
            host.rewrite(&config("normalize_kyc.wasm", &crm, 4 + round));
            eventually(
                "the next generation, through the file alone",
                PATIENCE,
                async || {
                    let now = host.metric(&client, "hookswitch_generation").await;
                    (now > before).then_some(())
                },
            )
            .await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.await.unwrap();
    }
    let ledger = ledger.lock().unwrap().clone();
    eventually("all deliveries", PATIENCE, async || {
        let got: HashSet<String> = crm.ids().into_iter().collect();
        ledger.iter().all(|(_, id)| got.contains(id)).then_some(())
    })
    .await;
    for sender in 0..4 {
        let sent: Vec<&String> = ledger
            .iter()
            .filter(|(s, _)| *s == sender)
            .map(|(_, id)| id)
            .collect();
        let mine: HashSet<&String> = sent.iter().copied().collect();
        let mut firsts = HashSet::new();
        let got: Vec<String> = crm
            .ids()
            .into_iter()
            .filter(|id| mine.contains(id) && firsts.insert(id.clone()))
            .collect();
        let got: Vec<&String> = got.iter().collect();
        assert_eq!(got, sent, "order of sender {sender}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_component_is_swapped_in_and_a_broken_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let crm = Receiver::start().await;
    let copy = dir.path().join("plugin.wasm");
    std::fs::copy(plugin("normalize_kyc"), &copy).unwrap();
    let host = Host::start(dir.path(), &config("plugin.wasm", &crm, 4), &ENV);
    let client = Client::new();

    // Not a component at all: refused, and the old one goes on.
    let next = dir.path().join("next.wasm");
    std::fs::write(&next, b"not a component").unwrap();
    std::fs::rename(&next, &copy).unwrap();
    eventually("a refused reload", PATIENCE, async || {
        host.log().contains("reload refused").then_some(())
    })
    .await;
    let body = didit_approved("e-1", "user-1");
    let answer = client
        .didit(&host.url("/hooks/didit"), SECRET, &body)
        .await
        .unwrap();
    assert_eq!(answer.status, 200);
    eventually("the delivery", PATIENCE, async || {
        (crm.ids().len() == 1).then_some(())
    })
    .await;
    assert_eq!(host.metric(&client, "hookswitch_generation").await, 1.0);

    // Another good one: taken, by the file's change alone.
    std::fs::write(&next, another_build()).unwrap();
    std::fs::rename(&next, &copy).unwrap();
    eventually("generation 2", PATIENCE, async || {
        let now = host.metric(&client, "hookswitch_generation").await;
        (now == 2.0).then_some(())
    })
    .await;
    let body = didit_approved("e-2", "user-1");
    client
        .didit(&host.url("/hooks/didit"), SECRET, &body)
        .await
        .unwrap();
    eventually("the delivery", PATIENCE, async || {
        (crm.ids().len() == 2).then_some(())
    })
    .await;
    let events = eventually("both events' records", PATIENCE, async || {
        let events = host.events(&client, "").await;
        events
            .iter()
            .all(|event| event["finished"] == true)
            .then_some(events)
    })
    .await;
    let labels: HashSet<&str> = events
        .iter()
        .map(|event| event["deliveries"][0]["plugins"].as_str().unwrap())
        .collect();
    assert_eq!(
        labels.len(),
        2,
        "each event names the build that handled it: {labels:?}"
    );
}

/// The same plugin as another build would be: other bytes, by a custom section at the end.
fn another_build() -> Vec<u8> {
    let mut wasm = std::fs::read(plugin("normalize_kyc")).unwrap();
    wasm.extend([0, 5, 4, b't', b'e', b's', b't']);
    wasm
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_loops_eats_memory_or_traps_costs_only_its_own_event() {
    let dir = tempfile::tempdir().unwrap();
    let crm = Receiver::start().await;
    let guest = crate::plugins::guests::puppet_path();
    let config = format!(
        r#"
[storage]
path = "data"

[sources.github]
path = "/hooks/github"
provider = "github"
secrets = ["env:GITHUB_SECRET"]

[plugins.puppet]
component = "{guest}"
grants = {{ state = true }}

[sinks.crm]
type = "http"
url = "{crm}"
sign = {{ scheme = "standard-webhooks", secret = "env:CRM_SECRET" }}
allow_private = ["127.0.0.0/8"]

[[routes]]
name = "all"
from = ["github"]
plugins = ["puppet"]
to = ["crm"]
"#,
        guest = guest.display(),
        crm = crm.url(),
    );
    let env = [ENV[1], ("GITHUB_SECRET", "github-test-secret")];
    let host = Host::start(dir.path(), &config, &env);
    let client = Client::new();
    let send = async |number: usize, command: &str| {
        let request = http::Request::post(host.url("/hooks/github"))
            .header("content-type", "application/json")
            .header("x-github-delivery", format!("d-{number}"))
            .header("x-github-event", "push")
            .header(
                "x-hub-signature-256",
                format!(
                    "sha256={}",
                    hmac_hex("github-test-secret", command.as_bytes())
                ),
            )
            .body(Full::from(command.to_owned()))
            .unwrap();
        let answer = client.send(request).await.unwrap();
        assert_eq!(answer.status, 200);
        answer.json()["id"].as_str().unwrap().to_owned()
    };
    let mut expected = Vec::new();
    for (number, (command, code)) in [
        ("spin", "plugin_timeout"),
        ("eat", "plugin_memory"),
        ("panic told", "plugin_trap"),
    ]
    .into_iter()
    .enumerate()
    {
        let bad = send(2 * number, command).await;
        let good = send(2 * number + 1, "unchanged").await;
        expected.push((bad, good, code));
    }
    for (bad, good, code) in expected {
        let event = eventually("the bad event's end", PATIENCE, async || {
            let event = host.admin_json(&client, &format!("/events/{bad}")).await;
            (event["finished"] == true).then_some(event)
        })
        .await;
        assert_eq!(event["deliveries"][0]["state"], "dead", "{event}");
        assert_eq!(event["deliveries"][0]["code"], code, "{event}");
        eventually("the good event's delivery", PATIENCE, async || {
            crm.ids().contains(&good).then_some(())
        })
        .await;
    }
    assert_eq!(crm.ids().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_finishes_what_is_in_hand_and_ends_with_zero() {
    let dir = tempfile::tempdir().unwrap();
    let crm = Receiver::start().await;
    let component = plugin("normalize_kyc").display().to_string();
    let mut host = Host::start(dir.path(), &config(&component, &crm, 4), &ENV);
    let client = Client::new();
    for number in 0..20 {
        let body = didit_approved(&format!("e-{number}"), "user-1");
        let answer = client
            .didit(&host.url("/hooks/didit"), SECRET, &body)
            .await
            .unwrap();
        assert_eq!(answer.status, 200);
    }
    let (host, status) = tokio::time::timeout(
        Duration::from_secs(30),
        tokio::task::spawn_blocking(move || {
            let status = host.stop();
            (host, status)
        }),
    )
    .await
    .expect("ends in time")
    .unwrap();
    assert_eq!(status.code(), Some(0), "{}", host.log());
    let mut host = host;
    host.start_again();
    eventually("all deliveries", PATIENCE, async || {
        let got: HashSet<String> = crm.ids().into_iter().collect();
        (got.len() == 20).then_some(())
    })
    .await;
}
