//! ComplyCube: the last part of a check's type is its outcome.

use super::{Input, Reading, first, time};
use crate::decision::Decision::{Approved, Declined, Pending, Review};
use crate::decision::{NOTHING, Rule, Table};

const TABLE: Table = Table {
    types: &[
        ("check.pending", Rule::Always(Pending)),
        ("check.completed", NOTHING),
        ("check.failed", NOTHING),
        ("check.updated", NOTHING),
        ("check.completed.*", Rule::Status),
        ("check.updated.*", Rule::Status),
        ("client.*", NOTHING),
    ],
    statuses: &[
        ("clear", Approved),
        ("rejected", Declined),
        ("match_confirmed", Declined),
        ("attention", Review),
    ],
};

pub(super) fn read(input: &Input<'_>) -> Reading {
    let root = input.root;
    let event_type = first(root, &["/type"]);
    let status = event_type
        .as_deref()
        .and_then(|name| name.rsplit('.').next());
    let status = status.map(str::to_owned);
    Reading {
        verdict: TABLE.decide(event_type.as_deref(), status.as_deref()),
        event_id: first(root, &["/id"]),
        subject: first(root, &["/payload/clientId"]),
        session: first(root, &["/payload/id"]),
        occurred_at: time(root, &["/createdAt"]),
        event_type,
        status,
        ..Reading::default()
    }
}
