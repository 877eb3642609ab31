//! Shufti Pro: the event is type and status at once. Results are 1, 0 or null for each thing checked.

use super::{Input, Reading, all, first};
use crate::decision::Decision::{Approved, Declined, Expired, Pending, Review};
use crate::decision::{NOTHING, Rule, Table};
use crate::json::Node;

const TABLE: Table = Table {
    types: &[
        ("verification.accepted", Rule::Always(Approved)),
        ("verification.declined", Rule::Always(Declined)),
        ("review.pending", Rule::Always(Review)),
        ("request.pending", Rule::Always(Pending)),
        ("request.timeout", Rule::Always(Expired)),
        ("verification.cancelled", Rule::Always(Expired)),
        ("request.invalid", NOTHING),
        ("request.unauthorized", NOTHING),
        ("request.deleted", NOTHING),
    ],
    statuses: &[],
};

pub(super) fn read(input: &Input<'_>) -> Reading {
    let root = input.root;
    let event_type = first(root, &["/event"]);
    let mut reasons = all(root, &["/error"]);
    if let Some(results) = root.at("/verification_result") {
        failed(results, "", &mut reasons);
    }
    Reading {
        verdict: TABLE.decide(event_type.as_deref(), None),
        subject: first(root, &["/reference"]),
        reasons,
        status: event_type.clone(),
        event_type,
        ..Reading::default()
    }
}

/// The names of all that was checked and is 0, as `document.name`.
fn failed(results: &Node<'_>, above: &str, found: &mut Vec<String>) {
    // Services hold checks; nothing is deeper, and a hostile body must not recurse.
    const DEPTH_MAX: usize = 4;
    for (name, result) in results.members() {
        let name = if above.is_empty() {
            name.to_string()
        } else {
            format!("{above}.{name}")
        };
        if result.text().as_deref() == Some("0") {
            found.push(name);
        } else if name.matches('.').count() < DEPTH_MAX {
            failed(result, &name, found);
        }
    }
}
