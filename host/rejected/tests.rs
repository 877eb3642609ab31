//! Tests of the log of rejected requests: its three bounds, and what they spare.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn rejected(source: &str, code: &str, at_ms: u64, body: &[u8]) -> Rejected {
    Rejected {
        number: 0,
        at_ms,
        source: source.into(),
        code: code.to_owned(),
        detail: String::new(),
        status: 401,
        enforced: true,
        client: [192, 0, 2, 1].into(),
        client_is_known: true,
        peer: [192, 0, 2, 1].into(),
        method: "POST".to_owned(),
        path: "/hooks".to_owned(),
        query: String::new(),
        headers: Vec::new(),
        headers_cut: false,
        body: Bytes::copy_from_slice(body),
        body_bytes: Some(body.len() as u64),
    }
}

fn offer(log: &Log, source: &str, code: &str, at_ms: u64, body: &[u8]) -> bool {
    let place = log.place(source, code, at_ms);
    let is_kept = place.is_some();
    if let Some(place) = place {
        log.keep(place, rejected(source, code, at_ms, body));
    }
    is_kept
}

fn all(log: &Log) -> Page {
    log.list(&Query {
        limit: usize::MAX,
        ..Query::default()
    })
}

fn count(log: &Log, source: &str) -> usize {
    all(log)
        .rejected
        .iter()
        .filter(|one| &*one.source == source)
        .count()
}

#[test]
fn a_lane_takes_so_many_a_second_and_counts_the_rest() {
    let log = Log::new(1 << 20, 4096);
    let kept = (0..1000)
        .filter(|_| offer(&log, "a", "stale", 5000, b""))
        .count();
    assert_eq!(kept, 10);
    assert!(offer(&log, "a", "bad_signature", 5000, b""));
    assert!(offer(&log, "b", "stale", 5000, b""));
    assert!(!offer(&log, "a", "stale", 5999, b""));
    assert!(offer(&log, "a", "stale", 6000, b""));
    let page = all(&log);
    assert_eq!((page.rejected.len(), page.skipped), (13, 991));
}

#[test]
fn a_flood_pushes_out_nothing_but_itself() {
    let log = Log::new(64 * 1024, 4096);
    for at in 0..3 {
        assert!(offer(&log, "quiet", "stale", at * 1000, b"{}"));
        assert!(offer(&log, "loud", "stale", at * 1000, b"{}"));
    }
    for at in 0..1000 {
        offer(&log, "loud", "bad_signature", at * 1000, &[0; 4096]);
    }
    assert!(log.lock().bytes <= 64 * 1024);
    assert_eq!(count(&log, "quiet"), 3);
    let page = log.list(&Query {
        source: Some("loud".to_owned()),
        code: Some("stale".to_owned()),
        limit: 10,
        ..Query::default()
    });
    assert_eq!(page.rejected.len(), 3);
    assert!(count(&log, "loud") > 10);
}

#[test]
fn lanes_are_bounded_and_the_last_ones_share_one() {
    let log = Log::new(1 << 30, 0);
    for source in 0..5000 {
        offer(&log, &format!("s{source}"), "stale", 1000, b"");
    }
    assert_eq!(log.lock().list.len(), LANES_MAX);
    let page = all(&log);
    assert_eq!(page.rejected.len(), LANES_MAX - 1 + 10);
    assert_eq!(page.skipped, 5000 - page.rejected.len() as u64);
    // Who shares a lane is found by name all the same.
    assert_eq!(count(&log, &format!("s{LANES_MAX}")), 1);
}

#[test]
fn a_body_is_cut_and_its_size_kept() {
    let log = Log::new(1 << 20, 4);
    offer(&log, "a", "stale", 1, b"0123456789");
    let one = log.get(1).unwrap();
    assert_eq!((&one.body[..], one.body_bytes), (&b"0123"[..], Some(10)));
    assert_eq!(log.get(2), None);
}

#[test]
fn a_page_is_newest_first_and_filtered() {
    let log = Log::new(1 << 20, 4096);
    for at in 1..=4 {
        offer(&log, "a", "stale", at * 1000, b"");
        offer(&log, "b", "bad_signature", at * 1000, b"");
    }
    let numbers = |query: Query| -> Vec<u64> {
        let query = Query { limit: 3, ..query };
        log.list(&query)
            .rejected
            .iter()
            .map(|one| one.number)
            .collect()
    };
    assert_eq!(numbers(Query::default()), [8, 7, 6]);
    let a = Some("a".to_owned());
    assert_eq!(
        numbers(Query {
            source: a.clone(),
            ..Query::default()
        }),
        [7, 5, 3]
    );
    assert_eq!(
        numbers(Query {
            source: a.clone(),
            before: Some(5),
            ..Query::default()
        }),
        [3, 1]
    );
    assert_eq!(
        numbers(Query {
            source: a,
            since_ms: Some(3000),
            ..Query::default()
        }),
        [7, 5]
    );
    assert_eq!(
        numbers(Query {
            code: Some("bad_signature".to_owned()),
            ..Query::default()
        }),
        [8, 6, 4]
    );
    assert_eq!(
        numbers(Query {
            code: Some("future".to_owned()),
            ..Query::default()
        }),
        [0; 0]
    );
}

#[test]
fn a_log_of_no_bytes_keeps_nothing_and_one_too_small_keeps_none_too_large() {
    let off = Log::new(0, 4096);
    assert!(!offer(&off, "a", "stale", 1, b""));
    assert_eq!(all(&off), Page::default());
    let small = Log::new(100, 4096);
    offer(&small, "a", "stale", 1, b"");
    assert_eq!((all(&small).rejected.len(), small.lock().bytes), (0, 0));
}
