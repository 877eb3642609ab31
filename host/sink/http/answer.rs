//! Answers: what a status code of the other side means for the delivery.
//!
//! Pure: `now` comes in. The whole policy is [`classify`]; the sink's reference page shows it as a table.

use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

use crate::sink::Class;

/// Characters of a response body that are worth keeping in an error.
const EXCERPT_CHARS: usize = 200;

/// How to go on after this status; `None` if it confirms the delivery.
pub(super) fn classify(status: StatusCode) -> Option<Class> {
    match status.as_u16() {
        200..=299 => None,
        // Asked to slow down, or an accident on the other side.
        408 | 425 | 429 | 500..=599 => Some(Class::Transient),
        // Somebody has to change the URL, the credentials or the deployment: a redirect is never
        // followed, because the address that it names is not the one that was configured.
        300..=399 | 401 | 403 | 404 | 407 => Some(Class::Configuration),
        // Standard Webhooks: a receiver that wants nothing more, ever, says 410.
        410 => Some(Class::Gone),
        // The other side understood the request and does not want this message.
        _ => Some(Class::Permanent),
    }
}

/// The stable code of a status that is not a success.
pub(super) fn code(status: StatusCode) -> String {
    match status {
        StatusCode::GONE => "gone".to_owned(),
        _ => format!("http_{}", status.as_u16()),
    }
}

/// `Retry-After`: seconds, or an HTTP date. `None` if it is neither or lies in the past.
pub(super) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTimeParser::new().parse_timestamp(value).ok()?;
    Duration::try_from(at.duration_since(now)).ok()
}

/// The start of a body or header value as one printable line of at most 200 characters.
#[must_use]
pub fn excerpt(body: &[u8]) -> String {
    // Four bytes are the longest UTF-8 character.
    let head = body.get(..EXCERPT_CHARS * 4).unwrap_or(body);
    let text = String::from_utf8_lossy(head);
    let words = text
        .split(|c: char| c.is_control() || c.is_whitespace())
        .filter(|word| !word.is_empty());
    let mut line = String::new();
    for word in words {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    match line.char_indices().nth(EXCERPT_CHARS) {
        Some((end, _)) => {
            line.truncate(end);
            line.push('…');
            line
        }
        None => line,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn every_status_has_its_class() {
        let configuration = Some(Class::Configuration);
        for (status, class, stable) in [
            (200, None, "http_200"),
            (202, None, "http_202"),
            (204, None, "http_204"),
            (299, None, "http_299"),
            (301, configuration, "http_301"),
            (302, configuration, "http_302"),
            (308, configuration, "http_308"),
            (400, Some(Class::Permanent), "http_400"),
            (401, configuration, "http_401"),
            (403, configuration, "http_403"),
            (404, configuration, "http_404"),
            (405, Some(Class::Permanent), "http_405"),
            (407, configuration, "http_407"),
            (408, Some(Class::Transient), "http_408"),
            (409, Some(Class::Permanent), "http_409"),
            (410, Some(Class::Gone), "gone"),
            (413, Some(Class::Permanent), "http_413"),
            (415, Some(Class::Permanent), "http_415"),
            (422, Some(Class::Permanent), "http_422"),
            (425, Some(Class::Transient), "http_425"),
            (429, Some(Class::Transient), "http_429"),
            (500, Some(Class::Transient), "http_500"),
            (503, Some(Class::Transient), "http_503"),
            (599, Some(Class::Transient), "http_599"),
            (999, Some(Class::Permanent), "http_999"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(classify(status), class, "{status}");
            assert_eq!(code(status), stable);
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "2015-10-21T07:28:00Z".parse().unwrap();
        for (value, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Wed, 21 Oct 2015 07:29:30 GMT", Some(90)),
            ("Wed, 21 Oct 2015 07:27:59 GMT", None),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(retry_after(value, now), expected, "{value:?}");
        }
    }

    #[test]
    fn an_excerpt_is_one_short_printable_line() {
        assert_eq!(
            excerpt(b"  no\r\n\tsuch \x1b[31mthing\x00 "),
            "no such [31mthing"
        );
        assert_eq!(excerpt(b"\xff\xfe"), "\u{fffd}\u{fffd}");
        let long = "ä".repeat(5_000);
        assert_eq!(excerpt(long.as_bytes()).chars().count(), EXCERPT_CHARS + 1);
        assert_eq!(excerpt(b""), "");
    }
}
