//! Query: what stands behind the question mark (`?source=...&state=dead&since=15m`), checked.
//!
//! Pure. Unknown parameters are errors, because a misspelt filter would show, or replay, everything.

use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::journal::archive::{ACT_DELIVERIES_MAX, DeadPlace, DeadQuery};
use crate::journal::audit::REASON_CHARS_MAX;
use crate::journal::{EventQuery, State};

/// Events of a page if `limit` does not say.
pub const LIMIT_DEFAULT: u32 = 50;
/// Events of a page at most.
pub const LIMIT_MAX: u32 = 1000;
/// Dead letters of one act at most, and if `limit` does not say.
pub const ACT_LIMIT_MAX: u32 = ACT_DELIVERIES_MAX as u32;

/// A parameter that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// There is no such parameter.
    #[error("unknown parameter `{name}`; known are {known}")]
    Unknown {
        /// What was asked.
        name: String,
        /// What can be asked.
        known: &'static str,
    },
    /// The value is not what the parameter takes.
    #[error("`{name}` must be {expected}")]
    Value {
        /// The parameter.
        name: &'static str,
        /// What it takes.
        expected: &'static str,
    },
    /// A parameter that must be there is not.
    #[error("`reason` is missing; it goes into the audit log")]
    Reason,
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
            "since" => events.since_ms = Some(time_ms("since", &value, now_ms)?),
            "before" => {
                let before = value.parse().map_err(|_| wrong_before())?;
                events.before = Some(before);
            }
            "limit" => events.limit = limit(&value, LIMIT_MAX)?,
            _ => {
                let known = "source, type, state, since, limit, before";
                return Err(QueryError::Unknown { name, known });
            }
        }
    }
    Ok(events)
}

/// What `GET /dead-letters` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetters {
    /// Which.
    pub query: DeadQuery,
    /// Before this place.
    pub before: Option<DeadPlace>,
    /// At most so many.
    pub limit: u32,
    /// And how many there are.
    pub count: bool,
}

/// Reads the query of `GET /dead-letters` at `now_ms`.
pub fn dead_letters(query: &str, now_ms: u64) -> Result<DeadLetters, QueryError> {
    let mut asked = DeadLetters {
        query: DeadQuery::default(),
        before: None,
        limit: LIMIT_DEFAULT,
        count: false,
    };
    for (name, value) in pairs(query) {
        match name.as_str() {
            "before" => asked.before = Some(value.parse().map_err(|_| wrong_before())?),
            "limit" => asked.limit = limit(&value, LIMIT_MAX)?,
            "count" => asked.count = truth("count", &value)?,
            _ if narrow(&mut asked.query, &name, &value, now_ms)? => {}
            _ => {
                let known =
                    "source, type, sink, route, cause, event, since, until, limit, before, count";
                return Err(QueryError::Unknown { name, known });
            }
        }
    }
    Ok(asked)
}

/// What `POST /dead-letters/...` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Which.
    pub query: DeadQuery,
    /// At most so many.
    pub limit: u32,
    /// Said in so many words that all are meant.
    pub all: bool,
    /// Why.
    pub reason: String,
}

/// Reads the query of an act at `now_ms`. `is_one`: the path names a dead letter, so there is no filter.
pub fn act(
    query: &str,
    now_ms: u64,
    is_one: bool,
    needs_reason: bool,
) -> Result<Asked, QueryError> {
    let mut asked = Asked {
        query: DeadQuery::default(),
        limit: ACT_LIMIT_MAX,
        all: false,
        reason: String::new(),
    };
    for (name, value) in pairs(query) {
        match name.as_str() {
            "reason" if needs_reason => asked.reason = reason(&value)?,
            "limit" if !is_one => asked.limit = limit(&value, ACT_LIMIT_MAX)?,
            "all" if !is_one => asked.all = truth("all", &value)?,
            _ if !is_one && narrow(&mut asked.query, &name, &value, now_ms)? => {}
            _ => {
                let known = match (is_one, needs_reason) {
                    (true, true) => "reason",
                    (true, false) => "none",
                    (false, true) => {
                        "source, type, sink, route, cause, event, since, until, all, limit, reason"
                    }
                    (false, false) => {
                        "source, type, sink, route, cause, event, since, until, all, limit"
                    }
                };
                return Err(QueryError::Unknown { name, known });
            }
        }
    }
    if needs_reason && asked.reason.is_empty() {
        return Err(QueryError::Reason);
    }
    Ok(asked)
}

/// Reads a filter of dead letters; false if it is none.
fn narrow(query: &mut DeadQuery, name: &str, value: &str, now_ms: u64) -> Result<bool, QueryError> {
    let text = || Some(value.to_owned());
    match name {
        "source" => query.source = text(),
        "type" => query.kind = text(),
        "sink" => query.sink = text(),
        "route" => query.route = text(),
        "cause" => query.cause = text(),
        "event" => {
            let wrong = wrong("event", "an id like 0193a5e4-7c1b-7d3e-9a40-0c5f7b1e2d33");
            query.event = Some(value.parse().map_err(|_| wrong)?);
        }
        "since" => query.since_ms = Some(time_ms("since", value, now_ms)?),
        "until" => query.until_ms = Some(time_ms("until", value, now_ms)?),
        _ => return Ok(false),
    }
    Ok(true)
}

/// A reason: one line that says something, since nobody can change it later.
pub fn reason(value: &str) -> Result<String, QueryError> {
    let reason = value.trim();
    let is_good = !reason.is_empty()
        && reason.chars().count() <= REASON_CHARS_MAX
        && !reason.chars().any(char::is_control);
    if !is_good {
        let expected = "one line of 1 to 200 characters";
        return Err(wrong("reason", expected));
    }
    Ok(reason.to_owned())
}

pub(super) fn limit(value: &str, max: u32) -> Result<u32, QueryError> {
    let limit = value.parse().ok();
    let expected = if max == LIMIT_MAX {
        "a number from 1 to 1000"
    } else {
        "a number from 1 to 500"
    };
    limit
        .filter(|limit| (1..=max).contains(limit))
        .ok_or_else(|| wrong("limit", expected))
}

fn truth(name: &'static str, value: &str) -> Result<bool, QueryError> {
    value.parse().map_err(|_| wrong(name, "true or false"))
}

fn wrong_before() -> QueryError {
    wrong("before", "the `next` of an earlier page")
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

pub(super) fn wrong(name: &'static str, expected: &'static str) -> QueryError {
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
pub(super) fn time_ms(name: &'static str, value: &str, now_ms: u64) -> Result<u64, QueryError> {
    if let Ok(ago) = humantime::parse_duration(value) {
        return Ok(now_ms.saturating_sub(millis(ago)));
    }
    let time: Option<jiff::Timestamp> = value.parse().ok();
    time.and_then(|time| u64::try_from(time.as_millisecond()).ok())
        .ok_or_else(|| wrong(name, "a time like 2026-01-31T08:00:00Z or an age like 15m"))
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
    fn filters_of_dead_letters_are_read() {
        let query =
            "source=didit&sink=&cause=http_503&until=2001-09-09T01:46:40Z&before=1.2.3&count=true";
        let asked = dead_letters(query, NOW_MS).unwrap();
        assert_eq!(asked.query.source.as_deref(), Some("didit"));
        assert_eq!(asked.query.sink.as_deref(), Some(""));
        assert_eq!(asked.query.until_ms, Some(NOW_MS));
        assert_eq!(asked.before.unwrap().to_string(), "1.2.3");
        assert!(asked.count);
        for wrong in [
            "sauce=a",
            "before=7",
            "event=x",
            "until=soon",
            "count=1",
            "all=true",
        ] {
            assert!(dead_letters(wrong, NOW_MS).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_act_takes_a_filter_or_one_dead_letter_and_a_reason_where_it_needs_one() {
        assert!(act("sink=crm", NOW_MS, false, false).is_ok());
        assert!(act("", NOW_MS, true, false).is_ok());
        assert!(act("sink=crm", NOW_MS, true, false).is_err());
        assert!(act("reason=x", NOW_MS, true, false).is_err());
        assert_eq!(act("", NOW_MS, true, true), Err(QueryError::Reason));
        for (reason, is_good) in [
            ("OPS-7", true),
            ("a%20b", true),
            ("%20", false),
            ("a%0Ab", false),
            (&*"x".repeat(201), false),
        ] {
            let asked = act(&format!("reason={reason}"), NOW_MS, true, true);
            assert_eq!(asked.is_ok(), is_good, "{reason}");
        }
        assert!(act("all=true&limit=501", NOW_MS, false, false).is_err());
    }

    #[test]
    fn no_query_is_the_newest_page() {
        let events = events("", NOW_MS).unwrap();
        assert_eq!(events.limit, LIMIT_DEFAULT);
        assert!(events.source.is_none() && events.before.is_none());
    }
}
