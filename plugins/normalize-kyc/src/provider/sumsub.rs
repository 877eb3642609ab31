//! Sumsub: the review's answer, and for a red one whether the applicant may try again.

use super::{Input, Reading, all, first, is_true, time};
use crate::decision::Decision::{Approved, Declined, Pending, Review};
use crate::decision::{NOTHING, Rule, Table};

const TABLE: Table = Table {
    types: &[
        ("applicantReviewed", Rule::Status),
        ("applicantOnHold", Rule::Always(Review)),
        ("applicantCreated", Rule::Always(Pending)),
        ("applicantPending", Rule::Always(Pending)),
        ("applicantPrechecked", Rule::Always(Pending)),
        ("applicantReset", Rule::Always(Pending)),
        ("applicantAction*", NOTHING),
        ("applicantTagsChanged", NOTHING),
        ("applicantLevelChanged", NOTHING),
        ("applicantActivated", NOTHING),
        ("applicantDeactivated", NOTHING),
        ("applicantDeleted", NOTHING),
        ("applicantPersonalDataDeleted", NOTHING),
        ("applicantPersonalInfoChanged", NOTHING),
        ("videoIdent*", NOTHING),
    ],
    // The answer, with the kind of rejection where there is one.
    statuses: &[
        ("GREEN", Approved),
        ("RED FINAL", Declined),
        ("RED RETRY", Pending),
    ],
};

pub(super) fn read(input: &Input<'_>) -> Reading {
    let root = input.root;
    let event_type = first(root, &["/type"]);
    let status = first(root, &["/reviewResult/reviewAnswer"]);
    let kind = first(root, &["/reviewResult/reviewRejectType"]);
    let decisive = match (&status, &kind) {
        (Some(answer), Some(kind)) => Some(format!("{answer} {kind}")),
        (answer, _) => answer.clone(),
    };
    Reading {
        verdict: TABLE.decide(event_type.as_deref(), decisive.as_deref()),
        event_id: first(root, &["/correlationId"]),
        subject: first(root, &["/externalUserId", "/applicantId"]),
        session: first(root, &["/inspectionId"]),
        reasons: all(
            root,
            &["/reviewResult/rejectLabels/*", "/reviewResult/rejectLabels"],
        ),
        workflow: first(root, &["/levelName"]),
        occurred_at: time(root, &["/createdAtMs", "/createdAt"]),
        test: is_true(root, "/sandboxMode"),
        event_type,
        status: status.or(kind),
        ..Reading::default()
    }
}
