//! Query: `?source=...&state=dead&since=15m` of `GET /events`, checked.
//!
//! Pure. Unknown parameters are errors, because a misspelt filter would show everything.

use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::journal::{EventQuery, State};

/// Events of a page if `limit` does not say.
pub const LIMIT_DEFAULT: u32 = 50;
/// Events of a page at most.
pub const LIMIT_MAX: u32 = 1000;

/// A parameter that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// There is no such parameter.
    #[error("unknown parameter `{0}`; known are source, type, state, since, limit, before")]
    Unknown(String),
    /// The value is not what the parameter takes.
    #[error("`{name}` must be {expected}")]
    Value {
        /// The parameter.
        name: &'static str,
        /// What it takes.
        expected: &'static str,
    },
}

/// Reads the query of `GET /events` at `now_ms`.
pub fn events(query: &str, now_ms: u64) -> Result<EventQuery, QueryError> {
    let mut events = EventQuery {
        limit: LIMIT_DEFAULT,
        ..EventQuery::default()
    };
    for (name, value) in pairs(query) {
        match name.as_str() {
            "source" => events.source = Some(value),
            "type" => events.kind = Some(value),
            "state" => events.state = Some(state(&value)?),
            "since" => events.since_ms = Some(since_ms(&value, now_ms)?),
            "before" => {
                let wrong = wrong("before", "the `next` of an earlier page");
                events.before = Some(value.parse().map_err(|_| wrong)?);
            }
            "limit" => {
                let limit = value
                    .parse()
                    .ok()
                    .filter(|limit| (1..=LIMIT_MAX).contains(limit));
                events.limit = limit.ok_or_else(|| wrong("limit", "a number from 1 to 1000"))?;
            }
            _ => return Err(QueryError::Unknown(name)),
        }
    }
    Ok(events)
}

/// Decoded names and values; `+` is a space, as forms write it, except in the time zone of a time.
pub fn pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(move |pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
}

fn wrong(name: &'static str, expected: &'static str) -> QueryError {
    QueryError::Value { name, expected }
}

fn state(value: &str) -> Result<State, QueryError> {
    [
        State::Pending,
        State::Delivered,
        State::Dropped,
        State::Dead,
    ]
    .into_iter()
    .find(|state| state.as_str() == value)
    .ok_or_else(|| wrong("state", "pending, delivered, dropped or dead"))
}

/// A time (RFC 3339), or how long ago (`15m`, `2h 30m`).
fn since_ms(value: &str, now_ms: u64) -> Result<u64, QueryError> {
    if let Ok(ago) = humantime::parse_duration(value) {
        return Ok(now_ms.saturating_sub(millis(ago)));
    }
    let time: Option<jiff::Timestamp> = value.parse().ok();
    time.and_then(|time| u64::try_from(time.as_millisecond()).ok())
        .ok_or_else(|| {
            wrong(
                "since",
                "a time like 2026-01-31T08:00:00Z or an age like 15m",
            )
        })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const NOW_MS: u64 = 1_000_000_000_000;

    #[test]
    fn filters_are_read() {
        let query = "source=didit&type=status%2Eupdated&state=dead&since=15m&limit=7&before=42";
        let events = events(query, NOW_MS).unwrap();
        assert_eq!(events.source.as_deref(), Some("didit"));
        assert_eq!(events.kind.as_deref(), Some("status.updated"));
        assert_eq!(events.state, Some(State::Dead));
        assert_eq!(events.since_ms, Some(NOW_MS - 15 * 60 * 1000));
        assert_eq!((events.limit, events.before), (7, Some(42)));
    }

    #[test]
    fn a_time_may_be_absolute_and_in_any_zone() {
        for (since, expected) in [
            ("2001-09-09T01:46:40Z", NOW_MS),
            ("2001-09-09T03:46:40%2B02:00", NOW_MS),
            ("2001-09-09T03:46:40+02:00", NOW_MS),
        ] {
            assert_eq!(
                events(&format!("since={since}"), 0).unwrap().since_ms,
                Some(expected)
            );
        }
    }

    #[test]
    fn what_cannot_be_used_is_an_error_that_names_it() {
        for (query, expected) in [
            (
                "sauce=a",
                "unknown parameter `sauce`; known are source, type, state, since, limit, before",
            ),
            (
                "state=lost",
                "`state` must be pending, delivered, dropped or dead",
            ),
            ("limit=0", "`limit` must be a number from 1 to 1000"),
            ("limit=1001", "`limit` must be a number from 1 to 1000"),
            ("before=x", "`before` must be the `next` of an earlier page"),
            (
                "since=soon",
                "`since` must be a time like 2026-01-31T08:00:00Z or an age like 15m",
            ),
        ] {
            assert_eq!(events(query, NOW_MS).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn no_query_is_the_newest_page() {
        let events = events("", NOW_MS).unwrap();
        assert_eq!(events.limit, LIMIT_DEFAULT);
        assert!(events.source.is_none() && events.before.is_none());
    }
}
