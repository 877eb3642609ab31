//! Stripe Identity: verification sessions. Other Stripe events are unknown here.

use super::{Input, Reading, all, first, time};
use crate::decision::Decision::{Approved, Expired, Pending};
use crate::decision::{NOTHING, Rule, Table};

const TABLE: Table = Table {
    types: &[
        // Sent when the data is erased; the status is still the old one.
        ("identity.verification_session.redacted", NOTHING),
        ("identity.verification_session.created", Rule::Status),
        ("identity.verification_session.processing", Rule::Status),
        ("identity.verification_session.requires_input", Rule::Status),
        ("identity.verification_session.verified", Rule::Status),
        ("identity.verification_session.canceled", Rule::Status),
    ],
    statuses: &[
        ("verified", Approved),
        ("requires_input", Pending),
        ("processing", Pending),
        ("created", Pending),
        ("canceled", Expired),
    ],
};

pub(super) fn read(input: &Input<'_>) -> Reading {
    let root = input.root;
    let event_type = first(root, &["/type"]);
    let status = first(root, &["/data/object/status"]);
    Reading {
        verdict: TABLE.decide(event_type.as_deref(), status.as_deref()),
        event_id: first(root, &["/id"]),
        subject: first(
            root,
            &[
                "/data/object/client_reference_id",
                "/data/object/related_customer",
            ],
        ),
        session: first(root, &["/data/object/id"]),
        reasons: all(root, &["/data/object/last_error/code"]),
        occurred_at: time(root, &["/created"]),
        test: first(root, &["/livemode"]).is_some_and(|livemode| livemode == "false"),
        event_type,
        status,
        ..Reading::default()
    }
}
