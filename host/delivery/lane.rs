//! Lane: what one sink does next.
//!
//! Pure: offers, results and the clock come in, commands go out; [`super::worker`] carries them out.
//! Invariants:
//! - Of deliveries with equal order keys at most one is in flight, and none starts while an older one
//!   waits in the journal. A key that is held up holds up no other.
//! - A delivery that waits in the journal is claimed at most once at a time. What was settled while the
//!   journal was read may stand in the answer as it was before, and is left out of it.
//! - Nothing waits here but what the worker admitted; the bound is the worker's.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::throttle::{Halt, Throttle, ThrottlePolicy};
use crate::journal::{Attempt, Backlog, Record, Seq, State};
use crate::retry::RetryPolicy;
use crate::sink::{Class, Delivery, Receipt, SinkError};

/// How soon to look again for due deliveries while some are known to wait in the journal.
const POLL_PENDING_MS: u64 = 250;
/// How soon to look again while none is known: records of an earlier generation may turn up.
const POLL_IDLE_MS: u64 = 2_000;
/// Keys with deliveries in the journal that are told apart; beyond that everything goes through it.
const PARKED_KEYS_MAX: usize = crate::journal::BACKLOG_KEYS_MAX;

/// What a lane needs of its sink's configuration.
#[derive(Clone, Copy, Debug)]
pub struct LanePolicy {
    /// When a failed delivery is tried again.
    pub retry: RetryPolicy,
    /// How many attempts may be under way.
    pub throttle: ThrottlePolicy,
}

/// A delivery in the lane, with what the worker needs to have beside it.
#[derive(Debug)]
pub struct Job<T> {
    /// The delivery, shared with the progress of its event.
    pub delivery: Arc<Delivery>,
    /// True if it was read from the journal or parked there by this lane.
    pub recorded: bool,
    /// The worker's.
    pub carry: T,
}

/// What the worker has to do.
#[allow(
    clippy::large_enum_variant,
    reason = "a command is carried out at once; a box would be an allocation for each delivery"
)]
#[derive(Debug)]
pub enum Command<T> {
    /// Make an attempt and report it with [`Lane::finish`].
    Start(Job<T>),
    /// Write this record; then call [`Lane::settled`].
    Settle(Job<T>, Record),
}

/// Identifies a delivery.
pub type DeliveryId = (Seq, u32);

/// The state of one sink. See the module's text.
#[derive(Debug)]
pub struct Lane<T> {
    policy: LanePolicy,
    /// May start as soon as there is room.
    ready: VecDeque<Job<T>>,
    /// Order keys with a delivery ready or in flight, and those that wait behind it.
    followers: HashMap<i64, VecDeque<Job<T>>>,
    in_flight: usize,
    /// Read from the journal (or on their way to it): not to be read again until settled.
    claimed: HashSet<DeliveryId>,
    /// While the journal is read: what was settled meanwhile.
    overtaken: Option<HashSet<DeliveryId>>,
    /// Deliveries in the journal, by order key.
    parked: HashMap<i64, u64>,
    /// Deliveries in the journal.
    pending: u64,
    /// Everything goes through the journal until nothing is pending.
    backlogged: bool,
    throttle: Throttle,
    next_check_ms: u64,
    draining: bool,
}

/// Figures of a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneStats {
    /// Attempts under way.
    pub in_flight: u64,
    /// Deliveries that wait in memory.
    pub queued: u64,
    /// Deliveries that wait in the journal.
    pub pending: u64,
    /// Attempts at a time that are allowed now.
    pub limit: u64,
    /// Why nothing starts, if that is so.
    pub halted: Option<Halt>,
    /// When the halt ends by itself, in milliseconds since the Unix epoch.
    pub halted_until_ms: Option<u64>,
}

impl<T> Lane<T> {
    /// A lane with what the journal holds for its sink.
    #[must_use]
    pub fn new(policy: LanePolicy, backlog: Backlog) -> Self {
        Self {
            policy,
            ready: VecDeque::new(),
            followers: HashMap::new(),
            in_flight: 0,
            claimed: HashSet::new(),
            overtaken: None,
            backlogged: backlog.keys.is_none(),
            parked: backlog.keys.unwrap_or_default().into_iter().collect(),
            pending: backlog.pending,
            throttle: Throttle::new(policy.throttle),
            next_check_ms: 0,
            draining: false,
        }
    }

    /// A new delivery from dispatch.
    pub fn offer(&mut self, job: Job<T>, now_ms: u64) -> Vec<Command<T>> {
        let order = job.delivery.order;
        if self.draining
            || self.backlogged
            || order.is_some_and(|key| self.parked.contains_key(&key))
        {
            return vec![self.park(job, now_ms, now_ms)];
        }
        self.enqueue(job);
        self.start(now_ms)
    }

    /// The worker's queue stayed full: what comes from now on goes to the journal until it is empty.
    pub fn set_backlogged(&mut self) {
        self.backlogged = true;
    }

    /// The answer to the read that [`Lane::read`] began. `asked` is what it said.
    pub fn load(&mut self, jobs: Vec<Job<T>>, asked: usize, now_ms: u64) -> Vec<Command<T>> {
        let full = jobs.len() >= asked;
        let overtaken = self.overtaken.take().unwrap_or_default();
        for job in jobs {
            let id = (job.delivery.seq, job.delivery.ordinal);
            if !overtaken.contains(&id) && self.claimed.insert(id) {
                self.enqueue(job);
            }
        }
        let idle = self.pending <= self.claimed.len() as u64;
        self.next_check_ms = match (full, idle) {
            (true, _) => now_ms,
            (false, false) => now_ms + POLL_PENDING_MS,
            (false, true) => now_ms + POLL_IDLE_MS,
        };
        self.start(now_ms)
    }

    /// An attempt ended. `random` is uniform in `0.0..1.0`.
    pub fn finish(
        &mut self,
        job: Job<T>,
        result: Result<Receipt, SinkError>,
        now_ms: u64,
        random: f64,
    ) -> Vec<Command<T>> {
        self.in_flight = self.in_flight.saturating_sub(1);
        let mut commands = Vec::with_capacity(2);
        match result {
            Ok(receipt) => {
                self.throttle.succeeded();
                let mut record = super::record(&job.delivery, State::Delivered, now_ms);
                record.attempts = record.attempts.saturating_add(1);
                record.code = receipt.code;
                self.release(job.delivery.order);
                commands.push(self.settle(job, record));
            }
            Err(error) => self.fail(job, error, now_ms, random, &mut commands),
        }
        commands.extend(self.start(now_ms));
        commands
    }

    /// A record of [`Command::Settle`] is in the journal.
    pub fn settled(&mut self, id: DeliveryId, state: State, next_at_ms: i64) {
        if let Some(overtaken) = &mut self.overtaken {
            overtaken.insert(id);
        }
        if self.claimed.remove(&id) && state != State::Pending && self.pending > 0 {
            // The next delivery of its key can be seen from now on.
            self.next_check_ms = 0;
        }
        if state == State::Pending {
            let due = u64::try_from(next_at_ms).unwrap_or(0);
            self.next_check_ms = self.next_check_ms.min(due);
        }
    }

    /// Begins a read of the journal, one at a time: how many due deliveries to ask for, if any. Their number
    /// and the answer go to [`Lane::load`], an empty one if the read failed.
    pub fn read(&mut self, now_ms: u64) -> Option<usize> {
        if self.overtaken.is_some() {
            return None;
        }
        let asked = self.wants(now_ms)?;
        self.overtaken = Some(HashSet::new());
        Some(asked)
    }

    /// How many due deliveries are worth reading now, if any.
    fn wants(&self, now_ms: u64) -> Option<usize> {
        // A look that is further off than any was ever put off means that the clock was set back.
        let waits = now_ms < self.next_check_ms && self.next_check_ms <= now_ms + POLL_IDLE_MS;
        if self.draining || self.throttle.halted(now_ms).is_some() || waits {
            return None;
        }
        let room = self.room();
        // The claimed ones may be the first that are found, so as many more are asked for.
        (room > 0).then_some(room + self.claimed.len())
    }

    /// How many more deliveries are worth having in memory.
    fn room(&self) -> usize {
        (self.throttle.limit() * 2).saturating_sub(self.in_flight + self.ready.len())
    }

    /// When to call [`Lane::start`] and [`Lane::read`] if nothing else happens, in milliseconds since the Unix
    /// epoch; `None`: only when something happens.
    #[must_use]
    pub fn wake_at_ms(&self, now_ms: u64) -> Option<u64> {
        let check = (self.room() > 0).then_some(self.next_check_ms);
        if self.throttle.halted(now_ms).is_some() {
            return self.throttle.wake_at_ms(now_ms);
        }
        let rate = (!self.ready.is_empty())
            .then(|| self.throttle.wake_at_ms(now_ms))
            .flatten();
        check.into_iter().chain(rate).min()
    }

    /// Starts what may start; to be called when the time of [`Lane::wake_at_ms`] has come.
    pub fn start(&mut self, now_ms: u64) -> Vec<Command<T>> {
        let mut commands = Vec::new();
        if self.draining {
            return commands;
        }
        while !self.ready.is_empty() && self.throttle.admit(self.in_flight, now_ms) {
            let Some(job) = self.ready.pop_front() else {
                break;
            };
            self.in_flight += 1;
            commands.push(Command::Start(job));
        }
        commands
    }

    /// Starts nothing more until [`Lane::resume`]; what comes waits, in memory and then in the journal.
    pub fn pause(&mut self) {
        self.throttle.pause();
    }

    /// Ends whatever halts the sink.
    pub fn resume(&mut self, now_ms: u64) -> Vec<Command<T>> {
        self.throttle.resume();
        self.next_check_ms = now_ms;
        self.start(now_ms)
    }

    /// Starts nothing more; what waits in memory goes to the journal, due at once.
    pub fn drain(&mut self, now_ms: u64) -> Vec<Command<T>> {
        self.draining = true;
        let mut jobs: Vec<Job<T>> = self.ready.drain(..).collect();
        for (_, followers) in self.followers.drain() {
            jobs.extend(followers);
        }
        jobs.into_iter()
            .map(|job| self.park(job, now_ms, now_ms))
            .collect()
    }

    /// True while everything goes through the journal.
    #[must_use]
    pub fn backlogged(&self) -> bool {
        self.backlogged
    }

    /// Why nothing starts, if that is so.
    #[must_use]
    pub fn halted(&self, now_ms: u64) -> Option<Halt> {
        self.throttle.halted(now_ms)
    }

    /// Figures.
    #[must_use]
    pub fn stats(&self, now_ms: u64) -> LaneStats {
        let following: usize = self.followers.values().map(VecDeque::len).sum();
        LaneStats {
            in_flight: self.in_flight as u64,
            queued: (self.ready.len() + following) as u64,
            pending: self.pending,
            limit: self.throttle.limit() as u64,
            halted: self.throttle.halted(now_ms),
            halted_until_ms: self.throttle.halted_until_ms(),
        }
    }

    /// Puts a job behind the others of its key, or among the ready ones.
    fn enqueue(&mut self, job: Job<T>) {
        if let Some(key) = job.delivery.order {
            if let Some(followers) = self.followers.get_mut(&key) {
                followers.push_back(job);
                return;
            }
            self.followers.insert(key, VecDeque::new());
        }
        self.ready.push_back(job);
    }

    /// The delivery that held `key` has ended: the next one of the key may go.
    fn release(&mut self, key: Option<i64>) {
        let Some(key) = key else { return };
        #[cfg(feature = "planted-bugs")]
        if crate::planted::is(crate::planted::Bug::SwappedOrder)
            && let Some(waiting) = self.followers.get_mut(&key)
            && let Some(youngest) = waiting.pop_back()
        {
            self.ready.push_back(youngest);
            return;
        }
        match self.followers.get_mut(&key).and_then(VecDeque::pop_front) {
            Some(next) => self.ready.push_back(next),
            None => {
                self.followers.remove(&key);
            }
        }
    }

    fn fail(
        &mut self,
        mut job: Job<T>,
        error: SinkError,
        now_ms: u64,
        random: f64,
        commands: &mut Vec<Command<T>>,
    ) {
        let age = Duration::from_millis(now_ms.saturating_sub(job.delivery.created_at_ms));
        let retry = &self.policy.retry;
        self.throttle.failed(&error, now_ms);
        let (delay, attempt) = match error.class {
            // Nothing is wrong with the delivery, so only its age can end it; the sink's halt holds it back.
            Class::Configuration | Class::Gone => {
                ((age < retry.max_age).then_some(Duration::ZERO), None)
            }
            Class::Transient | Class::Permanent => {
                let attempts = job.delivery.attempts.saturating_add(1);
                Arc::make_mut(&mut job.delivery).attempts = attempts;
                let delay = match error.class {
                    Class::Permanent => None,
                    _ => retry.next_delay(attempts, age, error.retry_after, random),
                };
                let attempt = Attempt {
                    number: attempts,
                    at_ms: now_ms,
                    class: error.class.as_str(),
                    code: error.code.clone(),
                    detail: error.detail.clone(),
                };
                (delay, Some(attempt))
            }
        };
        let order = job.delivery.order;
        if let Some(delay) = delay {
            let waiting = order.and_then(|key| self.followers.remove(&key));
            let command = self.park(job, now_ms, now_ms + millis(delay));
            commands.push(with_error(command, error, attempt));
            for follower in waiting.into_iter().flatten() {
                commands.push(self.park(follower, now_ms, now_ms));
            }
        } else {
            let mut record = super::record(&job.delivery, State::Dead, now_ms);
            record.code = error.code;
            record.detail = error.detail;
            record.attempt = attempt;
            self.release(order);
            commands.push(self.settle(job, record));
        }
    }

    /// Sends a job to the journal, due at `due_ms`.
    fn park(&mut self, mut job: Job<T>, now_ms: u64, due_ms: u64) -> Command<T> {
        let id = (job.delivery.seq, job.delivery.ordinal);
        let mut record = super::record(&job.delivery, State::Pending, now_ms);
        record.next_at_ms = i64::try_from(due_ms).unwrap_or(i64::MAX - 1);
        if !job.recorded {
            job.recorded = true;
            self.pending += 1;
            if let Some(key) = job.delivery.order {
                *self.parked.entry(key).or_default() += 1;
            }
            if self.parked.len() > PARKED_KEYS_MAX {
                self.backlogged = true;
            }
        }
        self.claimed.insert(id);
        Command::Settle(job, record)
    }

    /// A final record: the delivery no longer waits anywhere.
    fn settle(&mut self, job: Job<T>, record: Record) -> Command<T> {
        if job.recorded {
            self.pending = self.pending.saturating_sub(1);
            if let Some(key) = job.delivery.order
                && let Some(count) = self.parked.get_mut(&key)
            {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.parked.remove(&key);
                } else {
                    // The next of the key is due now, but cannot be seen before this one is settled.
                    self.next_check_ms = 0;
                }
            }
            if self.pending == 0 {
                self.backlogged = false;
            }
        }
        Command::Settle(job, record)
    }
}

/// Writes into the record of a parked delivery why it has to wait.
fn with_error<T>(command: Command<T>, error: SinkError, attempt: Option<Attempt>) -> Command<T> {
    match command {
        Command::Settle(job, mut record) => {
            record.code = error.code;
            record.detail = error.detail;
            record.attempt = attempt;
            Command::Settle(job, record)
        }
        start @ Command::Start(_) => start,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests;
