//! The key-value store of plugins.

use super::*;
use crate::journal::state::{KEY_BYTES_MAX, PLUGIN_BYTES_MAX, VALUE_BYTES_MAX};

const MINUTE: Option<Duration> = Some(Duration::from_secs(60));

#[tokio::test]
async fn a_value_is_there_once_set_and_after_a_restart() {
    let world = World::new();
    let journal = world.open();
    let state = journal.state();
    assert_eq!(state.get("p", "k").await, Ok(None));
    state.set("p", "k", b"one".to_vec(), None).await.unwrap();
    state.set("p", "k", b"two".to_vec(), None).await.unwrap();
    assert_eq!(state.get("p", "k").await, Ok(Some(b"two".to_vec())));
    assert_eq!(
        state.get("other", "k").await,
        Ok(None),
        "namespaces are apart"
    );
    journal.close().await;
    let journal = world.open();
    let state = journal.state();
    assert_eq!(state.get("p", "k").await, Ok(Some(b"two".to_vec())));
    state.delete("p", "k").await.unwrap();
    state.delete("p", "k").await.unwrap();
    assert_eq!(state.get("p", "k").await, Ok(None));
}

#[tokio::test]
async fn a_value_is_gone_after_its_time() {
    let world = World::new();
    let journal = world.open();
    let state = journal.state();
    state.set("p", "k", b"v".to_vec(), MINUTE).await.unwrap();
    world.later(Duration::from_secs(59));
    assert!(state.get("p", "k").await.unwrap().is_some());
    world.later(Duration::from_secs(1));
    assert_eq!(state.get("p", "k").await, Ok(None));
    let absent = state
        .compare_and_set("p", "k", None, b"w".to_vec(), MINUTE)
        .await;
    assert_eq!(absent, Ok(true));
    world.later(Duration::from_secs(120));
    eventually("trimming", || {
        world.figure("SELECT count(*) FROM state") == 0
    })
    .await;
}

#[tokio::test]
async fn concurrent_increments_all_count_and_keep_the_first_expiry() {
    let world = World::new();
    let journal = world.open();
    let increments: Vec<_> = (0..50)
        .map(|_| {
            let state = journal.state();
            tokio::spawn(async move { state.increment("p", "n", 2, MINUTE).await.unwrap() })
        })
        .collect();
    let mut sums = Vec::new();
    for increment in increments {
        sums.push(increment.await.unwrap());
    }
    sums.sort_unstable();
    let expected: Vec<i64> = (1..=50).map(|n| n * 2).collect();
    assert_eq!(sums, expected);
    let state = journal.state();
    world.later(Duration::from_secs(30));
    state.increment("p", "n", -100, MINUTE).await.unwrap();
    assert_eq!(state.get("p", "n").await, Ok(Some(b"0".to_vec())));
    world.later(Duration::from_secs(30));
    assert_eq!(state.get("p", "n").await, Ok(None));
    assert_eq!(state.increment("p", "n", 1, None).await, Ok(1));
}

#[tokio::test]
async fn increment_refuses_what_is_no_number_and_what_does_not_fit() {
    let world = World::new();
    let journal = world.open();
    let state = journal.state();
    state.set("p", "k", b"x".to_vec(), None).await.unwrap();
    let refused = state.increment("p", "k", 1, None).await;
    assert_eq!(refused, Err(StateError::NotANumber));
    state.increment("p", "n", i64::MAX, None).await.unwrap();
    let refused = state.increment("p", "n", 1, None).await;
    assert_eq!(refused, Err(StateError::NotANumber));
    let kept = i64::MAX.to_string().into_bytes();
    assert_eq!(state.get("p", "n").await, Ok(Some(kept)));
}

#[tokio::test]
async fn compare_and_set_lets_one_of_many_through() {
    let world = World::new();
    let journal = world.open();
    let tries: Vec<_> = (0..20_u8)
        .map(|n| {
            let state = journal.state();
            tokio::spawn(async move { state.compare_and_set("p", "k", None, vec![n], None).await })
        })
        .collect();
    let mut won = 0;
    for attempt in tries {
        won += i32::from(attempt.await.unwrap().unwrap());
    }
    assert_eq!(won, 1);
    let state = journal.state();
    let current = state.get("p", "k").await.unwrap();
    let swapped = state
        .compare_and_set("p", "k", current, b"new".to_vec(), None)
        .await;
    assert_eq!(swapped, Ok(true));
}

#[tokio::test]
async fn keys_values_and_plugins_are_bounded() {
    let world = World::new();
    let journal = world.open();
    let state = journal.state();
    let long = "k".repeat(KEY_BYTES_MAX + 1);
    for key in ["", &long] {
        assert_eq!(state.get("p", key).await, Err(StateError::Key(key.len())));
        let refused = state.set("p", key, Vec::new(), None).await;
        assert_eq!(refused, Err(StateError::Key(key.len())));
    }
    let value = vec![0; VALUE_BYTES_MAX];
    let refused = state.set("p", "k", [&value[..], b"x"].concat(), None).await;
    assert_eq!(refused, Err(StateError::Value(VALUE_BYTES_MAX + 1)));

    let count = PLUGIN_BYTES_MAX as usize / (VALUE_BYTES_MAX + 4);
    for n in 0..count {
        let ttl = (n == 0).then_some(MINUTE).flatten();
        state
            .set("p", &format!("{n:04}"), value.clone(), ttl)
            .await
            .unwrap();
    }
    let refused = state.set("p", "more", value.clone(), None).await;
    assert_eq!(refused, Err(StateError::Quota));
    state.set("q", "more", value.clone(), None).await.unwrap();
    // Writing over and shrinking always works, and an expired value makes room at once.
    state.set("p", "0001", value.clone(), None).await.unwrap();
    world.later(Duration::from_secs(61));
    state.set("p", "more", value.clone(), None).await.unwrap();
    state.delete("p", "0001").await.unwrap();
    state.set("p", "0001", value, None).await.unwrap();
}
