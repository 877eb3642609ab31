//! Timestamps: reading them, and judging them against `now`.

use std::time::Duration;

use super::Rejection;
use super::scheme::{TimeUnit, Window};

/// A window of time around `now`, with the unit that timestamps come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    pub(super) unit: TimeUnit,
    pub(super) past: Window,
    pub(super) future: Window,
}

impl Clock {
    /// Accepts `text` if it is a time within the window; both ends belong to it.
    pub(super) fn check(&self, text: &str, now_ms: u64) -> Result<(), Rejection> {
        let Some(time_ms) = self.parse(text) else {
            return Err(Rejection::malformed(format!(
                "the timestamp is not {}",
                match self.unit {
                    TimeUnit::Seconds => "a number of seconds",
                    TimeUnit::Milliseconds => "a number of milliseconds",
                    TimeUnit::Rfc3339 => "an RFC 3339 time",
                }
            )));
        };
        // Whole seconds are compared with whole seconds, as the providers' own libraries do.
        let now_ms = match self.unit {
            TimeUnit::Seconds => now_ms / 1000 * 1000,
            TimeUnit::Milliseconds | TimeUnit::Rfc3339 => now_ms,
        };
        let age = Duration::from_millis(now_ms.saturating_sub(time_ms));
        let advance = Duration::from_millis(time_ms.saturating_sub(now_ms));
        if let Some(past) = self.past.0.filter(|past| age > *past) {
            return Err(Rejection::new(
                "stale",
                format!(
                    "the timestamp is {} s old; at most {} s are allowed",
                    age.as_secs(),
                    past.as_secs()
                ),
            ));
        }
        if let Some(future) = self.future.0.filter(|future| advance > *future) {
            return Err(Rejection::new(
                "future",
                format!(
                    "the timestamp is {} s ahead of this machine's clock; at most {} s are allowed",
                    advance.as_secs(),
                    future.as_secs()
                ),
            ));
        }
        Ok(())
    }

    /// Milliseconds since the Unix epoch.
    fn parse(&self, text: &str) -> Option<u64> {
        match self.unit {
            TimeUnit::Seconds => digits(text)?.checked_mul(1000),
            TimeUnit::Milliseconds => digits(text),
            TimeUnit::Rfc3339 => {
                let time: jiff::Timestamp = text.parse().ok()?;
                u64::try_from(time.as_millisecond()).ok()
            }
        }
    }

    /// `now` as a sender would write it.
    pub(super) fn write(&self, now_ms: u64) -> String {
        match self.unit {
            TimeUnit::Seconds => (now_ms / 1000).to_string(),
            TimeUnit::Milliseconds => now_ms.to_string(),
            TimeUnit::Rfc3339 => i64::try_from(now_ms)
                .ok()
                .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
                .map_or_else(String::new, |time| time.to_string()),
        }
    }
}

/// Digits and nothing else: `parse` would take a plus sign.
fn digits(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}
