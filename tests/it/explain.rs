//! `hookswitch explain` on real plugins: golden output, and nothing is stored or sent.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::plugin;
use crate::support::sender::hmac_hex;

const SECRET: &str = "explain-test-secret";
/// When the requests of these tests came.
const AT: u64 = 1_760_000_000;

fn config() -> String {
    format!(
        r#"
[storage]
path = "data"

[sources.didit]
path = "/hooks/didit"
provider = "didit"
secrets = ["env:DIDIT_SECRET"]
[sources.slack]
path = "/hooks/slack"
provider = "slack"
secrets = ["env:DIDIT_SECRET"]
[sources.github]
path = "/hooks/github"
provider = "github"
secrets = ["env:DIDIT_SECRET"]

[plugins.normalize-kyc]
component = "{normalize}"
config = {{ schema = "kyc.v1", include_original = true }}
[plugins.redact-pii]
component = "{redact}"
config = {{ drop = ["/original"], hash = {{ pointers = ["/subject"] }} }}
secrets = {{ hash = {{ key = "env:HASH_KEY" }} }}

[sinks.topic]
type = "kafka"
brokers = ["127.0.0.1:1"]
topic = "kyc.{{source}}"
[sinks.cases]
type = "rabbitmq"
url = "amqp://127.0.0.1:1"
exchange = "kyc"
routing_key = "{{type}}.{{json:/decision}}"
[sinks.crm]
type = "http"
url = "https://crm.example.com/hooks/a-secret-path"
headers = {{ authorization = "env:CRM_TOKEN" }}
sign = {{ scheme = "standard-webhooks", secret = "env:SIGNING" }}
[sinks.audit]
type = "file"
path = "out/audit.jsonl"
[sinks.broken]
type = "rabbitmq"
url = "amqp://127.0.0.1:1"
exchange = "kyc"
routing_key = "{{json:/no/such/thing}}"

[[routes]]
name = "decisions"
from = ["didit"]
when = 'event.type == "status.updated"'
plugins = ["normalize-kyc", "redact-pii"]
to = ["topic", "cases", "crm", "audit"]
key = "{{json:/session}}"
[[routes]]
name = "declined only"
from = ["didit"]
when = 'body.status == "Declined"'
to = ["audit"]
[[routes]]
name = "wrong type"
from = ["didit"]
when = 'body.session_id > 3'
to = ["audit"]
[[routes]]
name = "as it came"
from = ["didit"]
to = ["broken"]
[[routes]]
name = "code"
from = ["github", "slack"]
plugins = ["normalize-kyc"]
to = ["audit"]
"#,
        normalize = plugin("normalize_kyc").display(),
        redact = plugin("redact_pii").display(),
    )
}

fn request(secret: &str) -> String {
    let body = format!(
        r#"{{"event_id":"e-1","webhook_type":"status.updated","timestamp":{AT},"environment":"live","session_id":"s-1","status":"Approved","vendor_data":"user-1"}}"#
    );
    format!(
        "POST /hooks/didit?a=b HTTP/1.1\r\nhost: hooks.example.com\r\ncontent-type: application/json\r\n\
         authorization: Bearer of-somebody\r\nx-timestamp: {AT}\r\nx-signature: {}\r\n\r\n{body}",
        hmac_hex(secret, body.as_bytes())
    )
}

struct Setting(tempfile::TempDir);

impl Setting {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let setting = Self(folder);
        setting.write("routes.toml", &config());
        setting.write("good.http", &request(SECRET));
        setting.write("forged.http", &request("somebody-else"));
        setting
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder().join(name), text).unwrap();
    }

    fn run(&self, args: &[&str]) -> Output {
        let at = AT.to_string();
        Command::new(env!("CARGO_BIN_EXE_hookswitch"))
            .args(["explain", "--at", &at])
            .args(args)
            .current_dir(self.folder())
            .env("DIDIT_SECRET", SECRET)
            .env("HASH_KEY", "explain-test-hash-key")
            .env("CRM_TOKEN", "Bearer a-long-token")
            .env("SIGNING", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
            .env("NO_COLOR", "1")
            .output()
            .unwrap()
    }
}

/// Builds of plugins differ from machine to machine, so their hashes are left out.
fn without_hashes(text: &str) -> String {
    let mut parts = text.split("@");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.chars().take_while(char::is_ascii_hexdigit).count();
        let rest = if digits == 12 { &part[12..] } else { part };
        whole.push('@');
        whole.push_str(rest);
    }
    whole
}

#[track_caller]
fn golden(name: &str, output: &Output) {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let text = without_hashes(&text);
    let file = Path::new("tests/ui/explain").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &text).unwrap();
    }
    let wanted = std::fs::read_to_string(&file).unwrap_or_default();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        wanted == text,
        "{} differs; BLESS=1 writes it anew:\n{text}\n{error}",
        file.display()
    );
}

#[test]
fn every_stage_of_an_authentic_request_is_told() {
    let setting = Setting::new();
    let output = setting.run(&["--source", "didit", "good.http"]);
    golden("good.txt", &output);
    assert_eq!(output.status.code(), Some(0));
    let output = setting.run(&["--source", "didit", "--json", "good.http"]);
    golden("good.json", &output);
    // Nothing but compiled components is left behind.
    let left: Vec<_> = std::fs::read_dir(setting.folder().join("data"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["components"]);
    assert!(!setting.folder().join("out").exists());
}

#[test]
fn a_forged_request_ends_at_its_verdict_unless_one_goes_on() {
    let setting = Setting::new();
    let output = setting.run(&["--source", "didit", "forged.http"]);
    golden("forged.txt", &output);
    assert_eq!(output.status.code(), Some(1));
    let output = setting.run(&["--source", "didit", "--no-verify", "forged.http"]);
    golden("overruled.txt", &output);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn what_ingress_refuses_by_its_head_is_told_as_the_sender_would_hear_it() {
    let setting = Setting::new();
    let get = request(SECRET).replacen("POST", "GET", 1);
    setting.write("get.http", &get);
    let output = setting.run(&["--source", "didit", "--no-verify", "get.http"]);
    golden("method.txt", &output);
    let form = request(SECRET)
        .replace("application/json", "text/plain")
        .replace("/hooks/didit", "/elsewhere");
    setting.write("form.http", &form);
    let output = setting.run(&["--source", "didit", "form.http"]);
    golden("content_type.txt", &output);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_handshake_is_answered_and_is_no_event() {
    let setting = Setting::new();
    let body = r#"{"type":"url_verification","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmd"}"#;
    let signature = hmac_hex(SECRET, format!("v0:{AT}:{body}").as_bytes());
    let request = format!(
        "POST /hooks/slack HTTP/1.1\r\ncontent-type: application/json\r\nx-slack-request-timestamp: {AT}\r\n\
         x-slack-signature: v0={signature}\r\n\r\n{body}"
    );
    setting.write("shake.http", &request);
    let output = setting.run(&["--source", "slack", "shake.http"]);
    golden("handshake.txt", &output);
    assert_eq!(output.status.code(), Some(0));
    setting.write("forged.http", &request.replace(&signature, &"0".repeat(64)));
    let output = setting.run(&["--source", "slack", "--no-verify", "forged.http"]);
    golden("handshake_forged.txt", &output);
}

#[test]
fn wrong_usage_says_what_to_do() {
    let setting = Setting::new();
    for (args, words) in [
        (
            &["--source", "didt", "good.http"][..],
            "did you mean `didit`?",
        ),
        (
            &["--source", "nothing-like-it", "good.http"],
            "there are didit, slack, github",
        ),
        (
            &["--source", "didit", "none.http"],
            "cannot read the request",
        ),
        (
            &["--source", "didit", "routes.toml"],
            "this is no HTTP/1.1 request",
        ),
        (
            &["--source", "didit", "--config", "none.toml", "good.http"],
            "error[file_unreadable]",
        ),
    ] {
        let output = setting.run(args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(words), "{args:?}: {error}");
        assert_eq!(output.status.code(), Some(64), "{args:?}");
    }
}
