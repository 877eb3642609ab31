//! Onfido, now Entrust: a completed workflow run decides; checks, reports and tasks do not tell an outcome.

use super::{Input, Reading, all, first, time};
use crate::decision::Decision::{self, Approved, Declined, Expired, Pending, Review};
use crate::decision::{NOTHING, Rule, Table, same};
use crate::kyc::FETCH_RESULT;

const TABLE: Table = Table {
    types: &[
        ("workflow_run.completed", Rule::StatusIfAny),
        ("check.*", NOTHING),
        ("report.*", NOTHING),
        ("workflow_task.*", NOTHING),
        ("workflow_timeline_file.*", NOTHING),
        ("workflow_signed_evidence_file.*", NOTHING),
        ("watchlist_monitor.*", NOTHING),
        ("audit_log.*", NOTHING),
    ],
    statuses: &[
        ("approved", Approved),
        ("declined", Declined),
        ("review", Review),
        ("processing", Pending),
        ("awaiting_input", Pending),
        ("awaiting_client_input", Pending),
        ("abandoned", Expired),
        ("error", Decision::None),
    ],
};

pub(super) fn read(input: &Input<'_>) -> Reading {
    let root = input.root;
    let event_type = first(root, &["/payload/action"]);
    let status = first(root, &["/payload/object/status"]);
    let is = |name| {
        event_type
            .as_deref()
            .is_some_and(|event_type| same(event_type, name))
    };
    let elsewhere = is("check.completed") || is("report.completed");
    Reading {
        verdict: TABLE.decide(event_type.as_deref(), status.as_deref()),
        subject: first(
            root,
            &[
                "/payload/resource/customer_user_id",
                "/payload/resource/applicant_id",
            ],
        ),
        // A task belongs to a run; any other object is its own session.
        session: first(
            root,
            &[
                "/payload/object/workflow_run_id",
                "/payload/resource/workflow_run_id",
                "/payload/object/id",
            ],
        ),
        reasons: all(
            root,
            &["/payload/resource/reasons/*", "/payload/resource/reasons"],
        ),
        workflow: first(root, &["/payload/resource/workflow_id"]),
        occurred_at: time(root, &["/payload/object/completed_at_iso8601"]),
        flags: Vec::from_iter(elsewhere.then_some(FETCH_RESULT)),
        event_type,
        status,
        ..Reading::default()
    }
}
