//! An HTTP sink that keeps everything it gets, and can be told to misbehave, stop and start again.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    /// A header's text; fails the test if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .unwrap_or_else(|| panic!("no header {name} in {:?}", self.headers))
            .to_str()
            .unwrap()
    }
}

type Answer = dyn Fn(&Received) -> u16 + Send + Sync;

/// A running receiver; its record outlives a stop.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    answer: Arc<Mutex<Arc<Answer>>>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Starts on a free port and answers 200.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let answer: Arc<Mutex<Arc<Answer>>> = Arc::new(Mutex::new(Arc::new(|_: &Received| 200)));
        let task = tokio::spawn(serve(listener, received.clone(), answer.clone()));
        Self {
            address,
            received,
            answer,
            task,
        }
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/hooks", self.address)
    }

    /// Answers as `answer` says from now on; what is refused is not recorded.
    pub(crate) fn answer(&self, answer: impl Fn(&Received) -> u16 + Send + Sync + 'static) {
        *self.answer.lock().unwrap() = Arc::new(answer);
    }

    /// All that was answered with 2xx so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// How many were answered with 2xx so far.
    pub(crate) fn count(&self) -> usize {
        self.received.lock().unwrap().len()
    }

    /// The `webhook-id` of all that was answered with 2xx so far.
    pub(crate) fn ids(&self) -> Vec<String> {
        let received = self.received.lock().unwrap();
        received
            .iter()
            .map(|r| r.header("webhook-id").to_owned())
            .collect()
    }

    /// Closes the port and every connection.
    pub(crate) async fn stop(&mut self) {
        self.task.abort();
        (&mut self.task).await.ok();
    }

    /// Opens the same port again.
    pub(crate) async fn start_again(&mut self) {
        let listener =
            super::eventually("binding the receiver's port", super::PATIENCE, async || {
                let socket = tokio::net::TcpSocket::new_v4().ok()?;
                socket.set_reuseaddr(true).ok()?;
                socket.bind(self.address).ok()?;
                socket.listen(1024).ok()
            })
            .await;
        self.task = tokio::spawn(serve(listener, self.received.clone(), self.answer.clone()));
    }
}

async fn serve(
    listener: TcpListener,
    received: Arc<Mutex<Vec<Received>>>,
    answer: Arc<Mutex<Arc<Answer>>>,
) {
    // Connections end with this task.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let (received, answer) = (received.clone(), answer.clone());
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let (received, answer) = (received.clone(), answer.clone());
            async move {
                let (parts, body) = request.into_parts();
                let Ok(body) = body.collect().await else {
                    return Ok::<_, Infallible>(status(400));
                };
                let got = Received {
                    headers: parts.headers,
                    body: body.to_bytes(),
                };
                let code = (answer.lock().unwrap().clone())(&got);
                if (200..300).contains(&code) {
                    received.lock().unwrap().push(got);
                }
                Ok(status(code))
            }
        });
        connections.spawn(async move {
            let io = TokioIo::new(stream);
            hyper::server::conn::http1::Builder::new()
                .serve_connection(io, service)
                .await
                .ok();
        });
    }
}

fn status(code: u16) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}
