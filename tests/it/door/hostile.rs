//! Bad and hostile requests to the real program: what is stored, what is answered, what stays flat.

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::io::AsyncWriteExt;

use crate::ingress::raw::Raw;
use crate::support::host::Host;
use crate::support::sender::{Answer, Client, didit_approved, hmac_hex, unix_s};
use crate::support::{PATIENCE, eventually, plugin};

const SECRET: &str = "didit-test-secret";
const ENV: [(&str, &str); 1] = [("DIDIT_SECRET", SECRET)];

const HEAD: &str = "POST /hooks/didit HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\n";

/// A source for Didit with `keys`, a plugin that reads JSON, and a file.
fn config(keys: &str) -> String {
    let component = plugin("normalize_kyc");
    format!(
        r#"
[storage]
path = "data"

[sources.didit]
path = "/hooks/didit"
provider = "didit"
secrets = ["env:DIDIT_SECRET"]
{keys}

[plugins.normalize-kyc]
component = "{component}"

[sinks.out]
type = "file"
path = "out.jsonl"

[[routes]]
name = "kyc"
from = ["didit"]
plugins = ["normalize-kyc"]
to = ["out"]
"#,
        component = component.display()
    )
}

fn start(folder: &Path, keys: &str) -> Host {
    Host::start(folder, &config(keys), &ENV)
}

/// Runs `hookswitch rejected` against the host.
async fn rejected(host: &Host, arguments: &[&str]) -> (Option<i32>, String) {
    let admin = format!("http://{}", host.admin);
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookswitch"));
    command
        .arg("rejected")
        .args(arguments)
        .env("HOOKSWITCH_ADMIN", admin);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_event_that_comes_from_32_clients_at_once_is_stored_once_and_2xx_to_all() {
    let dir = tempfile::tempdir().unwrap();
    let host = start(dir.path(), "");
    let url = host.url("/hooks/didit");
    let body = didit_approved("e-1", "user-1");
    let all_ready = std::sync::Arc::new(tokio::sync::Barrier::new(32));
    let mut sent = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let (url, body, all_ready) = (url.clone(), body.clone(), all_ready.clone());
        sent.spawn(async move {
            // A connection each.
            let client = Client::new();
            all_ready.wait().await;
            client.didit(&url, SECRET, &body).await.unwrap()
        });
    }
    let answers = sent.join_all().await;
    assert!(
        answers.iter().all(|answer| answer.status == 200),
        "{answers:?}"
    );
    let first = |answer: &&Answer| answer.json()["duplicate"] == false;
    assert_eq!(answers.iter().filter(first).count(), 1);
    let client = Client::new();
    assert_eq!(host.events(&client, "").await.len(), 1);
    let duplicates = host
        .metric(&client, "hookswitch_duplicate_events_total")
        .await;
    assert_eq!(duplicates, 31.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_end_early_are_stored_nowhere_and_the_connection_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let host = start(dir.path(), "");
    let body = didit_approved("e-1", "user-1");
    let signature = hmac_hex(SECRET, body.as_bytes());
    let head = format!(
        "{HEAD}x-timestamp: {}\r\nx-signature: {signature}\r\n",
        unix_s()
    );
    let (half, _) = body.split_at(body.len() / 2);
    // The body is whole, and the length says that there is more.
    let long = format!("{head}content-length: {}\r\n\r\n{body}", body.len() + 1);
    let short = format!("{head}content-length: {}\r\n\r\n{half}", body.len());
    let chunk = format!(
        "{head}transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n",
        body.len()
    );
    for request in [long, short, chunk] {
        let mut polite = Raw::connect(host.listen).await;
        polite.send(&request).await;
        polite.stream.shutdown().await.unwrap();
        let answer = polite.answer().await.expect("an answer");
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "bad_request")
        );
        assert!(polite.is_closed().await);

        let mut rude = Raw::connect(host.listen).await;
        rude.send(&request).await;
        // A reset instead of a goodbye.
        rude.stream.set_zero_linger().unwrap();
    }
    let client = Client::new();
    eventually("every connection's end", PATIENCE, async || {
        let open = host.metric(&client, "hookswitch_open_connections").await;
        (open == 0.0).then_some(())
    })
    .await;
    assert!(host.events(&client, "").await.is_empty());
    let url = host.url("/hooks/didit");
    let answer = client.didit(&url, SECRET, &body).await.unwrap();
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["duplicate"]),
        (200, &false.into())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_request_is_401_and_operators_see_why_in_metrics_api_and_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let host = start(dir.path(), "");
    let body = didit_approved("e-1", "user-1");
    let request = Request::post(host.url("/hooks/didit?session=7"))
        .header("content-type", "application/json")
        .header("x-timestamp", (unix_s() - 301).to_string())
        .header("x-signature", hmac_hex(SECRET, body.as_bytes()))
        .body(Full::from(body.clone()))
        .unwrap();
    let client = Client::new();
    let answer = client.send(request).await.unwrap();
    assert_eq!(answer.status, 401);
    assert_eq!(answer.json()["error"]["code"], "unauthorized");
    let series = "hookswitch_refused_requests_total{source=\"didit\",code=\"stale\"}";
    let page = client
        .get(&format!("http://{}/metrics", host.admin))
        .await
        .unwrap();
    let page = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(page.contains(&format!("{series} 1\n")), "{page}");

    let listed = host
        .admin_json(&client, "/rejected?source=didit&code=stale")
        .await;
    let one = &listed["rejected"][0];
    assert_eq!((&one["number"], &one["status"]), (&1.into(), &401.into()));
    assert_eq!(one["client"], "127.0.0.1");
    assert_eq!(one["query"], "session=7");
    assert_eq!(one["body_bytes"], body.len());
    assert!(one.get("headers").is_none() && listed["next"].is_null());

    let (code, text) = rejected(&host, &["list"]).await;
    assert_eq!(code, Some(0));
    assert!(text.contains("didit") && text.contains("stale"), "{text}");
    let (code, text) = rejected(&host, &["show", "1"]).await;
    assert_eq!(code, Some(0));
    assert!(
        text.contains("POST /hooks/didit?session=7") && text.contains("e-1"),
        "{text}"
    );
    let signature = hmac_hex(SECRET, body.as_bytes());
    assert!(
        !text.contains(&signature) && text.contains("x-signature: ****"),
        "{text}"
    );
    let (code, json) = rejected(&host, &["show", "1", "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &json["body"]["text"]), (Some(0), &body.into()));
    assert_eq!(rejected(&host, &["show", "2"]).await.0, Some(1));
    assert_eq!(
        rejected(&host, &["list", "--since", "soon"]).await.0,
        Some(64)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_json_to_a_plugin_that_reads_json_is_a_dead_letter_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let host = start(dir.path(), "");
    let client = Client::new();
    let url = host.url("/hooks/didit");
    let broken = r#"{"event_id": "e-1", "webhook_type": "status.updated", "#;
    let answer = client.didit(&url, SECRET, broken).await.unwrap();
    assert_eq!(answer.status, 200);
    let event = eventually("the dead letter", PATIENCE, async || {
        host.events(&client, "&state=dead").await.into_iter().next()
    })
    .await;
    let delivery = &event["deliveries"][0];
    assert_eq!(delivery["state"], "dead");
    assert!(!delivery["code"].as_str().unwrap().is_empty(), "{event}");
    assert!(
        delivery["detail"]
            .as_str()
            .unwrap()
            .to_lowercase()
            .contains("json"),
        "{event}"
    );
    // The next event is none the worse for it.
    let good = didit_approved("e-2", "user-1");
    client.didit(&url, SECRET, &good).await.unwrap();
    eventually("the good one", PATIENCE, async || {
        let delivered = host.events(&client, "&state=delivered").await;
        (delivered.len() == 1).then_some(())
    })
    .await;
}

/// The most memory that the process ever had, in KiB.
fn peak_kib(host: &Host) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", host.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.unwrap().trim().trim_end_matches(" kB");
    number.parse().unwrap()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gibibyte_in_chunks_is_413_and_takes_no_memory() {
    let dir = tempfile::tempdir().unwrap();
    let host = start(dir.path(), "max_body = \"1MiB\"");
    let client = Client::new();
    // What a largest good body takes is there before.
    let url = host.url("/hooks/didit");
    let padding = " ".repeat((1 << 20) - 1024);
    let body = didit_approved("e-1", "user-1") + &padding;
    assert_eq!(client.didit(&url, SECRET, &body).await.unwrap().status, 200);
    let before = peak_kib(&host);

    let mut raw = Raw::connect(host.listen).await;
    raw.send(format!("{HEAD}transfer-encoding: chunked\r\n\r\n"))
        .await;
    let chunk = Bytes::from(format!("100000\r\n{}\r\n", "a".repeat(1 << 20)));
    let mut written = 0;
    while written < 1 << 30 && raw.stream.write_all(&chunk).await.is_ok() {
        written += chunk.len();
    }
    // The answer came before the close that ended the writing, if the kernel did not throw it away.
    if let Some(answer) = raw.answer().await {
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (413, "body_too_large")
        );
    }
    assert!(written < 64 << 20, "{written} bytes were taken");
    let series = "hookswitch_refused_requests_total{source=\"didit\",code=\"body_too_large\"}";
    assert_eq!(host.metric_of(&client, series).await, 1.0);
    let grown = peak_kib(&host).saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KiB more than before");

    // A body that ends right behind the bound gets its answer for certain.
    let mut raw = Raw::connect(host.listen).await;
    let chunked = format!("{HEAD}transfer-encoding: chunked\r\n\r\n");
    raw.send(format!(
        "{chunked}100001\r\n{}\r\n0\r\n\r\n",
        "a".repeat((1 << 20) + 1)
    ))
    .await;
    let answer = raw.answer().await.unwrap();
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (413, "body_too_large")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_goes_on_over_a_reload_that_does_not_change_it() {
    let dir = tempfile::tempdir().unwrap();
    let slow = "rate = \"1/h\"\nburst = 2";
    let host = start(dir.path(), slow);
    let client = Client::new();
    let url = host.url("/hooks/didit");
    let send = async |number: u32| {
        let body = didit_approved(&format!("e-{number}"), "user-1");
        client
            .didit(&url, SECRET, &body)
            .await
            .unwrap()
            .status
            .as_u16()
    };
    let reload = async |keys: &str| {
        let before = host.metric(&client, "hookswitch_generation").await;
        host.rewrite(&config(keys));
        let request = Request::post(format!("http://{}/reload", host.admin));
        let answer = client
            .send(request.body(Full::default()).unwrap())
            .await
            .unwrap();
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        assert!(host.metric(&client, "hookswitch_generation").await > before);
    };
    assert_eq!(send(1).await, 200);
    reload(&format!("{slow}\nok_status = 202")).await;
    assert_eq!((send(2).await, send(3).await), (202, 429));
    reload("rate = \"1/h\"\nburst = 3").await;
    assert_eq!(send(4).await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routes_see_what_shadow_mode_let_through() {
    let dir = tempfile::tempdir().unwrap();
    let routes = config("enforce = false").replace(
        "[[routes]]\nname = \"kyc\"",
        "[sinks.suspects]\ntype = \"file\"\npath = \"suspects.jsonl\"\n\
         [[routes]]\nname = \"suspects\"\nfrom = [\"didit\"]\nto = [\"suspects\"]\n\
         when = 'event.attributes[\"verified\"] == \"false\" && event.attributes[\"rejection\"] == \"bad_signature\"'\n\
         [[routes]]\nname = \"kyc\"\nwhen = 'event.attributes[\"verified\"] == \"true\"'",
    );
    let host = Host::start(dir.path(), &routes, &ENV);
    assert!(host.log().contains("not_enforced"), "{}", host.log());
    let client = Client::new();
    let url = host.url("/hooks/didit");
    for (secret, route) in [("another-secret", "suspects"), (SECRET, "kyc")] {
        let body = didit_approved("e-1", "user-1");
        assert_eq!(client.didit(&url, secret, &body).await.unwrap().status, 200);
        eventually(route, PATIENCE, async || {
            let events = host.events(&client, "&state=delivered").await;
            let newest = events.first()?;
            let deliveries = newest["deliveries"].as_array()?;
            let to: Vec<_> = deliveries.iter().map(|d| d["route"].clone()).collect();
            (to == [route]).then_some(())
        })
        .await;
    }
}
