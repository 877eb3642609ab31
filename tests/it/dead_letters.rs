//! Dead letters in the real program: listed, replayed, discarded, over crashes and by two people at once.

use std::collections::HashSet;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::Request;
use http_body_util::Full;
use serde_json::Value;

use crate::support::host::Host;
use crate::support::receiver::Receiver;
use crate::support::sender::{Client, didit_approved};
use crate::support::{PATIENCE, eventually};

const SECRET: &str = "didit-test-secret";
const ENV: [(&str, &str); 2] = [
    ("DIDIT_SECRET", SECRET),
    ("CRM_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
];

fn config(crm: &Receiver, routes: &str) -> String {
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
sign = {{ scheme = "standard-webhooks", secret = "env:CRM_SECRET" }}
allow_private = ["127.0.0.0/8"]
retry = {{ attempts = 2, base = "10ms", max = "20ms" }}
breaker = {{ failures = 0 }}
{routes}
"#,
        crm = crm.url(),
    )
}

const KEYED: &str = r#"
[[routes]]
name = "kyc"
from = ["didit"]
to = ["crm"]
key = "{json:/vendor_data}"
"#;

/// Sends events and gives their ids.
async fn send(host: &Host, client: &Client, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..count {
        let body = didit_approved(&format!("e-{number}"), &format!("user-{}", number % 5));
        let url = host.url("/hooks/didit");
        let answer = client.didit(&url, SECRET, &body).await.unwrap();
        assert_eq!(answer.status, 200);
        ids.push(answer.json()["id"].as_str().unwrap().to_owned());
    }
    ids
}

async fn until_dead(host: &Host, client: &Client, count: usize) {
    eventually("dead letters", PATIENCE, async || {
        let page = host
            .admin_json(client, "/dead-letters?count=true&limit=1")
            .await;
        (page["total"] == count).then_some(())
    })
    .await;
}

async fn until_finished(host: &Host, client: &Client) {
    eventually("an end of all deliveries", PATIENCE, async || {
        let open = host.metric(client, "hookswitch_journal_open_events").await;
        (open == 0.0).then_some(())
    })
    .await;
}

/// Runs `hookswitch dead-letters ...` against the host.
async fn command(host: &Host, args: &[&str]) -> Output {
    let admin = format!("http://{}", host.admin);
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    tokio::task::spawn_blocking(move || {
        std::process::Command::new(env!("CARGO_BIN_EXE_hookswitch"))
            .arg("dead-letters")
            .args(args)
            .env("HOOKSWITCH_ADMIN", admin)
            .env("HOOKSWITCH_ACTOR", "ada")
            .output()
            .unwrap()
    })
    .await
    .unwrap()
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

async fn post(host: &Host, client: &Client, path: &str) -> (u16, Value) {
    let url = format!("http://{}{path}", host.admin);
    let request = Request::post(url).body(Full::default()).unwrap();
    let answer = client.send(request).await.unwrap();
    (answer.status.as_u16(), answer.json())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_sink_refused_is_found_shown_replayed_once_and_keeps_its_history() {
    let dir = tempfile::tempdir().unwrap();
    let crm = Receiver::start().await;
    crm.answer(|_| 503);
    let host = Host::start(dir.path(), &config(&crm, KEYED), &ENV);
    let client = Client::new();
    let ids = send(&host, &client, 20).await;
    until_dead(&host, &client, 20).await;

    let listed = command(
        &host,
        &["list", "--sink", "crm", "--cause", "http_503", "--count"],
    )
    .await;
    assert!(text(&listed).contains("20 in all"), "{}", text(&listed));
    let one = format!("{}:0", ids[0]);
    let shown = text(&command(&host, &["show", &one]).await);
    for part in [
        "attempt 1 failed",
        "attempt 2 failed",
        "http_503",
        "\"vendor_data\"",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let rehearsed = command(&host, &["replay", "--all", "--dry-run"]).await;
    assert_eq!(text(&rehearsed), "20 dead letters would be replayed\n");
    assert_eq!(command(&host, &["replay"]).await.status.code(), Some(64));
    assert_eq!(
        command(&host, &["list", "--since", "soon"])
            .await
            .status
            .code(),
        Some(64)
    );

    // It still refuses: they die again, and are counted on.
    let replayed = command(&host, &["replay", "--source", "didit"]).await;
    assert_eq!(text(&replayed), "replayed 20 dead letters\n");
    until_finished(&host, &client).await;
    until_dead(&host, &client, 20).await;
    let whole = host
        .admin_json(&client, &format!("/dead-letters/{one}"))
        .await;
    let history = whole["event"]["deliveries"][0]["history"]
        .as_array()
        .unwrap();
    let numbers: Vec<u64> = history
        .iter()
        .map(|a| a["number"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4]);

    // Now it takes them. Two people replay all at once; nothing goes out twice.
    crm.answer(|_| 200);
    let all = ["replay", "--all", "--json"];
    let rated = ["replay", "--all", "--json", "--rate", "200/s"];
    let (first, second) = tokio::join!(command(&host, &all), command(&host, &rated));
    let count = |output: &Output| {
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        told["replayed"].as_u64().unwrap()
    };
    assert_eq!(count(&first) + count(&second), 20, "{}", text(&second));
    until_finished(&host, &client).await;
    let mut got = crm.ids();
    got.sort();
    let mut expected = ids.clone();
    expected.sort();
    assert_eq!(got, expected, "each once, under the event's own id");
    until_dead(&host, &client, 0).await;

    // Once more is no error, and does nothing.
    let again = post(&host, &client, &format!("/dead-letters/{one}/replay")).await;
    assert_eq!(again.0, 200);
    assert_eq!(again.1["replayed"], serde_json::json!([]));
    assert_eq!(again.1["state"], "delivered");
    let (status, answer) = post(&host, &client, "/dead-letters/replay").await;
    assert_eq!(
        (status, answer["error"]["code"].as_str()),
        (400, Some("bad_query"))
    );
    let missing = "/dead-letters/0193a5e4-7c1b-7d3e-9a40-0c5f7b1e2d33:0/replay";
    assert_eq!(post(&host, &client, missing).await.0, 404);
    let event = host
        .admin_json(&client, &format!("/events/{}", ids[0]))
        .await;
    assert_eq!(event["deliveries"][0]["attempts"], 5);
    assert_eq!(
        host.metric(&client, "hookswitch_replayed_deliveries_total")
            .await,
        40.0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_discarded_dead_letter_is_gone_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let crm = Receiver::start().await;
    crm.answer(|_| 400);
    let host = Host::start(dir.path(), &config(&crm, KEYED), &ENV);
    let client = Client::new();
    let ids = send(&host, &client, 3).await;
    until_dead(&host, &client, 3).await;
    let one = format!("{}:0", ids[1]);
    let without = command(&host, &["discard", &one]).await;
    assert_eq!(without.status.code(), Some(64), "a reason is asked for");
    let discarded = command(&host, &["discard", &one, "--reason", "OPS-7"]).await;
    assert_eq!(text(&discarded), "discarded 1 dead letter\n");
    let event = host
        .admin_json(&client, &format!("/events/{}", ids[1]))
        .await;
    let delivery = &event["deliveries"][0];
    assert_eq!(delivery["state"], "dropped");
    assert_eq!(delivery["code"], "discarded");
    assert!(
        delivery["detail"]
            .as_str()
            .unwrap()
            .starts_with("OPS-7 (was http_400")
    );
    let rest = command(
        &host,
        &["discard", "--cause", "http_400", "--reason", "OPS-8"],
    )
    .await;
    assert_eq!(text(&rest), "discarded 2 dead letters\n");
    crm.answer(|_| 200);
    let nothing = command(&host, &["replay", "--all"]).await;
    assert_eq!(text(&nothing), "replayed 0 dead letters\n");
    assert_eq!(crm.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_route_took_goes_through_the_routes_there_are_now() {
    let dir = tempfile::tempdir().unwrap();
    let crm = Receiver::start().await;
    let host = Host::start(dir.path(), &config(&crm, ""), &ENV);
    let client = Client::new();
    let ids = send(&host, &client, 3).await;
    until_dead(&host, &client, 3).await;
    let before = host.metric(&client, "hookswitch_generation").await;
    host.rewrite(&config(&crm, KEYED));
    eventually("the next generation", PATIENCE, async || {
        let now = host.metric(&client, "hookswitch_generation").await;
        (now > before).then_some(())
    })
    .await;
    let replayed = command(&host, &["replay", "--cause", "no_route"]).await;
    assert_eq!(text(&replayed), "replayed 3 dead letters\n");
    eventually("deliveries", PATIENCE, async || {
        (crm.count() == 3).then_some(())
    })
    .await;
    until_finished(&host, &client).await;
    let got: HashSet<String> = crm.ids().into_iter().collect();
    assert_eq!(got, ids.into_iter().collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_of_a_sink_that_is_gone_is_replayed_only_when_the_sink_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let (crm, other) = (Receiver::start().await, Receiver::start().await);
    crm.answer(|_| 400);
    let host = Host::start(dir.path(), &config(&crm, KEYED), &ENV);
    let client = Client::new();
    let ids = send(&host, &client, 1).await;
    until_dead(&host, &client, 1).await;
    let renamed = config(&other, KEYED)
        .replace("[sinks.crm]", "[sinks.desk]")
        .replace("to = [\"crm\"]", "to = [\"desk\"]");
    host.rewrite(&renamed);
    eventually("the next generation", PATIENCE, async || {
        let now = host.metric(&client, "hookswitch_generation").await;
        (now > 1.0).then_some(())
    })
    .await;
    let (status, answer) = post(
        &host,
        &client,
        &format!("/dead-letters/{}:0/replay", ids[0]),
    )
    .await;
    assert_eq!(
        (status, answer["error"]["code"].as_str()),
        (409, Some("sink_gone"))
    );
    let told = text(&command(&host, &["replay", "--all"]).await);
    assert!(
        told.contains("replayed 0") && told.contains("1 are left"),
        "{told}"
    );
    until_dead(&host, &client, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_in_the_middle_of_replays_lose_nothing_and_leave_nothing_stuck() {
    const EVENTS: usize = 60;
    let dir = tempfile::tempdir().unwrap();
    let crm = Receiver::start().await;
    crm.answer(|_| 400);
    let mut host = Host::start(dir.path(), &config(&crm, KEYED), &ENV);
    let client = Client::new();
    let ids = send(&host, &client, EVENTS).await;
    until_dead(&host, &client, EVENTS).await;
    // Every third is refused again, so that there is always something to replay.
    let asked = Arc::new(AtomicU64::new(0));
    let counter = asked.clone();
    crm.answer(move |_| {
        if counter.fetch_add(1, Ordering::Relaxed).is_multiple_of(3) {
            400
        } else {
            200
        }
    });
    for round in 0..10 {
        let seen = asked.load(Ordering::Relaxed);
        let admin = format!("http://{}", host.admin);
        let replay = tokio::task::spawn_blocking(move || {
            std::process::Command::new(env!("CARGO_BIN_EXE_hookswitch"))
                .args(["dead-letters", "replay", "--all", "--rate", "300/s"])
                .env("HOOKSWITCH_ADMIN", admin)
                .output()
        });
        // Into the middle, if there is any left to replay.
        let wanted = seen + 1 + round % 5;
        for _ in 0..200 {
            if asked.load(Ordering::Relaxed) >= wanted || replay.is_finished() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        host = tokio::task::spawn_blocking(move || {
            host.kill();
            host.start_again();
            host
        })
        .await
        .unwrap();
        replay.await.unwrap().unwrap();
    }
    until_finished(&host, &client).await;
    crm.answer(|_| 200);
    let told = command(&host, &["replay", "--all"]).await;
    assert!(told.status.success(), "{}", text(&told));
    until_finished(&host, &client).await;
    until_dead(&host, &client, 0).await;
    let got: HashSet<String> = crm.ids().into_iter().collect();
    let missing: Vec<_> = ids.iter().filter(|id| !got.contains(*id)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
