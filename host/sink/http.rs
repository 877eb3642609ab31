//! HTTP sink: POSTs each message to one URL, signed as Standard Webhooks says.
//!
//! One pooled client for the sink, HTTP/1.1 or HTTP/2 by ALPN. A delivery is confirmed by a 2xx status
//! and by nothing else; what other answers mean is in [`answer`]. Redirects are never followed, and
//! [`connect`] refuses addresses that are not public. No message shows more of the URL than scheme, host
//! and port, because paths and queries of webhooks are often secrets.

mod answer;
mod connect;
mod failure;
pub mod receiver;
mod request;
pub mod signature;

#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::header::{HeaderMap, RETRY_AFTER};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jiff::Timestamp;
use rustls::ClientConfig;
use tokio::time::{Instant, timeout_at};

pub use self::answer::excerpt;
use self::connect::{Connector, Reused};
use self::signature::SigningKey;
use super::{Class, Delivery, Preview, Receipt, SetupError, Sink, SinkError, envelope, preview};
use crate::clock::unix_ms;
use crate::config;
use crate::network::trust;
use crate::secret::Secret;

/// Bytes of a response that are read; if there are more, the connection is dropped.
const RESPONSE_BYTES_MAX: usize = 16 * 1024;

/// Time for the rest of a response after its status, which has decided the delivery by then.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Idle connections are closed after this; common servers close theirs after 60 s or more.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Idle connections that are kept, of at most as many as the sink's concurrency. Fewer than are used at
/// once would mean a new connection for most requests.
const IDLE_CONNECTIONS_MAX: usize = 1024;

/// An HTTP endpoint. See the module's text.
pub struct HttpSink {
    client: Client<Connector, Full<Bytes>>,
    method: http::Method,
    url: Uri,
    /// Scheme, host and port, for messages.
    place: String,
    /// The configured headers, sent with each request.
    headers: HeaderMap,
    keys: Vec<SigningKey>,
    patience: Duration,
}

impl HttpSink {
    /// Checks the settings and builds the client; connects to nothing.
    ///
    /// # Errors
    /// If a header, a secret or the URL cannot be used.
    pub fn new(sink: &config::Sink, http: &config::Http) -> Result<Self, SetupError> {
        let tls = tls_config(http.url.scheme_str() == Some("https")).map_err(SetupError::new)?;
        Self::with_tls(sink, http, tls)
    }

    fn with_tls(
        sink: &config::Sink,
        http: &config::Http,
        tls: ClientConfig,
    ) -> Result<Self, SetupError> {
        let place = place(&http.url).map_err(SetupError::new)?;
        let keys = http
            .sign
            .iter()
            .map(SigningKey::new)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| SetupError::new(error.to_string()))?;
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(sink.throttle.concurrency.min(IDLE_CONNECTIONS_MAX))
            .build(Connector::new(&http.allow_private, tls));
        Ok(Self {
            client,
            method: http.method.clone(),
            url: http.url.clone(),
            place,
            headers: request::configured(&http.headers).map_err(SetupError::new)?,
            keys,
            patience: envelope::patience(sink.timeout),
        })
    }

    /// The request for one attempt at `now_s`.
    fn request(&self, delivery: &Delivery, now_s: u64) -> Result<Request<Full<Bytes>>, SinkError> {
        let mut request = Request::new(Full::new(delivery.message.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.url.clone();
        *request.headers_mut() = request::headers(delivery, &self.headers, &self.keys, now_s)?;
        Ok(request)
    }

    /// Sends the request; at once a second time if it met a kept connection that the other side was
    /// just closing, which says nothing about the other side's health.
    async fn exchange(&self, delivery: &Delivery) -> Result<Response<Incoming>, SinkError> {
        match self
            .client
            .request(self.request(delivery, unix_now())?)
            .await
        {
            Ok(response) => Ok(response),
            Err(error) if failure::met_a_closing_connection(&error) => self
                .client
                .request(self.request(delivery, unix_now())?)
                .await
                .map_err(|error| failure::classify(&error, &self.place)),
            Err(error) => Err(failure::classify(&error, &self.place)),
        }
    }

    /// What the answer means. Reads the body within its limits, so that the connection can be used again.
    async fn judge(&self, response: Response<Incoming>) -> Result<Receipt, SinkError> {
        let (head, body) = response.into_parts();
        if let Some(reused) = head.extensions.get::<Reused>() {
            reused.mark();
        }
        let body = read_start(body).await;
        let status = head.status;
        let Some(class) = answer::classify(status) else {
            return Ok(Receipt {
                code: status.as_str().to_owned(),
            });
        };
        let mut detail = format!("{} answered {}", self.place, status.as_str());
        let excerpt = answer::excerpt(&body);
        if !excerpt.is_empty() {
            detail.push_str(": ");
            detail.push_str(&excerpt);
        }
        let mut error = SinkError::new(class, answer::code(status), detail);
        error.retry_after = head
            .headers
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| answer::retry_after(value, Timestamp::now()));
        Err(error)
    }
}

#[async_trait]
impl Sink for HttpSink {
    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, SinkError> {
        let deadline = Instant::now() + self.patience;
        let exchange = timeout_at(deadline, self.exchange(delivery));
        let response = exchange.await.map_err(|_| {
            let detail = format!("{} did not answer within {:?}", self.place, self.patience);
            SinkError::new(Class::Transient, "timeout", detail)
        })??;
        self.judge(response).await
    }

    fn preview(&self, delivery: &Delivery, now_ms: u64) -> Result<Preview, SinkError> {
        let request = self.request(delivery, now_ms / 1000)?;
        let headers = request.headers().iter().map(|(name, value)| {
            let text = preview::text(value.as_bytes());
            let shown = match value.is_sensitive() {
                true => Secret::new(&text).to_string(),
                false => text,
            };
            (name.as_str().to_owned(), shown)
        });
        Ok(Preview {
            to: format!("{} {}", request.method(), self.place),
            key: None,
            headers: headers.collect(),
            body: delivery.message.body.clone(),
        })
    }

    async fn close(&self) {
        // Idle connections close as the client is dropped, and each delivery has ended by now.
    }
}

/// TLS settings; reads the system's root certificates only where they will be needed.
fn tls_config(with_roots: bool) -> Result<ClientConfig, String> {
    let settings = if with_roots {
        trust::system()
    } else {
        trust::nobody()
    };
    settings.map_err(|error| match std::error::Error::source(&error) {
        Some(cause) => format!("{error} ({cause})"),
        None => error.to_string(),
    })
}

/// The part of the URL that messages show.
fn place(url: &Uri) -> Result<String, String> {
    let (Some(scheme), Some(authority)) = (url.scheme_str(), url.authority()) else {
        return Err("`url` needs a scheme and a host, as in https://example.com/hooks".to_owned());
    };
    if scheme != "https" && scheme != "http" {
        return Err(format!("`url` has scheme `{scheme}`; use https or http"));
    }
    if authority.as_str().contains('@') {
        return Err(
            "`url` holds credentials; put them into `headers`, from env: or file:".to_owned(),
        );
    }
    Ok(format!("{scheme}://{authority}"))
}

/// Reads up to [`RESPONSE_BYTES_MAX`]; dropping an unfinished body closes its connection.
async fn read_start(mut body: Incoming) -> Bytes {
    let mut start = BytesMut::new();
    let deadline = Instant::now() + RESPONSE_TIMEOUT;
    while let Ok(Some(Ok(frame))) = timeout_at(deadline, body.frame()).await {
        if let Ok(data) = frame.into_data() {
            let room = RESPONSE_BYTES_MAX - start.len();
            start.extend_from_slice(data.get(..room).unwrap_or(&data));
            if data.len() > room {
                break;
            }
        }
    }
    start.freeze()
}

/// Seconds since the Unix epoch.
fn unix_now() -> u64 {
    unix_ms() / 1000
}
