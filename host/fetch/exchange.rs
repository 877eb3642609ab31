//! Exchange: one request on one connection, and as much of its answer as is allowed.

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use http::{Method, Request, Response};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::FetchError;
use super::policy::Target;

/// Bytes of an answer's head; hyper takes at most 100 fields besides.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The body of a 2xx answer. Connection and request are one future: dropping it ends both.
pub(super) async fn run<S>(
    stream: S,
    target: &Target,
    question: Option<Bytes>,
    bytes_max: usize,
) -> Result<Bytes, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(FetchError::Http)?;
    let request = request(target, question)?;
    let mut connection = std::pin::pin!(connection);
    let mut exchange = std::pin::pin!(async {
        let response = sender
            .send_request(request)
            .await
            .map_err(FetchError::Http)?;
        judge(response, bytes_max).await
    });
    tokio::select! {
        biased;
        done = &mut exchange => return done,
        // It ended with the answer's last byte, or broke; the request knows which.
        _ = &mut connection => {}
    }
    exchange.await
}

/// A GET; with a question a POST of it.
fn request(target: &Target, question: Option<Bytes>) -> Result<Request<Full<Bytes>>, FetchError> {
    let mut request = Request::default();
    if let Some(question) = question {
        *request.method_mut() = Method::POST;
        *request.body_mut() = Full::new(question);
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
    }
    *request.uri_mut() = target
        .path
        .parse()
        .map_err(|_| FetchError::BadUrl("its path is malformed"))?;
    let host = HeaderValue::try_from(&target.authority)
        .map_err(|_| FetchError::BadUrl("its host is malformed"))?;
    let agent = HeaderValue::from_static(concat!("hookswitch/", env!("CARGO_PKG_VERSION")));
    let headers = request.headers_mut();
    headers.insert(HOST, host);
    headers.insert(USER_AGENT, agent);
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(request)
}

async fn judge(response: Response<Incoming>, bytes_max: usize) -> Result<Bytes, FetchError> {
    let status = response.status();
    if status.is_redirection() {
        return Err(FetchError::Redirect(status.as_u16()));
    }
    if !status.is_success() {
        return Err(FetchError::Status(status.as_u16()));
    }
    let mut body = response.into_body();
    let too_large = || FetchError::TooLarge(bytes_max);
    if body.size_hint().lower() > u64::try_from(bytes_max).unwrap_or(u64::MAX) {
        return Err(too_large());
    }
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(FetchError::Http)?.into_data() {
            if data.len() > bytes_max - bytes.len() {
                return Err(too_large());
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes.freeze())
}
