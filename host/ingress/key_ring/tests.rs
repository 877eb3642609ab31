//! What is fetched, how often, and what is kept of it. No socket: the fetch is the test's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use tokio::sync::Notify;

use super::*;
use crate::provider;
use crate::verify::{Params, Request, Verifier};

const NOW_MS: u64 = 1_760_000_000_000;
const CERTIFICATE: &str = include_str!("../../../tests/fixtures/verify/keys/sns.crt");
const OTHER: &str = include_str!("../../../tests/fixtures/verify/keys/other.crt");

/// What verification asks for when a message of SNS names this certificate.
fn wanted(name: &str) -> KeyRef {
    let body = format!(
        r#"{{"Type":"Notification","Message":"m","MessageId":"1","TopicArn":"t","SignatureVersion":"2",
        "Timestamp":"2025-10-09T08:53:20Z","Signature":"YQ==",
        "SigningCertURL":"https://sns.eu-central-1.amazonaws.com/{name}.pem"}}"#
    );
    let params = Params {
        fetch_keys: true,
        ..Params::default()
    };
    let scheme = &provider::preset("aws-sns").unwrap().scheme;
    let rejection = Verifier::new(scheme, &[], &params)
        .unwrap()
        .verify(
            Request {
                method: "POST",
                target: "/",
                headers: &[],
                body: body.as_bytes(),
            },
            NOW_MS,
        )
        .unwrap_err();
    assert_eq!(rejection.code, "unknown_key");
    *rejection.needs.unwrap()
}

fn source(name: &str) -> Arc<str> {
    name.into()
}

async fn with(
    ring: &KeyRing,
    key: &KeyRef,
    now_ms: u64,
    answer: Result<&'static str, FetchError>,
) -> Result<(), NoKey> {
    let fetch = async || answer.map(|text| Bytes::from_static(text.as_bytes()));
    ring.obtain_with(&source("sns"), key, now_ms, fetch).await
}

fn has(ring: &KeyRing, key: &KeyRef, now_ms: u64) -> bool {
    ring.at(now_ms).get(key).is_some()
}

#[tokio::test]
async fn a_key_is_fetched_once_however_many_requests_wait_for_it() {
    let ring = KeyRing::default();
    let key = wanted("a");
    let fetches = AtomicUsize::new(0);
    let answer = Notify::new();
    let asking = (0..20).map(|_| {
        let fetch = async || {
            fetches.fetch_add(1, Ordering::SeqCst);
            answer.notified().await;
            Ok(Bytes::from_static(CERTIFICATE.as_bytes()))
        };
        ring.obtain_with(&ASKER, &key, NOW_MS, fetch)
    });
    let (outcomes, ()) = tokio::join!(join_all(asking), async { answer.notify_one() });
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(fetches.load(Ordering::SeqCst), 1);
    assert!(has(&ring, &key, NOW_MS));
}

static ASKER: std::sync::LazyLock<Arc<str>> = std::sync::LazyLock::new(|| "sns".into());

#[tokio::test]
async fn a_request_that_goes_away_leaves_the_fetch_to_the_next() {
    let ring = KeyRing::default();
    let key = wanted("a");
    let stuck = async || std::future::pending::<Result<Bytes, FetchError>>().await;
    tokio::select! {
        biased;
        _ = ring.obtain_with(&ASKER, &key, NOW_MS, stuck) => panic!("it does not end"),
        () = std::future::ready(()) => {}
    }
    with(&ring, &key, NOW_MS, Ok(CERTIFICATE)).await.unwrap();
    assert!(has(&ring, &key, NOW_MS));
}

#[tokio::test]
async fn a_kept_key_is_forgotten_in_its_time() {
    let ring = KeyRing::default();
    let key = wanted("a");
    with(&ring, &key, NOW_MS, Ok(CERTIFICATE)).await.unwrap();
    let day_ms = 24 * 60 * 60 * 1000;
    assert!(has(&ring, &key, NOW_MS + day_ms - 1));
    assert!(!has(&ring, &key, NOW_MS + day_ms));
    assert!(!has(&ring, &wanted("b"), NOW_MS));
}

#[tokio::test]
async fn what_failed_is_not_asked_for_again_at_once() {
    let ring = KeyRing::default();
    let key = wanted("a");
    let failed = with(&ring, &key, NOW_MS, Err(FetchError::Status(503))).await;
    assert!(matches!(failed, Err(NoKey::Unavailable(_))), "{failed:?}");
    // The answer that waits is not looked at.
    let again = with(&ring, &key, NOW_MS + FAILED_MS - 1, Ok(CERTIFICATE)).await;
    assert_eq!(again, failed);
    with(&ring, &key, NOW_MS + FAILED_MS, Ok(CERTIFICATE))
        .await
        .unwrap();
    assert!(has(&ring, &key, NOW_MS + FAILED_MS));
}

#[tokio::test]
async fn a_key_that_is_not_there_is_told_from_one_that_cannot_be_had() {
    let genuine_or_not = |why: &NoKey| !matches!(why, NoKey::Refused(_));
    let cases = [
        (Err(FetchError::Status(404)), false),
        (Err(FetchError::Status(410)), false),
        (Err(FetchError::Status(429)), true),
        (Err(FetchError::Status(500)), true),
        (Err(FetchError::Redirect(302)), true),
        (Err(FetchError::Timeout(TIMEOUT)), true),
        (Ok(OTHER), false),
        (Ok("no certificate"), false),
        (Ok(""), false),
    ];
    for (index, (answer, wanted_word)) in cases.into_iter().enumerate() {
        let ring = KeyRing::default();
        let key = wanted(&index.to_string());
        let why = with(&ring, &key, NOW_MS, answer).await.unwrap_err();
        assert_eq!(genuine_or_not(&why), wanted_word, "{index}: {why}");
        assert!(!has(&ring, &key, NOW_MS));
    }
}

#[tokio::test]
async fn a_flood_of_made_up_keys_uses_up_its_own_sources_budget() {
    let ring = KeyRing::default();
    let fetch = async || Err(FetchError::Status(404));
    let mut asked = 0;
    for n in 0..100 {
        let key = wanted(&n.to_string());
        match ring.obtain_with(&ASKER, &key, NOW_MS, fetch).await {
            Err(NoKey::Refused(_)) => asked += 1,
            other => assert_eq!(other, Err(NoKey::Busy)),
        }
    }
    assert_eq!(asked, FETCHES_BURST);
    // Another source is not held up, and the budget grows again.
    let fetch = async || Ok(Bytes::from_static(CERTIFICATE.as_bytes()));
    let other = source("other");
    ring.obtain_with(&other, &wanted("x"), NOW_MS, fetch)
        .await
        .unwrap();
    let later = NOW_MS + FETCH_EVERY_MS;
    with(&ring, &wanted("y"), later, Ok(CERTIFICATE))
        .await
        .unwrap();
    let spent = with(&ring, &wanted("z"), later, Ok(CERTIFICATE)).await;
    assert_eq!(spent, Err(NoKey::Busy));
}

#[tokio::test]
async fn a_flood_does_not_grow_the_ring() {
    let ring = KeyRing::default();
    let good = wanted("good");
    with(&ring, &good, NOW_MS, Ok(CERTIFICATE)).await.unwrap();
    for n in 0..KEYS_MAX + 50 {
        let _ = with(
            &ring,
            &wanted(&n.to_string()),
            NOW_MS,
            Err(FetchError::Status(404)),
        )
        .await;
    }
    assert!(ring.shelf().entries.len() <= KEYS_MAX);
    assert!(has(&ring, &good, NOW_MS));
}

#[tokio::test]
async fn a_set_without_the_key_is_fetched_again_but_not_at_once() {
    let ring = KeyRing::default();
    let key = wanted("a");
    with(&ring, &key, NOW_MS, Ok(CERTIFICATE)).await.unwrap();
    let soon = with(&ring, &key, NOW_MS + AGAIN_MS - 1, Ok("")).await;
    assert_eq!(soon, Ok(()), "nothing was fetched");
    let later = with(&ring, &key, NOW_MS + AGAIN_MS, Ok("")).await;
    assert!(matches!(later, Err(NoKey::Refused(_))));
    // What was good before stays for its time.
    assert!(has(&ring, &key, NOW_MS + AGAIN_MS));
}
