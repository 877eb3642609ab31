//! Sources judged by a verifier plugin, from the socket to the journal: verdicts and failures, secrets,
//! neighbours of one that spins, reloads, and the command line.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;

use crate::plugins::guests::{judge_path, puppet_path};
use crate::support::host::Host;
use crate::support::sender::{Answer, Client, hmac_hex};
use crate::support::{PATIENCE, eventually};

const ENV: [(&str, &str); 2] = [
    ("PARTNER_SECRET", "canary-secret-of-the-partner"),
    ("GITHUB_SECRET", "github-test-secret"),
];

/// Two sources with a verifier each, and one with a preset.
fn config(component: &str, secret: &str) -> String {
    let other = judge_path().display().to_string();
    format!(
        r#"
[storage]
path = "data"

[sources.partner]
path = "/partner"
verifier = "judge"
secrets = ["{secret}"]
max_in_flight = 64

[sources.other]
path = "/other"
verifier = "other-judge"

[sources.github]
path = "/github"
provider = "github"
secrets = ["env:GITHUB_SECRET"]

[plugins.judge]
component = "{component}"

[plugins.other-judge]
component = "{other}"

[sinks.out]
type = "file"
path = "out.jsonl"

[[routes]]
name = "all"
from = ["partner", "other", "github"]
to = ["out"]
"#
    )
}

fn start(dir: &Path) -> Host {
    let component = judge_path().display().to_string();
    Host::start(dir, &config(&component, "env:PARTNER_SECRET"), &ENV)
}

/// Tells the judge of a source what to do.
async fn tell(client: &Client, host: &Host, path: &str, command: &str) -> Answer {
    let request = http::Request::post(host.url(path))
        .header("x-token", "canary-token")
        .header("x-kept", "yes")
        .body(Full::from(command.to_owned()))
        .unwrap();
    client.send(request).await.unwrap()
}

async fn push(client: &Client, host: &Host, number: usize) -> Answer {
    let body = format!("{{\"number\":{number}}}");
    let signature = hmac_hex("github-test-secret", body.as_bytes());
    let request = http::Request::post(host.url("/github"))
        .header("x-github-delivery", format!("d-{number}"))
        .header("x-github-event", "push")
        .header("x-hub-signature-256", format!("sha256={signature}"))
        .body(Full::<Bytes>::from(body))
        .unwrap();
    client.send(request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_is_an_event_a_rejection_is_401_and_a_failure_is_503_with_retry_after() {
    let dir = tempfile::tempdir().unwrap();
    let host = start(dir.path());
    let client = Client::new();

    let answer = tell(
        &client,
        &host,
        "/partner?token=canary&a=1",
        "credential x-token token",
    )
    .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    let event = host.admin_json(&client, &format!("/events/{id}")).await;
    assert_eq!(event["source"], "partner", "{event}");
    assert!(!event.to_string().contains("canary"), "{event}");

    let answer = tell(&client, &host, "/partner", "claim partial evt_7 order.paid").await;
    assert_eq!(answer.status, 200);
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    let event = host.admin_json(&client, &format!("/events/{id}")).await;
    assert_eq!(event["type"], "order.paid", "{event}");
    let again = tell(&client, &host, "/partner", "claim partial evt_7 order.paid").await;
    assert_eq!(
        (again.status.as_u16(), again.json()["duplicate"] == true),
        (200, true)
    );

    let answer = tell(&client, &host, "/partner", "reject stale too old").await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.json()["error"]["code"], "unauthorized");
    for (command, code) in [
        ("spin", "plugin_timeout"),
        ("panic told", "plugin_trap"),
        ("eat", "plugin_memory"),
        ("attributes 17", "plugin_output"),
    ] {
        let answer = tell(&client, &host, "/partner", command).await;
        assert_eq!(answer.status, 503, "{command}");
        assert_eq!(answer.json()["error"]["code"], "verifier_failed");
        assert_eq!(answer.headers["retry-after"], "5");
        let series =
            format!("hookswitch_refused_requests_total{{source=\"partner\",code=\"{code}\"}}");
        assert_eq!(host.metric(&client, &series).await, 1.0, "{series}");
    }
    let leaked = tell(&client, &host, "/partner", "leak").await;
    assert_eq!(leaked.status, 401);
    for (outcome, count) in [("verified", 3.0), ("rejected", 2.0), ("plugin_trap", 1.0)] {
        let series =
            format!("hookswitch_plugin_calls_total{{plugin=\"judge\",outcome=\"{outcome}\"}}");
        assert_eq!(host.metric(&client, &series).await, count, "{series}");
    }
    let log = host.log();
    assert!(
        log.contains("the secret is ****") && log.contains("printed: ****"),
        "{log}"
    );
    assert!(log.contains("wanted ****"), "{log}");
    assert!(!log.contains("canary"), "{log}");
    assert_eq!(host.events(&client, "").await.len(), 2);
}

/// The flood does not end before all of the neighbours' requests are answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verifier_that_spins_costs_its_own_source_only() {
    let dir = tempfile::tempdir().unwrap();
    let host = Arc::new(start(dir.path()));
    let client = Client::new();
    let stop = Arc::new(AtomicBool::new(false));
    // More at a time than the source takes; each spins for as long as its verifier may.
    let flood: Vec<_> = (0..80)
        .map(|_| {
            let (client, host, stop) = (client.clone(), host.clone(), stop.clone());
            tokio::spawn(async move {
                let mut codes = BTreeSet::new();
                while !stop.load(Ordering::Relaxed) {
                    let answer = tell(&client, &host, "/partner", "spin").await;
                    assert_eq!(answer.status, 503);
                    codes.insert(answer.json()["error"]["code"].as_str().unwrap().to_owned());
                    // What is turned away at once would else only heat the machine.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                codes
            })
        })
        .collect();
    let timeouts = "hookswitch_plugin_calls_total{plugin=\"judge\",outcome=\"plugin_timeout\"}";
    eventually("the flood to arrive", PATIENCE, async || {
        (host.metric(&client, timeouts).await > 0.0).then_some(())
    })
    .await;
    for number in 0..10 {
        assert_eq!(push(&client, &host, number).await.status, 200);
        let claim = format!("claim full other-{number}");
        assert_eq!(tell(&client, &host, "/other", &claim).await.status, 200);
    }
    stop.store(true, Ordering::Relaxed);
    let mut codes = BTreeSet::new();
    for request in flood {
        codes.extend(request.await.unwrap());
    }
    // Beyond the source's bound a request is turned away at once.
    let codes: Vec<String> = codes.into_iter().collect();
    assert_eq!(codes, ["overloaded", "verifier_failed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_swaps_verifiers_and_secrets_or_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let component = dir.path().join("judge.wasm");
    std::fs::copy(judge_path(), &component).unwrap();
    let env = [ENV[0], ENV[1], ("BAD_SECRET", "refuse no-more")];
    let host = Host::start(
        dir.path(),
        &config("judge.wasm", "env:PARTNER_SECRET"),
        &env,
    );
    let client = Client::new();
    let reload = async || {
        let request = http::Request::post(format!("http://{}/reload", host.admin));
        let answer = client.send(request.body(Full::default()).unwrap()).await;
        answer.unwrap().json()
    };
    let judges = async || tell(&client, &host, "/partner", "calls").await.status;

    // Nothing has changed: the verifier is carried over, and works.
    assert_eq!(reload().await["ok"], true);
    assert_eq!(judges().await, 200);

    // The verifier refuses the new secret: nothing changes, and the secret is not shown.
    host.rewrite(&config("judge.wasm", "env:BAD_SECRET"));
    let report = reload().await;
    assert_eq!(report["ok"], false, "{report}");
    let text = report["diagnostics"].as_str().unwrap();
    assert!(
        text.contains("error[verifier_settings]: the verifier `judge` refuses"),
        "{text}"
    );
    assert!(
        text.contains("routes.toml:") && !text.contains("canary"),
        "{text}"
    );
    assert_eq!(judges().await, 200);

    // A transformer in its place: the same.
    host.rewrite(&config("judge.wasm", "env:PARTNER_SECRET"));
    std::fs::copy(puppet_path(), dir.path().join("next")).unwrap();
    std::fs::rename(dir.path().join("next"), &component).unwrap();
    let report = reload().await;
    assert_eq!(report["ok"], false, "{report}");
    assert_eq!(judges().await, 200);

    // Another build is taken.
    let mut wasm = std::fs::read(judge_path()).unwrap();
    wasm.extend([0, 5, 4, b't', b'e', b's', b't']);
    std::fs::write(dir.path().join("next"), wasm).unwrap();
    std::fs::rename(dir.path().join("next"), &component).unwrap();
    let before = host.metric(&client, "hookswitch_generation").await;
    reload().await;
    eventually("the next generation", PATIENCE, async || {
        let now = host.metric(&client, "hookswitch_generation").await;
        (now > before).then_some(())
    })
    .await;
    assert_eq!(judges().await, 200);
}

/// `tests/ui/roles/routes.toml` gives exactly `routes.err`; a transformer, and a guest of the tests.
#[test]
fn a_plugin_of_the_wrong_role_is_an_error_of_the_config() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy("tests/ui/roles/routes.toml", dir.path().join("routes.toml")).unwrap();
    std::fs::copy(judge_path(), dir.path().join("judge.wasm")).unwrap();
    let transformer = crate::support::plugin("normalize_kyc");
    std::fs::copy(transformer, dir.path().join("transformer.wasm")).unwrap();
    std::fs::write(dir.path().join("secret"), "refuse what-is-short-or-wrong").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_hookswitch"))
        .args(["check", "--config", "routes.toml"])
        .current_dir(dir.path())
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
    let told = String::from_utf8(output.stderr).unwrap();
    let golden = Path::new("tests/ui/roles/routes.err");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(golden, &told).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(golden).unwrap(),
        told,
        "BLESS=1 writes it anew"
    );
}

/// What `hookswitch verify --plugin` prints for a request, and its exit code.
fn verify(component: &Path, flags: &[&str], request: &str) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("request.http");
    std::fs::write(&file, request).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_hookswitch"))
        .args(["verify", "--plugin"])
        .arg(component)
        .args(flags)
        .arg(&file)
        .output()
        .unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&printed).into_owned(),
    )
}

/// The shipped verifier on a request that another implementation signed.
#[test]
fn verify_runs_a_plugin_as_a_source_would() {
    let case = "plugins/http-signatures/cases/hmac.request.json";
    let case: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(case).unwrap()).unwrap();
    let mut request = format!("POST {} HTTP/1.1\r\n", case["target"].as_str().unwrap());
    for pair in case["headers"].as_array().unwrap() {
        let (name, value) = (pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
        request += &format!("{name}: {value}\r\n");
    }
    request += "\r\n";
    request += case["body_text"].as_str().unwrap();
    let component = crate::support::plugin("http_signatures");
    let config = case["config"].to_string();
    let at = (case["now_ms"].as_u64().unwrap() / 1000).to_string();
    let secret = case["secrets"][0].as_str().unwrap();
    let flags = ["--config", &config, "--secret", secret, "--at", &at];

    let (code, text) = verify(&component, &flags, &request);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(
        text,
        "valid\n  event id:   evt_1\n  event type: invoice.paid\n  coverage:   full (the signature covers the \
         whole body)\n  attribute:  key_id = k1\n"
    );
    let json = [&flags[..], &["--json"]].concat();
    let (_, text) = verify(&component, &json, &request);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["valid"], true);
    assert_eq!(report["attributes"], serde_json::json!({ "key_id": "k1" }));

    let (code, text) = verify(&component, &flags, &request.replace("evt_1", "evt_2"));
    assert_eq!(code, Some(1));
    assert!(
        text.starts_with("invalid: bad_signature: the body is not the one"),
        "{text}"
    );
}

#[test]
fn verify_says_what_keeps_a_plugin_from_a_verdict() {
    let request = |body: &str| format!("POST / HTTP/1.1\r\n\r\n{body}");
    let judge = judge_path();
    let table: [(&Path, &[&str], &str, i32, &str); 6] = [
        (
            &judge,
            &[],
            "spin",
            1,
            "no verdict: plugin_timeout: the plugin ran for more than 50 ms",
        ),
        (
            &judge,
            &[],
            "reject own because",
            1,
            "invalid: rejected: own: because",
        ),
        (
            &judge,
            &["--config", "nonsense"],
            "claim",
            64,
            "error: `--config` is no JSON object",
        ),
        (
            &judge,
            &["--config", "{\"refuse\":1}"],
            "claim",
            64,
            "refuses its config: told to refuse",
        ),
        (
            &judge,
            &["--secret", "refuse no-more"],
            "claim",
            64,
            "refuses the settings: no-more: ****",
        ),
        (&puppet_path(), &[], "claim", 64, "is a transformer"),
    ];
    for (component, flags, body, code, part) in table {
        let (found, text) = verify(component, flags, &request(body));
        assert_eq!(found, Some(code), "{flags:?} {body}: {text}");
        assert!(text.contains(part), "{flags:?} {body}: {text}");
    }
}
