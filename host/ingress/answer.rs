//! Answer: the only table from errors to HTTP answers.
//!
//! Senders get a status, a stable code and a sentence, never a reason that helps a forger; operators get
//! the reason in the log and in `hookswitch_refused_requests_total`. `docs/reference/errors.md` holds the
//! same table, and a test compares the two.

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;

use crate::event::EventId;
use crate::journal::AppendError;

/// What ingress answers with: one buffer, no boxed body.
pub type Answer = Response<Full<Bytes>>;

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// HTTP status. `unauthorized` may get another one from its source's `reject_status`, 503 from its
    /// `busy_status`.
    pub status: u16,
    /// Stable code for programs.
    pub code: &'static str,
    /// For people.
    pub message: &'static str,
    /// Seconds in `Retry-After`; `rate_limited` may carry more.
    pub retry_after_secs: Option<u16>,
    /// The whole body.
    pub body: &'static str,
    /// Reason phrase of the status.
    pub reason: &'static str,
}

macro_rules! refusals {
    ($( $(#[$doc:meta])* $name:ident = $status:literal $reason:literal, $code:literal, $message:literal, $retry:expr; )*) => {
        /// Why a request got no 2xx.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Refusal { $( $(#[$doc])* $name, )* }

        impl Refusal {
            /// Every refusal, in the order of the reference page.
            pub const ALL: &'static [Self] = &[ $( Self::$name, )* ];

            /// The row of the table.
            #[must_use]
            pub const fn row(self) -> Row {
                match self {
                    $( Self::$name => Row {
                        status: $status,
                        code: $code,
                        message: $message,
                        retry_after_secs: $retry,
                        body: concat!(r#"{"error":{"code":""#, $code, r#"","message":""#, $message, r#""}}"#),
                        reason: $reason,
                    }, )*
                }
            }
        }
    };
}

refusals! {
    /// The head or the framing of the body is not valid HTTP, or the body ended early.
    BadRequest = 400 "Bad Request", "bad_request", "the request is not valid HTTP or its body is incomplete", None;
    /// A request with the method of a handshake, and otherwise unlike any of the source's.
    NoHandshake = 400 "Bad Request", "no_handshake", "this is no handshake of this source", None;
    /// A handshake without what it wants back, or with something that is not sent back.
    BadChallenge = 400 "Bad Request", "bad_challenge", "the handshake cannot be answered", None;
    /// The request is not authentic. The reason is for operators only.
    Unauthorized = 401 "Unauthorized", "unauthorized", "the request could not be verified", None;
    /// A handshake with another token than the source's.
    UnexpectedValue = 403 "Forbidden", "unexpected_value", "the handshake has another token than this source", None;
    /// The client's address is not on the source's list.
    AddressNotAllowed = 403 "Forbidden", "address_not_allowed", "this source does not take requests from this address", None;
    /// The client showed no certificate with a name on the source's list.
    ClientNotAllowed = 403 "Forbidden", "client_not_allowed", "this source asks for a client certificate with another name", None;
    /// No source has this path.
    NotFound = 404 "Not Found", "not_found", "no source has this path", None;
    /// The path is a source's, but the method is neither POST nor that of one of its handshakes.
    MethodNotAllowed = 405 "Method Not Allowed", "method_not_allowed", "webhooks are sent with POST", None;
    /// The head did not arrive in time.
    HeaderTimeout = 408 "Request Timeout", "header_timeout", "the request's head did not arrive in time", None;
    /// The body did not arrive in time.
    BodyTimeout = 408 "Request Timeout", "body_timeout", "the request's body did not arrive in time", None;
    /// The body is larger than the source's `max_body`.
    BodyTooLarge = 413 "Content Too Large", "body_too_large", "the request's body is larger than this source takes", None;
    /// The request target is longer than HTTP allows.
    TargetTooLong = 414 "URI Too Long", "target_too_long", "the request target is too long", None;
    /// The source does not take this media type.
    UnsupportedMediaType = 415 "Unsupported Media Type", "unsupported_media_type", "this source does not take this content-type", None;
    /// The source's rate is used up.
    RateLimited = 429 "Too Many Requests", "rate_limited", "too many requests for this source", Some(1);
    /// The client's address had too many requests refused.
    AddressLimited = 429 "Too Many Requests", "address_limited", "too many requests from this address were refused", Some(1);
    /// The head has too many bytes or fields.
    HeadersTooLarge = 431 "Request Header Fields Too Large", "headers_too_large", "the request's head has too many bytes or fields", None;
    /// A fault of this program. Nothing was stored.
    Bug = 500 "Internal Server Error", "bug", "a fault in the receiver; nothing was stored", None;
    /// The source's verifier plugin gave no verdict.
    VerifierFailed = 503 "Service Unavailable", "verifier_failed", "the request could not be judged", Some(5);
    /// The source's `in_flight` or the journal's queue is full.
    Overloaded = 503 "Service Unavailable", "overloaded", "too many events wait to be stored", Some(1);
    /// The request names a key that could not be fetched just now, so nobody knows whether it is authentic.
    NoKey = 503 "Service Unavailable", "no_key", "the sender's key cannot be had at this moment", Some(10);
    /// The journal is at `max_size`, or the disk at its free-space floor.
    JournalFull = 503 "Service Unavailable", "journal_full", "there is no room to store the event", Some(30);
    /// A commit failed; the program needs a restart.
    JournalFailed = 503 "Service Unavailable", "journal_failed", "the event cannot be stored", Some(10);
    /// The program shuts down.
    Draining = 503 "Service Unavailable", "draining", "the receiver is shutting down", Some(5);
}

impl Refusal {
    /// The answer. `close` asks an HTTP/1.1 client to close, for when its body was not read.
    #[must_use]
    pub fn answer(self, close: bool) -> Answer {
        let row = self.row();
        let mut answer = Response::new(Full::new(Bytes::from_static(row.body.as_bytes())));
        *answer.status_mut() = StatusCode::from_u16(row.status).unwrap_or_default();
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, JSON);
        if let Some(seconds) = row.retry_after_secs {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self == Self::MethodNotAllowed {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        if close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }

    /// The answer as HTTP/1.1 bytes, for when there is no request to answer: a head that never came, or
    /// one that is not HTTP. The connection is closed after it.
    #[must_use]
    pub fn raw(self) -> Bytes {
        let row = self.row();
        Bytes::from(format!(
            "HTTP/1.1 {} {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{}",
            row.status,
            row.reason,
            row.body.len(),
            row.body
        ))
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl From<AppendError> for Refusal {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Busy => Self::Overloaded,
            AppendError::Full => Self::JournalFull,
            AppendError::Failed => Self::JournalFailed,
        }
    }
}

/// The answer to an event that is safe: its id, or `null` where an earlier request stored it.
#[must_use]
pub fn accepted(status: u16, id: Option<EventId>) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    // These statuses forbid a body (RFC 9110 sections 15.3.5 and 15.3.6).
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT) {
        let mut answer = Response::new(Full::default());
        *answer.status_mut() = status;
        return answer;
    }
    let body = match id {
        Some(id) => Bytes::from(format!(r#"{{"id":"{id}","duplicate":false}}"#)),
        None => Bytes::from_static(br#"{"id":null,"duplicate":true}"#),
    };
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, JSON);
    answer
}

#[cfg(test)]
mod tests;
