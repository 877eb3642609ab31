//! Every form that a provider sends, and forms that none should.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::rfc3339;

#[test]
fn every_form_comes_out_as_rfc_3339_in_utc() {
    let table = [
        ("1767225000", "2025-12-31T23:50:00Z"),
        ("0", "1970-01-01T00:00:00Z"),
        ("1582291399321", "2020-02-21T13:23:19.321Z"),
        ("1582291399000", "2020-02-21T13:23:19Z"),
        ("1735230600.25", "2024-12-26T16:30:00.25Z"),
        ("2024-12-18T18:13:20Z", "2024-12-18T18:13:20Z"),
        ("2024-12-18t18:13:20z", "2024-12-18T18:13:20Z"),
        ("2025-03-25T07:33:34.318335Z", "2025-03-25T07:33:34.318335Z"),
        ("2024-03-15T18:35:01.100Z", "2024-03-15T18:35:01.100Z"),
        ("2024-12-31T23:30:00-01:00", "2025-01-01T00:30:00Z"),
        ("2024-03-01T00:30:00+05:45", "2024-02-29T18:45:00Z"),
        ("2024-07-20T17:53:03", "2024-07-20T17:53:03Z"),
        ("2024-07-20T17:53", "2024-07-20T17:53:00Z"),
        ("2020-02-21 13:23:19.321", "2020-02-21T13:23:19.321Z"),
        ("2020-02-21 13:23:19+0000", "2020-02-21T13:23:19Z"),
        ("2020-02-21 13:23:19-0130", "2020-02-21T14:53:19Z"),
        ("2020-02-21 13:23:19+02", "2020-02-21T11:23:19Z"),
        ("2020-02-21 13:23:19 UTC", "2020-02-21T13:23:19Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        (
            "2024-01-01T00:00:00.1234567891Z",
            "2024-01-01T00:00:00.123456789Z",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(rfc3339(text).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn what_is_no_time_gives_none() {
    let table = [
        "",
        "now",
        "-5",
        "1e9",
        "1.2.3",
        ".",
        "2024-02-30T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-01-01",
        "2024-01-01T00:00:00.Z",
        "2024-01-01T00:00:00+25:00",
        "2024-01-01T00:00:00 CET",
        "2024-01-01T00:00:00Zx",
        "0000-01-01T00:00:00+01:00",
        "9999-12-31T23:30:00-01:00",
        "99999999999999999999",
        "２024-01-01T00:00:00Z",
    ];
    for text in table {
        assert_eq!(rfc3339(text), None, "{text}");
    }
}

#[test]
fn another_calendar_agrees_on_every_hour_with_an_offset() {
    // Steps of 97 h 13 min 7 s from 1970 pass every day of week, month and leap year to 2100.
    for seconds in (0..4_102_444_800_i64).step_by(349_987) {
        let at = jiff::Timestamp::from_second(seconds).unwrap();
        let offset =
            jiff::tz::Offset::from_seconds(i32::try_from(seconds % 840).unwrap() / 60 * 900 - 6300);
        let local = at.display_with_offset(offset.unwrap()).to_string();
        assert_eq!(rfc3339(&local), Some(at.to_string()), "{local}");
        assert_eq!(
            rfc3339(&seconds.to_string()),
            Some(at.to_string()),
            "{seconds}"
        );
    }
}
