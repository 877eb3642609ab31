//! Tests of `lane`: tables in, verdicts out.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;
use crate::event::{EventId, Message};
use crate::sink::Origin;

const NOW: u64 = 1_000_000;

fn policy(concurrency: usize) -> LanePolicy {
    LanePolicy {
        retry: RetryPolicy {
            attempts: 3,
            base: Duration::from_secs(2),
            max: Duration::from_secs(60),
            max_age: Duration::from_secs(3600),
        },
        throttle: ThrottlePolicy::plain(concurrency),
    }
}

fn lane(concurrency: usize) -> Lane<()> {
    let none = Backlog {
        keys: Some(Vec::new()),
        ..Backlog::default()
    };
    Lane::new(policy(concurrency), none)
}

fn job(seq: Seq, order: Option<i64>) -> Job<()> {
    let origin = Origin {
        event_id: EventId::from_bytes([7; 16]),
        source: "didit".into(),
        provider: "didit".into(),
        provider_event_id: None,
        received_at_ms: NOW,
    };
    Job {
        delivery: Arc::new(Delivery {
            seq,
            ordinal: 0,
            route: "route".into(),
            sink: "sink".into(),
            origin: Arc::new(origin),
            message_id: format!("id-{seq}"),
            key: order.map(|key| key.to_string()),
            order,
            plugins: "".into(),
            message: Message {
                sink: None,
                key: None,
                kind: "kyc.decision".into(),
                content_type: None,
                headers: Vec::new(),
                body: "{}".into(),
                attributes: Vec::new(),
            },
            attempts: 0,
            created_at_ms: NOW,
        }),
        recorded: false,
        carry: (),
    }
}

fn loaded(seq: Seq, order: Option<i64>) -> Job<()> {
    Job {
        recorded: true,
        ..job(seq, order)
    }
}

fn error(class: Class) -> SinkError {
    SinkError::new(class, "http_503", "answered 503")
}

fn receipt() -> Receipt {
    Receipt {
        code: "200".to_owned(),
    }
}

/// The commands as words: `start 3`, `delivered 3`, `pending 3 @2000`, `dead 3`.
fn words(commands: &[Command<()>]) -> Vec<String> {
    commands
        .iter()
        .map(|command| match command {
            Command::Start(job) => format!("start {}", job.delivery.seq),
            Command::Settle(job, record) if record.state == State::Pending => {
                let after = u64::try_from(record.next_at_ms).unwrap() - NOW;
                format!("pending {} +{after}", job.delivery.seq)
            }
            Command::Settle(job, record) => {
                format!("{} {}", record.state.as_str(), job.delivery.seq)
            }
        })
        .collect()
}

/// The jobs of the start commands.
fn started(commands: Vec<Command<()>>) -> Vec<Job<()>> {
    commands
        .into_iter()
        .filter_map(|command| match command {
            Command::Start(job) => Some(job),
            Command::Settle(..) => None,
        })
        .collect()
}

fn start_one(lane: &mut Lane<()>, job: Job<()>) -> Job<()> {
    started(lane.offer(job, NOW)).pop().unwrap()
}

#[test]
fn at_most_concurrency_attempts_run_and_the_next_starts_when_one_ends() {
    let mut lane = lane(2);
    let first = start_one(&mut lane, job(1, None));
    assert_eq!(words(&lane.offer(job(2, None), NOW)), ["start 2"]);
    assert!(lane.offer(job(3, None), NOW).is_empty());
    let commands = lane.finish(first, Ok(receipt()), NOW, 0.5);
    assert_eq!(words(&commands), ["delivered 1", "start 3"]);
}

#[test]
fn deliveries_with_one_key_go_one_at_a_time_in_order_and_others_pass_them() {
    let mut lane = lane(8);
    let first = start_one(&mut lane, job(1, Some(7)));
    assert!(lane.offer(job(2, Some(7)), NOW).is_empty());
    assert!(lane.offer(job(3, Some(7)), NOW).is_empty());
    assert_eq!(words(&lane.offer(job(4, Some(8)), NOW)), ["start 4"]);
    let commands = lane.finish(first, Ok(receipt()), NOW, 0.5);
    assert_eq!(words(&commands), ["delivered 1", "start 2"]);
    let second = started(commands).pop().unwrap();
    let commands = lane.finish(second, Ok(receipt()), NOW, 0.5);
    assert_eq!(words(&commands), ["delivered 2", "start 3"]);
}

#[test]
fn a_transient_failure_parks_the_delivery_and_all_that_wait_behind_its_key() {
    let mut lane = lane(8);
    let first = start_one(&mut lane, job(1, Some(7)));
    lane.offer(job(2, Some(7)), NOW);
    let commands = lane.finish(first, Err(error(Class::Transient)), NOW, 1.0);
    assert_eq!(words(&commands), ["pending 1 +2000", "pending 2 +0"]);
    // Later ones of the key go behind them, others do not.
    assert_eq!(words(&lane.offer(job(3, Some(7)), NOW)), ["pending 3 +0"]);
    assert_eq!(words(&lane.offer(job(4, Some(8)), NOW)), ["start 4"]);
    assert_eq!(lane.stats(NOW).pending, 3);
}

#[test]
fn once_a_parked_key_is_through_its_next_delivery_starts_at_once() {
    let mut lane = lane(8);
    let first = start_one(&mut lane, job(1, Some(7)));
    lane.finish(first, Err(error(Class::Transient)), NOW, 1.0);
    lane.settled((1, 0), State::Pending, 1_002_000);
    assert_eq!(lane.read(NOW), Some(16), "the first look is due at once");
    lane.load(Vec::new(), 16, NOW);
    let later = NOW + 2_000;
    assert_eq!(lane.read(later), Some(16));
    let commands = lane.load(vec![loaded(1, Some(7))], 16, later);
    let again = started(commands).pop().unwrap();
    let commands = lane.finish(again, Ok(receipt()), later, 0.5);
    assert_eq!(words(&commands), ["delivered 1"]);
    assert_eq!(words(&lane.offer(job(2, Some(7)), later)), ["start 2"]);
    assert_eq!(lane.stats(later).pending, 0);
}

#[test]
fn attempts_and_permanent_errors_end_in_the_dead_letters_and_free_the_key() {
    let mut lane = lane(8);
    let mut last = job(1, Some(7));
    Arc::make_mut(&mut last.delivery).attempts = 2;
    let last = start_one(&mut lane, last);
    lane.offer(job(2, Some(7)), NOW);
    let commands = lane.finish(last, Err(error(Class::Transient)), NOW, 0.5);
    assert_eq!(words(&commands), ["dead 1", "start 2"]);
    let second = started(commands).pop().unwrap();
    let commands = lane.finish(second, Err(error(Class::Permanent)), NOW, 0.5);
    let Some(Command::Settle(_, record)) = commands.first() else {
        panic!("expected a record");
    };
    assert_eq!((record.state, record.attempts), (State::Dead, 1));
    assert_eq!(record.code, "http_503");
    assert!(record.message.is_some(), "a dead letter keeps its message");
    assert_eq!(record.attempt.as_ref().unwrap().class, "permanent");
}

#[test]
fn a_configuration_error_pauses_the_sink_burns_no_attempt_and_then_probes_with_one() {
    let mut lane = lane(4);
    let first = start_one(&mut lane, job(1, None));
    let commands = lane.finish(first, Err(error(Class::Configuration)), NOW, 0.5);
    assert_eq!(words(&commands), ["pending 1 +0"]);
    let Some(Command::Settle(parked, record)) = commands.first() else {
        panic!("expected a record");
    };
    assert_eq!((parked.delivery.attempts, record.attempts), (0, 0));
    assert_eq!(lane.stats(NOW).halted, Some(Halt::Configuration));
    for seq in 2..5 {
        assert!(lane.offer(job(seq, None), NOW).is_empty(), "paused");
    }
    assert_eq!(lane.wake_at_ms(NOW), Some(NOW + 30_000));
    let later = NOW + 30_000;
    let commands = lane.start(later);
    assert_eq!(words(&commands), ["start 2"], "one probe");
    let probe = started(commands).pop().unwrap();
    let commands = lane.finish(probe, Ok(receipt()), later, 0.5);
    assert_eq!(words(&commands), ["delivered 2", "start 3", "start 4"]);
}

#[test]
fn a_backlogged_lane_sends_everything_through_the_journal_until_nothing_is_pending() {
    let mut lane = lane(1);
    lane.set_backlogged();
    assert_eq!(words(&lane.offer(job(1, None), NOW)), ["pending 1 +0"]);
    lane.settled((1, 0), State::Pending, 1_000_000);
    let asked = lane.read(NOW).unwrap();
    let commands = lane.load(vec![loaded(1, None)], asked, NOW);
    assert_eq!(words(&commands), ["start 1"]);
    assert_eq!(words(&lane.offer(job(2, None), NOW)), ["pending 2 +0"]);
    let commands = lane.finish(started(commands).pop().unwrap(), Ok(receipt()), NOW, 0.5);
    assert_eq!(words(&commands), ["delivered 1"]);
    assert!(lane.backlogged());
    lane.settled((1, 0), State::Delivered, 0);
    lane.settled((2, 0), State::Pending, 1_000_000);
    let asked = lane.read(NOW).unwrap();
    let commands = lane.load(vec![loaded(2, None)], asked, NOW);
    lane.finish(started(commands).pop().unwrap(), Ok(receipt()), NOW, 0.5);
    assert!(!lane.backlogged());
    assert_eq!(words(&lane.offer(job(3, None), NOW)), ["start 3"]);
}

#[test]
fn a_row_that_is_being_worked_on_is_not_taken_twice() {
    let mut lane = lane(4);
    lane.set_backlogged();
    lane.offer(job(1, None), NOW);
    lane.settled((1, 0), State::Pending, 0);
    assert_eq!(
        words(&lane.load(vec![loaded(1, None)], 8, NOW)),
        ["start 1"]
    );
    assert!(lane.load(vec![loaded(1, None)], 8, NOW).is_empty());
}

#[test]
fn draining_parks_what_waits_due_at_once_and_starts_nothing() {
    let mut lane = lane(1);
    let first = start_one(&mut lane, job(1, Some(7)));
    lane.offer(job(2, Some(7)), NOW);
    lane.offer(job(3, None), NOW);
    let mut parked = words(&lane.drain(NOW));
    parked.sort();
    assert_eq!(parked, ["pending 2 +0", "pending 3 +0"]);
    let commands = lane.finish(first, Ok(receipt()), NOW, 0.5);
    assert_eq!(words(&commands), ["delivered 1"]);
    assert_eq!(words(&lane.offer(job(4, None), NOW)), ["pending 4 +0"]);
    assert_eq!(lane.read(NOW), None);
}

mod model {
    //! Random runs against the promises: nothing lost, no key out of order, no two of a key at a time.

    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// The journal as the lane sees it: pending rows by id.
    #[derive(Default)]
    struct World {
        rows: BTreeMap<DeliveryId, (Job<()>, u64)>,
        flying: Vec<Job<()>>,
        delivered: Vec<(Seq, Option<i64>)>,
        dead: Vec<Seq>,
    }

    impl World {
        fn apply(&mut self, lane: &mut Lane<()>, commands: Vec<Command<()>>) {
            for command in commands {
                match command {
                    Command::Start(job) => {
                        let key = job.delivery.order;
                        assert!(
                            key.is_none()
                                || self.flying.iter().all(|other| other.delivery.order != key),
                            "two of one key in flight"
                        );
                        self.flying.push(job);
                    }
                    Command::Settle(job, record) => {
                        let id = (job.delivery.seq, job.delivery.ordinal);
                        match record.state {
                            State::Pending => {
                                let due = u64::try_from(record.next_at_ms).unwrap();
                                self.rows.insert(id, (copy(&job), due));
                            }
                            State::Delivered => {
                                self.rows.remove(&id);
                                self.delivered.push((id.0, job.delivery.order));
                            }
                            State::Dead | State::Dropped => {
                                self.rows.remove(&id);
                                self.dead.push(id.0);
                            }
                        }
                        lane.settled(id, record.state, record.next_at_ms);
                    }
                }
            }
        }

        fn due(&self, now: u64, limit: usize) -> Vec<Job<()>> {
            let mut seen = std::collections::HashSet::new();
            self.rows
                .values()
                .filter(|(job, due)| {
                    let oldest = job.delivery.order.is_none_or(|key| seen.insert(key));
                    oldest && *due <= now
                })
                .take(limit)
                .map(|(job, _)| copy(job))
                .collect()
        }
    }

    fn copy(job: &Job<()>) -> Job<()> {
        Job {
            delivery: job.delivery.clone(),
            recorded: true,
            carry: (),
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_key_is_out_of_order(
            steps in prop::collection::vec((0u8..6, 0usize..8, 0i64..4, 0u64..3000), 1..200)
        ) {
            let mut lane = lane(3);
            let mut world = World::default();
            let mut now = NOW;
            let mut seq = 0;
            for (what, which, key, pass) in steps {
                now += pass;
                let commands = match what {
                    0 | 1 => {
                        seq += 1;
                        lane.offer(job(seq, (key > 0).then_some(key)), now)
                    }
                    2 | 3 if !world.flying.is_empty() => {
                        let job = world.flying.swap_remove(which % world.flying.len());
                        let result = match which {
                            0 | 1 => Err(error(Class::Transient)),
                            2 => Err(error(Class::Permanent)),
                            3 => Err(error(Class::Configuration)),
                            _ => Ok(receipt()),
                        };
                        lane.finish(job, result, now, 0.5)
                    }
                    4 => {
                        if which == 0 {
                            lane.set_backlogged();
                        }
                        match lane.read(now) {
                            Some(asked) => {
                                let rows = world.due(now, asked);
                                lane.load(rows, asked, now)
                            }
                            None => lane.start(now),
                        }
                    }
                    _ => lane.start(now),
                };
                world.apply(&mut lane, commands);
            }
            // From here on everything succeeds; all that was offered has to end.
            for _ in 0..10_000 {
                if world.delivered.len() + world.dead.len() == usize::try_from(seq).unwrap() {
                    break;
                }
                now += 500;
                let commands = match lane.read(now) {
                    Some(asked) => lane.load(world.due(now, asked), asked, now),
                    None => lane.start(now),
                };
                world.apply(&mut lane, commands);
                while let Some(job) = world.flying.pop() {
                    let commands = lane.finish(job, Ok(receipt()), now, 0.5);
                    world.apply(&mut lane, commands);
                }
            }
            let ended = world.delivered.len() + world.dead.len();
            prop_assert_eq!(ended, usize::try_from(seq).unwrap(), "something never ended");
            for key in 1..4 {
                let of_key: Vec<Seq> = world
                    .delivered
                    .iter()
                    .filter(|(_, order)| *order == Some(key))
                    .map(|(seq, _)| *seq)
                    .collect();
                prop_assert!(of_key.is_sorted(), "key {} out of order: {:?}", key, of_key);
            }
        }
    }
}
