//! Didit: sessions of persons (v3 lists, v1 objects) and companies, and events of entities, transactions
//! and activities, which decide nothing. Older pages show an envelope `{event, event_id, timestamp, data}`
//! for the latter; it is read from `data`.

use super::{Input, Reading, all, first, is_true, time};
use crate::decision::Decision::{Approved, Declined, Expired, Pending, Review};
use crate::decision::{NOTHING, Rule, Table, same};
use crate::json::Node;
use crate::kyc::FLAGGED;

const TABLE: Table = Table {
    types: &[
        ("status.updated", Rule::Status),
        ("data.updated", Rule::Status),
        ("user.*", NOTHING),
        ("business.*", NOTHING),
        ("transaction*", NOTHING),
        ("travel_rule.*", NOTHING),
        ("activity.*", NOTHING),
    ],
    statuses: &[
        ("Approved", Approved),
        ("Declined", Declined),
        ("In Review", Review),
        ("Not Started", Pending),
        ("In Progress", Pending),
        ("Awaiting User", Pending),
        ("Resubmitted", Pending),
        ("Expired", Expired),
        ("Abandoned", Expired),
        ("Kyc Expired", Expired),
    ],
};

pub(super) fn read(input: &Input<'_>) -> Reading {
    let root = input.root;
    let old = root.at("/webhook_type").is_none() && root.at("/event").is_some();
    let data = root.at("/data").filter(|_| old).unwrap_or(root);
    // v1 and v2 had one type and did not name it.
    let event_type =
        first(root, &["/webhook_type", "/event"]).unwrap_or_else(|| "status.updated".to_owned());
    let status = first(data, &["/status"]);
    let of_company = first(data, &["/session_kind"]).is_some_and(|kind| same(&kind, "business"));
    let sessions = match of_company {
        true => ["/business_session_id", "/session_id"],
        false => ["/session_id", "/business_session_id"],
    };
    let times = ["/timestamp", "/created_at", "/decision/created_at"];
    let environment = first(root, &["/environment"]).or_else(|| first(data, &["/environment"]));
    let sandbox = environment.is_some_and(|environment| same(&environment, "sandbox"));
    let verdict = TABLE.decide(Some(&event_type), status.as_deref());
    let is_flagged = status
        .as_deref()
        .is_some_and(|status| same(status, "flagged"));
    Reading {
        verdict,
        event_id: first(root, &["/event_id"]).or_else(|| first(data, &["/event_id"])),
        subject: first(data, &["/vendor_data", "/vendor_user_id"]),
        session: first(data, &sessions),
        reasons: reasons(data),
        workflow: first(data, &["/workflow_id", "/workflow_version"]),
        occurred_at: time(root, &times).or_else(|| time(data, &times)),
        test: sandbox || is_true(data, "/metadata/test_webhook"),
        flags: Vec::from_iter((is_flagged && verdict.recognised()).then_some(FLAGGED)),
        event_type: Some(event_type),
        status,
    }
}

/// Warnings of every check (v3 has a list for each kind), the reviewers' comments, and v1's warnings.
fn reasons(data: &Node<'_>) -> Vec<String> {
    let Some(decision) = data.at("/decision") else {
        return Vec::new();
    };
    // Most checks warn of nothing, and hold kilobytes.
    let checks = decision
        .members()
        .iter()
        .filter(|(_, check)| check.may_hold("risk"));
    let mut reasons: Vec<String> = checks
        .flat_map(|(_, check)| all(check, &["/*/warnings/*/risk"]))
        .collect();
    reasons.extend(all(decision, &["/reviews/*/comment", "/warnings/*/risk"]));
    reasons
}
