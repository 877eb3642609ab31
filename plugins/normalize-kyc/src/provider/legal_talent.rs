//! Legal Talent Compliance: the type decides, and for `.processed` the final decision. No event names the
//! person, so there is never a subject.

use super::{Input, Reading, first, time};
use crate::decision::Decision::{Approved, Declined, Pending, Review};
use crate::decision::{NOTHING, Rule, Table, Verdict, same};
use crate::kyc::FLAGGED;

const PROCESSED: &str = "kyc.session.processed";

const TABLE: Table = Table {
    types: &[
        ("kyc.session.approved", Rule::Always(Approved)),
        ("kyc.session.rejected", Rule::Always(Declined)),
        ("kyc.session.manual_review", Rule::Always(Review)),
        ("kyc.session.created", Rule::Always(Pending)),
        ("kyc.session.completed", Rule::Always(Pending)),
        (PROCESSED, Rule::Status),
        ("watchlist.*", NOTHING),
    ],
    statuses: &[
        ("approved", Approved),
        ("flagged", Approved),
        ("rejected", Declined),
        ("manual_review", Review),
    ],
};

pub(super) fn read(input: &Input<'_>) -> Reading {
    let root = input.root;
    let event_type = first(root, &["/type"]);
    let status = first(root, &["/data/status"]);
    let outcome = first(root, &["/data/final_decision"]);
    let processed = event_type
        .as_deref()
        .is_some_and(|name| same(name, PROCESSED));
    let decisive = outcome.as_deref().or(status.as_deref());
    let verdict = match TABLE.decide(event_type.as_deref(), decisive) {
        // A final decision and a status that contradict each other leave nothing to rely on.
        Verdict::Listed(decision) if processed => match TABLE.status(status.as_deref()) {
            Verdict::Listed(other) if other != decision => Verdict::Unknown,
            _ => Verdict::Listed(decision),
        },
        verdict => verdict,
    };
    let is_flagged = outcome
        .as_deref()
        .is_some_and(|outcome| same(outcome, "flagged"));
    // What the status does not repeat would be lost: the flag, and a decision that the table does not list.
    let reason = outcome.filter(|_| is_flagged || !verdict.recognised());
    Reading {
        verdict,
        event_id: first(root, &["/id"]),
        session: first(root, &["/data/session_id"]),
        reasons: Vec::from_iter(reason),
        workflow: first(root, &["/data/workflow_id"]),
        occurred_at: time(root, &["/created"]),
        flags: Vec::from_iter(is_flagged.then_some(FLAGGED)),
        event_type,
        status,
        ..Reading::default()
    }
}
