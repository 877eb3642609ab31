//! Secrets stay secret: planted ones are looked for in everything that the program prints or answers.

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use http_body_util::Full;

use crate::support::host::Host;
use crate::support::receiver::Receiver;
use crate::support::sender::{Client, didit_approved, hmac_hex};
use crate::support::{PATIENCE, eventually, plugin};

/// Every secret of these tests has this in it, before the last four characters that a mask shows.
const CANARY: &str = "canary";

const DIDIT: &str = "didit-canary-secret-1111";
const DIDIT_NEW: &str = "didit-canary-secret-2222";
const IDWISE: &str = "user-canary:password-canary-3333";
const CRM_TOKEN: &str = "Bearer crm-token-canary-4444";
const HASH_KEY: &str = "hash-key-canary-5555";
const HASH_KEY_NEW: &str = "hash-key-canary-6666";

fn env() -> Vec<(&'static str, &'static str)> {
    vec![
        ("IDWISE", IDWISE),
        ("CRM_TOKEN", CRM_TOKEN),
        (
            "AMQP_URL",
            "amqp://guest:amqp-canary-7777@127.0.0.1:1/vhost",
        ),
        ("KAFKA_PASSWORD", "kafka-canary-8888"),
        // The text `canary` itself is not in it, so `SIGNING` is looked for.
        ("SIGNING", SIGNING),
        ("HOOKSWITCH_LOG", "debug"),
    ]
}

const SIGNING: &str = "whsec_c2lnbmluZy1jYW5hcnktc2lnbmluZy1jYW5hcnk=";

fn config(crm: &Receiver, more: &str) -> String {
    format!(
        r#"
[storage]
path = "data"

[sources.didit]
path = "/hooks/didit"
provider = "didit"
secrets = ["file:didit.secret"]

[sources.idwise]
path = "/hooks/idwise"
provider = "idwise"
secrets = ["env:IDWISE"]

[plugins.redact-pii]
component = "{component}"
config = {{ hash = {{ pointers = ["/vendor_data"] }} }}
secrets = {{ hash = {{ key = "file:hash.key" }} }}

[sinks.crm]
type = "http"
url = "{crm}"
headers = {{ authorization = "env:CRM_TOKEN" }}
sign = {{ scheme = "standard-webhooks", secret = "env:SIGNING" }}
allow_private = ["127.0.0.0/8"]

[sinks.dead-end]
type = "rabbitmq"
url = "env:AMQP_URL"
exchange = "kyc"
routing_key = "x"
retry = {{ attempts = 2, base = "10ms", max = "10ms" }}

[sinks.topic]
type = "kafka"
brokers = ["127.0.0.1:1"]
topic = "x"
timeout = "1s"
options = {{ "security.protocol" = "sasl_plaintext", "sasl.mechanism" = "PLAIN", "sasl.username" = "u", "sasl.password" = "env:KAFKA_PASSWORD" }}
retry = {{ attempts = 2, base = "10ms", max = "10ms" }}

[[routes]]
name = "all"
from = ["didit", "idwise"]
plugins = ["redact-pii"]
to = ["crm", "dead-end", "topic"]
{more}"#,
        component = plugin("redact_pii").display(),
        crm = crm.url(),
    )
}

/// Standard output and error of a command in `folder`.
fn printed(folder: &Path, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_hookswitch"))
        .args(args)
        .current_dir(folder)
        .envs(env())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

#[track_caller]
fn assert_hidden(what: &str, text: &str) {
    let basic = base64::engine::general_purpose::STANDARD.encode(IDWISE);
    for secret in [CANARY, SIGNING, &basic] {
        assert!(!text.contains(secret), "{what} shows `{secret}`:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_in_what_check_run_reload_admin_and_explain_print() {
    let folder = tempfile::tempdir().unwrap();
    let crm = Receiver::start().await;
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("didit.secret", DIDIT);
    write("hash.key", HASH_KEY);
    let host = Host::start(folder.path(), &config(&crm, ""), &env());
    let client = Client::new();

    // What comes in: authentic, forged, with a credential.
    let url = host.url("/hooks/didit");
    let body = didit_approved("e-1", "user-1");
    assert_eq!(client.didit(&url, DIDIT, &body).await.unwrap().status, 200);
    let forged = client.didit(&url, "somebody-else", &body).await.unwrap();
    assert_eq!(forged.status, 401);
    let basic = base64::engine::general_purpose::STANDARD.encode(IDWISE);
    let request = |credential: &str| {
        http::Request::post(host.url("/hooks/idwise"))
            .header("content-type", "application/json")
            .header("authorization", format!("Basic {credential}"))
            .body(Full::from(r#"{"event":"x","body":{"eventId":"i-1"}}"#))
            .unwrap()
    };
    assert_eq!(client.send(request(&basic)).await.unwrap().status, 200);
    let refused = client.send(request(&basic[..8])).await.unwrap();
    assert_eq!(refused.status, 401);
    eventually("both deliveries", PATIENCE, async || {
        (crm.count() == 2).then_some(())
    })
    .await;
    // The secrets do get where they belong.
    assert_eq!(crm.received()[0].header("authorization"), CRM_TOKEN);
    let hash = hmac_hex(HASH_KEY, b"user-1");
    let first = String::from_utf8(crm.received()[0].body.to_vec()).unwrap();
    let second = String::from_utf8(crm.received()[1].body.to_vec()).unwrap();
    assert!(
        first.contains(&hash) || second.contains(&hash),
        "{first}{second}"
    );

    // A rotation of secrets alone is a change, and is told by masks.
    let reload = format!("http://{}/reload", host.admin);
    let post = || http::Request::post(&reload).body(Full::default()).unwrap();
    write("didit.secret", DIDIT_NEW);
    write("hash.key", HASH_KEY_NEW);
    let mut answers = String::new();
    let changes = eventually("a reload with the new secrets", PATIENCE, async || {
        // The watcher may come first; then the log has its report, and this one no change.
        let answer = client.send(post()).await.unwrap();
        answers += &String::from_utf8_lossy(&answer.body);
        let all = answers.clone() + &host.log();
        all.contains("source didit: secrets ****1111 -> ****2222")
            .then_some(all)
    })
    .await;
    assert!(
        changes.contains("plugin redact-pii: config or secrets changed"),
        "{changes}"
    );
    let body = didit_approved("e-2", "user-1");
    assert_eq!(client.didit(&url, DIDIT, &body).await.unwrap().status, 401);
    assert_eq!(
        client.didit(&url, DIDIT_NEW, &body).await.unwrap().status,
        200
    );
    let hash = hmac_hex(HASH_KEY_NEW, b"user-1");
    eventually("a hash under the new key", PATIENCE, async || {
        let received = crm.received();
        let found = received
            .iter()
            .any(|one| String::from_utf8_lossy(&one.body).contains(&hash));
        found.then_some(())
    })
    .await;

    // Secrets that stand in the file itself are refused without being shown.
    let inline = "[sources.inline]\npath = \"/inline\"\nprovider = \"didit\"\nsecrets = [\"inline-canary-9999\"]\n\
                  [plugins.inline]\ncomponent = \"x.wasm\"\n[plugins.inline.secrets]\nkey = \"inline-canary-0000\"\n";
    host.rewrite(&config(&crm, inline));
    let answer = client.send(post()).await.unwrap();
    assert_eq!(answer.status, 422);
    answers += &String::from_utf8_lossy(&answer.body);
    assert!(answers.contains("secret_inline"), "{answers}");
    assert_hidden("a refused check", &printed(folder.path(), &["check"]));
    assert_hidden("its JSON", &printed(folder.path(), &["check", "--json"]));
    host.rewrite(&config(&crm, ""));
    let listed = printed(folder.path(), &["check", "--secrets"]);
    for line in [
        "source didit       secrets                ****2222",
        "source idwise      secrets                ****3333",
        "plugin redact-pii  secrets                ****6666",
        "sink crm           headers.authorization  ****4444",
        "sink topic         options.sasl.password  ****8888",
    ] {
        assert!(listed.contains(line), "{listed}");
    }
    assert_hidden("a good check", &listed);
    assert_hidden("its JSON", &printed(folder.path(), &["check", "--json"]));

    // Everything that can be asked.
    for path in ["/", "/metrics", "/livez", "/readyz", "/events?limit=100"] {
        let url = format!("http://{}{path}", host.admin);
        let answer = client.get(&url).await.unwrap();
        assert_hidden(path, &String::from_utf8_lossy(&answer.body));
    }
    for event in host.events(&client, "").await {
        let id = event["id"].as_str().unwrap();
        let event = host.admin_json(&client, &format!("/events/{id}")).await;
        assert_hidden("an event", &event.to_string());
    }
    write(
        "request.http",
        "POST /hooks/idwise HTTP/1.1\r\ncontent-type: application/json\r\n\r\n{}",
    );
    for more in [&["--json"][..], &[]] {
        let args = [
            "explain",
            "--source",
            "idwise",
            "--no-verify",
            "request.http",
        ];
        let explained = printed(folder.path(), &[&args[..], more].concat());
        assert!(explained.contains("authorization"), "{explained}");
        assert!(explained.contains("****4444"), "{explained}");
        assert_hidden("explain", &explained);
    }
    assert_hidden("the admin listener", &answers);
    assert_hidden("the log", &host.log());
}
