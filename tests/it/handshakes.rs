//! Handshakes against the running program: each provider's own, forged ones, hostile ones, and `hookswitch send`.

mod confirm;

use std::process::Command;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use crate::support::host::Host;
use crate::support::sender::{Answer, Client, hmac_hex, unix_s};

const SECRET: &str = "a-secret-that-is-long-enough";
const TOKEN: &str = "a verify token, with signs: +&=";
const ENV: [(&str, &str); 2] = [("SECRET", SECRET), ("TOKEN", TOKEN)];

/// A source for each provider with a handshake, under its own name.
fn config() -> String {
    let plain = [
        "slack",
        "zoom",
        "trulioo",
        "dropbox",
        "okta",
        "intercom",
        "cloudevents",
    ];
    let mut config = String::from("[storage]\npath = \"data\"\n");
    for provider in plain {
        config += &format!(
            "[sources.{provider}]\npath = \"/{provider}\"\nprovider = \"{provider}\"\nsecrets = [\"env:SECRET\"]\n"
        );
    }
    config += r#"
[sources.meta]
path = "/meta"
provider = "meta"
secrets = ["env:SECRET"]
params = { verify_token = "env:TOKEN" }

# Meta without its token: the handshake is off.
[sources.meta-off]
path = "/meta-off"
provider = "meta"
secrets = ["env:SECRET"]

# Trulioo with its token.
[sources.trulioo-token]
path = "/trulioo-token"
provider = "trulioo"
secrets = ["env:SECRET"]
params = { verify_token = "env:TOKEN" }

# CloudEvents from two origins only.
[sources.picky]
path = "/picky"
provider = "cloudevents"
secrets = ["env:SECRET"]
params = { allowed_origins = "a.example.com b.example.com", allowed_rate = "120" }

# Slack with its handshake switched off.
[sources.slack-off]
path = "/slack-off"
provider = "slack"
secrets = ["env:SECRET"]
handshakes = []

# A provider that nobody knows, with a handshake of its own.
[sources.acme]
path = "/acme"
scheme = { kind = "mac", alg = "hmac-sha256", signed = ["{body}"], signature = { header = "X-Acme", encoding = "hex" } }
secrets = ["env:SECRET"]
content_types = ["application/json"]
handshakes = [
    { name = "echo", method = "GET", query = { mode = "check" }, verify_first = false, answer = { status = 202, content_type = "application/x-www-form-urlencoded", headers = { X-Echo = "{query:nonce}" }, text = "nonce={query:nonce}" } },
    { name = "validation", has = ["query:validationToken"], verify_first = false, answer = { text = "{query:validationToken}" } },
]

[sinks.all]
type = "file"
path = "all.jsonl"

[[routes]]
name = "all"
from = ["slack", "zoom", "trulioo", "dropbox", "okta", "intercom", "cloudevents", "meta", "meta-off", "trulioo-token", "picky", "slack-off", "acme"]
to = ["all"]
"#;
    config
}

/// A running program with a source for each provider, and a client.
struct Desk {
    host: Host,
    client: Client,
    _dir: tempfile::TempDir,
}

impl Desk {
    fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            host: Host::start(dir.path(), &config(), &ENV),
            client: Client::new(),
            _dir: dir,
        }
    }

    async fn ask(&self, ask: &Ask) -> Answer {
        let mut request = Request::builder()
            .method(ask.method)
            .uri(self.host.url(&ask.target));
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        let request = request
            .body(Full::new(Bytes::from(ask.body.clone())))
            .unwrap();
        self.client.send(request).await.unwrap()
    }

    /// How often handshakes of this source ended so.
    async fn count(&self, source: &str, outcome: &str) -> u64 {
        let page = self
            .client
            .get(&format!("http://{}/metrics", self.host.admin))
            .await
            .unwrap();
        let page = String::from_utf8(page.body.to_vec()).unwrap();
        let (source, outcome) = (
            format!("source=\"{source}\""),
            format!("outcome=\"{outcome}\""),
        );
        page.lines()
            .filter(|line| line.starts_with("hookswitch_handshakes_total{"))
            .filter(|line| line.contains(&source) && line.contains(&outcome))
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }
}

#[derive(Clone, Debug)]
struct Ask {
    method: &'static str,
    target: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

fn ask(method: &'static str, target: &str) -> Ask {
    Ask {
        method,
        target: target.to_owned(),
        headers: vec![],
        body: String::new(),
    }
}

impl Ask {
    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn json(mut self, body: &str) -> Self {
        self.body = body.to_owned();
        self.header("content-type", "application/json")
    }

    /// Slack's and Zoom's signature, which differ in the names of their headers.
    fn v0(self, prefix: &'static str, secret: &str) -> Self {
        let now = unix_s().to_string();
        let signature = format!(
            "v0={}",
            hmac_hex(secret, format!("v0:{now}:{}", self.body).as_bytes())
        );
        match prefix {
            "slack" => self
                .header("x-slack-request-timestamp", &now)
                .header("x-slack-signature", &signature),
            _ => self
                .header("x-zm-request-timestamp", &now)
                .header("x-zm-signature", &signature),
        }
    }
}

fn slack(challenge: &str) -> Ask {
    let body =
        serde_json::json!({"token": "t", "challenge": challenge, "type": "url_verification"});
    ask("POST", "/slack").json(&body.to_string())
}

const ZOOM: &str = r#"{"payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"},"event_ts":1654503849680,"event":"endpoint.url_validation"}"#;

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn meta(path: &str, token: &str) -> Ask {
    let target = format!(
        "{path}?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={}",
        encoded(token)
    );
    ask("GET", &target)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_provider_hears_what_it_wants_to_hear_and_nothing_is_stored() {
    let desk = Desk::open();
    let zoom = format!(
        r#"{{"encryptedToken":"{}","plainToken":"qgg8vlvZRS6UYooatFL8Aw"}}"#,
        hmac_hex(SECRET, b"qgg8vlvZRS6UYooatFL8Aw")
    );
    let trulioo = format!(
        r#"{{"challenge":"E5KUIHFDEKJS485RFU38H0B7CFNFMUCJMRDGN9UE","type":"URL_VERIFICATION","token":"{TOKEN}"}}"#
    );
    let text = "text/plain";
    let json = "application/json";
    let graph =
        "Validation: Testing client application reachability for subscription Request-Id: 5c4f-1";
    let cases = [
        (
            slack("3eZbrw1aBm2rZgRNFdxV").v0("slack", SECRET),
            200,
            text,
            "3eZbrw1aBm2rZgRNFdxV",
        ),
        (
            ask("POST", "/zoom").json(ZOOM).v0("zoom", SECRET),
            200,
            json,
            &zoom,
        ),
        (
            ask("POST", "/trulioo").json(&trulioo),
            200,
            text,
            "E5KUIHFDEKJS485RFU38H0B7CFNFMUCJMRDGN9UE",
        ),
        (
            ask("POST", "/trulioo-token").json(&trulioo),
            200,
            text,
            "E5KUIHFDEKJS485RFU38H0B7CFNFMUCJMRDGN9UE",
        ),
        (meta("/meta", TOKEN), 200, text, "1158201444"),
        (ask("GET", "/dropbox?challenge=abc123"), 200, text, "abc123"),
        (
            ask("GET", "/okta").header("x-okta-verification-challenge", "Me_rShK8JHs-TnbyYr"),
            200,
            json,
            r#"{"verification":"Me_rShK8JHs-TnbyYr"}"#,
        ),
        (ask("HEAD", "/intercom"), 200, "", ""),
        (
            ask("OPTIONS", "/cloudevents").header("webhook-request-origin", "a.example.com"),
            200,
            "",
            "",
        ),
        (
            ask("OPTIONS", "/picky").header("webhook-request-origin", "b.example.com"),
            200,
            "",
            "",
        ),
        (
            ask("GET", "/acme?mode=check&nonce=n-1"),
            202,
            "application/x-www-form-urlencoded",
            "nonce=n-1",
        ),
        (
            ask(
                "POST",
                &format!(
                    "/acme?validationToken={}",
                    graph.replace(' ', "+").replace(':', "%3a")
                ),
            )
            .header("content-type", "text/plain; charset=utf-8"),
            200,
            text,
            graph,
        ),
    ];
    for (ask, status, content_type, body) in &cases {
        let answer = desk.ask(ask).await;
        let header = |name: &str| {
            answer
                .headers
                .get(name)
                .map_or("", |value| value.to_str().unwrap())
        };
        assert_eq!(
            answer.status.as_u16(),
            *status,
            "{ask:?}: {:?}",
            answer.body
        );
        assert_eq!(header("content-type"), *content_type, "{ask:?}");
        assert_eq!(answer.body, body.as_bytes(), "{ask:?}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{ask:?}");
        assert_eq!(header("cache-control"), "no-store", "{ask:?}");
        match ask.target.as_str() {
            "/cloudevents" => {
                assert_eq!(header("webhook-allowed-origin"), "a.example.com");
                assert_eq!(header("webhook-allowed-rate"), "*");
                assert_eq!(header("allow"), "POST");
            }
            "/picky" => {
                assert_eq!(header("webhook-allowed-origin"), "b.example.com");
                assert_eq!(header("webhook-allowed-rate"), "120");
            }
            target if target.starts_with("/acme?mode") => assert_eq!(header("x-echo"), "n-1"),
            _ => {}
        }
    }
    assert!(desk.host.events(&desk.client, "").await.is_empty());
    assert_eq!(
        desk.host
            .metric(&desk.client, "hookswitch_handshakes_total")
            .await,
        cases.len() as f64
    );
    assert_eq!(desk.count("zoom", "answered").await, 1);
    assert_eq!(
        desk.host
            .metric(&desk.client, "hookswitch_accepted_events_total")
            .await,
        0.0
    );
    let log = desk.host.log();
    assert!(
        log.contains("handshake answered") && log.contains("url_verification"),
        "{log}"
    );
    assert!(!log.contains(TOKEN) && !log.contains(SECRET));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_handshake_of_the_source_is_refused_or_an_event() {
    let desk = Desk::open();
    let cases = [
        // A signature that is missing or wrong.
        (slack("c"), 401, "unauthorized"),
        (
            slack("c").v0("slack", "another-secret-of-somebody"),
            401,
            "unauthorized",
        ),
        (ask("POST", "/zoom").json(ZOOM), 401, "unauthorized"),
        (
            ask("POST", "/zoom")
                .json(ZOOM)
                .v0("zoom", "another-secret-of-somebody"),
            401,
            "unauthorized",
        ),
        // A token that is missing or wrong.
        (meta("/meta", "a verify token"), 403, "unexpected_value"),
        (meta("/meta", ""), 403, "unexpected_value"),
        (
            ask("GET", "/meta?hub.mode=subscribe&hub.challenge=1"),
            403,
            "unexpected_value",
        ),
        (
            ask("POST", "/trulioo-token")
                .json(r#"{"type":"URL_VERIFICATION","challenge":"c","token":"x"}"#),
            403,
            "unexpected_value",
        ),
        // An origin that the source does not take.
        (
            ask("OPTIONS", "/picky").header("webhook-request-origin", "evil.example.com"),
            405,
            "method_not_allowed",
        ),
        // A handshake's method, and nothing else of it.
        (ask("GET", "/meta"), 400, "no_handshake"),
        (ask("GET", "/acme?mode=other"), 400, "no_handshake"),
        (ask("OPTIONS", "/cloudevents"), 400, "no_handshake"),
        // Methods of no handshake of the source.
        (meta("/meta-off", TOKEN), 405, "method_not_allowed"),
        (ask("GET", "/slack?challenge=c"), 405, "method_not_allowed"),
        (
            ask("PUT", "/dropbox?challenge=c"),
            405,
            "method_not_allowed",
        ),
        (ask("DELETE", "/intercom"), 405, "method_not_allowed"),
        // A type that the source does not take, and no handshake that would not look at it.
        (
            ask("POST", "/acme").header("content-type", "text/plain"),
            415,
            "unsupported_media_type",
        ),
    ];
    for (ask, status, code) in &cases {
        let answer = desk.ask(ask).await;
        assert_eq!(
            answer.status.as_u16(),
            *status,
            "{ask:?}: {:?}",
            answer.body
        );
        assert_eq!(answer.json()["error"]["code"], *code, "{ask:?}");
        if *status == 405 {
            let allow = answer.headers.get("allow").unwrap().to_str().unwrap();
            let expected = match ask.target.split(['?', '/']).nth(1).unwrap() {
                "picky" => "OPTIONS, POST",
                "dropbox" => "GET, POST",
                "intercom" => "HEAD, POST",
                _ => "POST",
            };
            assert_eq!(allow, expected, "{ask:?}");
        }
    }
    assert!(desk.host.events(&desk.client, "").await.is_empty());
    for (source, outcome, times) in [
        ("slack", "unauthorized", 2),
        ("zoom", "unauthorized", 2),
        ("meta", "unexpected_value", 3),
        ("picky", "unexpected_value", 1),
    ] {
        assert_eq!(
            desk.count(source, outcome).await,
            times,
            "{source} {outcome}"
        );
    }

    // A signed event beside the handshake, and a handshake that the source has switched off, are events.
    let mut off = slack("c").v0("slack", SECRET);
    off.target = "/slack-off".to_owned();
    let event = ask("POST", "/slack")
        .json(r#"{"type":"event_callback","event_id":"Ev1","event":{"type":"message","text":"url_verification"}}"#)
        .v0("slack", SECRET);
    for ask in [&off, &event] {
        let answer = desk.ask(ask).await;
        assert_eq!(answer.status.as_u16(), 200);
        assert_eq!(answer.json()["duplicate"], false);
    }
    assert_eq!(desk.host.events(&desk.client, "").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_challenge_is_never_sent_back() {
    let desk = Desk::open();
    let long = "a".repeat(513);
    let huge = "a".repeat(20_000);
    let hostile = [
        "",
        long.as_str(),
        huge.as_str(),
        "<script>alert(1)</script>",
        "<!doctype html>",
        "\"><img src=x>",
        "a&b",
        "a'b",
        "a`b",
        "a\\b",
        "a\r\nSet-Cookie: x=y",
        "a\nb",
        "a\0b",
        "größe",
        "a\u{202e}b",
        "\u{1f600}",
    ];
    for challenge in hostile {
        let mut asks = vec![
            ask("GET", &format!("/dropbox?challenge={}", encoded(challenge))),
            meta("/meta", TOKEN),
            slack(challenge).v0("slack", SECRET),
            ask(
                "GET",
                &format!("/acme?mode=check&nonce={}", encoded(challenge)),
            ),
        ];
        asks[1].target = asks[1].target.replace("1158201444", &encoded(challenge));
        if http::HeaderValue::from_str(challenge).is_ok() && challenge.len() < 10_000 {
            asks.push(ask("GET", "/okta").header("x-okta-verification-challenge", challenge));
            asks.push(ask("OPTIONS", "/cloudevents").header("webhook-request-origin", challenge));
        }
        for ask in &asks {
            let answer = desk.ask(ask).await;
            assert_eq!(answer.status.as_u16(), 400, "{ask:?}: {:?}", answer.body);
            assert_eq!(answer.json()["error"]["code"], "bad_challenge", "{ask:?}");
            let sent_back = format!("{:?} {:?}", answer.headers, answer.body);
            assert!(
                challenge.is_empty() || !sent_back.contains(challenge),
                "{sent_back}"
            );
        }
    }
    for target in [
        "/dropbox",
        "/dropbox?challenge=a&challenge=b",
        "/dropbox?challenge=%ff",
        "/okta",
    ] {
        let answer = desk.ask(&ask("GET", target)).await;
        assert_eq!(answer.status.as_u16(), 400, "{target}");
        assert_eq!(answer.json()["error"]["code"], "bad_challenge", "{target}");
    }
    let log = desk.host.log();
    assert!(!log.contains("alert(1)") && !log.contains(TOKEN), "{log}");
}

#[test]
fn send_asks_as_the_provider_does_and_judges_the_answer() {
    let desk = Desk::open();
    let send = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_hookswitch"))
            .arg("send")
            .args(arguments)
            .env("SECRET", SECRET)
            .env("NO_COLOR", "1")
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap(),
            String::from_utf8(text).unwrap(),
        )
    };
    let token = format!("verify_token={TOKEN}");
    let url = |path: &str| desk.host.url(path);
    for (provider, path, handshake, param, code, said) in [
        ("slack", "/slack", "url_verification", "", 0, "right: "),
        ("zoom", "/zoom", "url_validation", "", 0, "right: "),
        ("trulioo", "/trulioo", "url_verification", "", 0, "right: "),
        ("meta", "/meta", "subscribe", token.as_str(), 0, "right: "),
        (
            "meta",
            "/meta",
            "subscribe",
            "verify_token=x",
            1,
            "wrong: the status is 403 and not 200",
        ),
        (
            "meta",
            "/meta",
            "subscribe",
            "",
            64,
            "needs the parameter `verify_token`",
        ),
        ("dropbox", "/dropbox", "challenge", "", 0, "right: "),
        ("okta", "/okta", "verification", "", 0, "right: "),
        ("intercom", "/intercom", "probe", "", 0, "right: "),
        (
            "cloudevents",
            "/cloudevents",
            "validation",
            "",
            0,
            "right: ",
        ),
        (
            "cloudevents",
            "/picky",
            "validation",
            "allowed_origins=b.example.com",
            1,
            "`120` and not `*`",
        ),
        ("slack", "/slack-off", "url_verification", "", 1, "wrong: "),
        (
            "slack",
            "/slack",
            "hello",
            "",
            64,
            "there are: url_verification",
        ),
        ("stripe", "/slack", "hello", "", 64, "without asking first"),
    ] {
        let to = url(path);
        let mut arguments = vec![
            provider,
            "--to",
            &to,
            "--secret",
            "env:SECRET",
            "--handshake",
            handshake,
        ];
        if !param.is_empty() {
            arguments.extend(["--param", param]);
        }
        let (got, text) = send(&arguments);
        assert_eq!(got, code, "{provider}: {text}");
        assert!(text.contains(said), "{provider}: {text}");
    }
    let to = url("/slack");
    let (code, text) = send(&[
        "slack",
        "--to",
        &to,
        "--secret",
        "env:SECRET",
        "--handshake",
        "url_verification",
        "--json",
    ]);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (code, &report["right"], &report["status"]),
        (0, &true.into(), &200.into())
    );
    let (code, _) = send(&[
        "slack",
        "--to",
        &to,
        "--secret",
        "env:SECRET",
        "--handshake",
        "url_verification",
        "--tamper",
    ]);
    assert_eq!(code, 1);
}
