//! Confirmations: the URL of a signed subscription request is fetched from a local HTTPS server, if everything about
//! it is right.

use std::path::Path;
use std::sync::{Arc, Mutex};

use http::Request;
use http_body_util::Full;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::host::Host;
use crate::support::sender::{Answer, Client, hmac_hex};
use crate::support::{PATIENCE, eventually};

const SECRET: &str = "a-secret-that-is-long-enough";
const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:alerts";

/// The provider's HTTPS server, for `localhost`. It notes the target of each request.
struct Provider {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Provider {
    /// Starts, and writes its certificate to `folder`.
    async fn start(folder: &Path) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        std::fs::write(folder.join("roots.pem"), certificate.pem()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let notes = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, notes) = (acceptor.clone(), notes.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let mut head = vec![];
                    while !head.ends_with(b"\r\n\r\n") {
                        match stream.read_u8().await {
                            Ok(byte) => head.push(byte),
                            Err(_) => return,
                        }
                    }
                    let head = String::from_utf8(head).unwrap();
                    let target = head.split(' ').nth(1).unwrap().to_owned();
                    let before = {
                        let mut notes = notes.lock().unwrap();
                        notes.push(target.clone());
                        notes.iter().filter(|one| **one == target).count()
                    };
                    let answer = match target.split('?').next().unwrap() {
                        "/redirect" => {
                            "HTTP/1.1 302 Found\r\nlocation: /ok\r\ncontent-length: 0\r\n\r\n"
                                .to_owned()
                        }
                        "/busy" if before == 1 => {
                            "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n".to_owned()
                        }
                        "/huge" => {
                            "HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n".to_owned()
                        }
                        "/slow" => {
                            std::future::pending::<()>().await;
                            unreachable!()
                        }
                        _ => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_owned(),
                    };
                    stream.write_all(answer.as_bytes()).await.ok();
                    stream.shutdown().await.ok();
                });
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn source(name: &str, keys: &str) -> String {
    format!(
        r#"
[sources.{name}]
path = "/{name}"
scheme = {{ kind = "mac", alg = "hmac-sha256", signed = ["{{body}}"], signature = {{ header = "X-Signed", encoding = "hex" }}, event_type = ["json:/Type"] }}
secrets = ["env:SECRET"]
{keys}

[[sources.{name}.handshakes]]
name = "subscription"
json = {{ "/Type" = "SubscriptionConfirmation" }}
verify_first = true
expect = {{ value = "json:/TopicArn", param = "topics", list = true }}
confirm = {{ url = "json:/SubscribeURL", hosts = ['^sns[.][a-z]+-[a-z]+-[0-9]+[.]amazonaws[.]com$'] }}
"#
    )
}

async fn subscribe(host: &Host, client: &Client, source: &str, topic: &str, url: &str) -> Answer {
    let body = serde_json::json!({
        "Type": "SubscriptionConfirmation",
        "TopicArn": topic,
        "SubscribeURL": url,
        "Token": "2336412f37f",
    })
    .to_string();
    let request = Request::post(host.url(&format!("/{source}")))
        .header("content-type", "text/plain; charset=UTF-8")
        .header("x-signed", hmac_hex(SECRET, body.as_bytes()))
        .body(Full::from(body))
        .unwrap();
    client.send(request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_is_confirmed_after_its_answer_and_only_where_everything_is_right() {
    let dir = tempfile::tempdir().unwrap();
    let provider = Provider::start(dir.path()).await;
    let port = provider.port;
    let params = format!("params = {{ topics = \"{TOPIC}\" }}");
    let hosts = format!("hosts = [\"localhost:{port}\"]");
    let open = "allow_private = [\"127.0.0.0/8\", \"::1\"]";
    let sources = [
        (
            "asked",
            format!("confirm = true\n{params}\nfetch = {{ {hosts}, {open}, timeout = \"1s\" }}"),
        ),
        (
            "public-only",
            format!("confirm = true\n{params}\nfetch = {{ {hosts} }}"),
        ),
        (
            "own-hosts-only",
            format!("confirm = true\n{params}\nfetch = {{ {open} }}"),
        ),
        ("not-asked", params.clone()),
    ];
    let mut config = String::from("[storage]\npath = \"data\"\n");
    for (name, keys) in &sources {
        config += &source(name, keys);
    }
    config += r#"
[sinks.all]
type = "file"
path = "all.jsonl"
[[routes]]
name = "all"
from = ["asked", "public-only", "own-hosts-only", "not-asked"]
to = ["all"]
"#;
    let roots = dir.path().join("roots.pem");
    let env = [
        ("SECRET", SECRET),
        ("SSL_CERT_FILE", roots.to_str().unwrap()),
    ];
    let host = Host::start(dir.path(), &config, &env);
    let client = Client::new();
    let url = |path: &str| format!("https://localhost:{port}{path}");

    // Refused before anything is fetched.
    for (source, topic, url, status, code) in [
        (
            "asked",
            "arn:of:somebody:else",
            url("/ok"),
            403,
            "unexpected_value",
        ),
        (
            "asked",
            TOPIC,
            "https://evil.example/".to_owned(),
            400,
            "bad_challenge",
        ),
        (
            "asked",
            TOPIC,
            format!("http://localhost:{port}/ok"),
            400,
            "bad_challenge",
        ),
        (
            "asked",
            TOPIC,
            format!("https://localhost:{port}@evil.example/"),
            400,
            "bad_challenge",
        ),
        (
            "asked",
            TOPIC,
            format!("https://127.0.0.1:{port}/ok"),
            400,
            "bad_challenge",
        ),
        ("own-hosts-only", TOPIC, url("/ok"), 400, "bad_challenge"),
    ] {
        let answer = subscribe(&host, &client, source, topic, &url).await;
        assert_eq!(answer.status.as_u16(), status, "{source} {url}");
        assert_eq!(answer.json()["error"]["code"], code, "{source} {url}");
    }
    let unsigned = Request::post(host.url("/asked")).body(Full::from(format!(
        r#"{{"Type":"SubscriptionConfirmation","TopicArn":"{TOPIC}"}}"#
    )));
    assert_eq!(
        client
            .send(unsigned.unwrap())
            .await
            .unwrap()
            .status
            .as_u16(),
        401
    );
    assert!(provider.asked().is_empty());

    // Answered, and then fetched or not; the log says which.
    for (source, path, outcome, code) in [
        (
            "asked",
            "/ok?Action=ConfirmSubscription&Token=hush",
            "confirmed",
            "",
        ),
        ("asked", "/busy?Token=hush", "confirmed", ""),
        ("asked", "/redirect?Token=hush", "not_confirmed", "redirect"),
        ("asked", "/huge?Token=hush", "not_confirmed", "too_large"),
        (
            "public-only",
            "/ok?Token=hush",
            "not_confirmed",
            "private_address",
        ),
    ] {
        let count = async || {
            let name = "hookswitch_handshakes_total";
            let page = client
                .get(&format!("http://{}/metrics", host.admin))
                .await
                .unwrap();
            let page = String::from_utf8(page.body.to_vec()).unwrap();
            let labels =
                format!("source=\"{source}\",handshake=\"subscription\",outcome=\"{outcome}\"");
            let line = page
                .lines()
                .find_map(|line| line.strip_prefix(&format!("{name}{{{labels}}} ")));
            line.map_or(0, |value| value.parse::<u64>().unwrap())
        };
        let before = count().await;
        let answer = subscribe(&host, &client, source, TOPIC, &url(path)).await;
        assert_eq!(answer.status.as_u16(), 200, "{source} {path}");
        eventually("the outcome of a confirmation", PATIENCE, async || {
            (count().await > before).then_some(())
        })
        .await;
        assert!(
            code.is_empty() || host.log().contains(&format!("code=\"{code}\"")),
            "{}",
            host.log()
        );
    }
    let asked = provider.asked();
    let times = |path: &str| {
        asked
            .iter()
            .filter(|target| target.starts_with(path))
            .count()
    };
    assert_eq!(
        (
            times("/ok"),
            times("/busy"),
            times("/redirect"),
            times("/huge")
        ),
        (1, 2, 1, 1),
        "{asked:?}"
    );

    // Without `confirm` it is an event, for somebody to look at.
    assert!(host.events(&client, "").await.is_empty());
    let answer = subscribe(&host, &client, "not-asked", TOPIC, &url("/ok")).await;
    assert_eq!(answer.status.as_u16(), 200);
    let events = host.events(&client, "").await;
    assert_eq!(events.len(), 1);
    assert_eq!(times("/ok"), 1);
    assert!(!host.log().contains("hush"), "{}", host.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn confirmations_are_bounded_and_what_is_beyond_is_asked_again_and_a_stop_does_not_wait_for_ever()
 {
    let dir = tempfile::tempdir().unwrap();
    let provider = Provider::start(dir.path()).await;
    let keys = format!(
        "confirm = true\nparams = {{ topics = \"{TOPIC}\" }}\nfetch = {{ hosts = [\"localhost:{}\"], \
         allow_private = [\"127.0.0.0/8\", \"::1\"], timeout = \"1m\" }}",
        provider.port
    );
    let config = format!(
        "[storage]\npath = \"data\"\n{}\n[sinks.all]\ntype = \"file\"\npath = \"all.jsonl\"\n\
         [[routes]]\nname = \"all\"\nfrom = [\"slow\"]\nto = [\"all\"]\n",
        source("slow", &keys)
    );
    let roots = dir.path().join("roots.pem");
    let env = [
        ("SECRET", SECRET),
        ("SSL_CERT_FILE", roots.to_str().unwrap()),
    ];
    let mut host = Host::start(dir.path(), &config, &env);
    let client = Client::new();
    let url = format!("https://localhost:{}/slow", provider.port);
    for _ in 0..32 {
        let answer = subscribe(&host, &client, "slow", TOPIC, &url).await;
        assert_eq!(answer.status.as_u16(), 200);
    }
    let answer = subscribe(&host, &client, "slow", TOPIC, &url).await;
    assert_eq!(answer.status.as_u16(), 503);
    assert_eq!(answer.json()["error"]["code"], "overloaded");
    assert!(answer.headers.contains_key("retry-after"));
    // Eight at a time leave the program.
    eventually("the fetches under way", PATIENCE, async || {
        (provider.asked().len() == 8).then_some(())
    })
    .await;
    // The second signal cuts what is under way.
    host.signal("TERM");
    eventually("the drain", PATIENCE, async || {
        host.log().contains("draining").then_some(())
    })
    .await;
    assert!(host.stop().success());
}
