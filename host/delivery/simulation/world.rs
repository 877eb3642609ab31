//! The world of the simulation: what happens, step by step, and whether it was right.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::delivery;
use super::journal::{JournalModel, Ticket};
use super::worker::{Desk, Offer, Waits, Worker};
use crate::delivery::Progress;
use crate::delivery::lane::LanePolicy;
use crate::delivery::throttle::{BreakerPolicy, ThrottlePolicy};
use crate::journal::{Seq, State};
use crate::retry::RetryPolicy;
use crate::sink::{Class, Delivery, Receipt, SinkError};

const START_MS: u64 = 1_000_000;
const SINKS: [&str; 3] = ["a", "b", "c"];
/// Steps of trouble.
const STEPS: u32 = 400;
/// Steps within which everything has to end once nothing goes wrong any more.
const STEPS_TO_HEAL: u32 = 60_000;

/// A promise that is broken, to see that it is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mischief {
    StaleReads,
    ShuffledSettlements,
    LostSettlements,
    LateQueue,
    HeldCounts,
    Impatient,
    ForgetfulSinks,
}

/// How a sink behaves at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Well,
    Failing,
    Misconfigured,
    Gone,
}

#[derive(Debug)]
struct SinkModel {
    /// The running worker is the last one; those before it are ending.
    workers: Vec<Worker>,
    road: VecDeque<Offer>,
    received: Vec<(Seq, Option<i64>)>,
    mood: Mood,
    policy: LanePolicy,
}

/// An event, and what its route makes of it.
#[derive(Clone, Debug)]
struct Spec {
    key: Option<i64>,
    sinks: Vec<usize>,
    /// Refused for good by every sink.
    poison: bool,
}

/// What is known from outside of one delivery.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    received: u32,
    /// Times that it may have been received again: unknown outcomes, and crashes before its end was on record.
    excused: u32,
}

/// A life that ended well, in figures.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) crashes: u64,
    pub(super) events: usize,
    pub(super) received: usize,
    pub(super) dead: usize,
    pub(super) length_ms: u64,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Life {
    /// Tells each step.
    pub(super) aloud: bool,
    rng: fastrand::Rng,
    mischief: Option<Mischief>,
    now_ms: u64,
    journal: JournalModel,
    /// The journal as it was some steps ago.
    stale: JournalModel,
    committed: HashSet<Ticket>,
    feed: VecDeque<Seq>,
    sinks: Vec<SinkModel>,
    specs: BTreeMap<Seq, Spec>,
    known: BTreeMap<(Seq, usize), Known>,
    healing: bool,
    crashes: u64,
}

impl Life {
    pub(super) fn new(seed: u64, mischief: Option<Mischief>) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let sinks = SINKS.map(|name| {
            let policy = LanePolicy {
                retry: RetryPolicy {
                    attempts: if rng.bool() { 3 } else { 1_000 },
                    base: Duration::from_millis(rng.u64(1..400)),
                    max: Duration::from_secs(2),
                    max_age: Duration::from_secs(1 << 30),
                },
                throttle: ThrottlePolicy {
                    concurrency: rng.usize(1..5),
                    adaptive: rng.bool(),
                    pause: Duration::from_millis(rng.u64(1..3_000)),
                    breaker: rng.bool().then(|| BreakerPolicy {
                        failures: rng.u32(1..6),
                        open: Duration::from_millis(rng.u64(1..2_000)),
                    }),
                    rate: None,
                },
            };
            SinkModel {
                workers: vec![Worker::new(name, policy, Waits::ForJournal)],
                road: VecDeque::new(),
                received: Vec::new(),
                mood: Mood::Well,
                policy,
            }
        });
        Self {
            aloud: false,
            rng,
            mischief,
            now_ms: START_MS,
            journal: JournalModel::new(mischief),
            stale: JournalModel::default(),
            committed: HashSet::new(),
            feed: VecDeque::new(),
            sinks: sinks.into(),
            specs: BTreeMap::new(),
            known: BTreeMap::new(),
            healing: false,
            crashes: 0,
        }
    }

    /// Trouble, then peace; then what has to hold.
    pub(super) fn live(&mut self) -> Result<Told, String> {
        let crashes = self.rng.bool();
        for _ in 0..STEPS {
            match self.rng.u32(0..1_000) {
                0..3 if crashes => self.crash(),
                3..13 => self.reload(),
                13..40 => self.change_mood(),
                40..43 => self.now_ms -= self.rng.u64(0..5_000).min(self.now_ms - START_MS),
                43..200 => self.accept(),
                _ => {
                    self.step()?;
                }
            }
        }
        self.healing = true;
        for sink in &mut self.sinks {
            sink.mood = Mood::Well;
            let mut desk = Desk {
                journal: &mut self.journal,
                now_ms: self.now_ms,
                late: self.mischief == Some(Mischief::LateQueue),
            };
            for worker in &mut sink.workers {
                // What said that it is gone needs somebody's word.
                worker.resume(&mut desk);
            }
        }
        for _ in 0..STEPS_TO_HEAL {
            if !self.step()? && !self.wait() && self.is_calm() {
                break;
            }
        }
        self.judge()
    }

    fn tell(&self, what: fmt::Arguments<'_>) {
        if self.aloud {
            println!("{:>8} {what}", self.now_ms - START_MS);
        }
    }

    fn accept(&mut self) {
        let seq = Seq::try_from(self.specs.len() + 1).unwrap();
        let sinks: Vec<usize> = (0..SINKS.len()).filter(|_| self.rng.u8(0..3) > 0).collect();
        let spec = Spec {
            key: self.rng.bool().then(|| self.rng.i64(1..4)),
            sinks: if sinks.is_empty() { vec![0] } else { sinks },
            poison: self.rng.u8(0..20) == 0,
        };
        self.tell(format_args!("event {seq}: {spec:?}"));
        self.specs.insert(seq, spec);
        self.journal.append(seq);
        self.feed.push_back(seq);
    }

    fn reload(&mut self) {
        let index = self.rng.usize(..SINKS.len());
        self.tell(format_args!("sink {} is replaced", SINKS[index]));
        let sink = &mut self.sinks[index];
        if let Some(running) = sink.workers.last_mut() {
            running.ask_to_drain();
        }
        sink.workers
            .push(Worker::new(SINKS[index], sink.policy, Waits::ForEarlier));
    }

    fn change_mood(&mut self) {
        let index = self.rng.usize(..SINKS.len());
        let moods = [Mood::Well, Mood::Failing, Mood::Misconfigured, Mood::Gone];
        let mood = moods[self.rng.usize(..moods.len())];
        self.tell(format_args!("sink {} is {mood:?}", SINKS[index]));
        self.sinks[index].mood = mood;
    }

    /// The process ends here and starts again.
    fn crash(&mut self) {
        self.crashes += 1;
        self.tell(format_args!("crash"));
        for (index, name) in SINKS.into_iter().enumerate() {
            let workers = std::mem::take(&mut self.sinks[index].workers);
            for job in workers.iter().flat_map(|worker| &worker.flying) {
                // Under way: it may have arrived or not.
                if self.rng.bool() {
                    self.receive(index, &job.delivery);
                }
            }
            let sink = &mut self.sinks[index];
            sink.road.clear();
            sink.workers = vec![Worker::new(name, sink.policy, Waits::ForJournal)];
        }
        self.journal.crash(self.now_ms);
        self.stale = self.journal.clone();
        self.committed.clear();
        self.feed = self.journal.unplanned().into();
        for (seq, spec) in &self.specs {
            for (ordinal, sink) in (0..).zip(&spec.sinks) {
                let is_final = matches!(
                    self.journal.state(*seq, ordinal),
                    Some(State::Delivered | State::Dead)
                );
                if !is_final {
                    self.known.entry((*seq, *sink)).or_default().excused += 1;
                }
            }
        }
    }

    fn receive(&mut self, index: usize, delivery: &Delivery) {
        let forgets = self.mischief == Some(Mischief::ForgetfulSinks) && self.rng.u8(0..50) == 0;
        if forgets {
            return;
        }
        self.sinks[index]
            .received
            .push((delivery.seq, delivery.order));
        self.known
            .entry((delivery.seq, index))
            .or_default()
            .received += 1;
    }

    /// One thing happens, of those that may. False if nothing may, but the clock.
    fn step(&mut self) -> Result<bool, String> {
        if self.rng.u8(0..8) == 0 {
            self.now_ms += self.rng.u64(0..50);
        }
        if self.mischief == Some(Mischief::StaleReads) && self.rng.u8(0..16) == 0 {
            self.stale = self.journal.clone();
        }
        let kinds = 12;
        let first = self.rng.u8(0..kinds);
        for offset in 0..kinds {
            if self.try_step((first + offset) % kinds) {
                return self.watch().map(|()| true);
            }
        }
        Ok(false)
    }

    fn try_step(&mut self, kind: u8) -> bool {
        let index = self.rng.usize(..SINKS.len());
        if kind == 0 {
            return self.plan();
        }
        if kind == 1 {
            return self.commit();
        }
        // Each sink gets its chance, so that "nothing may happen" is the truth.
        (0..SINKS.len()).any(|offset| self.try_sink((index + offset) % SINKS.len(), kind))
    }

    fn try_sink(&mut self, index: usize, kind: u8) -> bool {
        let now_ms = self.now_ms;
        if kind == 2 {
            return self.finish(index);
        }
        if kind == 3 {
            return self.hand_over(index);
        }
        let sink = &mut self.sinks[index];
        if kind == 4 {
            let before = sink.workers.len();
            sink.workers.retain(|worker| !worker.has_ended());
            return sink.workers.len() < before;
        }
        let count = sink.workers.len();
        let which = self.rng.usize(..count);
        let Some(worker) = sink.workers.get_mut(which) else {
            return false;
        };
        let mut desk = Desk {
            journal: &mut self.journal,
            now_ms,
            late: self.mischief == Some(Mischief::LateQueue),
        };
        let done = match kind {
            5 => worker.take(&mut desk),
            6 => worker.turn(&mut desk),
            7 if self.mischief == Some(Mischief::StaleReads) => worker.look(&self.stale),
            7 => worker.look(&self.journal),
            8 => worker.load(&mut desk),
            9 => worker.queue(&mut self.journal),
            10 => worker.drain(&mut desk),
            _ => worker.settled(&self.committed, &mut self.rng),
        };
        // The worker before it is gone.
        if which == 0 && worker.may_begin() {
            worker.begin(&self.journal);
            return true;
        }
        done
    }

    /// Dispatch takes the next event.
    fn plan(&mut self) -> bool {
        let Some(seq) = self.feed.pop_front() else {
            return false;
        };
        let spec = self.specs[&seq].clone();
        self.tell(format_args!("plan {seq}"));
        let deliveries: Vec<Arc<Delivery>> = (0..)
            .zip(&spec.sinks)
            .map(|(ordinal, sink)| {
                let mut delivery = delivery(seq, ordinal, SINKS[*sink], spec.key);
                delivery.created_at_ms = self.now_ms;
                Arc::new(delivery)
            })
            .collect();
        let progress = Arc::new(Progress::new(seq, deliveries.clone(), Vec::new()));
        for (delivery, sink) in deliveries.into_iter().zip(spec.sinks) {
            self.sinks[sink].road.push_back(Offer {
                delivery,
                progress: progress.clone(),
            });
        }
        true
    }

    /// An offer reaches the running worker; sometimes its queue is full.
    fn hand_over(&mut self, index: usize) -> bool {
        let has_place = self.healing || self.rng.u8(0..40) > 0;
        let sink = &mut self.sinks[index];
        let Some(offer) = sink.road.pop_front() else {
            return false;
        };
        if let Some(worker) = sink.workers.last_mut() {
            worker.hand_over(offer, has_place);
        }
        true
    }

    fn commit(&mut self) -> bool {
        if self.journal.waiting() == 0 {
            return false;
        }
        match self.mischief {
            Some(Mischief::ShuffledSettlements) => self.journal.shuffle(&mut self.rng),
            Some(Mischief::LostSettlements) if self.rng.u8(0..20) == 0 => self.journal.lose(),
            _ => {}
        }
        let count = self.rng.usize(1..6);
        self.committed.extend(self.journal.commit(count));
        self.tell(format_args!("commit"));
        true
    }

    /// One of the attempts under way ends.
    fn finish(&mut self, index: usize) -> bool {
        let mut flying: Vec<(usize, usize)> = Vec::new();
        for (worker, state) in self.sinks[index].workers.iter().enumerate() {
            flying.extend((0..state.flying.len()).map(|job| (worker, job)));
        }
        let Some((worker, job)) = self.rng.choice(flying) else {
            return false;
        };
        let job = self.sinks[index].workers[worker].flying.swap_remove(job);
        let seq = job.delivery.seq;
        let result = self.outcome(index, &job.delivery);
        self.tell(format_args!(
            "sink {}: {seq} {}",
            SINKS[index],
            result
                .as_ref()
                .map_or_else(|error| error.class.as_str(), |_| "delivered")
        ));
        let (now_ms, random) = (self.now_ms, self.rng.f64());
        let mut desk = Desk {
            journal: &mut self.journal,
            now_ms,
            late: self.mischief == Some(Mischief::LateQueue),
        };
        self.sinks[index].workers[worker].finish(job, result, &mut desk, random);
        true
    }

    fn outcome(&mut self, index: usize, delivery: &Delivery) -> Result<Receipt, SinkError> {
        let fails = |class| Err(SinkError::new(class, "code", "detail"));
        if self.specs[&delivery.seq].poison {
            return fails(Class::Permanent);
        }
        match self.sinks[index].mood {
            Mood::Misconfigured => fails(Class::Configuration),
            Mood::Gone => fails(Class::Gone),
            Mood::Failing if self.rng.u8(0..4) > 0 => {
                // An unknown outcome: received, and then reported as failed.
                if self.rng.u8(0..4) == 0 {
                    self.receive(index, delivery);
                    self.known.entry((delivery.seq, index)).or_default().excused += 1;
                }
                fails(Class::Transient)
            }
            _ => {
                self.receive(index, delivery);
                Ok(Receipt {
                    code: "200".to_owned(),
                })
            }
        }
    }

    /// Lets the clock go on to when something may happen by itself; false if nothing ever will.
    fn wait(&mut self) -> bool {
        let wakes = self.sinks.iter().flat_map(|sink| &sink.workers);
        let next = wakes.map(|worker| worker.wake_at_ms(self.now_ms)).min();
        let next = next.unwrap_or(u64::MAX);
        if self.unfinished().is_none() {
            return false;
        }
        // A step looks at one worker of each sink, so there may be more to do at this very moment.
        self.now_ms = if self.rng.bool() || next == u64::MAX {
            self.now_ms + 1
        } else {
            next.max(self.now_ms + 1)
        };
        true
    }

    /// True once no worker has to do anything any more.
    fn is_calm(&self) -> bool {
        self.sinks
            .iter()
            .all(|sink| matches!(sink.workers.as_slice(), [worker] if !worker.waits()))
    }

    /// What has to hold at every moment.
    fn watch(&self) -> Result<(), String> {
        for (sink, name) in self.sinks.iter().zip(SINKS) {
            let mut keys = HashSet::new();
            for worker in &sink.workers {
                if worker.flying.len() > sink.policy.throttle.concurrency {
                    return Err(format!(
                        "sink {name}: {} attempts at a time",
                        worker.flying.len()
                    ));
                }
                for key in worker.flying.iter().filter_map(|job| job.delivery.order) {
                    if !keys.insert(key) {
                        return Err(format!("sink {name}: two of key {key} under way"));
                    }
                }
            }
        }
        Ok(())
    }

    /// A delivery that has no end yet.
    fn unfinished(&self) -> Option<(Seq, u32, usize)> {
        self.specs.iter().find_map(|(seq, spec)| {
            (0..).zip(&spec.sinks).find_map(|(ordinal, sink)| {
                match self.journal.state(*seq, ordinal) {
                    Some(State::Delivered | State::Dead) => None,
                    _ => Some((*seq, ordinal, *sink)),
                }
            })
        })
    }

    fn judge(&self) -> Result<Told, String> {
        if let Some((seq, ordinal, sink)) = self.unfinished() {
            return Err(format!(
                "event {seq} never ended at sink {}: {}",
                SINKS[sink],
                self.journal.told(seq, ordinal)
            ));
        }
        let mut told = Told {
            crashes: self.crashes,
            events: self.specs.len(),
            length_ms: self.now_ms - START_MS,
            ..Told::default()
        };
        for (seq, spec) in &self.specs {
            for (ordinal, sink) in (0..).zip(&spec.sinks) {
                let known = self.known.get(&(*seq, *sink)).copied().unwrap_or_default();
                let name = SINKS[*sink];
                let is_dead = self.journal.state(*seq, ordinal) == Some(State::Dead);
                let may_die = spec.poison || self.sinks[*sink].policy.retry.attempts < 1_000;
                if is_dead && !may_die {
                    return Err(format!("event {seq} died at sink {name} for no reason"));
                }
                if !is_dead && known.received == 0 {
                    return Err(format!("event {seq} is lost at sink {name}"));
                }
                if known.received > 1 + known.excused {
                    return Err(format!(
                        "event {seq} came {} times to sink {name}, {} excused",
                        known.received, known.excused
                    ));
                }
                told.received += known.received as usize;
                told.dead += usize::from(is_dead);
            }
        }
        self.judge_order()?;
        self.judge_rest()?;
        Ok(told)
    }

    fn judge_order(&self) -> Result<(), String> {
        for (sink, name) in self.sinks.iter().zip(SINKS) {
            let mut seen = HashSet::new();
            let mut last: BTreeMap<i64, Seq> = BTreeMap::new();
            for (seq, key) in &sink.received {
                let (true, Some(key)) = (seen.insert(*seq), *key) else {
                    continue;
                };
                if let Some(before) = last.insert(key, *seq)
                    && before > *seq
                {
                    return Err(format!(
                        "sink {name}, key {key}: {seq} came first after {before}"
                    ));
                }
            }
        }
        Ok(())
    }

    fn judge_rest(&self) -> Result<(), String> {
        for (sink, name) in self.sinks.iter().zip(SINKS) {
            for worker in &sink.workers {
                let stats = worker.lane.stats(self.now_ms);
                let idle = stats.in_flight + stats.queued + stats.pending == 0;
                if !worker.waits() && (!idle || worker.lane.backlogged()) {
                    return Err(format!("sink {name}: left behind: {stats:?}"));
                }
            }
        }
        Ok(())
    }
}
