//! Appending, deduplication, the feed.

use std::sync::atomic::AtomicUsize;
use std::sync::mpsc;

use super::*;

#[tokio::test]
async fn events_come_out_of_next_in_order_and_as_they_went_in() {
    let world = World::new();
    let journal = world.open();
    let first = event("first");
    let stored = journal.append(Arc::clone(&first), None).await;
    assert_eq!(stored, Ok(Appended::Stored(1)));
    store(&journal, "second").await;
    let taken = take(&journal, 2).await;
    assert_eq!(taken[0].seq, 1);
    assert_eq!(taken[0].event, first);
    assert_eq!(taken[1].event.body, "second");
    assert_eq!(journal.stats().open, 2);
}

#[tokio::test]
async fn an_unsettled_event_comes_out_again_after_a_restart_and_equals_what_was_stored() {
    let world = World::new();
    let journal = world.open();
    let first = event("first");
    journal.append(Arc::clone(&first), None).await.unwrap();
    let second = store(&journal, "second").await;
    journal.settle(delivered(second)).await.unwrap();
    let third = store(&journal, "third").await;
    journal.close().await;

    let journal = world.open();
    let fourth = store(&journal, "fourth").await;
    let taken = take(&journal, 3).await;
    let places: Vec<Seq> = taken.iter().map(|stored| stored.seq).collect();
    assert_eq!(places, [1, third, fourth]);
    assert_eq!(taken[0].event, first);
    assert_eq!(journal.stats().open, 3);
}

#[tokio::test]
async fn sixty_four_appends_of_one_id_at_once_store_one_event() {
    let world = World::new();
    let journal = world.open();
    let appends: Vec<_> = (0..64)
        .map(|_| {
            let journal = Arc::clone(&journal);
            tokio::spawn(async move { journal.append(event("same"), Some(key(7))).await.unwrap() })
        })
        .collect();
    let mut stored = 0;
    for append in appends {
        stored += usize::from(append.await.unwrap() != Appended::Duplicate);
    }
    assert_eq!(stored, 1);
    assert_eq!(world.figure("SELECT count(*) FROM event"), 1);
    assert_eq!(world.figure("SELECT count(*) FROM dedupe"), 1);
}

#[tokio::test]
async fn nobody_is_answered_before_the_commit() {
    let world = World::new();
    let journal = world.open();
    let answered = Arc::new(AtomicUsize::new(0));
    let (release, gate) = mpsc::channel::<()>();
    let (seen, reached) = mpsc::channel::<usize>();
    let counter = Arc::clone(&answered);
    world.before_commit(move |_| {
        gate.recv().unwrap();
        seen.send(counter.load(Ordering::SeqCst)).unwrap();
        Ok(())
    });
    let appends: Vec<_> = (0..2)
        .map(|_| {
            let (journal, answered) = (Arc::clone(&journal), Arc::clone(&answered));
            tokio::spawn(async move {
                let answer = journal.append(event("same"), Some(key(1))).await;
                answered.fetch_add(1, Ordering::SeqCst);
                answer.unwrap()
            })
        })
        .collect();
    // Both are queued, or the second comes with the next commit; in either case the first commit is
    // reached with nobody answered, the duplicate neither.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(answered.load(Ordering::SeqCst), 0);
    for _ in 0..4 {
        let _ = release.send(());
    }
    for append in appends {
        append.await.unwrap();
    }
    assert_eq!(reached.recv().unwrap(), 0);
}

#[tokio::test]
async fn an_id_is_recognised_after_a_restart_until_it_expires() {
    let world = World::new();
    let journal = world.open();
    journal.append(event("a"), Some(key(1))).await.unwrap();
    journal.close().await;
    let journal = world.open();
    let again = journal.append(event("a"), Some(key(1))).await.unwrap();
    assert_eq!(again, Appended::Duplicate);
    world.later(DAY);
    let mut later = key(1);
    later.expires_at_ms += millis(DAY);
    let again = journal
        .append(event("a"), Some(later.clone()))
        .await
        .unwrap();
    assert_ne!(again, Appended::Duplicate);
    let again = journal.append(event("a"), Some(later)).await.unwrap();
    assert_eq!(again, Appended::Duplicate);
    eventually("trimming", || {
        world.figure("SELECT count(*) FROM dedupe") == 1
    })
    .await;
    let mut later = key(1);
    later.expires_at_ms += millis(DAY);
    let again = journal.append(event("a"), Some(later)).await.unwrap();
    assert_eq!(again, Appended::Duplicate);
}

#[tokio::test]
async fn the_window_bounds_how_long_an_id_is_remembered() {
    let mut world = World::new();
    world.options.dedupe_window = Duration::from_secs(60);
    let journal = world.open();
    journal.append(event("a"), Some(key(1))).await.unwrap();
    world.later(Duration::from_secs(61));
    let again = journal.append(event("a"), Some(key(1))).await.unwrap();
    assert_ne!(again, Appended::Duplicate);
}

#[tokio::test]
async fn with_too_many_ids_the_oldest_are_forgotten_first() {
    let mut world = World::new();
    world.options.dedupe_ids_max = 3;
    let journal = world.open();
    for number in 0..5 {
        journal.append(event("a"), Some(key(number))).await.unwrap();
    }
    eventually("trimming", || {
        world.figure("SELECT count(*) FROM dedupe") == 3
    })
    .await;
    let newest = journal.append(event("a"), Some(key(4))).await.unwrap();
    assert_eq!(newest, Appended::Duplicate);
    let oldest = journal.append(event("a"), Some(key(0))).await.unwrap();
    assert_ne!(oldest, Appended::Duplicate);
}

#[tokio::test]
async fn an_event_that_is_appended_twice_is_stored_once() {
    let world = World::new();
    let journal = world.open();
    let event = event("a");
    let first = journal.append(Arc::clone(&event), None).await.unwrap();
    let second = journal.append(event, None).await.unwrap();
    assert_eq!((first, second), (Appended::Stored(1), Appended::Duplicate));
    assert_eq!(journal.stats().open, 1);
    assert_eq!(take(&journal, 1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_falls_behind_gets_every_event_once_and_in_order() {
    const COUNT: usize = feed::FEED_EVENTS_MAX + 3000;
    let world = World::new();
    let journal = world.open();
    let writers: Vec<_> = (0..200)
        .map(|_| {
            let journal = Arc::clone(&journal);
            tokio::spawn(async move {
                for _ in 0..COUNT / 200 {
                    store(&journal, "x").await;
                }
            })
        })
        .collect();
    let count = COUNT / 200 * 200;
    for writer in writers {
        writer.await.unwrap();
    }
    let before = take(&journal, count - 100).await;
    let later = Arc::clone(&journal);
    let writer = tokio::spawn(async move {
        for _ in 0..100 {
            store(&later, "y").await;
        }
    });
    let after = take(&journal, 200).await;
    writer.await.unwrap();
    let places: Vec<Seq> = before
        .iter()
        .chain(&after)
        .map(|stored| stored.seq)
        .collect();
    let expected: Vec<Seq> = (1..=count as Seq + 100).collect();
    assert_eq!(places, expected);
}

#[tokio::test]
async fn next_may_be_given_up_while_it_waits_and_loses_nothing() {
    let world = World::new();
    let journal = world.open();
    let given_up = tokio::time::timeout(Duration::from_millis(5), journal.next(1)).await;
    assert!(given_up.is_err());
    store(&journal, "a").await;
    assert_eq!(take(&journal, 1).await[0].event.body, "a");
}

#[tokio::test]
async fn close_commits_what_is_queued_and_then_refuses_everything() {
    let world = World::new();
    let journal = world.open();
    let seq = store(&journal, "a").await;
    let queued: Vec<_> = (0..100)
        .map(|_| {
            let journal = Arc::clone(&journal);
            tokio::spawn(async move { journal.append(event("b"), None).await })
        })
        .collect();
    tokio::task::yield_now().await;
    journal.close().await;
    let mut stored = 1;
    for append in queued {
        match append.await.unwrap() {
            Ok(_) => stored += 1,
            Err(error) => assert_eq!(error, AppendError::Failed),
        }
    }
    let closed = journal.append(event("c"), None).await;
    assert_eq!(closed, Err(AppendError::Failed));
    let settled = journal.settle(delivered(seq)).await;
    assert!(matches!(settled, Err(JournalError::Closed)));
    let next = journal.next(1).await;
    assert!(matches!(next, Err(JournalError::Closed)));
    let events = journal.events(EventQuery::default()).await;
    assert!(matches!(events, Err(JournalError::Closed)));
    journal.close().await;
    let again = world.open();
    assert_eq!(again.stats().open, stored);
}
