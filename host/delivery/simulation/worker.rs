//! A worker of the simulation: `Worker` without threads, a step at a time.
//!
//! What the real one awaits is here something that the world may do now or later, in any order that the
//! real one allows.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::journal::{JournalModel, Ticket};
use crate::delivery::Progress;
use crate::delivery::lane::{Command, DeliveryId, Job, Lane, LanePolicy};
use crate::journal::{Backlog, Settlement, State};
use crate::sink::{Delivery, Receipt, SinkError};

/// A delivery on its way to a worker.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub(super) delivery: Arc<Delivery>,
    pub(super) progress: Arc<Progress>,
}

/// What a worker has at hand when it carries out commands.
pub(super) struct Desk<'w> {
    pub(super) journal: &'w mut JournalModel,
    pub(super) now_ms: u64,
    /// A broken promise: records get into the journal's queue some time after they were reported.
    pub(super) late: bool,
}

/// A record on its way to the journal and back.
#[derive(Debug)]
struct Settling {
    id: DeliveryId,
    state: State,
    next_at_ms: i64,
    /// `None` until the journal has it in its queue.
    ticket: Option<Ticket>,
    /// What is not in the queue yet.
    settlement: Option<Settlement>,
}

/// A read of the journal.
#[derive(Debug)]
struct Reading {
    asked: usize,
    began_at_ms: u64,
    answer: Option<Vec<Delivery>>,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) lane: Lane<Arc<Progress>>,
    pub(super) flying: Vec<Job<Arc<Progress>>>,
    sink: String,
    policy: LanePolicy,
    inbox: VecDeque<(Offer, bool)>,
    settling: Vec<Settling>,
    reading: Option<Reading>,
    /// How it waits for its lane, if it does.
    waits: Option<Waits>,
    asked_to_drain: bool,
    draining: bool,
}

/// What a worker without a lane of its own does with offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waits {
    /// The sink's earlier worker is still ending: they go to the journal.
    ForEarlier,
    /// The program has just started: they wait.
    ForJournal,
}

impl Worker {
    pub(super) fn new(sink: &str, policy: LanePolicy, waits: Waits) -> Self {
        let through_journal = Backlog {
            keys: None,
            ..Backlog::default()
        };
        Self {
            lane: Lane::new(policy, through_journal),
            flying: Vec::new(),
            sink: sink.to_owned(),
            policy,
            inbox: VecDeque::new(),
            settling: Vec::new(),
            reading: None,
            waits: Some(waits),
            asked_to_drain: false,
            draining: false,
        }
    }

    /// The earlier worker has ended: what the journal holds is this one's.
    pub(super) fn begin(&mut self, journal: &JournalModel) {
        self.waits = None;
        self.lane = Lane::new(self.policy, journal.backlog(&self.sink));
    }

    /// True once the earlier worker's end is all that it waits for.
    pub(super) fn may_begin(&self) -> bool {
        self.waits.is_some() && self.settling.is_empty()
    }

    /// True while it has no lane of its own.
    pub(super) fn waits(&self) -> bool {
        self.waits.is_some()
    }

    /// True when nothing is left of it.
    pub(super) fn has_ended(&self) -> bool {
        self.draining && self.inbox.is_empty() && self.flying.is_empty() && self.settling.is_empty()
    }

    pub(super) fn hand_over(&mut self, offer: Offer, has_place: bool) {
        self.inbox.push_back((offer, has_place));
    }

    /// Takes the next offer of the inbox.
    pub(super) fn take(&mut self, desk: &mut Desk<'_>) -> bool {
        if self.waits == Some(Waits::ForJournal) {
            return false;
        }
        let Some((offer, has_place)) = self.inbox.pop_front() else {
            return false;
        };
        if !has_place {
            self.lane.set_backlogged();
        }
        let job = Job {
            delivery: offer.delivery,
            recorded: false,
            carry: offer.progress,
        };
        let commands = self.lane.offer(job, desk.now_ms);
        self.carry_out(commands, desk);
        true
    }

    /// A reload has a new worker for the sink.
    pub(super) fn ask_to_drain(&mut self) {
        self.asked_to_drain = true;
    }

    /// Notices that it was asked to.
    pub(super) fn drain(&mut self, desk: &mut Desk<'_>) -> bool {
        if self.draining || !self.asked_to_drain || self.waits() {
            return false;
        }
        self.draining = true;
        let commands = self.lane.drain(desk.now_ms);
        self.carry_out(commands, desk);
        true
    }

    /// An attempt ends.
    pub(super) fn finish(
        &mut self,
        job: Job<Arc<Progress>>,
        result: Result<Receipt, SinkError>,
        desk: &mut Desk<'_>,
        random: f64,
    ) {
        let commands = self.lane.finish(job, result, desk.now_ms, random);
        self.carry_out(commands, desk);
    }

    /// What the real loop does on each turn: begins a read, and starts what the clock allows.
    pub(super) fn turn(&mut self, desk: &mut Desk<'_>) -> bool {
        let now_ms = desk.now_ms;
        if self.waits() {
            return false;
        }
        let mut moved = false;
        if let Some(asked) = self.lane.read(now_ms) {
            self.reading = Some(Reading {
                asked,
                began_at_ms: now_ms,
                answer: None,
            });
            moved = true;
        }
        let commands = self.lane.start(now_ms);
        moved |= !commands.is_empty();
        self.carry_out(commands, desk);
        moved
    }

    /// The journal looks up what was asked for.
    pub(super) fn look(&mut self, journal: &JournalModel) -> bool {
        match &mut self.reading {
            Some(reading) if reading.answer.is_none() => {
                reading.answer = Some(journal.due(&self.sink, reading.began_at_ms, reading.asked));
                true
            }
            _ => false,
        }
    }

    /// The answer arrives.
    pub(super) fn load(&mut self, desk: &mut Desk<'_>) -> bool {
        let Some(reading) = self.reading.take_if(|reading| reading.answer.is_some()) else {
            return false;
        };
        let rows = reading.answer.unwrap_or_default();
        let jobs = rows
            .into_iter()
            .map(|delivery| Job {
                carry: Arc::new(Progress::recorded(delivery.seq)),
                delivery: Arc::new(delivery),
                recorded: true,
            })
            .collect();
        let commands = self.lane.load(jobs, reading.asked, desk.now_ms);
        self.carry_out(commands, desk);
        true
    }

    /// The first of the settlements that are not queued yet gets into the journal's queue, where they are late.
    pub(super) fn queue(&mut self, journal: &mut JournalModel) -> bool {
        let next = self.settling.iter_mut().find(|one| one.ticket.is_none());
        let Some(next) = next else { return false };
        if let Some(settlement) = next.settlement.take() {
            next.ticket = Some(journal.settle(settlement));
        }
        true
    }

    /// The answer to a settlement arrives; in any order.
    pub(super) fn settled(&mut self, committed: &HashSet<Ticket>, rng: &mut fastrand::Rng) -> bool {
        let is_done = |one: &Settling| one.ticket.is_some_and(|ticket| committed.contains(&ticket));
        let done: Vec<usize> = (0..self.settling.len())
            .filter(|index| self.settling.get(*index).is_some_and(is_done))
            .collect();
        let Some(index) = rng.choice(done) else {
            return false;
        };
        let settling = self.settling.remove(index);
        self.lane
            .settled(settling.id, settling.state, settling.next_at_ms);
        true
    }

    /// The next moment at which the clock alone changes something.
    pub(super) fn wake_at_ms(&self, now_ms: u64) -> u64 {
        if self.waits() || self.draining {
            u64::MAX
        } else {
            self.lane.wake_at_ms(now_ms).unwrap_or(u64::MAX)
        }
    }

    /// Somebody resumes the sink.
    pub(super) fn resume(&mut self, desk: &mut Desk<'_>) {
        let commands = self.lane.resume(desk.now_ms);
        self.carry_out(commands, desk);
    }

    fn carry_out(&mut self, commands: Vec<Command<Arc<Progress>>>, desk: &mut Desk<'_>) {
        for command in commands {
            match command {
                Command::Start(job) => self.flying.push(job),
                Command::Settle(job, record) => {
                    let id = (job.delivery.seq, job.delivery.ordinal);
                    let (state, next_at_ms) = (record.state, record.next_at_ms);
                    let queued = job.carry.report(record, desk.now_ms, |settlement| {
                        if desk.late {
                            (None, Some(settlement))
                        } else {
                            (Some(desk.journal.settle(settlement)), None)
                        }
                    });
                    match queued {
                        None => self.lane.settled(id, state, next_at_ms),
                        Some((ticket, settlement)) => self.settling.push(Settling {
                            id,
                            state,
                            next_at_ms,
                            ticket,
                            settlement,
                        }),
                    }
                }
            }
        }
    }
}
