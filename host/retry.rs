//! Retry: when the next attempt is, or that there is none.
//!
//! Pure: the clock and the random number come in. Full jitter (uniform between zero and the
//! exponential bound) as in "Exponential Backoff And Jitter", AWS Architecture Blog 2015.

use std::time::Duration;

/// How often and how long to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, the first included; at least 1.
    pub attempts: u32,
    /// Bound of the first delay.
    pub base: Duration,
    /// Largest bound of a delay.
    pub max: Duration,
    /// No attempt is made once the delivery is older than this.
    pub max_age: Duration,
}

impl Default for RetryPolicy {
    /// Ten attempts from 2 seconds to 1 hour, for at most three days, as Standard Webhooks senders do.
    fn default() -> Self {
        Self {
            attempts: 10,
            base: Duration::from_secs(2),
            max: Duration::from_secs(3600),
            max_age: Duration::from_secs(3 * 24 * 3600),
        }
    }
}

/// A server may ask for a longer pause with `Retry-After`, up to this.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);

impl RetryPolicy {
    /// The delay before the next attempt after `attempts` failed ones, or `None` to give up.
    /// `random` is uniform in `0.0..1.0`; `age` is the time since the delivery was planned.
    #[must_use]
    pub fn next_delay(
        &self,
        attempts: u32,
        age: Duration,
        retry_after: Option<Duration>,
        random: f64,
    ) -> Option<Duration> {
        if attempts >= self.attempts || age >= self.max_age {
            return None;
        }
        let doublings = attempts.saturating_sub(1).min(31);
        let bound = self.base.saturating_mul(1 << doublings).min(self.max);
        let jittered = bound.mul_f64(random.clamp(0.0, 1.0));
        Some(jittered.max(retry_after.unwrap_or_default().min(RETRY_AFTER_MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> RetryPolicy {
        RetryPolicy {
            attempts: 5,
            base: Duration::from_secs(2),
            max: Duration::from_secs(10),
            max_age: Duration::from_secs(100),
        }
    }

    #[test]
    fn the_bound_doubles_up_to_the_maximum_and_jitter_scales_it() {
        let young = Duration::ZERO;
        for (attempts, random, expected) in [
            (1, 1.0, Some(2.0)),
            (2, 1.0, Some(4.0)),
            (3, 1.0, Some(8.0)),
            (4, 1.0, Some(10.0)),
            (4, 0.5, Some(5.0)),
            (4, 0.0, Some(0.0)),
            (5, 1.0, None),
        ] {
            let delay = policy().next_delay(attempts, young, None, random);
            assert_eq!(
                delay.map(|d| d.as_secs_f64()),
                expected,
                "{attempts} {random}"
            );
        }
    }

    #[test]
    fn an_old_delivery_is_given_up() {
        assert_eq!(
            policy().next_delay(1, Duration::from_secs(100), None, 0.5),
            None
        );
    }

    #[test]
    fn retry_after_is_a_lower_bound_with_a_ceiling() {
        let asked = Some(Duration::from_secs(60));
        let delay = policy().next_delay(1, Duration::ZERO, asked, 0.5);
        assert_eq!(delay, Some(Duration::from_secs(60)));
        let absurd = Some(Duration::from_secs(10 * 24 * 3600));
        let delay = policy().next_delay(1, Duration::ZERO, absurd, 0.5);
        assert_eq!(delay, Some(RETRY_AFTER_MAX));
    }
}
