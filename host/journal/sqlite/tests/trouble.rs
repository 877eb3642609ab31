//! Full queues, full disks and failed commits.

use std::sync::mpsc;

use rusqlite::ffi::{SQLITE_BUSY, SQLITE_FULL, SQLITE_IOERR_FSYNC};

use super::*;

#[tokio::test]
async fn a_full_queue_is_busy_at_once() {
    let world = World::new();
    let journal = world.open();
    let (release, gate) = mpsc::channel::<()>();
    world.before_commit(move |_| {
        let _ = gate.recv();
        Ok(())
    });
    let appends: Vec<_> = (0..queue::QUEUE_OPERATIONS_MAX + 2000)
        .map(|_| {
            let journal = Arc::clone(&journal);
            tokio::spawn(async move { journal.append(event(""), None).await })
        })
        .collect();
    // The gate holds, so those that are answered are the refused ones.
    let refused = || appends.iter().filter(|append| append.is_finished()).count();
    eventually("refusal", || refused() > 0).await;
    drop(release);
    let mut busy = 0;
    for append in appends {
        match append.await.unwrap() {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error, AppendError::Busy);
                busy += 1;
            }
        }
    }
    assert!(busy > 0);
}

#[tokio::test]
async fn bytes_that_wait_are_bounded_and_one_large_event_is_taken_alone() {
    let world = World::new();
    let journal = world.open();
    let (release, gate) = mpsc::channel::<()>();
    world.before_commit(move |_| {
        let _ = gate.recv();
        Ok(())
    });
    let mut large = Event::clone(&event(""));
    large.body = Bytes::from(vec![0; queue::QUEUE_BYTES_MAX + 1]);
    let first = Arc::clone(&journal);
    let first = tokio::spawn(async move { first.append(large.into(), None).await });
    tokio::task::yield_now().await;
    let second = journal.append(event("small"), None).await;
    assert_eq!(second, Err(AppendError::Busy));
    drop(release);
    assert_eq!(first.await.unwrap(), Ok(Appended::Stored(1)));
    store(&journal, "small").await;
}

#[tokio::test]
async fn a_failed_commit_closes_the_journal_for_good() {
    let world = World::new();
    let journal = world.open();
    let seq = store(&journal, "safe").await;
    world.before_commit(|_| Err(sqlite_error(SQLITE_IOERR_FSYNC)));
    let waiting = journal.append(event("lost"), None).await;
    assert_eq!(waiting, Err(AppendError::Failed));
    soon(journal.failed()).await;
    assert!(!journal.stats().healthy);
    world.before_commit(|_| Ok(()));
    let later = journal.append(event("late"), None).await;
    assert_eq!(later, Err(AppendError::Failed));
    let settled = journal.settle(delivered(seq)).await;
    assert!(matches!(settled, Err(JournalError::Closed)));
    assert!(matches!(journal.next(1).await, Err(JournalError::Closed)));
    let set = journal.state().set("p", "k", Vec::new(), None).await;
    assert_eq!(set, Err(StateError::Closed));
    soon(journal.close()).await;

    let journal = world.open();
    let taken = take(&journal, 1).await;
    assert_eq!(taken[0].event.body, "safe");
    assert_eq!(journal.stats().open, 1);
}

#[tokio::test]
async fn a_full_disk_refuses_events_and_lets_settlements_through_and_heals() {
    let world = World::new();
    let journal = world.open();
    let seq = store(&journal, "a").await;
    // SQLite's own bound on the file stands for the disk's: statements meet the same error.
    let limit = |pages: u32| {
        move |connection: &Connection| {
            connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
        }
    };
    world.before_commit(limit(1));
    store(&journal, "sets the bound").await;
    let big = "x".repeat(100_000);
    let refused = journal.append(event(&big), Some(key(1))).await;
    assert_eq!(refused, Err(AppendError::Full));
    assert!(journal.stats().healthy);
    soon(journal.settle(delivered(seq))).await.unwrap();
    world.before_commit(limit(u32::MAX / 2));
    soon(journal.settle(delivered(seq + 1))).await.unwrap();
    eventually("recovery", || !journal.stats().full).await;
    let stored = journal.append(event(&big), Some(key(1))).await.unwrap();
    assert_ne!(
        stored,
        Appended::Duplicate,
        "a refused event must not be remembered"
    );
}

#[tokio::test]
async fn a_settlement_that_meets_a_full_disk_is_kept_and_tried_again_in_order() {
    let world = World::new();
    let journal = world.open();
    let seq = store(&journal, "a").await;
    let full = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let is_full = Arc::clone(&full);
    world.before_commit(move |_| match is_full.load(Ordering::SeqCst) {
        true => Err(sqlite_error(SQLITE_FULL)),
        false => Ok(()),
    });
    let settle = |state, attempts| {
        let journal = Arc::clone(&journal);
        let mut record = record(0, "crm", state);
        record.attempts = attempts;
        async move { journal.settle(settlement(seq, vec![record])).await }
    };
    let first = tokio::spawn(settle(State::Pending, 1));
    tokio::task::yield_now().await;
    let second = tokio::spawn(settle(State::Pending, 2));
    tokio::task::yield_now().await;
    eventually("fullness", || journal.stats().full).await;
    assert_eq!(
        journal.append(event("b"), None).await,
        Err(AppendError::Full)
    );
    let third = tokio::spawn(settle(State::Delivered, 3));
    tokio::task::yield_now().await;
    full.store(false, Ordering::SeqCst);
    for settled in [first, second, third] {
        soon(settled).await.unwrap().unwrap();
    }
    let attempts = world.figure("SELECT attempts FROM delivery WHERE state = 'delivered'");
    assert_eq!(attempts, 3);
    assert_eq!(journal.stats().open, 0);
}

#[tokio::test]
async fn a_database_that_another_program_has_locked_is_busy_and_nothing_is_lost() {
    let world = World::new();
    let journal = world.open();
    let seq = store(&journal, "a").await;
    world.before_commit(|_| Err(sqlite_error(SQLITE_BUSY)));
    assert_eq!(
        journal.append(event("b"), None).await,
        Err(AppendError::Busy)
    );
    let settling = Arc::clone(&journal);
    let settling = tokio::spawn(async move { settling.settle(delivered(seq)).await });
    tokio::task::yield_now().await;
    world.before_commit(|_| Ok(()));
    soon(settling).await.unwrap().unwrap();
    assert!(journal.stats().healthy);
}

#[tokio::test]
async fn below_the_free_space_floor_events_are_refused_and_above_it_taken_again() {
    let world = World::new();
    let journal = world.open();
    let seq = journal.append(event("a"), Some(key(1))).await.unwrap();
    assert_eq!(seq, Appended::Stored(1));
    world.free_bytes.store(1000, Ordering::SeqCst);
    eventually("fullness", || journal.stats().full).await;
    assert_eq!(
        journal.append(event("b"), None).await,
        Err(AppendError::Full)
    );
    // What needs no room goes on.
    let duplicate = journal.append(event("a"), Some(key(1))).await;
    assert_eq!(duplicate, Ok(Appended::Duplicate));
    journal.settle(delivered(1)).await.unwrap();
    world.free_bytes.store(1 << 30, Ordering::SeqCst);
    eventually("recovery", || !journal.stats().full).await;
    store(&journal, "b").await;
}

#[tokio::test]
async fn at_its_size_limit_the_journal_is_full_until_events_are_finished() {
    let mut world = World::new();
    world.options.size_bytes_max = 1 << 20;
    let journal = world.open();
    let body = "x".repeat(20_000);
    let mut stored = Vec::new();
    loop {
        match journal.append(event(&body), None).await {
            Ok(Appended::Stored(seq)) => stored.push(seq),
            other => {
                assert_eq!(other, Err(AppendError::Full));
                break;
            }
        }
        assert!(stored.len() < 100, "the limit was never met");
    }
    assert!(journal.stats().full);
    assert!(journal.stats().bytes < (1 << 20) + 200_000);
    for seq in &stored {
        journal.settle(delivered(*seq)).await.unwrap();
    }
    eventually("recovery", || !journal.stats().full).await;
    let seq = store(&journal, "fits again").await;
    assert_eq!(Some(&(seq - 1)), stored.last(), "places go on growing");
    // Oldest first, and no more than needed.
    assert_eq!(world.figure("SELECT count(*) FROM event WHERE seq = 1"), 0);
}
