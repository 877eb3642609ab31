//! The rules for URLs in tables; the rest against servers on this machine, with a certificate of their own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::policy::Target;
use super::{FetchError, Fetcher, HostRule, Policy};

const PATIENCE: Duration = Duration::from_secs(60);

fn policy(hosts: &[&str]) -> Policy {
    Policy {
        hosts: hosts.iter().map(|rule| rule.parse().unwrap()).collect(),
        allow_private: vec![],
        bytes_max: 1000,
        timeout: PATIENCE,
    }
}

/// What becomes of a URL: `host port path`, or the error's code.
fn judge(url: &str, hosts: &[&str]) -> String {
    match Target::parse(url, &policy(hosts).hosts) {
        Ok(target) => format!("{} {} {}", target.host, target.port, target.path),
        Err(error) => error.code().to_owned(),
    }
}

#[test]
fn a_url_has_to_be_https_and_its_host_one_of_the_rules() {
    const SNS: &str = r"^sns\.[a-z]{2,4}(-[a-z]+)+-[0-9]+\.amazonaws\.com(\.cn)?$";
    for (rule, url, expected) in [
        ("a.test", "https://a.test", "a.test 443 /"),
        ("a.test", "https://A.TEST:443/x?y=z", "a.test 443 /x?y=z"),
        ("a.test", "http://a.test/", "bad_url"),
        ("a.test", "HTTPS://a.test/", "a.test 443 /"),
        ("a.test", "//a.test/", "bad_url"),
        ("a.test", "/a.test", "bad_url"),
        ("a.test", "", "bad_url"),
        ("a.test", "ftp://a.test/", "bad_url"),
        ("a.test", "https://a.test:8443/", "foreign_host"),
        ("a.test", "https://a.test:/", "bad_url"),
        ("a.test", "https://a.test./", "foreign_host"),
        ("a.test", "https://b.a.test/", "foreign_host"),
        ("a.test", "https://a.test@b.test/", "bad_url"),
        ("a.test", "https://u:p@a.test/", "bad_url"),
        ("a.test", "https://b.test/#@a.test/", "foreign_host"),
        ("a.test", "https://b.test\\@a.test/", "bad_url"),
        ("a.test", "https://a.test/\r\nx: y", "bad_url"),
        ("a.test:8443", "https://a.test:8443/", "a.test 8443 /"),
        ("a.test:8443", "https://a.test/", "foreign_host"),
        (".a.test", "https://b.a.test/", "b.a.test 443 /"),
        (".a.test", "https://c.b.a.test/", "c.b.a.test 443 /"),
        (".a.test", "https://a.test/", "foreign_host"),
        (".a.test", "https://.a.test/", "foreign_host"),
        (".a.test", "https://ba.test/", "foreign_host"),
        ("127.0.0.1:1", "https://127.0.0.1:1/", "127.0.0.1 1 /"),
        ("[::1]:1", "https://[::1]:1/", "::1 1 /"),
        ("^a|b$", "https://a/", "a 443 /"),
        ("^a|b$", "https://ab/", "foreign_host"),
        ("^a|b$", "https://a:1/", "foreign_host"),
        (
            SNS,
            "https://sns.eu-west-1.amazonaws.com/",
            "sns.eu-west-1.amazonaws.com 443 /",
        ),
        (
            SNS,
            "https://sns.cn-north-1.amazonaws.com.cn/",
            "sns.cn-north-1.amazonaws.com.cn 443 /",
        ),
        (
            SNS,
            "https://sns.us-gov-west-1.amazonaws.com/",
            "sns.us-gov-west-1.amazonaws.com 443 /",
        ),
        // A bucket called `sns`, which anybody could have made.
        (SNS, "https://sns.s3.amazonaws.com/", "foreign_host"),
        (
            SNS,
            "https://sns.s3-us-west-2.amazonaws.com/",
            "foreign_host",
        ),
        (
            SNS,
            "https://sns.eu-west-1.amazonaws.com.evil.test/",
            "foreign_host",
        ),
        (SNS, "https://sns.eu-west-1xamazonaws.com/", "foreign_host"),
        (
            SNS,
            "https://evil.test/sns.eu-west-1.amazonaws.com",
            "foreign_host",
        ),
    ] {
        assert_eq!(judge(url, &[rule]), expected, "{rule} {url:?}");
    }
    let long = format!("https://a.test/{}", "a".repeat(5000));
    assert_eq!(judge(&long, &["a.test"]), "bad_url");
    assert_eq!(judge("https://a.test/", &[]), "foreign_host");
}

#[test]
fn a_rule_that_names_no_hosts_is_refused() {
    for rule in [
        "",
        ".",
        "a b",
        "a.test/x",
        "https://a.test",
        "u@a.test",
        "a.test:",
        "a.test:99999",
        "^a",
        "^(a$",
    ] {
        let refused = rule.parse::<HostRule>();
        assert!(refused.is_err(), "{rule:?}: {refused:?}");
    }
    let too_large = format!("^{}$", "(a{1,100}){1,100}".repeat(10));
    assert!(too_large.parse::<HostRule>().is_err());
}

/// A server for `localhost` that gives each request the same bytes, and a client that trusts it.
struct Place {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    last: Arc<Mutex<String>>,
    tls: ClientConfig,
}

impl Place {
    async fn answering(answer: &'static [u8]) -> Self {
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names)
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).unwrap();
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let acceptor = TlsAcceptor::from(Arc::new(server));
        let counted = requests.clone();
        let last: Arc<Mutex<String>> = Arc::default();
        let noted = last.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, counted) = (acceptor.clone(), counted.clone());
                let noted = noted.clone();
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
                    *noted.lock().unwrap() = String::from_utf8(head).unwrap();
                    counted.fetch_add(1, Ordering::SeqCst);
                    stream.write_all(answer).await.ok();
                    // Stays until the client goes, so that only the answer's own end can end it.
                    stream.read_u8().await.ok();
                });
            }
        });
        Self {
            address,
            requests,
            last,
            tls,
        }
    }

    fn url(&self, host: &str) -> String {
        format!("https://{host}:{}/certificate.pem", self.address.port())
    }

    fn policy(&self) -> Policy {
        let port = self.address.port();
        let hosts = [format!("localhost:{port}"), format!("127.0.0.1:{port}")];
        Policy {
            hosts: hosts.iter().map(|rule| rule.parse().unwrap()).collect(),
            allow_private: vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
            bytes_max: 1000,
            timeout: PATIENCE,
        }
    }

    async fn get(&self, policy: &Policy) -> Result<bytes::Bytes, FetchError> {
        Fetcher::with_tls(self.tls.clone(), 8)
            .get(&self.url("localhost"), policy)
            .await
    }
}

#[tokio::test]
async fn a_whole_answer_is_given_whatever_its_framing() {
    for (answer, body) in [
        (
            &b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\npem"[..],
            "pem",
        ),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\np\r\n2\r\nem\r\n0\r\n\r\n",
            "pem",
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", ""),
    ] {
        let place = Place::answering(answer).await;
        for host in ["localhost", "127.0.0.1"] {
            let got = Fetcher::with_tls(place.tls.clone(), 1)
                .get(&place.url(host), &place.policy())
                .await;
            assert_eq!(got.unwrap(), body);
        }
    }
}

#[tokio::test]
async fn a_request_is_a_get_or_a_question_in_json() {
    let place = Place::answering(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    let fetcher = Fetcher::with_tls(place.tls.clone(), 1);
    let (url, policy) = (place.url("localhost"), place.policy());
    fetcher.get(&url, &policy).await.unwrap();
    let head = place.last.lock().unwrap().clone();
    assert!(
        head.starts_with("GET /certificate.pem HTTP/1.1\r\n"),
        "{head}"
    );
    let host = format!("host: localhost:{}\r\n", place.address.port());
    assert!(head.contains(&host), "{head}");
    let question = bytes::Bytes::from_static(b"{}");
    fetcher.post_json(&url, question, &policy).await.unwrap();
    let head = place.last.lock().unwrap().clone();
    assert!(
        head.starts_with("POST /certificate.pem HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(
        head.contains("content-type: application/json\r\n"),
        "{head}"
    );
    assert!(head.contains("content-length: 2\r\n"), "{head}");
}

#[tokio::test]
async fn what_is_no_whole_2xx_is_an_error() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\n";
    let cases: [(String, &str); 8] = [
        (
            "HTTP/1.1 302 Found\r\nlocation: https://localhost/\r\ncontent-length: 0\r\n\r\n"
                .into(),
            "redirect",
        ),
        (
            "HTTP/1.1 307 Temporary Redirect\r\ncontent-length: 0\r\n\r\n".into(),
            "redirect",
        ),
        (
            "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n".into(),
            "status",
        ),
        (
            "HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n".into(),
            "status",
        ),
        (format!("{HEAD}content-length: 1001\r\n\r\n"), "too_large"),
        (
            format!(
                "{HEAD}transfer-encoding: chunked\r\n\r\n3e9\r\n{}\r\n",
                "a".repeat(1001)
            ),
            "too_large",
        ),
        (format!("{HEAD}x: {}\r\n\r\n", "a".repeat(20_000)), "http"),
        ("SSH-2.0-x\r\n\r\n".into(), "http"),
    ];
    for (answer, code) in cases {
        let shown = answer.chars().take(60).collect::<String>();
        let place = Place::answering(answer.into_bytes().leak()).await;
        let error = place.get(&place.policy()).await.unwrap_err();
        assert_eq!(error.code(), code, "{shown:?}: {error:?}");
        assert_eq!(
            place.requests.load(Ordering::SeqCst),
            1,
            "no second request"
        );
    }
}

#[tokio::test]
async fn a_private_address_is_refused_unless_its_network_is_named() {
    let place = Place::answering(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    for host in ["localhost", "127.0.0.1"] {
        let mut policy = place.policy();
        policy.allow_private = vec!["10.0.0.0/8".parse().unwrap()];
        let refused = Fetcher::with_tls(place.tls.clone(), 1)
            .get(&place.url(host), &policy)
            .await
            .unwrap_err();
        assert_eq!(refused.code(), "private_address");
        assert!(!refused.is_transient());
    }
    assert_eq!(place.requests.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_server_without_the_hosts_certificate_gets_no_request() {
    let place = Place::answering(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    let other = Place::answering(b"").await;
    let refused = Fetcher::with_tls(other.tls, 1)
        .get(&place.url("localhost"), &place.policy())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "tls");
    assert_eq!(place.requests.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_slow_answer_ends_with_the_time_of_the_policy() {
    for answer in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\npe"] {
        let place = Place::answering(answer).await;
        let mut policy = place.policy();
        policy.timeout = Duration::from_millis(300);
        let error = place.get(&policy).await.unwrap_err();
        assert_eq!(error.code(), "timeout");
        assert!(error.is_transient());
    }
}

#[tokio::test]
async fn a_fetch_waits_for_a_place_within_its_own_time() {
    let place = Place::answering(b"").await;
    let fetcher = Arc::new(Fetcher::with_tls(place.tls.clone(), 1));
    let (first, url, policy) = (fetcher.clone(), place.url("localhost"), place.policy());
    let hanging = tokio::spawn(async move { first.get(&url, &policy).await });
    while place.requests.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let mut impatient = place.policy();
    impatient.timeout = Duration::from_millis(50);
    let error = fetcher
        .get(&place.url("localhost"), &impatient)
        .await
        .unwrap_err();
    assert_eq!(error.code(), "timeout");
    assert_eq!(place.requests.load(Ordering::SeqCst), 1, "it never left");
    hanging.abort();
    hanging.await.unwrap_err();
    assert_eq!(fetcher.places.available_permits(), 1, "a place comes back");
}

#[test]
fn messages_show_the_host_and_nothing_of_path_and_query() {
    let error =
        Target::parse("https://b.test/s?Token=hush", &policy(&["a.test"]).hosts).unwrap_err();
    assert!(error.to_string().contains("b.test"));
    assert!(!format!("{error} {error:?}").contains("hush"));
}
