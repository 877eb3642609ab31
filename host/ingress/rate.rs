//! Rates: how often each source's door opens.
//!
//! One limiter for each source with a `rate` (GCRA, an atomic and no lock), kept by name because it outlives
//! a reload: a source whose rate is unchanged goes on where it was, one whose rate changed begins anew with
//! a full burst. Entries are as many as names of sources ever configured in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::config::Rate;

type Gcra<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// Limiters of all sources.
pub struct Rates<C: Clock = MonotonicClock> {
    clock: C,
    limiters: ArcSwap<HashMap<Arc<str>, Arc<Limiter<C>>>>,
    growing: Mutex<()>,
}

struct Limiter<C: Clock> {
    rate: Rate,
    gcra: Gcra<C>,
}

impl<C: Clock + Clone + Default> Default for Rates<C> {
    fn default() -> Self {
        Self::with(C::default())
    }
}

impl<C: Clock + Clone> Rates<C> {
    fn with(clock: C) -> Self {
        Self {
            clock,
            limiters: ArcSwap::default(),
            growing: Mutex::default(),
        }
    }

    /// Takes one off the source's rate.
    ///
    /// # Errors
    /// It is used up; how long until there is one again.
    pub fn take(&self, source: &Arc<str>, rate: Rate) -> Result<(), Duration> {
        let known = self.limiters.load().get(source).map(Arc::clone);
        let limiter = known
            .filter(|limiter| limiter.rate == rate)
            .unwrap_or_else(|| self.renew(source, rate));
        limiter
            .gcra
            .check()
            .map_err(|until| until.wait_time_from(self.clock.now()))
    }

    fn renew(&self, source: &Arc<str>, rate: Rate) -> Arc<Limiter<C>> {
        let _growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.limiters.load();
        if let Some(limiter) = known.get(source).filter(|limiter| limiter.rate == rate) {
            return Arc::clone(limiter);
        }
        // A period is never zero; were it so, the lowest rate there is would hold.
        let quota = Quota::with_period(rate.period)
            .unwrap_or(Quota::per_hour(std::num::NonZeroU32::MIN))
            .allow_burst(rate.burst);
        let limiter = Arc::new(Limiter {
            rate,
            gcra: RateLimiter::direct_with_clock(quota, self.clock.clone()),
        });
        let mut limiters = HashMap::clone(&known);
        limiters.insert(Arc::clone(source), Arc::clone(&limiter));
        self.limiters.store(Arc::new(limiters));
        limiter
    }
}

/// Whole seconds for `Retry-After`: a wait is rounded up, so that who obeys it is let in.
#[must_use]
pub fn retry_after_secs(wait: Duration) -> u64 {
    let part = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(part).max(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use governor::clock::FakeRelativeClock;

    use super::*;

    fn rate(period_ms: u64, burst: u32) -> Rate {
        Rate {
            period: Duration::from_millis(period_ms),
            burst: burst.try_into().unwrap(),
        }
    }

    #[test]
    fn each_source_has_its_own_rate_and_the_wait_is_told() {
        let clock = FakeRelativeClock::default();
        let rates = Rates::with(clock.clone());
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let slow = rate(2000, 2);
        assert_eq!(rates.take(&a, slow), Ok(()));
        assert_eq!(rates.take(&a, slow), Ok(()));
        assert_eq!(rates.take(&a, slow), Err(Duration::from_secs(2)));
        assert_eq!(rates.take(&b, slow), Ok(()));
        clock.advance(Duration::from_millis(1500));
        assert_eq!(rates.take(&a, slow), Err(Duration::from_millis(500)));
        clock.advance(Duration::from_millis(500));
        assert_eq!(rates.take(&a, slow), Ok(()));
        assert!(rates.take(&a, slow).is_err());
    }

    #[test]
    fn a_rate_goes_on_over_a_reload_and_a_changed_one_begins_anew() {
        let rates = Rates::with(FakeRelativeClock::default());
        let name: Arc<str> = "a".into();
        assert!(rates.take(&name, rate(1000, 1)).is_ok());
        // A reload makes new values of the same name and rate.
        let same: Arc<str> = String::from("a").into();
        assert!(rates.take(&same, rate(1000, 1)).is_err());
        assert!(rates.take(&same, rate(500, 1)).is_ok());
        assert!(rates.take(&same, rate(500, 1)).is_err());
    }

    #[test]
    fn retry_after_is_whole_seconds_and_never_too_early() {
        for (wait_ms, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (59_999, 60)] {
            assert_eq!(retry_after_secs(Duration::from_millis(wait_ms)), seconds);
        }
    }
}
