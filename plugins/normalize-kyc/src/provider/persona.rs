//! Persona: inquiries decide, by their status; verifications, reports, cases and accounts do not. Each
//! webhook chooses kebab-case, snake_case or camelCase keys, so all are taken.

use super::{Input, Reading};
use crate::decision::Decision::{Approved, Declined, Expired, Pending, Review};
use crate::decision::{NOTHING, Rule, Table, Verdict, same};
use crate::json::Node;

const TABLE: Table = Table {
    types: &[
        ("inquiry.created", Rule::Status),
        ("inquiry.started", Rule::Status),
        ("inquiry.completed", Rule::Status),
        ("inquiry.approved", Rule::Status),
        ("inquiry.declined", Rule::Status),
        ("inquiry.failed", Rule::Status),
        ("inquiry.marked-for-review", Rule::Status),
        ("inquiry.expired", Rule::Status),
        ("inquiry.transitioned", NOTHING),
        ("inquiry.redacted", NOTHING),
        ("inquiry.reusable-persona*", NOTHING),
        ("inquiry.tag*", NOTHING),
        ("inquiry.updated-tags", NOTHING),
        ("account.redacted", NOTHING),
        ("account.tag*", NOTHING),
        ("account.updated-tags", NOTHING),
        ("reusable-persona*", NOTHING),
    ],
    statuses: &[
        ("approved", Approved),
        ("declined", Declined),
        ("failed", Declined),
        ("needs_review", Review),
        ("created", Pending),
        ("pending", Pending),
        (COMPLETED, Pending),
        ("expired", Expired),
    ],
};

/// Depends on the customer's own workflow, so the config has the last word.
const COMPLETED: &str = "completed";

pub(super) fn read(input: &Input<'_>) -> Reading {
    let outer = |path: &str| text(input.root, path);
    let inner = |path: &str| text(input.root, &format!("/data/attributes/payload/data{path}"));
    let event_type = outer("/data/attributes/name");
    let status = inner("/attributes/status");
    let mut verdict = TABLE.decide(event_type.as_deref(), status.as_deref());
    let completed = status
        .as_deref()
        .is_some_and(|status| same(status, COMPLETED));
    if completed && verdict == Verdict::Listed(Pending) {
        verdict = Verdict::Listed(input.config.persona_completed);
    }
    let of_inquiry = inner("/type").is_some_and(|kind| same(&kind, "inquiry"));
    Reading {
        verdict,
        event_id: outer("/data/id"),
        subject: inner("/attributes/reference-id")
            .or_else(|| inner("/relationships/account/data/id")),
        session: inner("/id").filter(|_| of_inquiry),
        reasons: Vec::from_iter(inner("/attributes/reviewer-comment")),
        workflow: inner("/relationships/inquiry-template/data/id"),
        occurred_at: input
            .root
            .at_any_style("/data/attributes/created-at")
            .and_then(crate::time::of),
        event_type,
        status,
        ..Reading::default()
    }
}

fn text(root: &Node<'_>, path: &str) -> Option<String> {
    root.at_any_style(path)
        .and_then(Node::text)
        .map(|text| text.into_owned())
}
