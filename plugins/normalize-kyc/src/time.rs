//! Times of all providers as RFC 3339 in UTC.
//!
//! Taken: unix seconds and milliseconds, as number or text; RFC 3339; the same without a zone, which is
//! UTC, with a space for the `T`, and with an offset without colon. The fraction stays as it was sent, up
//! to nanoseconds. Anything else is no time rather than a wrong one.

use ::time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

use crate::json::Node;

/// From here on (the year 5138 in seconds, March 1973 in milliseconds) a number counts milliseconds.
const MILLISECONDS_FROM: u64 = 100_000_000_000;

/// The time that a value tells.
pub(crate) fn of(node: &Node<'_>) -> Option<String> {
    rfc3339(node.text()?.trim())
}

/// The time that a text tells.
pub(crate) fn rfc3339(text: &str) -> Option<String> {
    let is_number = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_number {
        unix(text)
    } else {
        calendar(text)
    }
}

fn unix(text: &str) -> Option<String> {
    let mut input = Input(text);
    let whole = input.all_digits()?;
    let mut fraction = match input.one_of(".") {
        Some(_) => input.all_digits()?.to_owned(),
        None => String::new(),
    };
    if !input.0.is_empty() {
        return None;
    }
    let mut seconds: u64 = whole.parse().ok()?;
    if seconds >= MILLISECONDS_FROM {
        let milliseconds = seconds % 1000;
        if milliseconds != 0 || !fraction.is_empty() {
            fraction = format!("{milliseconds:03}{fraction}");
        }
        seconds /= 1000;
    }
    let time = OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok()?;
    print(time, &fraction)
}

fn calendar(text: &str) -> Option<String> {
    let mut input = Input(text);
    let year = input.digits(4)?;
    input.one_of("-")?;
    let month = input.digits(2)?;
    input.one_of("-")?;
    let day = input.digits(2)?;
    input.one_of("Tt ")?;
    let hour = input.digits(2)?;
    input.one_of(":")?;
    let minute = input.digits(2)?;
    let (mut second, mut fraction) = (0, "");
    if input.one_of(":").is_some() {
        second = input.digits(2)?;
        if input.one_of(".,").is_some() {
            fraction = input.all_digits()?;
        }
    }
    let offset = input.offset()?;
    // A leap second has no place in the calendar of most programs; it becomes the second after it.
    let leap = second == 60;
    let date = Date::from_calendar_date(
        i32::from(year),
        Month::try_from(u8::try_from(month).ok()?).ok()?,
        u8::try_from(day).ok()?,
    );
    let time = Time::from_hms(
        u8::try_from(hour).ok()?,
        u8::try_from(minute).ok()?,
        u8::try_from(if leap { 59 } else { second }).ok()?,
    );
    let at = PrimitiveDateTime::new(date.ok()?, time.ok()?)
        .assume_offset(offset)
        .checked_to_offset(UtcOffset::UTC)?;
    let at = at.checked_add(::time::Duration::seconds(i64::from(leap)))?;
    print(at, fraction)
}

/// Four digits of a year are all that RFC 3339 has.
fn print(at: OffsetDateTime, fraction: &str) -> Option<String> {
    let year = u16::try_from(at.year()).ok().filter(|year| *year <= 9999)?;
    let (month, day) = (u8::from(at.month()), at.day());
    let (hour, minute, second) = at.to_hms();
    let fraction = match fraction.get(..9).unwrap_or(fraction) {
        "" => String::new(),
        digits => format!(".{digits}"),
    };
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z"
    ))
}

/// What is left to read.
struct Input<'a>(&'a str);

impl<'a> Input<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a str> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn digits(&mut self, count: usize) -> Option<u16> {
        let digits = self.0.get(..count)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.take(count)?.parse().ok()
    }

    /// One digit or more.
    fn all_digits(&mut self) -> Option<&'a str> {
        let count = self.0.bytes().take_while(u8::is_ascii_digit).count();
        (count > 0).then(|| self.take(count))?
    }

    fn one_of(&mut self, characters: &str) -> Option<&'a str> {
        self.0
            .starts_with(|next| characters.contains(next))
            .then(|| self.take(1))?
    }

    /// `Z`, `+hh:mm`, `+hhmm`, `+hh`, or nothing, to the end of the text.
    fn offset(&mut self) -> Option<UtcOffset> {
        if self.0.is_empty() || matches!(self.0, "Z" | "z" | " UTC") {
            return Some(UtcOffset::UTC);
        }
        let sign = if self.one_of("+-")? == "-" { -1 } else { 1 };
        let hours = i8::try_from(self.digits(2)?).ok()?;
        let minutes = match self.0 {
            "" => 0,
            _ => {
                self.one_of(":");
                i8::try_from(self.digits(2)?).ok()?
            }
        };
        let valid = self.0.is_empty() && hours <= 23 && minutes <= 59;
        valid.then(|| UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok())?
    }
}

#[cfg(test)]
mod tests;
