//! Units: durations, sizes and rates as people write them.
//!
//! All need their unit, since a bare number leaves open what it counts.

use std::ops::Range;
use std::time::Duration;

/// Why a text is not a measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    /// `bad_duration`, `bad_size` or `bad_rate`.
    pub code: &'static str,
    /// What is wrong, to follow a colon.
    pub why: String,
    /// The bytes of the text it is about.
    pub at: Range<usize>,
}

/// `5m`, `1h 30m`, `250ms`.
pub(super) fn duration(text: &str) -> Result<Duration, Malformed> {
    use humantime::DurationError as Error;
    humantime::parse_duration(text).map_err(|error| {
        let whole = 0..text.len();
        let (why, at) = match &error {
            Error::InvalidCharacter(at) => (
                "unexpected character".to_owned(),
                *at..character_end(text, *at),
            ),
            Error::NumberExpected(at) => (
                "a number must come first".to_owned(),
                *at..character_end(text, *at),
            ),
            Error::UnknownUnit { unit, .. } if unit.is_empty() => {
                ("its unit is missing".to_owned(), whole)
            }
            Error::UnknownUnit {
                start, end, unit, ..
            } => (
                format!("unknown unit `{unit}`; there are ms, s, m, h, d, w"),
                *start..*end,
            ),
            Error::NumberOverflow => ("the number is too large".to_owned(), whole),
            Error::Empty => ("it is empty".to_owned(), whole),
        };
        Malformed {
            code: "bad_duration",
            why,
            at,
        }
    })
}

/// `10MiB`, `512KiB`, `1.5GB`, `100B`; in bytes.
pub(super) fn size(text: &str) -> Result<u64, Malformed> {
    let malformed = |why: &str, at: Range<usize>| Malformed {
        code: "bad_size",
        why: why.to_owned(),
        at,
    };
    let number_end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let unit = text.get(number_end..).unwrap_or_default();
    if text.is_empty() {
        Err(malformed("it is empty", 0..0))
    } else if number_end == 0 {
        Err(malformed(
            "a number must come first",
            0..character_end(text, 0),
        ))
    } else if unit.trim().is_empty() {
        Err(malformed("its unit is missing", 0..text.len()))
    } else if unit.trim().parse::<bytesize::Unit>().is_err() {
        let why = format!(
            "unknown unit `{}`; there are B, KiB, MiB, GiB, TiB, and KB, MB, GB, TB",
            unit.trim()
        );
        Err(malformed(&why, number_end..text.len()))
    } else {
        text.parse::<bytesize::ByteSize>()
            .map(|size| size.as_u64())
            .map_err(|_| malformed("the number is malformed", 0..number_end))
    }
}

/// How many a rate may have in its unit of time.
pub(super) const RATE_COUNT_MAX: u64 = 1_000_000;

/// `200/s`, `30/m`, `1000/h`; how long one of them takes up.
pub(super) fn rate(text: &str) -> Result<Duration, Malformed> {
    let malformed = |why: &str, at: Range<usize>| Malformed {
        code: "bad_rate",
        why: why.to_owned(),
        at,
    };
    if text.is_empty() {
        return Err(malformed("it is empty", 0..0));
    }
    let Some((count, unit)) = text.split_once('/') else {
        return Err(malformed("its unit is missing", 0..text.len()));
    };
    let nanoseconds: u64 = match unit {
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => {
            let why = format!("unknown unit `{unit}`; there are s, m and h");
            return Err(malformed(&why, count.len() + 1..text.len()));
        }
    };
    match count.parse::<u64>() {
        // Rounded up, so that no rate lets more through than it says.
        Ok(count @ 1..=RATE_COUNT_MAX) => Ok(Duration::from_nanos(nanoseconds.div_ceil(count))),
        Ok(_) => Err(malformed(
            &format!("the number may be from 1 to {RATE_COUNT_MAX}"),
            0..count.len(),
        )),
        Err(_) => Err(malformed("a number must come first", 0..count.len())),
    }
}

/// The end of the character that begins at `at`.
fn character_end(text: &str, at: usize) -> usize {
    text.get(at..)
        .and_then(|rest| rest.chars().next())
        .map_or(at, |c| at + c.len_utf8())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn durations_are_read_with_their_units() {
        for (text, millis) in [
            ("5m", 300_000),
            ("250ms", 250),
            ("1h 30m", 5_400_000),
            ("7d", 604_800_000),
            ("0s", 0),
        ] {
            assert_eq!(
                duration(text).unwrap(),
                Duration::from_millis(millis),
                "{text}"
            );
        }
    }

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, bytes) in [
            ("10MiB", 10 << 20),
            ("512KiB", 512 << 10),
            ("1.5GiB", 3 << 29),
            ("100B", 100),
            ("2MB", 2_000_000),
        ] {
            assert_eq!(size(text).unwrap(), bytes, "{text}");
        }
    }

    #[test]
    fn a_rate_is_how_long_one_takes_up() {
        for (text, nanos) in [
            ("200/s", 5_000_000),
            ("1/s", 1_000_000_000),
            ("30/m", 2_000_000_000),
            ("7/s", 142_857_143),
            ("1/h", 3_600_000_000_000),
            ("1000000/s", 1000),
        ] {
            assert_eq!(rate(text).unwrap(), Duration::from_nanos(nanos), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, why, at) in [
            ("200", "its unit is missing", 0..3),
            ("200/d", "unknown unit `d`; there are s, m and h", 4..5),
            ("200/ s", "unknown unit ` s`; there are s, m and h", 4..6),
            ("/s", "a number must come first", 0..0),
            ("-1/s", "a number must come first", 0..2),
            ("0/s", "the number may be from 1 to 1000000", 0..1),
            ("1000001/s", "the number may be from 1 to 1000000", 0..7),
            ("", "it is empty", 0..0),
        ] {
            let malformed = rate(text).unwrap_err();
            assert_eq!((malformed.why.as_str(), malformed.at), (why, at), "{text}");
        }
        for (text, why, at) in [
            ("5", "its unit is missing", 0..1),
            (
                "5 parsecs",
                "unknown unit `parsecs`; there are ms, s, m, h, d, w",
                2..9,
            ),
            ("soon", "a number must come first", 0..1),
            ("", "it is empty", 0..0),
            ("-5m", "a number must come first", 0..1),
        ] {
            let malformed = duration(text).unwrap_err();
            assert_eq!((malformed.why.as_str(), malformed.at), (why, at), "{text}");
        }
        for (text, why, at) in [
            ("10", "its unit is missing", 0..2),
            (
                "10 potatoes",
                "unknown unit `potatoes`; there are B, KiB, MiB, GiB, TiB, and KB, MB, GB, TB",
                2..11,
            ),
            ("big", "a number must come first", 0..1),
            ("", "it is empty", 0..0),
            ("1.2.3MiB", "the number is malformed", 0..5),
        ] {
            let malformed = size(text).unwrap_err();
            assert_eq!((malformed.why.as_str(), malformed.at), (why, at), "{text}");
        }
    }
}
