//! Client of the admin listener, for the commands that look at a running program.

use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::request::Builder;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::api::ACTOR_HEADER;

/// Time for connecting and for the answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of an answer: a page of 1000 events with many deliveries each stays under it.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// No answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is not one.
    #[error("`{0}` is not an admin address; it looks like http://127.0.0.1:9180")]
    Address(String),
    /// Nobody answers there.
    #[error(
        "no answer from {address}: {source}; is `hookswitch run` up, and is its `admin` address this one?"
    )]
    Connect {
        /// Where.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The connection broke.
    #[error("{address} broke off: {source}")]
    Http {
        /// Where.
        address: String,
        /// Why.
        source: hyper::Error,
    },
    /// The answer is too large or broke off.
    #[error("the answer of {address} could not be read: {reason}")]
    Answer {
        /// Where.
        address: String,
        /// Why.
        reason: String,
    },
    /// It took too long.
    #[error("{0} did not answer within 30 seconds")]
    Timeout(String),
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Bytes,
}

/// GETs `target` (path and query) from the admin listener at `admin`, such as `http://127.0.0.1:9180`.
pub async fn get(admin: &str, target: &str) -> Result<Answer, ClientError> {
    ask(admin, Request::get(target)).await
}

/// POSTs to `target`, with no body, as `actor`.
pub async fn post(admin: &str, target: &str, actor: &str) -> Result<Answer, ClientError> {
    // A header takes no control characters, and the log shows names as they are.
    let actor: String = actor.chars().filter(|c| !c.is_control()).collect();
    ask(admin, Request::post(target).header(ACTOR_HEADER, actor)).await
}

async fn ask(admin: &str, request: Builder) -> Result<Answer, ClientError> {
    let address = address(admin)?;
    match tokio::time::timeout(TIMEOUT, fetch(&address, request)).await {
        Ok(answer) => answer,
        Err(_) => Err(ClientError::Timeout(address)),
    }
}

/// `host:port` of an admin URL.
fn address(admin: &str) -> Result<String, ClientError> {
    let wrong = || ClientError::Address(admin.to_owned());
    let url = if admin.contains("://") {
        admin.to_owned()
    } else {
        format!("http://{admin}")
    };
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    if uri.scheme_str() != Some("http") || !matches!(uri.path(), "" | "/") {
        return Err(wrong());
    }
    let authority = uri.authority().ok_or_else(wrong)?;
    Ok(format!(
        "{}:{}",
        authority.host(),
        authority.port_u16().unwrap_or(9180)
    ))
}

async fn fetch(address: &str, request: Builder) -> Result<Answer, ClientError> {
    let http = |source| ClientError::Http {
        address: address.to_owned(),
        source,
    };
    let stream = TcpStream::connect(address)
        .await
        .map_err(|source| ClientError::Connect {
            address: address.to_owned(),
            source,
        })?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
    let request = request
        .header(HOST, address)
        .body(Empty::<Bytes>::new())
        .map_err(|_| ClientError::Address(address.to_owned()))?;
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(http)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await;
        let body = body.map_err(|error| ClientError::Answer {
            address: address.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Answer {
            status,
            body: body.to_bytes(),
        })
    };
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        // The connection ends when the exchange is over; what it says then is the exchange's to report.
        _ = connection => exchange.await,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn an_admin_address_is_a_url_or_host_and_port() {
        for (admin, expected) in [
            ("http://127.0.0.1:9180", "127.0.0.1:9180"),
            ("http://localhost/", "localhost:9180"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("[::1]:1", "[::1]:1"),
        ] {
            assert_eq!(address(admin).unwrap(), expected);
        }
        for wrong in ["https://localhost", "http://h/path", "", "http://"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
