//! Throttle: how many attempts a sink may have under way now.
//!
//! Pure: outcomes and the clock come in. Four things hold attempts back, and none of them counts as an
//! attempt of a delivery:
//! - **halts**: a configuration error (for a while, then one attempt probes), a destination that said it
//!   is gone or an operator's pause (until somebody resumes);
//! - the **breaker**: after so many failures in a row it opens; after its time one attempt probes, and a
//!   success closes it. Each failed probe doubles the time, up to [`OPEN_MAX`];
//! - the **rate**: attempts per time, with a burst;
//! - the **adaptive limit**: falls by half when the destination shows strain, and grows by one for each
//!   limit's worth of successes (additive increase, multiplicative decrease, as TCP does it).
//!
//! It knows nothing of deliveries: [`super::lane`] asks how many may start.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::{Clock, Reference as _};
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter, middleware::NoOpMiddleware};

use crate::sink::{Class, SinkError};

/// The longest time that a breaker stays open before it probes again.
pub const OPEN_MAX: Duration = Duration::from_mins(5);

/// The adaptive limit falls at most this often, so that one accident that many attempts share counts once.
const FALL_EVERY_MS: u64 = 1_000;

/// When the breaker opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// Transient failures in a row that open it.
    pub failures: u32,
    /// How long it stays open the first time.
    pub open: Duration,
}

/// Attempts per time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RatePolicy {
    /// How long one attempt takes up of the rate.
    pub period: Duration,
    /// Attempts that may start at once after a quiet time.
    pub burst: NonZeroU32,
}

/// What a throttle needs of its sink's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThrottlePolicy {
    /// Attempts at a time, at most.
    pub concurrency: usize,
    /// Whether the limit adapts to what the destination bears.
    pub adaptive: bool,
    /// How long a configuration error halts the sink.
    pub pause: Duration,
    /// `None`: there is no breaker.
    pub breaker: Option<BreakerPolicy>,
    /// `None`: there is no rate limit.
    pub rate: Option<RatePolicy>,
}

impl ThrottlePolicy {
    /// Only a bound on attempts at a time, and half a minute's halt for a configuration error.
    #[must_use]
    pub const fn plain(concurrency: usize) -> Self {
        Self {
            concurrency,
            adaptive: false,
            pause: Duration::from_secs(30),
            breaker: None,
            rate: None,
        }
    }
}

/// Why nothing starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halt {
    /// A configuration error; an attempt probes when its time is over.
    Configuration,
    /// The breaker is open; an attempt probes when its time is over.
    Breaker,
    /// The destination said that it is gone for good; until somebody resumes.
    Gone,
    /// An operator paused the sink; until somebody resumes.
    Operator,
}

impl Halt {
    /// The word for it in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Breaker => "breaker",
            Self::Gone => "gone",
            Self::Operator => "operator",
        }
    }

    /// What it outranks, it replaces; somebody's word stands above what ends by itself.
    fn rank(self) -> u8 {
        match self {
            Self::Breaker => 0,
            Self::Configuration => 1,
            Self::Gone => 2,
            Self::Operator => 3,
        }
    }
}

/// See the module's text.
#[derive(Debug)]
pub struct Throttle {
    policy: ThrottlePolicy,
    halt: Option<Halted>,
    /// After a halt: one attempt at a time until one succeeds.
    probing: bool,
    /// Transient failures in a row.
    failures: u32,
    /// Times that the breaker opened without a success between.
    openings: u32,
    limit: f64,
    fell_at_ms: u64,
    rate: Option<Rate>,
    /// When the rate lets the next attempt start.
    rate_at_ms: u64,
}

#[derive(Clone, Copy, Debug)]
struct Halted {
    why: Halt,
    /// `None`: until somebody resumes.
    until_ms: Option<u64>,
}

impl Halted {
    fn holds(self, now_ms: u64) -> bool {
        self.until_ms.is_none_or(|until| now_ms < until)
    }
}

impl Throttle {
    /// One that holds nothing back yet.
    #[must_use]
    pub fn new(policy: ThrottlePolicy) -> Self {
        Self {
            halt: None,
            probing: false,
            failures: 0,
            openings: 0,
            #[allow(clippy::cast_precision_loss, reason = "at most 4096")]
            limit: policy.concurrency as f64,
            fell_at_ms: 0,
            rate: policy.rate.map(Rate::new),
            rate_at_ms: 0,
            policy,
        }
    }

    /// True if an attempt may start beside `in_flight` others; it has to be made then, as it uses up a
    /// part of the rate.
    pub fn admit(&mut self, in_flight: usize, now_ms: u64) -> bool {
        if self.halted(now_ms).is_some() {
            return false;
        }
        if self.halt.take().is_some() {
            self.probing = true;
        }
        if in_flight >= self.limit() || now_ms < self.rate_at_ms {
            return false;
        }
        match &self.rate {
            None => true,
            Some(rate) => match rate.take(now_ms) {
                Ok(()) => true,
                Err(at_ms) => {
                    self.rate_at_ms = at_ms;
                    false
                }
            },
        }
    }

    /// An attempt was confirmed.
    pub fn succeeded(&mut self) {
        self.probing = false;
        self.failures = 0;
        self.openings = 0;
        #[allow(clippy::cast_precision_loss, reason = "at most 4096")]
        let most = self.policy.concurrency as f64;
        self.limit = (self.limit + 1.0 / self.limit).min(most);
    }

    /// An attempt failed. Gives the reason if this halted the sink.
    pub fn failed(&mut self, error: &SinkError, now_ms: u64) -> Option<Halt> {
        match error.class {
            // The destination is well: it understood and refused.
            Class::Permanent => {
                self.succeeded();
                None
            }
            Class::Configuration => self.halt_for(Halt::Configuration, self.policy.pause, now_ms),
            Class::Gone => self.halt_with(Halt::Gone, None),
            Class::Transient => {
                self.fall(now_ms);
                // What was under way when it halted ends when it ends; it was judged already.
                if self.halt.is_some() {
                    return None;
                }
                self.failures = self.failures.saturating_add(1);
                let breaker = self.policy.breaker?;
                if !self.probing && self.failures < breaker.failures {
                    return None;
                }
                let doublings = self.openings.min(16);
                let time = breaker.open.saturating_mul(1 << doublings).min(OPEN_MAX);
                self.openings = self.openings.saturating_add(1);
                self.failures = 0;
                self.halt_for(Halt::Breaker, time, now_ms)
            }
        }
    }

    /// An operator pauses the sink.
    pub fn pause(&mut self) {
        self.halt_with(Halt::Operator, None);
    }

    /// Ends whatever halts the sink; one attempt probes first.
    pub fn resume(&mut self) {
        if self.halt.take().is_some() {
            self.probing = true;
        }
        self.failures = 0;
        self.openings = 0;
    }

    /// Why nothing starts, if that is so.
    #[must_use]
    pub fn halted(&self, now_ms: u64) -> Option<Halt> {
        self.halt
            .filter(|halt| halt.holds(now_ms))
            .map(|halt| halt.why)
    }

    /// When the halt ends by itself, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn halted_until_ms(&self) -> Option<u64> {
        self.halt.and_then(|halt| halt.until_ms)
    }

    /// When to ask again although nothing happened: the end of a halt, or when the rate allows the next.
    #[must_use]
    pub fn wake_at_ms(&self, now_ms: u64) -> Option<u64> {
        match self.halt {
            Some(halt) => halt.until_ms,
            None => (self.rate_at_ms > now_ms).then_some(self.rate_at_ms),
        }
    }

    /// Attempts at a time that are allowed now.
    #[must_use]
    pub fn limit(&self) -> usize {
        if self.probing {
            return 1;
        }
        if !self.policy.adaptive {
            return self.policy.concurrency;
        }
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 1 and the concurrency"
        )]
        let limit = self.limit as usize;
        limit.max(1)
    }

    /// The destination shows strain.
    fn fall(&mut self, now_ms: u64) {
        if now_ms >= self.fell_at_ms.saturating_add(FALL_EVERY_MS) {
            self.fell_at_ms = now_ms;
            self.limit = (self.limit / 2.0).max(1.0);
        }
    }

    fn halt_for(&mut self, why: Halt, time: Duration, now_ms: u64) -> Option<Halt> {
        let time_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 4);
        self.halt_with(why, Some(now_ms.saturating_add(time_ms)))
    }

    fn halt_with(&mut self, why: Halt, until_ms: Option<u64>) -> Option<Halt> {
        if let Some(halted) = self.halt
            && halted.why.rank() > why.rank()
        {
            return None;
        }
        let news = self.halt.is_none_or(|halted| halted.why != why);
        self.halt = Some(Halted { why, until_ms });
        news.then_some(why)
    }
}

/// A rate on the caller's clock.
struct Rate {
    now_ms: SetClock,
    limiter: RateLimiter<NotKeyed, InMemoryState, SetClock, NoOpMiddleware<Nanos>>,
}

impl std::fmt::Debug for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rate").finish_non_exhaustive()
    }
}

impl Rate {
    fn new(policy: RatePolicy) -> Self {
        let clock = SetClock::default();
        let quota = Quota::with_period(policy.period)
            // A period of zero has no rate to speak of; the config refuses it.
            .unwrap_or(Quota::per_second(NonZeroU32::MAX))
            .allow_burst(policy.burst);
        Self {
            limiter: RateLimiter::direct_with_clock(quota, clock.clone()),
            now_ms: clock,
        }
    }

    /// Takes one, or says when there will be one.
    fn take(&self, now_ms: u64) -> Result<(), u64> {
        self.now_ms.set(now_ms);
        self.limiter.check().map_err(|not_until| {
            let at = not_until.earliest_possible();
            let wait: Duration = at.duration_since(self.now_ms.now()).into();
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX / 4);
            now_ms.saturating_add(wait_ms).saturating_add(1)
        })
    }
}

/// The time that the caller said last.
#[derive(Clone, Debug, Default)]
struct SetClock(Arc<AtomicU64>);

impl SetClock {
    fn set(&self, now_ms: u64) {
        self.0.fetch_max(now_ms, Ordering::Relaxed);
    }
}

impl Clock for SetClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Duration::from_millis(self.0.load(Ordering::Relaxed)).into()
    }
}

#[cfg(test)]
mod tests;
