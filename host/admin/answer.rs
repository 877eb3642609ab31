//! Answers of the admin listener: bodies, and what went wrong.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use crate::journal::JournalError;

/// What goes out.
pub(super) type Answer = Response<Full<Bytes>>;

/// An answer that is not what was asked for.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// The methods that the page takes, with 405.
    allow: Option<&'static str>,
}

impl Problem {
    /// With this status, stable code and sentence.
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            allow: None,
        }
    }

    /// 400, for a query that cannot be used.
    pub(super) fn query(message: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_query", message.to_string())
    }

    /// 405, for a page that takes only `allow`.
    pub(super) fn method(allow: &'static str) -> Self {
        let message = "this page does not take this method";
        Self {
            allow: Some(allow),
            ..Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                message,
            )
        }
    }

    /// 404, for a path without a page.
    pub(super) fn no_page() -> Self {
        let message = "no such page; GET / lists them";
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// 503, for a journal that gives no answer.
    pub(super) fn journal(error: JournalError) -> Self {
        let code = match error {
            JournalError::Unavailable => "journal_unavailable",
            JournalError::Closed | JournalError::Storage(_) => "journal_unreadable",
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, error.to_string())
    }

    /// As it goes out.
    pub(super) fn answer(self) -> Answer {
        let error = serde_json::json!({
            "error": { "code": self.code, "message": self.message }
        });
        let mut answer = json(self.status, &error);
        if let Some(allow) = self.allow {
            answer
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static(allow));
        }
        answer
    }
}

/// A body as it is.
pub(super) fn text(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// A value as JSON, one line.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(mut body) => {
            body.push(b'\n');
            text(status, "application/json", body)
        }
        // No value here has a map with keys other than text, which is all that can fail.
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "application/json",
                "{}\n",
            )
        }
    }
}
