//! Receiver: the other side of the HTTP sink, small.
//!
//! Takes whatever is sent to it, checks the signature if it was given secrets, hands the message to a
//! callback and answers 204, or 401 if the signature does not match. It is what `hookswitch receive`
//! runs: something to point a sink at in a demo, a test or a search for a mistake. It keeps nothing.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::signature::{Invalid, Signed, SigningKey, verify};
use super::unix_now;

/// Bytes of a body; then 413.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Connections at a time; further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 1024;

/// Time for a request's headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// One message as received.
#[derive(Clone, Debug)]
pub struct Received {
    /// Request method.
    pub method: Method,
    /// Request path and query.
    pub uri: Uri,
    /// Request headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Whether the signature is good; `None` if there was no secret to check it with.
    pub verdict: Option<Result<(), Invalid>>,
}

impl Received {
    /// A header's value, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A bound listener. See the module's text.
pub struct Receiver {
    listener: TcpListener,
    keys: Vec<SigningKey>,
    tolerance: Duration,
}

impl Receiver {
    /// Binds `listen`. With `keys`, messages must be signed with one of them, at most `tolerance` ago.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub async fn bind(
        listen: SocketAddr,
        keys: Vec<SigningKey>,
        tolerance: Duration,
    ) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind(listen).await?,
            keys,
            tolerance,
        })
    }

    /// Where it listens; tells the port that was chosen for port 0.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` ends, then drops what is open. `on_message` is called for each message
    /// before it is answered, and must not block for long.
    pub async fn serve(
        self,
        on_message: impl Fn(Received) + Send + Sync + 'static,
        stop: impl Future<Output = ()>,
    ) {
        let desk = Arc::new(Desk {
            keys: self.keys,
            tolerance: self.tolerance,
            on_message: Box::new(on_message),
        });
        tokio::pin!(stop);
        // Dropped at the end, and with it every connection.
        let mut connections = JoinSet::new();
        loop {
            let room = connections.len() < CONNECTIONS_MAX;
            tokio::select! {
                accepted = self.listener.accept(), if room => match accepted {
                    Ok((stream, _)) => drop(connections.spawn(desk.clone().connection(stream))),
                    // Out of file descriptors, most likely: give connections time to end.
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                },
                Some(_ended) = connections.join_next() => {}
                () = &mut stop => return,
            }
        }
    }
}

/// What connections share.
struct Desk {
    keys: Vec<SigningKey>,
    tolerance: Duration,
    on_message: Box<dyn Fn(Received) + Send + Sync>,
}

impl Desk {
    async fn connection(self: Arc<Self>, stream: TcpStream) {
        let service = service_fn(move |request| {
            let desk = self.clone();
            async move {
                let mut response = Response::new(Empty::<Bytes>::new());
                *response.status_mut() = desk.answer(request).await;
                Ok::<_, Infallible>(response)
            }
        });
        let mut server = auto::Builder::new(TokioExecutor::new());
        server
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT);
        // A sender that hangs up is nobody's error here.
        let _ = server.serve_connection(TokioIo::new(stream), service).await;
    }

    async fn answer(&self, request: Request<Incoming>) -> StatusCode {
        let (head, body) = request.into_parts();
        let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
            return StatusCode::PAYLOAD_TOO_LARGE;
        };
        let mut received = Received {
            method: head.method,
            uri: head.uri,
            headers: head.headers,
            body: body.to_bytes(),
            verdict: None,
        };
        if !self.keys.is_empty() {
            let signed = Signed {
                id: received.header("webhook-id"),
                timestamp: received.header("webhook-timestamp"),
                signature: received.header("webhook-signature"),
                body: &received.body,
            };
            received.verdict = Some(verify(&self.keys, signed, unix_now(), self.tolerance));
        }
        let status = match received.verdict {
            Some(Err(_)) => StatusCode::UNAUTHORIZED,
            Some(Ok(())) | None => StatusCode::NO_CONTENT,
        };
        (self.on_message)(received);
        status
    }
}
