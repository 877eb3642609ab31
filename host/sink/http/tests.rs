//! The HTTP sink against real sockets: what it sends, and how it takes each kind of answer.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::super::testing::{config_of, delivery};
use super::receiver::{Received, Receiver};
use super::*;
use crate::config::SinkKind;
use crate::event::Header;
use crate::secret::Secret;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const TIMEOUT: Duration = Duration::from_secs(5);

fn settings(url: &str) -> config::Http {
    config::Http {
        url: url.parse().unwrap(),
        method: Method::POST,
        headers: Vec::new(),
        sign: vec![Secret::new(SECRET)],
        allow_private: vec!["127.0.0.0/8".parse().unwrap()],
    }
}

fn sink_with(http: &config::Http, timeout: Duration) -> HttpSink {
    HttpSink::new(&config_of(SinkKind::Http(http.clone()), timeout), http).unwrap()
}

fn sink(url: &str) -> HttpSink {
    sink_with(&settings(url), TIMEOUT)
}

/// A receiver that checks signatures; gives its URL and what it gets.
async fn receiver() -> (String, mpsc::Receiver<Received>) {
    let key = SigningKey::new(&Secret::new(SECRET)).unwrap();
    let any = "127.0.0.1:0".parse().unwrap();
    let receiver = Receiver::bind(any, vec![key], TIMEOUT).await.unwrap();
    let url = format!("http://{}/hooks", receiver.local_addr().unwrap());
    let (tell, told) = mpsc::channel(16);
    let print = move |received| tell.try_send(received).unwrap();
    tokio::spawn(receiver.serve(print, std::future::pending()));
    (url, told)
}

/// A server that reads a request's head and body and writes `answer`, as often as it is asked to on
/// each connection; then closes it. Gives its URL and a count of connections.
async fn server(answer: &'static [u8], per_connection: usize) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hooks", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                for _ in 0..per_connection {
                    read_request(&mut stream).await;
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                }
                // Take the next request, and close without an answer, as a server that restarts does.
                read_request(&mut stream).await;
            });
        }
    });
    (url, connections)
}

async fn read_request(stream: &mut TcpStream) {
    let mut seen = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let count = stream.read(&mut chunk).await.unwrap_or(0);
        seen.extend_from_slice(&chunk[..count]);
        // Each test's body is `{}`.
        if count == 0 || seen.ends_with(b"\r\n\r\n{}") {
            return;
        }
    }
}

async fn outcome(url: &str) -> Result<Receipt, SinkError> {
    sink(url).deliver(&delivery("m-1", b"{}")).await
}

#[tokio::test]
async fn a_message_arrives_signed_with_its_envelope() {
    let (url, mut told) = receiver().await;
    let mut http = settings(&url);
    http.headers = vec![("authorization".to_owned(), Secret::new("Bearer t0ken"))];
    let mut delivery = delivery("m-1.2", b"{\"a\":1}");
    for (name, value) in [
        ("x-team", "kyc"),
        ("host", "elsewhere"),
        ("content-length", "1"),
        ("transfer-encoding", "chunked"),
        ("authorization", "Bearer forged"),
        ("webhook-id", "forged"),
        ("ce-source", "forged"),
    ] {
        delivery.message.headers.push(Header::new(name, value));
    }
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    delivery
        .message
        .attributes
        .push(("traceparent".into(), trace.into()));
    delivery.message.kind = "kyc \"ä\"".to_owned();
    let receipt = sink_with(&http, TIMEOUT).deliver(&delivery).await.unwrap();
    assert_eq!(receipt.code, "204");
    let received = told.recv().await.unwrap();
    assert_eq!(received.verdict, Some(Ok(())));
    assert_eq!(
        (received.method.as_str(), received.uri.path()),
        ("POST", "/hooks")
    );
    assert_eq!(&received.body[..], b"{\"a\":1}");
    for (name, expected) in [
        ("content-type", "application/json"),
        ("content-length", "7"),
        ("webhook-id", "m-1.2"),
        ("idempotency-key", "m-1.2"),
        ("ce-specversion", "1.0"),
        ("ce-id", "m-1.2"),
        ("ce-source", "/sources/didit"),
        ("ce-type", "kyc%20%22%C3%A4%22"),
        ("ce-time", "2026-11-20T12:00:00.250Z"),
        ("hookswitch-source", "didit"),
        ("hookswitch-provider-event-id", "evt_1"),
        ("traceparent", trace),
        ("x-team", "kyc"),
        ("authorization", "Bearer t0ken"),
    ] {
        assert_eq!(received.header(name), Some(expected), "{name}");
    }
    assert!(received.header("host").unwrap().starts_with("127.0.0.1:"));
    assert_eq!(received.header("transfer-encoding"), None);
}

#[tokio::test]
async fn a_wrong_secret_is_a_configuration_error() {
    let (url, mut told) = receiver().await;
    let mut http = settings(&url);
    http.sign = vec![Secret::new("whsec_c3RyYW5nZXItc3RyYW5nZXItc3RyYW4")];
    let error = sink_with(&http, TIMEOUT)
        .deliver(&delivery("m-1", b"{}"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.class, error.code.as_str()),
        (Class::Configuration, "http_401")
    );
    assert_eq!(
        told.recv().await.unwrap().verdict,
        Some(Err(signature::Invalid::Mismatch))
    );
}

#[tokio::test]
async fn answers_are_classified_with_their_text_and_retry_after() {
    for (answer, class, code, retry_after, detail) in [
        (
            &b"HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-length: 10\r\n\r\ntry\n\x1blater"[..],
            Class::Transient,
            "http_503",
            Some(Duration::from_secs(7)),
            ": try later",
        ),
        (
            b"HTTP/1.1 422 No\r\ncontent-length: 0\r\n\r\n",
            Class::Permanent,
            "http_422",
            None,
            "422",
        ),
        (
            b"HTTP/1.1 302 Found\r\nlocation: http://10.0.0.1/\r\ncontent-length: 0\r\n\r\n",
            Class::Configuration,
            "http_302",
            None,
            "302",
        ),
        (
            b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n",
            Class::Gone,
            "gone",
            None,
            "410",
        ),
    ] {
        let (url, connections) = server(answer, 1).await;
        let error = outcome(&url).await.unwrap_err();
        assert_eq!((error.class, error.code.as_str()), (class, code));
        assert_eq!(error.retry_after, retry_after);
        assert!(error.detail.ends_with(detail), "{}", error.detail);
        assert!(!error.detail.contains("/hooks"), "a path may be a secret");
        assert_eq!(connections.load(Ordering::SeqCst), 1, "never followed");
    }
}

#[tokio::test]
async fn a_kept_connection_that_closes_is_retried_once_on_a_new_one() {
    let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let (url, connections) = server(ok, 1).await;
    let sink = sink(&url);
    for _ in 0..3 {
        sink.deliver(&delivery("m-1", b"{}")).await.unwrap();
    }
    assert_eq!(connections.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_new_connection_that_closes_is_not_retried_here() {
    let (url, connections) = server(b"", 0).await;
    let error = outcome(&url).await.unwrap_err();
    assert_eq!(
        (error.class, error.code.as_str()),
        (Class::Transient, "connection_lost")
    );
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_endless_answer_is_cut_and_its_connection_dropped() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let endless = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        let head = b"HTTP/1.1 500 Oops\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let chunk = format!("1000\r\n{}\r\n", "x".repeat(4096)).into_bytes();
        let mut written = 0;
        while stream.write_all(&chunk).await.is_ok() {
            written += chunk.len();
        }
        written
    });
    let error = outcome(&url).await.unwrap_err();
    assert_eq!(
        (error.class, error.code.as_str()),
        (Class::Transient, "http_500")
    );
    assert!(error.detail.chars().count() < 300);
    // The write above fails only because the sink has closed the connection.
    assert!(endless.await.unwrap() > 0);
}

#[tokio::test]
async fn silence_ends_in_a_timeout_of_our_own() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let sink = sink_with(&settings(&url), Duration::from_millis(300));
    let delivery = delivery("m-1", b"{}");
    let attempt = sink.deliver(&delivery);
    let error = tokio::time::timeout(TIMEOUT, attempt)
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(
        (error.class, error.code.as_str()),
        (Class::Transient, "timeout")
    );
}

#[tokio::test]
async fn nobody_listening_is_transient() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let error = outcome(&url).await.unwrap_err();
    assert_eq!(
        (error.class, error.code.as_str()),
        (Class::Transient, "connect")
    );
}

#[tokio::test]
async fn private_addresses_are_refused_however_they_are_written() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for host in [
        "127.0.0.1",
        "localhost",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "[::1]",
        "169.254.169.254",
    ] {
        let mut http = settings(&format!("http://{host}:{port}/"));
        http.allow_private = vec!["10.0.0.0/8".parse().unwrap()];
        let error = sink_with(&http, TIMEOUT)
            .deliver(&delivery("m-1", b"{}"))
            .await
            .unwrap_err();
        assert_eq!(
            (error.class, error.code.as_str()),
            (Class::Configuration, "private_address"),
            "{host}: {error}"
        );
        assert!(error.detail.contains("allow_private"));
    }
    let accepted = tokio::time::timeout(Duration::ZERO, listener.accept()).await;
    assert!(accepted.is_err(), "nothing may have been connected");
}

#[tokio::test]
async fn a_certificate_is_checked_and_http_2_is_spoken_where_offered() {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = issued.cert.der().clone();
    let key =
        rustls::pki_types::PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "https://localhost:{}/",
        listener.local_addr().unwrap().port()
    );
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(stream) = acceptor.accept(stream).await else {
                continue;
            };
            let service = hyper::service::service_fn(|request: Request<Incoming>| async move {
                assert_eq!(request.version(), http::Version::HTTP_2);
                Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::default()))
            });
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let io = hyper_util::rt::TokioIo::new(stream);
            tokio::spawn(server.serve_connection(io, service));
        }
    });
    let http = settings(&url);
    let config = config_of(SinkKind::Http(http.clone()), TIMEOUT);
    for trusted in [false, true] {
        let mut roots = rustls::RootCertStore::empty();
        if trusted {
            roots.add(certificate.clone()).unwrap();
        }
        let client = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let sink = HttpSink::with_tls(&config, &http, client).unwrap();
        match sink.deliver(&delivery("m-1", b"{}")).await {
            Ok(receipt) => assert!(trusted && receipt.code == "200"),
            Err(error) => assert!(!trusted && error.code == "tls", "{error}"),
        }
    }
}

#[test]
fn settings_that_cannot_work_are_named_without_their_secrets() {
    let good = settings("https://example.com/hooks");
    let with = |change: &dyn Fn(&mut config::Http)| {
        let mut http = good.clone();
        change(&mut http);
        let config = config_of(SinkKind::Http(http.clone()), TIMEOUT);
        let tls = tls_config(false).unwrap();
        HttpSink::with_tls(&config, &http, tls).map(|_| ())
    };
    assert_eq!(with(&|_| {}), Ok(()));
    type Change<'c> = &'c dyn Fn(&mut config::Http);
    let changes: [(Change<'_>, &str); 6] = [
        (
            &|http| http.sign = vec![Secret::new("whsec_s3cret!")],
            "whsec_",
        ),
        (
            &|http| http.url = "https://u:s3cret@h/".parse().unwrap(),
            "credentials",
        ),
        (&|http| http.url = "ftp://h/".parse().unwrap(), "ftp"),
        (
            &|http| http.url = "/only/a/path".parse().unwrap(),
            "scheme and a host",
        ),
        (
            &|http| http.headers = vec![("x-key".to_owned(), Secret::new("s3cret\nx"))],
            "x-key",
        ),
        (
            &|http| http.headers = vec![("Host".to_owned(), Secret::new("h"))],
            "Host",
        ),
    ];
    for (change, part) in changes {
        let error = with(change).unwrap_err();
        assert!(error.detail.contains(part), "{}", error.detail);
        assert!(!error.detail.contains("s3cret"), "{}", error.detail);
    }
}

#[tokio::test]
async fn a_header_that_http_forbids_is_a_permanent_error() {
    let mut delivery = delivery("m-1", b"{}");
    delivery
        .message
        .headers
        .push(Header::new("x-bad", "a\r\nx-injected: 1"));
    let error = sink("http://127.0.0.1:1/")
        .deliver(&delivery)
        .await
        .unwrap_err();
    assert_eq!(
        (error.class, error.code.as_str()),
        (Class::Permanent, "bad_header")
    );
}
