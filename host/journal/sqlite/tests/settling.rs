//! Settlements, what is due, and what a reader sees of it.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::journal::Attempt;

fn pending(ordinal: u32, sink: &str, key_hash: Option<i64>, next_at_ms: i64) -> Record {
    Record {
        key_hash,
        next_at_ms,
        ..record(ordinal, sink, State::Pending)
    }
}

async fn due(journal: &SqliteJournal, sink: &str, now_ms: u64) -> Vec<(Seq, u32)> {
    let found = journal.due(sink, now_ms, 100).await.unwrap();
    found
        .iter()
        .map(|due| (due.seq, due.record.ordinal))
        .collect()
}

#[tokio::test]
async fn a_success_leaves_one_delivery_row_and_nothing_else() {
    let world = World::new();
    let journal = world.open();
    let seq = store(&journal, "a").await;
    journal.settle(delivered(seq)).await.unwrap();
    assert_eq!(journal.stats().open, 0);
    for (table, rows) in [
        ("delivery", 1),
        ("open", 0),
        ("message", 0),
        ("attempt", 0),
        ("plugin_set", 1),
    ] {
        assert_eq!(
            world.figure(&format!("SELECT count(*) FROM {table}")),
            rows,
            "{table}"
        );
    }
}

#[tokio::test]
async fn a_settled_event_does_not_come_out_of_next_again() {
    let world = World::new();
    let journal = world.open();
    let done = store(&journal, "done").await;
    let waiting = store(&journal, "waiting").await;
    let parked = store(&journal, "parked").await;
    journal.settle(delivered(done)).await.unwrap();
    let records = vec![pending(0, "crm", None, 5)];
    journal.settle(settlement(parked, records)).await.unwrap();
    journal.close().await;
    let journal = world.open();
    let taken = take(&journal, 1).await;
    assert_eq!(taken[0].seq, waiting);
    let more = tokio::time::timeout(Duration::from_millis(20), journal.next(1)).await;
    assert!(more.is_err(), "nothing else waits for its routes");
}

#[tokio::test]
async fn a_record_without_planned_leaves_the_event_waiting() {
    let world = World::new();
    let journal = world.open();
    let seq = store(&journal, "a").await;
    let partly = Settlement {
        seq,
        records: vec![record(0, "crm", State::Delivered)],
        planned: false,
    };
    journal.settle(partly).await.unwrap();
    journal.close().await;
    let journal = world.open();
    assert_eq!(take(&journal, 1).await[0].seq, seq);
    journal.settle(settlement(seq, Vec::new())).await.unwrap();
    assert_eq!(journal.stats().open, 0);
}

#[tokio::test]
async fn an_event_is_finished_when_its_last_pending_delivery_is() {
    let world = World::new();
    let journal = world.open();
    let seq = store(&journal, "a").await;
    let id = take(&journal, 1).await[0].event.id;
    let records = vec![pending(0, "crm", None, 5), pending(1, "kafka", None, 5)];
    journal.settle(settlement(seq, records)).await.unwrap();
    assert_eq!(journal.pending_sinks().await.unwrap(), ["crm", "kafka"]);
    let one = settlement(seq, vec![record(1, "kafka", State::Delivered)]);
    journal.settle(one).await.unwrap();
    assert!(!journal.event(id).await.unwrap().unwrap().finished);
    assert_eq!(journal.pending_sinks().await.unwrap(), ["crm"]);
    let other = settlement(seq, vec![record(0, "crm", State::Dead)]);
    journal.settle(other).await.unwrap();
    assert!(journal.event(id).await.unwrap().unwrap().finished);
    assert_eq!((journal.stats().open, journal.stats().dead), (0, 1));
    // A replay makes it pending again; then the event is not finished, and not to be planned anew.
    let again = settlement(seq, vec![pending(0, "crm", None, 5)]);
    journal.settle(again).await.unwrap();
    assert_eq!((journal.stats().open, journal.stats().dead), (1, 0));
    assert_eq!(world.figure("SELECT planned FROM open"), 1);
}

#[tokio::test]
async fn the_message_is_kept_while_a_delivery_is_pending_or_dead_and_no_longer() {
    let world = World::new();
    let journal = world.open();
    let seq = store(&journal, "a").await;
    let parked = settlement(seq, vec![pending(0, "crm", None, 5)]);
    journal.settle(parked).await.unwrap();
    let found = journal.due("crm", 5, 10).await.unwrap();
    assert_eq!(found[0].record.message, Some(message_as(&found[0].record)));
    assert_eq!(found[0].created_at_ms, START_MS);
    assert_eq!(found[0].event.body, "", "the message is what goes out");
    // A later record without the message leaves what is stored.
    let mut later = pending(0, "crm", None, 9);
    later.message = None;
    later.at_ms += 1000;
    journal.settle(settlement(seq, vec![later])).await.unwrap();
    let found = journal.due("crm", 9, 10).await.unwrap();
    assert!(found[0].record.message.is_some());
    assert_eq!(found[0].created_at_ms, START_MS, "of the first record");
    journal.settle(delivered(seq)).await.unwrap();
    assert_eq!(world.figure("SELECT count(*) FROM message"), 0);
}

fn message_as(record: &Record) -> Message {
    let mut expected = message("out");
    // Its attributes and headers are compared through the one that was read.
    if let Some(read) = &record.message {
        assert_eq!(read.headers, expected.headers);
        expected.attributes.clone_from(&read.attributes);
    }
    expected
}

#[tokio::test]
async fn a_pending_delivery_without_message_comes_with_the_whole_event() {
    let world = World::new();
    let journal = world.open();
    let whole = event("the body");
    journal.append(Arc::clone(&whole), None).await.unwrap();
    let mut retry = pending(0, "", None, 5);
    retry.message = None;
    journal.settle(settlement(1, vec![retry])).await.unwrap();
    let found = journal.due("", 5, 10).await.unwrap();
    assert_eq!(found[0].event, whole);
    assert_eq!(found[0].record.message, None);
}

#[tokio::test]
async fn what_is_held_in_memory_is_due_after_a_restart_only() {
    let world = World::new();
    let journal = world.open();
    let first = store(&journal, "a").await;
    let second = store(&journal, "b").await;
    for seq in [first, second] {
        let held = pending(0, "crm", Some(1), HELD_IN_MEMORY);
        journal.settle(settlement(seq, vec![held])).await.unwrap();
    }
    assert_eq!(due(&journal, "crm", u64::MAX).await, []);
    let backlog = journal.backlog("crm").await.unwrap();
    assert_eq!((backlog.pending, backlog.next_at_ms), (0, None));
    assert_eq!(backlog.keys, Some(Vec::new()));
    journal.close().await;
    world.later(DAY);
    let journal = world.open();
    let now_ms = START_MS + millis(DAY);
    assert_eq!(due(&journal, "crm", now_ms - 1).await, []);
    assert_eq!(due(&journal, "crm", now_ms).await, [(first, 0)]);
    journal
        .settle(settlement(first, vec![record(0, "crm", State::Delivered)]))
        .await
        .unwrap();
    assert_eq!(due(&journal, "crm", now_ms).await, [(second, 0)]);
}

#[tokio::test]
async fn after_a_restart_keyed_deliveries_wait_for_older_events_to_be_planned_again() {
    let world = World::new();
    let journal = world.open();
    let waiting = store(&journal, "waits for its routes").await;
    let mut seqs = Vec::new();
    for key_hash in [Some(1), None] {
        let seq = store(&journal, "parked").await;
        let parked = pending(0, "crm", key_hash, 5);
        journal.settle(settlement(seq, vec![parked])).await.unwrap();
        seqs.push(seq);
    }
    // In one process the order is the lanes' business.
    assert_eq!(due(&journal, "crm", 5).await, [(seqs[0], 0), (seqs[1], 0)]);
    journal.close().await;
    let journal = world.open();
    assert_eq!(due(&journal, "crm", 5).await, [(seqs[1], 0)]);
    journal.settle(delivered(waiting)).await.unwrap();
    assert_eq!(due(&journal, "crm", 5).await, [(seqs[0], 0), (seqs[1], 0)]);
}

#[tokio::test]
async fn a_blocked_key_holds_back_its_own_deliveries_and_no_others() {
    let world = World::new();
    let journal = world.open();
    for (key_hash, next_at_ms) in [(1, 100), (1, 5), (2, 5), (2, 5)] {
        let seq = store(&journal, "a").await;
        let record = pending(0, "crm", Some(key_hash), next_at_ms);
        journal.settle(settlement(seq, vec![record])).await.unwrap();
    }
    assert_eq!(due(&journal, "crm", 50).await, [(3, 0)]);
    assert_eq!(due(&journal, "crm", 100).await, [(3, 0), (1, 0)]);
    let backlog = journal.backlog("crm").await.unwrap();
    assert_eq!(backlog.keys, Some(vec![(1, 2), (2, 2)]));
    assert_eq!(backlog.next_at_ms, Some(5));
}

#[tokio::test]
async fn failed_attempts_are_kept_in_order() {
    let world = World::new();
    let journal = world.open();
    let seq = store(&journal, "a").await;
    let id = take(&journal, 1).await[0].event.id;
    for number in [1, 2, 3] {
        let mut record = pending(0, "crm", None, 5);
        record.attempts = number;
        record.attempt = Some(Attempt {
            number,
            at_ms: START_MS + u64::from(number),
            class: "configuration",
            code: "http_401".to_owned(),
            detail: format!("attempt {number}"),
        });
        journal.settle(settlement(seq, vec![record])).await.unwrap();
    }
    let found = journal.event(id).await.unwrap().unwrap();
    let attempts = &found.deliveries[0].attempts;
    let details: Vec<&str> = attempts
        .iter()
        .map(|attempt| attempt.detail.as_str())
        .collect();
    assert_eq!(details, ["attempt 1", "attempt 2", "attempt 3"]);
    assert_eq!(attempts[0].class, "configuration");
    assert_eq!(found.deliveries[0].record.attempts, 3);
    assert_eq!(found.deliveries[0].record.plugins, "redact@ab12");
}

#[tokio::test]
async fn records_of_an_unknown_event_are_left_out() {
    let world = World::new();
    let journal = world.open();
    journal.settle(delivered(99)).await.unwrap();
    assert_eq!(world.figure("SELECT count(*) FROM delivery"), 0);
}

#[tokio::test]
async fn events_are_listed_newest_first_by_what_is_asked_for() {
    let world = World::new();
    let journal = world.open();
    for number in 0..6_u64 {
        let mut event = Event::clone(&event("body"));
        event.received_at_ms += number;
        if number % 2 == 0 {
            event.source = "stripe".into();
            event.kind = "charge".to_owned();
        }
        journal.append(event.into(), None).await.unwrap();
    }
    let states = [
        State::Delivered,
        State::Dropped,
        State::Dead,
        State::Pending,
    ];
    for (seq, state) in (1..).zip(states) {
        let records = vec![record(0, "crm", state)];
        journal.settle(settlement(seq, records)).await.unwrap();
    }
    let all = || EventQuery {
        limit: 100,
        ..EventQuery::default()
    };
    for (query, expected) in [
        (all(), vec![6, 5, 4, 3, 2, 1]),
        (EventQuery { limit: 2, ..all() }, vec![6, 5]),
        (EventQuery { limit: 0, ..all() }, vec![6]),
        (
            EventQuery {
                before: Some(3),
                ..all()
            },
            vec![2, 1],
        ),
        (
            EventQuery {
                since_ms: Some(START_MS + 4),
                ..all()
            },
            vec![6, 5],
        ),
        (
            EventQuery {
                source: Some("stripe".to_owned()),
                ..all()
            },
            vec![5, 3, 1],
        ),
        (
            EventQuery {
                kind: Some("status.updated".to_owned()),
                ..all()
            },
            vec![6, 4, 2],
        ),
        (
            EventQuery {
                state: Some(State::Delivered),
                ..all()
            },
            vec![1],
        ),
        (
            EventQuery {
                state: Some(State::Dropped),
                ..all()
            },
            vec![2],
        ),
        (
            EventQuery {
                state: Some(State::Dead),
                ..all()
            },
            vec![3],
        ),
        (
            EventQuery {
                state: Some(State::Pending),
                ..all()
            },
            vec![4],
        ),
        (
            EventQuery {
                state: Some(State::Dead),
                source: Some("didit".to_owned()),
                ..all()
            },
            vec![],
        ),
    ] {
        let found = journal.events(query.clone()).await.unwrap();
        let places: Vec<Seq> = found.iter().map(|event| event.seq).collect();
        assert_eq!(places, expected, "{query:?}");
    }
    let found = journal.events(all()).await.unwrap();
    assert_eq!((found[0].body_bytes, found[0].event.body.len()), (4, 0));
    assert_eq!((found[0].finished, found[5].finished), (false, true));
    assert_eq!(found[5].deliveries[0].record.state, State::Delivered);
    let one = journal.event(found[0].event.id).await.unwrap().unwrap();
    assert_eq!(one.event.body, "body");
    assert!(journal.event(EventId::now()).await.unwrap().is_none());
}

/// A write of one delivery's record.
#[derive(Clone, Debug)]
struct Put {
    seq: Seq,
    ordinal: u32,
    state: State,
    sink: &'static str,
    key_hash: Option<i64>,
    next_at_ms: i64,
}

fn put() -> impl Strategy<Value = Put> {
    let state = prop_oneof![
        4 => Just(State::Pending),
        1 => Just(State::Delivered),
        1 => Just(State::Dead),
        1 => Just(State::Dropped),
    ];
    let key_hash = prop_oneof![Just(None), (1..3i64).prop_map(Some)];
    let next_at_ms = prop_oneof![4 => 1..20i64, 1 => Just(HELD_IN_MEMORY)];
    (
        1..5i64,
        0..3u32,
        state,
        prop_oneof![Just("a"), Just("b")],
        key_hash,
        next_at_ms,
    )
        .prop_map(|(seq, ordinal, state, sink, key_hash, next_at_ms)| Put {
            seq,
            ordinal,
            state,
            sink,
            key_hash,
            next_at_ms,
        })
}

/// What `due` has to give, by the words of its contract.
fn expected_due(puts: &BTreeMap<(Seq, u32), Put>, sink: &str, now: i64) -> Vec<(Seq, u32)> {
    let pending: Vec<_> = puts
        .iter()
        .filter(|(_, put)| put.state == State::Pending && put.sink == sink)
        .collect();
    let mut found: Vec<_> = pending
        .iter()
        .filter(|(place, put)| {
            let is_oldest = pending
                .iter()
                .find(|(_, other)| other.key_hash == put.key_hash)
                .is_some_and(|(oldest, _)| oldest == place);
            (put.key_hash.is_none() || is_oldest) && put.next_at_ms <= now
        })
        .map(|(place, put)| (put.next_at_ms, **place))
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, place)| place).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn due_backlog_and_figures_agree_with_a_plain_list(
        batches in prop::collection::vec(prop::collection::vec(put(), 1..4), 1..25),
        restart_at in 0..25usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new();
            let mut journal = world.open();
            for _ in 1..5 {
                store(&journal, "x").await;
            }
            for seq in 1..5 {
                journal.settle(settlement(seq, Vec::new())).await.unwrap();
            }
            let mut puts = BTreeMap::new();
            for (index, batch) in batches.into_iter().enumerate() {
                for put in batch {
                    let record = Record {
                        key_hash: put.key_hash,
                        next_at_ms: put.next_at_ms,
                        ..record(put.ordinal, put.sink, put.state)
                    };
                    journal.settle(settlement(put.seq, vec![record])).await.unwrap();
                    puts.insert((put.seq, put.ordinal), put);
                }
                if index == restart_at {
                    journal.close().await;
                    journal = world.open();
                    for put in puts.values_mut().filter(|put| put.next_at_ms == HELD_IN_MEMORY) {
                        put.next_at_ms = START_MS as i64;
                    }
                }
                for sink in ["a", "b"] {
                    let late = START_MS as i64;
                    for now in [0, 10, late] {
                        let found = due(&journal, sink, now as u64).await;
                        assert_eq!(found, expected_due(&puts, sink, now), "{sink} at {now}");
                    }
                    let pending = |put: &&Put| {
                        let waits = put.state == State::Pending && put.next_at_ms != HELD_IN_MEMORY;
                        waits && put.sink == sink
                    };
                    let mut keys = BTreeMap::new();
                    for put in puts.values().filter(pending) {
                        if let Some(key_hash) = put.key_hash {
                            *keys.entry(key_hash).or_insert(0) += 1;
                        }
                    }
                    let backlog = journal.backlog(sink).await.unwrap();
                    assert_eq!(backlog.pending, puts.values().filter(pending).count() as u64);
                    assert_eq!(backlog.keys, Some(keys.into_iter().collect()));
                    let first = expected_due(&puts, sink, HELD_IN_MEMORY - 1);
                    let next_at_ms = first.first().map(|place| puts[place].next_at_ms);
                    assert_eq!(backlog.next_at_ms, next_at_ms);
                }
                let open = (1..5).filter(|seq| {
                    puts.values().any(|put| put.seq == *seq && put.state == State::Pending)
                });
                assert_eq!(journal.stats().open, open.count() as u64);
                let dead = puts.values().filter(|put| put.state == State::Dead).count();
                assert_eq!(journal.stats().dead, dead as u64);
            }
            journal.close().await;
        });
    }
}
