//! Pace: what a connection waits for from its client, and until when.
//!
//! One watch per connection in place of two timers per request: the connection's task looks at the
//! deadline when its own coarse timer fires, and a request only stores numbers. Knows no socket.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// An idle connection is kept this long for a next request. Above the 60 s after which common
/// load balancers close, so that they are the ones to close and no request meets a closed socket.
pub const IDLE_MAX: Duration = Duration::from_secs(75);

/// What the client owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Nothing: a request ended, none has begun.
    Idle = 0,
    /// A head that has begun, or the first one of a connection.
    Head = 1,
    /// A body.
    Body = 2,
    /// Nothing: the request is ours to answer.
    Answer = 3,
}

/// Shared by the connection's task, its socket and its requests.
#[derive(Debug)]
pub struct Pace {
    start: Instant,
    header_timeout: Duration,
    body_timeout: Duration,
    phase: AtomicU8,
    deadline_ms: AtomicU64,
    active: AtomicUsize,
    bytes_seen: AtomicBool,
    expired: AtomicBool,
    unread: AtomicBool,
}

const NEVER: u64 = u64::MAX;

impl Pace {
    /// A new connection, which owes a head from now on.
    #[must_use]
    pub fn new(header_timeout: Duration, body_timeout: Duration) -> Self {
        let pace = Self {
            start: Instant::now(),
            header_timeout,
            body_timeout,
            phase: AtomicU8::new(Phase::Head as u8),
            deadline_ms: AtomicU64::new(0),
            active: AtomicUsize::new(0),
            bytes_seen: AtomicBool::new(false),
            expired: AtomicBool::new(false),
            unread: AtomicBool::new(false),
        };
        pace.enter(Phase::Head, pace.start);
        pace
    }

    /// How often the connection's task must look at [`Pace::overdue`]: no deadline is missed by more.
    #[must_use]
    pub fn tick(&self) -> Duration {
        let shortest = self.header_timeout.min(self.body_timeout);
        (shortest / 4).clamp(Duration::from_millis(20), Duration::from_secs(5))
    }

    /// The present phase.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Idle,
            1 => Phase::Head,
            2 => Phase::Body,
            _ => Phase::Answer,
        }
    }

    fn enter(&self, phase: Phase, now: Instant) {
        let deadline_ms = match phase {
            Phase::Answer => NEVER,
            Phase::Idle => self.after(now, IDLE_MAX),
            Phase::Head => self.after(now, self.header_timeout),
            Phase::Body => self.after(now, self.body_timeout),
        };
        self.phase.store(phase as u8, Relaxed);
        self.deadline_ms.store(deadline_ms, Relaxed);
    }

    fn after(&self, now: Instant, wait: Duration) -> u64 {
        let at = now
            .saturating_duration_since(self.start)
            .saturating_add(wait);
        u64::try_from(at.as_millis()).unwrap_or(NEVER)
    }

    /// Bytes came in. The first ones of a next request start the clock for its head.
    pub fn bytes_arrived(&self) {
        if !self.bytes_seen.swap(true, Relaxed) && self.phase() == Phase::Idle {
            self.enter(Phase::Head, Instant::now());
        }
    }

    /// A head is complete. On HTTP/2 several requests are active at a time; the watch then only looks
    /// after connections with none.
    pub fn request_began(&self, now: Instant) {
        self.active.fetch_add(1, Relaxed);
        self.enter(Phase::Body, now);
    }

    /// A body is complete.
    pub fn body_arrived(&self) {
        self.phase.store(Phase::Answer as u8, Relaxed);
        self.deadline_ms.store(NEVER, Relaxed);
    }

    /// A request is answered, or was given up.
    pub fn request_ended(&self, now: Instant) {
        if self.active.fetch_sub(1, Relaxed) == 1 {
            self.bytes_seen.store(false, Relaxed);
            self.enter(Phase::Idle, now);
        }
    }

    /// True if no request is active.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.active.load(Relaxed) == 0
    }

    /// True if the client owes something for too long.
    #[must_use]
    pub fn overdue(&self, now: Instant) -> bool {
        self.after(now, Duration::ZERO) >= self.deadline_ms.load(Relaxed)
    }

    /// Tells the active request that its body's time is up.
    pub fn expire(&self) {
        self.expired.store(true, Relaxed);
    }

    /// True if the active request's time is up.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.expired.load(Relaxed)
    }

    /// True if a head has begun to arrive.
    #[must_use]
    pub fn has_partial_head(&self) -> bool {
        self.phase() == Phase::Head && self.bytes_seen.load(Relaxed)
    }

    /// An answer was given before its body was read, so bytes may be under way that nobody wants.
    pub fn leave_unread(&self) {
        self.unread.store(true, Relaxed);
    }

    /// See [`Pace::leave_unread`].
    #[must_use]
    pub fn has_unread(&self) -> bool {
        self.unread.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Duration = Duration::from_secs(10);
    const BODY: Duration = Duration::from_secs(30);

    fn late(pace: &Pace, seconds: u64) -> bool {
        pace.overdue(pace.start + Duration::from_secs(seconds))
    }

    #[test]
    fn each_phase_has_its_own_deadline() {
        let pace = Pace::new(HEAD, BODY);
        assert!(!late(&pace, 9) && late(&pace, 10));
        pace.request_began(pace.start);
        assert!(!late(&pace, 29) && late(&pace, 30));
        pace.body_arrived();
        assert!(!late(&pace, 1_000_000));
        pace.request_ended(pace.start);
        assert!(!late(&pace, 74) && late(&pace, 75));
    }

    #[test]
    fn the_first_bytes_after_a_rest_begin_a_head() {
        let pace = Pace::new(HEAD, BODY);
        pace.request_began(pace.start);
        pace.request_ended(pace.start);
        assert_eq!(pace.phase(), Phase::Idle);
        assert!(!pace.has_partial_head());
        pace.bytes_arrived();
        assert!(pace.has_partial_head());
        assert!(late(&pace, 20));
    }

    #[test]
    fn a_connection_is_quiet_only_when_all_its_streams_ended() {
        let pace = Pace::new(HEAD, BODY);
        pace.request_began(pace.start);
        pace.request_began(pace.start);
        pace.request_ended(pace.start);
        assert!(!pace.is_quiet());
        pace.request_ended(pace.start);
        assert!(pace.is_quiet() && pace.phase() == Phase::Idle);
    }
}
