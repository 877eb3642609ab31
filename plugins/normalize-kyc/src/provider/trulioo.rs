//! Trulioo: each event is about one service of a flow, so none decides.

use super::{Input, Reading, first, is_true, time};
use crate::decision::{NOTHING, Table};

const TABLE: Table = Table {
    types: &[("*", NOTHING)],
    statuses: &[],
};

pub(super) fn read(input: &Input<'_>) -> Reading {
    let root = input.root;
    let event_type = first(root, &["/event/type", "/type"]);
    Reading {
        verdict: TABLE.decide(event_type.as_deref(), None),
        event_id: first(root, &["/id"]),
        subject: first(root, &["/userId"]),
        session: first(root, &["/serviceData/transactionInfo/transactionId"]),
        status: first(root, &["/serviceData/serviceStatus", "/serviceData/match"]),
        workflow: first(root, &["/flowId"]),
        occurred_at: time(root, &["/event/ts"]),
        test: is_true(root, "/test"),
        event_type,
        ..Reading::default()
    }
}
