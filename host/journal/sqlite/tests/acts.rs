//! Acts of operators: what they change, what they leave alone, and their entries in the audit log.

use rusqlite::ffi::SQLITE_FULL;

use super::*;
use crate::journal::Attempt;
use crate::journal::archive::{Act, Acted, Archive, DeadQuery, DeliveryId, Which};
use crate::journal::audit::{Actor, Check, Deed, Fault};

fn actor() -> Actor {
    Actor::new("ada", "127.0.0.1")
}

fn all(limit: u32) -> Which {
    Which::Oldest {
        query: DeadQuery::default(),
        limit,
    }
}

fn replay(which: Which) -> Act {
    Act::Replay {
        which,
        sinks: vec!["crm".into(), "kafka".into()],
    }
}

fn discard(which: Which) -> Act {
    Act::Discard {
        which,
        reason: "OPS-7".to_owned(),
    }
}

fn failed(number: u32) -> Attempt {
    Attempt {
        number,
        at_ms: START_MS,
        class: "transient",
        code: "http_503".to_owned(),
        detail: "503".to_owned(),
    }
}

/// A dead letter for `sink` that died `after_ms` after the start, after three attempts.
fn dead(ordinal: u32, sink: &str, after_ms: u64) -> Record {
    Record {
        attempts: 3,
        at_ms: START_MS + after_ms,
        code: "http_503".to_owned(),
        detail: "no attempts left".to_owned(),
        attempt: Some(failed(3)),
        message: (!sink.is_empty()).then(|| message("out")),
        ..record(ordinal, sink, State::Dead)
    }
}

async fn bury(journal: &SqliteJournal, records: Vec<Record>) -> (Seq, EventId) {
    let seq = store(journal, "a").await;
    journal.settle(settlement(seq, records)).await.unwrap();
    let query = EventQuery {
        limit: 1,
        ..EventQuery::default()
    };
    let newest = journal.events(query).await.unwrap();
    (seq, newest[0].event.id)
}

async fn act(journal: &SqliteJournal, act: Act) -> Acted {
    journal.act(act, actor()).await.unwrap()
}

/// Checks the audit log and gives its entries.
async fn audited(journal: &SqliteJournal) -> Vec<serde_json::Value> {
    let rows = journal.audit(0, 1000).await.unwrap();
    let mut check = Check::new(Vec::new());
    rows.iter().for_each(|row| check.row(row));
    let verdict = check.end(journal.audit_head().await.unwrap());
    assert_eq!(verdict.faults, []);
    rows.iter()
        .map(|row| serde_json::from_str(&row.text).unwrap())
        .collect()
}

#[tokio::test]
async fn a_replayed_delivery_is_held_with_its_message_and_counts_its_attempts_on() {
    let world = World::new();
    let journal = world.open();
    let (seq, event) = bury(&journal, vec![dead(0, "crm", 0)]).await;
    world.later(DAY / 2);
    let now_ms = START_MS + millis(DAY / 2);
    let id = DeliveryId { event, ordinal: 0 };
    let acted = act(&journal, replay(Which::One(id))).await;
    assert_eq!(acted.done, [(id, seq)]);
    assert_eq!((journal.stats().open, journal.stats().dead), (1, 0));
    // Nobody but the one who replayed it may take it, until a restart.
    let any_time = u64::MAX;
    assert!(journal.due("crm", any_time, 9).await.unwrap().is_empty());
    let held = journal.pending(vec![(seq, 0)]).await.unwrap();
    let row = &held[0];
    assert_eq!(row.created_at_ms, now_ms, "its age begins anew");
    assert_eq!(row.record.attempts, 0, "so do its attempts");
    assert_eq!(row.record.message_id, "id");
    assert!(row.record.message.is_some());
    assert_eq!(row.event.id, event);
    // It fails once more, is parked, and fails for good.
    let mut parked = row.record.clone();
    (parked.attempts, parked.next_at_ms) = (1, 5);
    parked.attempt = Some(failed(1));
    journal.settle(settlement(seq, vec![parked])).await.unwrap();
    let row = &journal.due("crm", 5, 9).await.unwrap()[0];
    assert_eq!(row.record.attempts, 1);
    let mut again = dead(0, "crm", 0);
    again.attempts = 2;
    again.attempt = Some(failed(2));
    journal.settle(settlement(seq, vec![again])).await.unwrap();
    let found = journal.dead_letter(id).await.unwrap().unwrap();
    assert_eq!(found.delivery.record.attempts, 5);
    let numbers: Vec<u32> = found.delivery.attempts.iter().map(|a| a.number).collect();
    assert_eq!(numbers, [3, 4, 5], "history goes on");
    let listed = &journal
        .dead_letters(DeadQuery::default(), None, 9)
        .await
        .unwrap()[0];
    assert_eq!(listed.replays.count, 1);
    assert_eq!(listed.replays.last_ms, Some(now_ms));
    assert_eq!(listed.replays.attempts_before, 3);
}

#[tokio::test]
async fn a_restart_makes_what_was_replayed_due() {
    let world = World::new();
    let journal = world.open();
    let (seq, _) = bury(&journal, vec![dead(0, "crm", 0)]).await;
    act(&journal, replay(all(9))).await;
    journal.close().await;
    let journal = world.open();
    let due = journal.due("crm", START_MS, 9).await.unwrap();
    assert_eq!(due[0].seq, seq);
    assert_eq!(due[0].record.attempts, 0);
}

#[tokio::test]
async fn what_died_before_a_sink_was_chosen_is_due_at_once_for_its_plugins() {
    let world = World::new();
    let journal = world.open();
    let (seq, _) = bury(&journal, vec![dead(0, "", 0)]).await;
    act(&journal, replay(all(9))).await;
    let due = journal.due("", START_MS, 9).await.unwrap();
    assert_eq!((due[0].seq, &*due[0].event.body), (seq, b"a".as_slice()));
}

#[tokio::test]
async fn of_many_replays_at_once_each_dead_letter_is_taken_by_one() {
    let world = World::new();
    let journal = world.open();
    let mut ids = Vec::new();
    for after_ms in 0..20 {
        let (_, event) = bury(&journal, vec![dead(0, "crm", after_ms)]).await;
        ids.push(DeliveryId { event, ordinal: 0 });
    }
    let mut tasks = Vec::new();
    for id in &ids {
        for which in [Which::One(*id), all(3), Which::One(*id)] {
            let journal = Arc::clone(&journal);
            tasks.push(tokio::spawn(async move {
                act(&journal, replay(which)).await.done
            }));
        }
    }
    let mut taken = Vec::new();
    for task in tasks {
        taken.extend(task.await.unwrap().into_iter().map(|(id, _)| id));
    }
    assert_eq!(taken.len(), ids.len());
    assert!(ids.iter().all(|id| taken.contains(id)));
    assert_eq!(journal.stats().open, 20);
    assert_eq!(world.figure("SELECT max(replays) FROM delivery"), 1);
    let items: usize = audited(&journal)
        .await
        .iter()
        .map(|entry| entry["items"].as_array().map_or(1, Vec::len))
        .sum();
    assert_eq!(items, 20, "each is in the audit log once");
}

#[tokio::test]
async fn a_discarded_delivery_is_dropped_with_the_reason_and_loses_its_message() {
    let world = World::new();
    let journal = world.open();
    let (_, event) = bury(&journal, vec![dead(0, "crm", 0), dead(1, "kafka", 0)]).await;
    let id = DeliveryId { event, ordinal: 1 };
    act(&journal, discard(Which::One(id))).await;
    assert_eq!(world.figure("SELECT count(*) FROM message"), 1);
    assert_eq!((journal.stats().open, journal.stats().dead), (0, 1));
    let found = journal.event(event).await.unwrap().unwrap();
    let record = &found.deliveries[1].record;
    assert_eq!(record.state, State::Dropped);
    assert_eq!(record.code, "discarded");
    assert_eq!(record.detail, "OPS-7 (was http_503: no attempts left)");
    assert_eq!(record.attempts, 3);
    assert_eq!(found.deliveries[1].attempts.len(), 1);
    assert_eq!(
        act(&journal, discard(Which::One(id))).await,
        Acted::default()
    );
    assert_eq!(
        act(&journal, replay(Which::One(id))).await,
        Acted::default()
    );
    let entries = audited(&journal).await;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0]["act"], "dead_letters.discard");
    assert_eq!(entries[0]["reason"], "OPS-7");
    assert_eq!(entries[0]["subject"], id.to_string());
}

#[tokio::test]
async fn an_act_takes_the_first_that_died_as_the_filter_says_and_only_for_known_sinks() {
    let world = World::new();
    let journal = world.open();
    let gone = bury(&journal, vec![dead(0, "gone", 0)]).await.0;
    let young = bury(&journal, vec![dead(0, "crm", 30)]).await.0;
    let old = bury(&journal, vec![dead(0, "crm", 10)]).await.0;
    let other = bury(&journal, vec![dead(0, "kafka", 20)]).await.0;
    let acted = act(&journal, replay(all(2))).await;
    let seqs: Vec<Seq> = acted.done.iter().map(|(_, seq)| *seq).collect();
    assert_eq!(seqs, [old, other]);
    let query = DeadQuery {
        sink: Some("crm".to_owned()),
        until_ms: Some(START_MS + 31),
        ..DeadQuery::default()
    };
    let which = Which::Oldest { query, limit: 500 };
    assert_eq!(act(&journal, replay(which)).await.done[0].1, young);
    let left = journal
        .dead_letters(DeadQuery::default(), None, 9)
        .await
        .unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].place.seq, gone);
    let subjects: Vec<_> = audited(&journal).await;
    assert_eq!(subjects[0]["subject"], "all");
    assert_eq!(
        subjects[1]["subject"],
        format!("sink=crm until={}", START_MS + 31)
    );
}

#[tokio::test]
async fn dead_letters_are_listed_by_page_and_counted_by_filter() {
    let world = World::new();
    let journal = world.open();
    let mut places = Vec::new();
    for number in 0..7_u64 {
        // Some die in the same millisecond, some events die twice.
        let records = vec![dead(0, "crm", number / 2), dead(1, "kafka", number / 2)];
        let (seq, _) = bury(&journal, records).await;
        places.extend([(number / 2, seq, 0), (number / 2, seq, 1)]);
    }
    places.sort_unstable();
    places.reverse();
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let page = journal
            .dead_letters(DeadQuery::default(), before, 3)
            .await
            .unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.place);
        found.extend(page.iter().map(|letter| {
            let place = letter.place;
            (place.at_ms - START_MS, place.seq, place.ordinal)
        }));
    }
    assert_eq!(found, places);
    let count = async |query: DeadQuery| journal.count_dead_letters(query).await.unwrap();
    assert_eq!(count(DeadQuery::default()).await, 14);
    let text = |text: &str| Some(text.to_owned());
    for (query, expected) in [
        (
            DeadQuery {
                sink: text("crm"),
                ..DeadQuery::default()
            },
            7,
        ),
        (
            DeadQuery {
                sink: text(""),
                ..DeadQuery::default()
            },
            0,
        ),
        (
            DeadQuery {
                source: text("didit"),
                ..DeadQuery::default()
            },
            14,
        ),
        (
            DeadQuery {
                source: text("idwise"),
                ..DeadQuery::default()
            },
            0,
        ),
        (
            DeadQuery {
                cause: text("http_503"),
                kind: text("status.updated"),
                ..DeadQuery::default()
            },
            14,
        ),
        (
            DeadQuery {
                route: text("route"),
                since_ms: Some(START_MS + 3),
                ..DeadQuery::default()
            },
            2,
        ),
        (
            DeadQuery {
                until_ms: Some(START_MS + 1),
                ..DeadQuery::default()
            },
            4,
        ),
    ] {
        assert_eq!(count(query.clone()).await, expected, "{query}");
        let listed = journal.dead_letters(query.clone(), None, 99).await.unwrap();
        assert_eq!(listed.len() as u64, expected, "{query}");
    }
}

#[tokio::test]
async fn an_act_that_is_not_committed_changes_nothing_and_leaves_no_gap_in_the_audit_log() {
    let world = World::new();
    let journal = world.open();
    bury(&journal, vec![dead(0, "crm", 0)]).await;
    act(
        &journal,
        Act::Note(Deed {
            act: "reload",
            ..Deed::default()
        }),
    )
    .await;
    world.before_commit(|_| Err(sqlite_error(SQLITE_FULL)));
    let refused = journal.act(replay(all(9)), actor()).await;
    assert!(
        matches!(refused, Err(JournalError::Unavailable)),
        "{refused:?}"
    );
    world.before_commit(|_| Ok(()));
    assert_eq!(journal.stats().dead, 1);
    // Acts are refused until the disk was looked at again.
    let acted = loop {
        match journal.act(replay(all(9)), actor()).await {
            Ok(acted) => break acted,
            Err(error) => assert!(matches!(error, JournalError::Unavailable), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!(acted.done.len(), 1);
    assert_eq!(audited(&journal).await.len(), 2);
}

#[tokio::test]
async fn the_audit_log_goes_on_after_a_restart_and_shows_what_was_done_to_it() {
    let world = World::new();
    for _ in 0..3 {
        let journal = world.open();
        act(
            &journal,
            Act::Note(Deed {
                act: "reload",
                ..Deed::default()
            }),
        )
        .await;
        assert!(!audited(&journal).await.is_empty());
        journal.close().await;
    }
    let file = world.options.path.join("journal.db");
    let shell = Connection::open(&file).unwrap();
    // Not by accident.
    assert!(shell.execute("DELETE FROM audit", []).is_err());
    assert!(shell.execute("UPDATE audit SET entry = ''", []).is_err());
    shell
        .execute_batch("DROP TRIGGER audit_keeps_entries; DELETE FROM audit WHERE seq = 3;")
        .unwrap();
    drop(shell);
    let journal = world.open();
    act(
        &journal,
        Act::Note(Deed {
            act: "reload",
            ..Deed::default()
        }),
    )
    .await;
    let mut check = Check::new(Vec::new());
    journal
        .audit(0, 1000)
        .await
        .unwrap()
        .iter()
        .for_each(|row| check.row(row));
    let verdict = check.end(journal.audit_head().await.unwrap());
    assert_eq!(verdict.faults, [Fault::Missing { first: 3, last: 3 }]);
}

#[tokio::test]
async fn a_journal_of_the_first_schema_keeps_its_dead_letters_and_can_replay_them() {
    let world = World::new();
    former(&world, 1, "
        INSERT INTO event VALUES (7, zeroblob(16), 'didit', 'didit', 't', NULL, 1700000000000, 'POST', '/', '',
          '[]', NULL, '[]', x'61');
        INSERT INTO delivery VALUES (7, 0, 'kyc', 'crm', 'dead', 2, 1700000000000, 1700000000001, 0, NULL, 1,
          'http_503', 'gone', NULL, 'm-1');
        INSERT INTO message VALUES (7, 0, NULL, NULL, 't', NULL, '[]', '[]', x'62');
        INSERT INTO attempt VALUES (7, 0, 1, 1700000000000, 'transient', 'http_503', ''),
          (7, 0, 2, 1700000000001, 'transient', 'http_503', '');");
    let journal = world.open();
    let acted = act(&journal, replay(all(9))).await;
    assert_eq!(acted.done.len(), 1);
    let held = journal.pending(vec![(7, 0)]).await.unwrap();
    assert_eq!(held[0].record.message.as_ref().unwrap().body, "b");
    let mut parked = held[0].record.clone();
    (parked.attempts, parked.next_at_ms, parked.attempt) = (1, 5, Some(failed(1)));
    journal.settle(settlement(7, vec![parked])).await.unwrap();
    assert_eq!(world.figure("SELECT max(number) FROM attempt"), 3);
    assert_eq!(world.figure("SELECT attempts FROM delivery"), 3);
}
