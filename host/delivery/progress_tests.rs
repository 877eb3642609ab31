//! Tests of `progress`: tables in, verdicts out.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::delivery::record;
use crate::event::{EventId, Message};
use crate::sink::Origin;

fn delivery(ordinal: u32) -> Arc<Delivery> {
    Arc::new(Delivery {
        seq: 5,
        ordinal,
        route: "route".into(),
        sink: "sink".into(),
        origin: Arc::new(Origin {
            event_id: EventId::from_bytes([7; 16]),
            source: "didit".into(),
            provider: "didit".into(),
            provider_event_id: None,
            received_at_ms: 1,
        }),
        message_id: "id".into(),
        key: None,
        order: None,
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
    })
}

fn states(settlement: &Settlement) -> Vec<(u32, State, bool)> {
    settlement
        .records
        .iter()
        .map(|r| (r.ordinal, r.state, r.next_at_ms == HELD_IN_MEMORY))
        .collect()
}

#[test]
fn deliveries_that_all_end_are_written_together() {
    let (a, b) = (delivery(0), delivery(1));
    let progress = Progress::new(5, vec![a.clone(), b.clone()], Vec::new());
    assert!(
        progress
            .report(record(&b, State::Delivered, 2), 2, |queued| queued)
            .is_none()
    );
    let settlement = progress
        .report(record(&a, State::Dead, 3), 3, |queued| queued)
        .unwrap();
    assert_eq!(
        states(&settlement),
        [(1, State::Delivered, false), (0, State::Dead, false)]
    );
    assert!(settlement.planned);
}

#[test]
fn the_first_that_has_to_wait_puts_all_others_on_record() {
    let (a, b, c) = (delivery(0), delivery(1), delivery(2));
    let progress = Progress::new(5, vec![a.clone(), b.clone(), c.clone()], Vec::new());
    assert!(
        progress
            .report(record(&a, State::Delivered, 2), 2, |queued| queued)
            .is_none()
    );
    let settlement = progress
        .report(record(&b, State::Pending, 3), 3, |queued| queued)
        .unwrap();
    assert_eq!(
        states(&settlement),
        [
            (0, State::Delivered, false),
            (1, State::Pending, false),
            (2, State::Pending, true)
        ]
    );
    assert!(
        settlement
            .records
            .iter()
            .skip(1)
            .all(|r| r.message.is_some())
    );
    // From now on each writes its own.
    let settlement = progress
        .report(record(&c, State::Delivered, 4), 4, |queued| queued)
        .unwrap();
    assert_eq!(states(&settlement), [(2, State::Delivered, false)]);
}

#[test]
fn what_ended_before_a_sink_is_written_with_the_rest() {
    let a = delivery(1);
    let dropped = record(&delivery(0), State::Dropped, 1);
    let progress = Progress::new(5, vec![a.clone()], vec![dropped]);
    let settlement = progress
        .report(record(&a, State::Delivered, 2), 2, |queued| queued)
        .unwrap();
    assert_eq!(
        states(&settlement),
        [(0, State::Dropped, false), (1, State::Delivered, false)]
    );
}
