//! Rejected requests as the API shows them: `GET /rejected` and `GET /rejected/{number}`. Pure.

use serde::{Deserialize, Serialize};

use super::query::{LIMIT_DEFAULT, LIMIT_MAX, QueryError, limit, pairs, time_ms, wrong};
use super::view::{self, Body};
use crate::rejected;

/// `GET /rejected`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// Newest first.
    pub rejected: Vec<Rejected>,
    /// How many requests of this source and code were only counted since the program began, because there
    /// were too many in a second.
    pub skipped: u64,
    /// `before` of the next page; `null` on the last one.
    pub next: Option<u64>,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rejected {
    /// Counts from 1 in each run of the program.
    pub number: u64,
    /// RFC 3339, UTC, milliseconds.
    pub at: String,
    /// Source name, or `none`.
    pub source: String,
    /// Stable code of the reason.
    pub code: String,
    /// The reason for people; may be empty.
    pub detail: String,
    /// Status of the answer.
    pub status: u16,
    /// False if it was let through, because its source does not enforce.
    pub enforced: bool,
    /// The client's address; `null` if a trusted proxy did not say it.
    pub client: Option<String>,
    /// The connection's other end.
    pub peer: String,
    /// Request method; empty where no head was understood, as are path and query then.
    pub method: String,
    /// Request path.
    pub path: String,
    /// Request query, credentials masked.
    pub query: String,
    /// Size of the body; `null` if it was not read.
    pub body_bytes: Option<u64>,
    /// Only in `GET /rejected/{number}`.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
}

/// What came in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// Name and value in order, credentials and signatures masked.
    pub headers: Vec<(String, String)>,
    /// True if there were more headers or longer ones.
    pub headers_cut: bool,
    /// The beginning of the body.
    pub body: Body,
}

/// Reads the query of `GET /rejected` at `now_ms`.
pub fn query(query: &str, now_ms: u64) -> Result<rejected::Query, QueryError> {
    let known = "source, code, since, limit, before";
    let mut asked = rejected::Query::default();
    let mut rows = LIMIT_DEFAULT;
    for (name, value) in pairs(query) {
        match name.as_str() {
            "source" => asked.source = Some(value),
            "code" => asked.code = Some(value),
            "since" => asked.since_ms = Some(time_ms("since", &value, now_ms)?),
            "before" => {
                let wrong = wrong("before", "the `next` of an earlier page");
                asked.before = Some(value.parse().map_err(|_| wrong)?);
            }
            "limit" => rows = limit(&value, LIMIT_MAX)?,
            _ => return Err(QueryError::Unknown { name, known }),
        }
    }
    asked.limit = usize::try_from(rows).unwrap_or(usize::MAX);
    Ok(asked)
}

/// A page that was asked for with `limit`.
#[must_use]
pub fn page(found: &rejected::Page, limit: usize) -> Page {
    let last = found.rejected.last().map(|last| last.number);
    Page {
        rejected: found.rejected.iter().map(|one| summary(one)).collect(),
        skipped: found.skipped,
        next: last.filter(|_| found.rejected.len() >= limit),
    }
}

fn summary(found: &rejected::Rejected) -> Rejected {
    Rejected {
        number: found.number,
        at: view::time(found.at_ms),
        source: found.source.to_string(),
        code: found.code.clone(),
        detail: found.detail.clone(),
        status: found.status,
        enforced: found.enforced,
        client: found.client_is_known.then(|| found.client.to_string()),
        peer: found.peer.to_string(),
        method: found.method.clone(),
        path: found.path.clone(),
        query: found.query.clone(),
        body_bytes: found.body_bytes,
        content: None,
    }
}

/// One request with all that is kept of it.
#[must_use]
pub fn whole(found: &rejected::Rejected) -> Rejected {
    let shown = u64::try_from(found.body.len()).unwrap_or(u64::MAX);
    let truncated = found.body_bytes.is_some_and(|all| all > shown);
    Rejected {
        content: Some(Content {
            headers: found.headers.clone(),
            headers_cut: found.headers_cut,
            body: view::beginning(&found.body, truncated),
        }),
        ..summary(found)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn filters_are_read_and_others_are_errors_that_name_them() {
        let asked = query(
            "source=didit&code=stale&since=15m&limit=7&before=42",
            1_000_000,
        )
        .unwrap();
        let expected = rejected::Query {
            source: Some("didit".to_owned()),
            code: Some("stale".to_owned()),
            since_ms: Some(100_000),
            before: Some(42),
            limit: 7,
        };
        assert_eq!(asked, expected);
        assert_eq!(query("", 0).unwrap().limit, 50);
        for (wrong, expected) in [
            (
                "type=a",
                "unknown parameter `type`; known are source, code, since, limit, before",
            ),
            ("limit=0", "`limit` must be a number from 1 to 1000"),
            (
                "before=-1",
                "`before` must be the `next` of an earlier page",
            ),
        ] {
            assert_eq!(query(wrong, 0).unwrap_err().to_string(), expected);
        }
    }
}
