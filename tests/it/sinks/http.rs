//! The HTTP sink on the receiver that comes with the program.

use std::any::Any;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use hookswitch::config::{self, SinkKind};
use hookswitch::event::Header;
use hookswitch::secret::Secret;
use hookswitch::sink::http::HttpSink;
use hookswitch::sink::http::receiver::Receiver;
use hookswitch::sink::http::signature::SigningKey;
use hookswitch::sink::{Delivery, Sink};
use tokio::task::JoinHandle;

use super::compliance::{self, Faulty, Rig, compliance_suite, mute};
use super::{TIMEOUT, config_of, delivery};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

struct HttpRig {
    address: SocketAddr,
    seen: Arc<Mutex<BTreeSet<String>>>,
    server: JoinHandle<()>,
}

async fn rig() -> Option<HttpRig> {
    let seen = Arc::default();
    let (address, server) = serve("127.0.0.1:0".parse().unwrap(), &seen).await;
    Some(HttpRig {
        address,
        seen,
        server,
    })
}

async fn serve(
    listen: SocketAddr,
    seen: &Arc<Mutex<BTreeSet<String>>>,
) -> (SocketAddr, JoinHandle<()>) {
    let key = SigningKey::new(&Secret::new(SECRET)).unwrap();
    let receiver = Receiver::bind(listen, vec![key], TIMEOUT).await.unwrap();
    let address = receiver.local_addr().unwrap();
    let seen = seen.clone();
    let keep = move |received: hookswitch::sink::http::receiver::Received| {
        // What is not signed as it should be has not arrived.
        if received.verdict == Some(Ok(())) {
            let id = received.header("webhook-id").unwrap().to_owned();
            seen.lock().unwrap().insert(id);
        }
    };
    (
        address,
        tokio::spawn(receiver.serve(keep, std::future::pending())),
    )
}

fn sink_to(port: u16, secret: &str, timeout: Duration) -> Arc<dyn Sink> {
    let http = config::Http {
        url: format!("http://127.0.0.1:{port}/hooks").parse().unwrap(),
        method: http::Method::POST,
        headers: Vec::new(),
        sign: vec![Secret::new(secret)],
        allow_private: vec!["127.0.0.0/8".parse().unwrap()],
    };
    let config = config_of(SinkKind::Http(http.clone()), timeout);
    Arc::new(HttpSink::new(&config, &http).unwrap())
}

#[async_trait]
impl Rig for HttpRig {
    fn sink(&self, timeout: Duration) -> Arc<dyn Sink> {
        sink_to(self.address.port(), SECRET, timeout)
    }

    async fn arrived(&self, _at_least: &BTreeSet<String>) -> BTreeSet<String> {
        // The receiver notes a message before it answers.
        self.seen.lock().unwrap().clone()
    }

    async fn misconfigured(&self) -> Faulty {
        let stranger = "whsec_c3RyYW5nZXItc3RyYW5nZXItc3RyYW4";
        (sink_to(self.address.port(), stranger, TIMEOUT), "http_401")
    }

    async fn silent(&self, timeout: Duration) -> (Arc<dyn Sink>, Box<dyn Any + Send>) {
        let (port, guard) = mute().await;
        (sink_to(port, SECRET, timeout), guard)
    }

    fn unacceptable(&self) -> Option<(Delivery, &'static str)> {
        let mut delivery = delivery("bad");
        delivery.message.headers.push(Header::new("x-bad", "a\nb"));
        Some((delivery, "bad_header"))
    }

    async fn stop(&mut self) {
        self.server.abort();
        let _ = (&mut self.server).await;
    }

    async fn start(&mut self) {
        (self.address, self.server) = serve(self.address, &self.seen).await;
    }
}

compliance_suite!(rig());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reconnects() {
    compliance::reconnects(&mut rig().await.unwrap()).await;
}
