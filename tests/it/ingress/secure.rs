//! HTTP/2 and TLS.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookswitch::config;
use hookswitch::ingress::tls::Identity;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::front::Front;
use super::raw::{Raw, post};

pub(crate) async fn client<B, S>(stream: S) -> SendRequest<B>
where
    B: http_body::Body<Data = Bytes, Error = std::convert::Infallible> + Send + Unpin + 'static,
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

fn request<B>(path: &str, body: B) -> Request<B> {
    Request::post(format!("http://hooks.example{path}"))
        .body(body)
        .unwrap()
}

#[tokio::test]
async fn http2_with_prior_knowledge_is_served_on_the_same_port() {
    let front = Front::start().await;
    let mut client = client(TcpStream::connect(front.address).await.unwrap()).await;
    for (path, size, status) in [
        ("/hooks/open", 10, StatusCode::OK),
        ("/hooks/none", 10, StatusCode::NOT_FOUND),
        ("/hooks/open", 70_000, StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let body = Full::new(Bytes::from(vec![b'a'; size]));
        let answer = client.send_request(request(path, body)).await.unwrap();
        assert_eq!(answer.status(), status, "{path} {size}");
        assert!(answer.headers().get("connection").is_none());
    }
    let events = front.journal.events();
    assert_eq!(events.len(), 1);
    assert_eq!(
        hookswitch::event::header(&events[0].headers, "host"),
        Some("hooks.example")
    );
}

#[tokio::test]
async fn a_slow_body_on_http2_costs_only_its_own_stream() {
    let front = Front::with(|setup| setup.limits.body_timeout = Duration::from_millis(100)).await;
    let mut client = client(TcpStream::connect(front.address).await.unwrap()).await;
    let first: Result<_, std::convert::Infallible> = Ok(http_body::Frame::data(Bytes::from("{")));
    let endless = futures_util::StreamExt::chain(
        futures_util::stream::iter([first]),
        futures_util::stream::pending(),
    );
    let slow = StreamBody::new(endless).boxed();
    let answer = client
        .send_request(request("/hooks/open", slow))
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
    let quick = Full::new(Bytes::from("{}")).boxed();
    let answer = client
        .send_request(request("/hooks/open", quick))
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_drain_tells_http2_clients_to_go_after_their_streams() {
    let mut front = Front::start().await;
    front.journal.set(super::Mode::Hold);
    let mut client = client(TcpStream::connect(front.address).await.unwrap()).await;
    let running = client.send_request(request("/hooks/open", Full::new(Bytes::from("{}"))));
    let running = tokio::spawn(running);
    front.journal.arrival().await;
    front.shutdown.begin(super::PATIENCE);
    front.journal.release.add_permits(1);
    assert_eq!(running.await.unwrap().unwrap().status(), StatusCode::OK);
    front.ended().await;
}

/// A certificate authority and what it signs, in a folder.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

pub(crate) struct Leaf {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    cert_pem: String,
    key_pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            pem: certificate.pem(),
            certificate: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn leaf(&self) -> Leaf {
        self.leaf_of("localhost")
    }

    pub(crate) fn leaf_of(&self, name: &str) -> Leaf {
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf {
            chain: vec![certificate.der().clone()],
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            cert_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        }
    }
}

pub(crate) fn write(folder: &Path, leaf: &Leaf, client_ca: Option<&Authority>) -> config::Tls {
    let path = |name: &str| folder.join(name);
    std::fs::write(path("cert.pem"), &leaf.cert_pem).unwrap();
    std::fs::write(path("key.pem"), &leaf.key_pem).unwrap();
    if let Some(ca) = client_ca {
        std::fs::write(path("ca.pem"), &ca.pem).unwrap();
    }
    config::Tls {
        cert: path("cert.pem"),
        key: path("key.pem"),
        client_ca: client_ca.map(|_| path("ca.pem")),
        client_auth: config::ClientAuth::Required,
    }
}

pub(crate) async fn connect(
    front: &Front,
    trusted: &Authority,
    identity: Option<Leaf>,
    protocol: &[u8],
) -> std::io::Result<TlsStream<TcpStream>> {
    connect_by(front, &connector(trusted, identity, protocol)).await
}

/// As [`connect`], with a connector that remembers its sessions.
pub(crate) async fn connect_by(
    front: &Front,
    connector: &TlsConnector,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(front.address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    connector.connect(name, stream).await
}

pub(crate) fn connector(
    trusted: &Authority,
    identity: Option<Leaf>,
    protocol: &[u8],
) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        Some(leaf) => builder.with_client_auth_cert(leaf.chain, leaf.key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    TlsConnector::from(Arc::new(config))
}

#[tokio::test]
async fn tls_serves_both_protocols_and_a_new_certificate_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Authority::new(), Authority::new());
    let files = write(folder.path(), &old.leaf(), None);
    let identity = Arc::new(Identity::load(&files).unwrap());
    let front = Front::with(|setup| setup.tls = Some(identity.clone())).await;

    let mut open = Raw::over(connect(&front, &old, None, b"http/1.1").await.unwrap());
    open.send(post("/hooks/open", "", "{}")).await;
    assert_eq!(open.answer().await.unwrap().status, 200);
    let stream = connect(&front, &old, None, b"h2").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut http2 = client(stream).await;
    let answer = http2
        .send_request(request("/hooks/open", Full::new(Bytes::from("{}"))))
        .await;
    assert_eq!(answer.unwrap().status(), StatusCode::OK);

    std::fs::write(&files.key, "not a key").unwrap();
    let error = identity.reload(&files).unwrap_err().to_string();
    assert!(
        error.contains("key.pem") && !error.contains("not a key"),
        "{error}"
    );
    assert!(connect(&front, &old, None, b"http/1.1").await.is_ok());

    write(folder.path(), &new.leaf(), None);
    identity.reload(&files).unwrap();
    assert!(connect(&front, &new, None, b"http/1.1").await.is_ok());
    assert!(connect(&front, &old, None, b"http/1.1").await.is_err());
    open.send(post("/hooks/open", "", "{}")).await;
    assert_eq!(open.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn with_a_client_ca_only_its_clients_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let (server, clients) = (Authority::new(), Authority::new());
    let files = write(folder.path(), &server.leaf(), Some(&clients));
    let identity = Arc::new(Identity::load(&files).unwrap());
    let front = Front::with(|setup| setup.tls = Some(identity)).await;
    for (identity, served) in [
        (Some(clients.leaf()), true),
        (Some(server.leaf()), false),
        (None, false),
    ] {
        // In TLS 1.3 the client's side of the handshake may end before the server refuses.
        let Ok(stream) = connect(&front, &server, identity, b"http/1.1").await else {
            assert!(!served);
            continue;
        };
        let mut raw = Raw::over(stream);
        let _ = tokio::io::AsyncWriteExt::write_all(
            &mut raw.stream,
            post("/hooks/open", "", "{}").as_bytes(),
        )
        .await;
        assert_eq!(
            raw.answer().await.map(|answer| answer.status),
            served.then_some(200)
        );
    }
}

#[tokio::test]
async fn what_is_no_tls_does_not_get_in() {
    let folder = tempfile::tempdir().unwrap();
    let files = write(folder.path(), &Authority::new().leaf(), None);
    let identity = Arc::new(Identity::load(&files).unwrap());
    let front = Front::with(|setup| setup.tls = Some(identity)).await;
    let mut raw = Raw::connect(front.address).await;
    raw.send(post("/hooks/open", "", "{}")).await;
    while !raw.is_closed().await {}
    assert!(front.journal.events().is_empty());
}
