//! A seeded simulation of delivery: thousands of short lives of events, sinks, reloads and crashes.
//!
//! What decides is the real thing ([`Lane`](super::lane::Lane), [`Progress`](super::Progress), the throttle, the
//! retry policy); what surrounds it is a model that does the worst that its promises allow: a journal that answers
//! late and out of step with its reads, sinks that fail, stall and confirm what they then deny, workers that run in
//! any order, a clock that jumps and is set back, reloads, and the end of the process at any step.
//! One seed gives one life. After it everything heals, and then these hold:
//!
//! - each delivery of each event is delivered, or is a dead letter for a reason;
//! - first deliveries of a key came in order, and no two of a key were ever under way at once;
//! - no more attempts were under way than the sink's concurrency;
//! - nothing was delivered twice but after a crash or an unknown outcome;
//! - nothing is left in any worker, and none still takes the way through the journal.
//!
//! The last tests break the journal's promises one by one, and expect to be caught at it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod journal;
mod worker;
mod world;

use std::sync::Arc;

use crate::event::{EventId, Message};
use crate::journal::Seq;
use crate::sink::{Delivery, Origin};
use world::{Life, Mischief, Told};

/// Lives that every test run looks at; `HOOKSWITCH_SEEDS` asks for more.
const LIVES: u64 = 3_000;
/// Lives in which a broken promise has to be noticed at least once.
const LIVES_TO_NOTICE: u64 = 1_000;

fn lives() -> u64 {
    std::env::var("HOOKSWITCH_SEEDS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(LIVES)
}

/// The deliveries that the simulation is about differ in nothing but these.
fn delivery(seq: Seq, ordinal: u32, sink: &str, order: Option<i64>) -> Delivery {
    Delivery {
        seq,
        ordinal,
        route: "route".into(),
        sink: sink.into(),
        origin: Arc::new(Origin {
            event_id: EventId::from_bytes([7; 16]),
            source: "source".into(),
            provider: "provider".into(),
            provider_event_id: None,
            received_at_ms: 1,
        }),
        message_id: seq.to_string(),
        key: order.map(|key| key.to_string()),
        order,
        plugins: "".into(),
        message: Message {
            sink: None,
            key: None,
            kind: "t".into(),
            content_type: None,
            headers: Vec::new(),
            body: "{}".into(),
            attributes: Vec::new(),
        },
        attempts: 0,
        created_at_ms: 1,
    }
}

#[test]
fn in_every_life_all_deliveries_end_once_and_in_order() {
    let lives = lives();
    let mut all = Told::default();
    for seed in 0..lives {
        match Life::new(seed, None).live() {
            Ok(told) => {
                all.crashes += told.crashes;
                all.events += told.events;
                all.received += told.received;
                all.dead += told.dead;
                all.length_ms += told.length_ms;
            }
            Err(fault) => panic!(
                "seed {seed}: {fault}\nonce more, step by step: HOOKSWITCH_SEED={seed} cargo test --release --lib one_life -- --nocapture"
            ),
        }
    }
    println!("{lives} lives: {all:?}");
    assert!(all.crashes > lives / 4 && all.dead > 0, "{all:?}");
}

/// For a person who looks into a seed: tells the life of `HOOKSWITCH_SEED` step by step.
#[test]
fn one_life_told_step_by_step() {
    let Some(seed) = std::env::var("HOOKSWITCH_SEED").ok() else {
        return;
    };
    let mut life = Life::new(seed.parse().unwrap(), None);
    life.aloud = true;
    if let Err(fault) = life.live() {
        panic!("seed {seed}: {fault}");
    }
}

#[test]
fn one_seed_is_one_life() {
    for seed in 0..50 {
        let told = || Life::new(seed, None).live().unwrap();
        assert_eq!(told(), told());
    }
}

/// The first seed whose life notices the mischief, and as what.
fn noticed(mischief: Mischief) -> (u64, String) {
    (0..LIVES_TO_NOTICE)
        .find_map(|seed| {
            let fault = Life::new(seed, Some(mischief)).live().err()?;
            Some((seed, fault))
        })
        .unwrap_or_else(|| panic!("{mischief:?} was not noticed in {LIVES_TO_NOTICE} lives"))
}

#[test]
fn a_read_that_is_older_than_its_question_is_noticed() {
    noticed(Mischief::StaleReads);
}

#[test]
fn settlements_in_another_order_are_noticed() {
    noticed(Mischief::ShuffledSettlements);
}

#[test]
fn a_settlement_that_is_answered_and_not_written_is_noticed() {
    noticed(Mischief::LostSettlements);
}

#[test]
fn records_that_are_queued_some_time_after_their_report_are_noticed() {
    noticed(Mischief::LateQueue);
}

#[test]
fn a_held_delivery_that_is_counted_as_waiting_is_noticed() {
    let (_, fault) = noticed(Mischief::HeldCounts);
    assert!(fault.contains("left behind"), "{fault}");
}

#[test]
fn a_delivery_that_overtakes_an_unplanned_event_of_its_key_is_noticed() {
    let (_, fault) = noticed(Mischief::Impatient);
    assert!(fault.contains("came first after"), "{fault}");
}

#[test]
fn a_sink_that_forgets_what_it_confirmed_is_noticed() {
    noticed(Mischief::ForgetfulSinks);
}
