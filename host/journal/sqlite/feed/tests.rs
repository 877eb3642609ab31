//! The line against a plain list: whatever the bounds and the order of calls, events come out once each,
//! in order, and none is left behind.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::event::EventId;

fn stored(seq: Seq, body_bytes: usize) -> StoredEvent {
    let event = Event {
        id: EventId::now(),
        source: "s".into(),
        provider: "p".into(),
        kind: String::new(),
        provider_event_id: None,
        received_at_ms: 0,
        method: "POST".to_owned(),
        path: String::new(),
        query: String::new(),
        headers: Vec::new(),
        content_type: None,
        body: Bytes::from(vec![0; body_bytes]),
        attributes: Vec::new(),
    };
    StoredEvent {
        seq,
        event: Arc::new(event),
    }
}

/// The line with its database: a list of places, some of them settled already.
struct Model {
    line: Line,
    table: Vec<StoredEvent>,
    handed: Vec<Seq>,
}

impl Model {
    /// One step of the caller of `next`; false if it would wait.
    fn take(&mut self, max: usize) -> bool {
        match self.line.take(max) {
            Take::Wait => return false,
            Take::Ready(events) => {
                assert!(!events.is_empty() && events.len() <= max);
                self.handed.extend(events.iter().map(|stored| stored.seq));
            }
            Take::Read(gap) => {
                let found: Vec<Seq> = self
                    .table
                    .iter()
                    .map(|stored| stored.seq)
                    .filter(|seq| gap.after < *seq && *seq <= gap.upto)
                    .take(max)
                    .collect();
                let upto = match found.last() {
                    Some(last) if found.len() == max => *last,
                    _ => gap.upto,
                };
                self.handed.extend(found);
                self.line.has_read(upto);
            }
        }
        true
    }
}

#[derive(Clone, Debug)]
enum Step {
    Add {
        events: usize,
        body_bytes: usize,
        skip: i64,
    },
    Take {
        max: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..6usize, 0..400usize, 0..3i64).prop_map(|(events, body_bytes, skip)| Step::Add {
            events,
            body_bytes,
            skip
        }),
        (1..5usize).prop_map(|max| Step::Take { max }),
    ]
}

proptest! {
    #[test]
    fn every_event_comes_out_once_and_in_order(
        before in 0..10i64,
        events_max in 1..8usize,
        bytes_max in 1..4000usize,
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let gap = (before > 0).then_some(Gap { after: 0, upto: before });
        let mut model = Model {
            line: Line::new(gap, events_max, bytes_max),
            table: (1..=before).map(|seq| stored(seq, 10)).collect(),
            handed: Vec::new(),
        };
        let mut last = before;
        for step in steps {
            match step {
                Step::Add { events, body_bytes, skip } => for _ in 0..events {
                    // Places that were given to events whose commit failed are left out.
                    last += 1 + skip;
                    let event = stored(last, body_bytes);
                    model.table.push(event.clone());
                    model.line.add(event);
                    prop_assert!(model.line.queue.len() <= events_max);
                    prop_assert!(model.line.queue.len() == 1 || model.line.queue_bytes <= bytes_max);
                },
                Step::Take { max } => { model.take(max); }
            }
        }
        while model.take(3) {}
        let expected: Vec<Seq> = model.table.iter().map(|stored| stored.seq).collect();
        prop_assert_eq!(model.handed, expected);
        prop_assert_eq!(model.line.queue_bytes, 0);
    }
}

#[test]
fn a_caller_that_keeps_up_never_reads_the_database() {
    let mut line = Line::new(None, 4, 10_000);
    for seq in 1..100 {
        line.add(stored(seq, 10));
        assert!(matches!(line.take(10), Take::Ready(events) if events.len() == 1));
        assert!(matches!(line.take(10), Take::Wait));
    }
}

#[test]
fn an_event_larger_than_the_bound_goes_through_memory_alone() {
    let mut line = Line::new(None, 4, 100);
    line.add(stored(1, 5000));
    line.add(stored(2, 10));
    assert!(matches!(line.take(10), Take::Ready(events) if events.len() == 1));
    assert!(matches!(
        line.take(10),
        Take::Read(Gap { after: 1, upto: 2 })
    ));
}
