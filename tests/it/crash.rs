//! kill -9 under load: every event that was acknowledged is delivered or dead-lettered in the end.
//!
//! The ledger is the test's own: it writes down each id when the 2xx has arrived, and compares with what
//! the sink got. The host's word is asked only for what it calls dead.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::host::Host;
use crate::support::receiver::Receiver;
use crate::support::sender::{Client, didit_approved};
use crate::support::{PATIENCE, eventually, plugin};

const SECRET: &str = "didit-test-secret";
/// Rounds of SIGKILL and restart.
const ROUNDS: usize = 50;
/// Senders at a time.
const SENDERS: u64 = 8;

fn config(crm: &Receiver) -> String {
    format!(
        r#"
[storage]
path = "data"

[sources.didit]
path = "/hooks/didit"
provider = "didit"
secrets = ["env:DIDIT_SECRET"]

[plugins.normalize-kyc]
component = "{plugin}"

[sinks.crm]
type = "http"
url = "{crm}"
sign = {{ scheme = "standard-webhooks", secret = "env:CRM_SECRET" }}
allow_private = ["127.0.0.0/8"]
retry = {{ attempts = 1000, base = "50ms", max = "200ms" }}

[sinks.audit]
type = "file"
path = "out/audit.jsonl"
rotate = "1GiB"

[[routes]]
name = "kyc"
from = ["didit"]
plugins = ["normalize-kyc"]
to = ["crm", "audit"]
key = "{{json:/subject}}"
"#,
        plugin = plugin("normalize_kyc").display(),
        crm = crm.url(),
    )
}

/// Sends until told to stop, and writes the id of every 2xx into the ledger.
async fn send(
    number: u64,
    url: String,
    client: Client,
    counter: Arc<AtomicU64>,
    ledger: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
) {
    while !stop.load(Ordering::Relaxed) {
        let event = counter.fetch_add(1, Ordering::Relaxed);
        let body = didit_approved(
            &format!("e-{number}-{event}"),
            &format!("user-{}", event % 13),
        );
        match client.didit(&url, SECRET, &body).await {
            Ok(answer) if answer.status.is_success() => {
                let id = answer.json()["id"].as_str().unwrap().to_owned();
                ledger.lock().unwrap().push(id);
            }
            // The host is away or overloaded: this event was not acknowledged, and does not count.
            Ok(_) => {}
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_fifty_kills_under_load_every_acknowledged_event_was_delivered_or_is_a_dead_letter() {
    let dir = tempfile::tempdir().unwrap();
    let crm = Receiver::start().await;
    // One in twenty is refused the first time round, so that retries are in flight when the kill comes.
    let asked = AtomicU64::new(0);
    crm.answer(move |_| {
        if asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(20) {
            503
        } else {
            200
        }
    });
    let env = [
        ("DIDIT_SECRET", SECRET),
        ("CRM_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    ];
    let mut host = Host::start(dir.path(), &config(&crm), &env);
    let client = Client::new();
    let ledger = Arc::new(Mutex::new(Vec::new()));
    let stop = Arc::new(AtomicBool::new(false));
    let counter = Arc::new(AtomicU64::new(0));
    let senders: Vec<_> = (0..SENDERS)
        .map(|number| {
            tokio::spawn(send(
                number,
                host.url("/hooks/didit"),
                client.clone(),
                counter.clone(),
                ledger.clone(),
                stop.clone(),
            ))
        })
        .collect();
    for round in 0..ROUNDS {
        // Kills land in the middle of work: after this round's 20 to 120 acknowledged events.
        let enough = ledger.lock().unwrap().len() + 20 + fastrand::usize(0..100);
        eventually(&format!("round {round}'s load"), PATIENCE, async || {
            (ledger.lock().unwrap().len() >= enough).then_some(())
        })
        .await;
        host = tokio::task::spawn_blocking(move || {
            host.kill();
            host.start_again();
            host
        })
        .await
        .unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.await.unwrap();
    }
    eventually("an empty journal", PATIENCE, async || {
        let open = host.metric(&client, "hookswitch_journal_open_events").await;
        (open == 0.0).then_some(())
    })
    .await;
    let acknowledged: HashSet<String> = ledger.lock().unwrap().iter().cloned().collect();
    let dead: HashSet<String> = host
        .events(&client, "&state=dead")
        .await
        .iter()
        .map(|event| event["id"].as_str().unwrap().to_owned())
        .collect();
    let at_crm: HashSet<String> = crm.ids().into_iter().collect();
    let missing: Vec<_> = acknowledged
        .iter()
        .filter(|id| !at_crm.contains(*id) && !dead.contains(*id))
        .collect();
    assert!(
        missing.is_empty(),
        "{} of {} lost: {missing:?}",
        missing.len(),
        acknowledged.len()
    );
    let audit = std::fs::read_to_string(dir.path().join("out/audit.jsonl")).unwrap();
    let in_file: HashSet<String> = audit
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).expect("a torn line");
            line["id"].as_str().unwrap().to_owned()
        })
        .collect();
    let missing = acknowledged
        .iter()
        .filter(|id| !in_file.contains(*id) && !dead.contains(*id))
        .count();
    assert_eq!(missing, 0, "of {} in the file", acknowledged.len());
    println!(
        "{} acknowledged, {} at the HTTP sink ({} repeated), {} dead, {ROUNDS} kills",
        acknowledged.len(),
        at_crm.len(),
        crm.ids().len() - at_crm.len(),
        dead.len()
    );
}
