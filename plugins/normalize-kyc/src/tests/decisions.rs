//! The decision table, row by row, as the README states it; written by hand and not from the code's tables.

use serde_json::{Value, json};

use super::read;

/// Whether `decision` and `recognised` are as expected; `?` means not recognised.
pub(super) fn check(provider: &str, event: Value, expected: &str) {
    let kyc = read(provider, event.clone());
    let (decision, recognised) = match expected {
        "?" => ("none", false),
        known => (known, true),
    };
    assert_eq!(
        (kyc["decision"].as_str(), kyc["recognised"].as_bool()),
        (Some(decision), Some(recognised)),
        "{provider} {event}"
    );
}

#[test]
fn didit() {
    let table = [
        ("approved", "Approved"),
        ("declined", "Declined"),
        ("review", "In Review"),
        ("pending", "Not Started"),
        ("pending", "In Progress"),
        ("pending", "Awaiting User"),
        ("pending", "Resubmitted"),
        ("expired", "Expired"),
        ("expired", "Abandoned"),
        ("expired", "Kyc Expired"),
        ("review", "IN_REVIEW"),
        ("review", "in-review"),
        ("?", "Not Finished"),
        ("?", "ApprovedX"),
        ("?", ""),
    ];
    for (expected, status) in table {
        check("didit", json!({"status": status}), expected);
        check(
            "didit",
            json!({"webhook_type": "status.updated", "status": status}),
            expected,
        );
        check(
            "didit",
            json!({"webhook_type": "data.updated", "status": status}),
            expected,
        );
        check(
            "didit",
            json!({"webhook_type": "session.closed", "status": status}),
            "?",
        );
        for nothing in [
            "user.status.updated",
            "user.data.updated",
            "business.status.updated",
            "business.data.updated",
            "transaction.created",
            "transaction.status.updated",
            "travel_rule.status.updated",
            "transaction_rule_suggestions.created",
            "activity.created",
        ] {
            check(
                "didit",
                json!({"webhook_type": nothing, "status": status}),
                "none",
            );
            check(
                "didit",
                json!({"event": nothing, "data": {"status": status}}),
                "none",
            );
        }
    }
    check("didit", json!({"webhook_type": "status.updated"}), "?");
    check(
        "didit",
        json!({"status": null, "decision": {"status": "Approved"}}),
        "?",
    );
}

#[test]
fn idwise() {
    let by_status = [
        "Finished Journey",
        "Updated Journey",
        "AML Monitor Update",
        "Finished Spot Check",
        "Finished Ongoing Check",
        "Manually Reviewed",
    ];
    let table = [
        ("approved", "Complete"),
        ("approved", "Approved"),
        ("declined", "Rejected"),
        ("review", "Refer"),
        ("pending", "Incomplete"),
        ("pending", "Resubmission Requested"),
        ("?", "Fine"),
    ];
    for (expected, status) in table {
        for event in by_status {
            check(
                "idwise",
                json!({"event": event, "body": {"systemDecision": status}}),
                expected,
            );
            let all_three = json!({"finalDecision": status, "manualDecision": "Complete", "systemDecision": "Refer"});
            check(
                "idwise",
                json!({"event": event, "body": all_three}),
                expected,
            );
            let manual =
                json!({"finalDecision": null, "manualDecision": status, "systemDecision": "Refer"});
            check("idwise", json!({"event": event, "body": manual}), expected);
            check(
                "idwise",
                json!({"event": event, "body": {"previousSystemDecision": status}}),
                "?",
            );
        }
        for event in [
            "Finished Step",
            "Finished User Steps",
            "Step Submitted",
            "Verification Update Required",
        ] {
            check(
                "idwise",
                json!({"event": event, "body": {"systemDecision": status}}),
                "pending",
            );
        }
        let exceeded =
            json!({"event": "KYC Renewal Deadline Exceeded", "body": {"systemDecision": status}});
        check("idwise", exceeded, "expired");
        check(
            "idwise",
            json!({"event": "Finished Walk", "body": {"systemDecision": status}}),
            "?",
        );
    }
    check(
        "idwise",
        json!({"event": "Finished Step", "body": null}),
        "pending",
    );
    check(
        "idwise",
        json!({"event": "finished_journey", "body": {"systemDecision": "COMPLETE"}}),
        "approved",
    );
}

#[test]
fn legal_talent() {
    let table = [
        ("approved", "approved", json!({})),
        ("approved", "approved", json!({"status": "REJECTED"})),
        ("declined", "rejected", json!({})),
        ("review", "manual_review", json!({})),
        ("pending", "created", json!({"status": "APPROVED"})),
        (
            "pending",
            "completed",
            json!({"final_decision": "approved"}),
        ),
        (
            "approved",
            "processed",
            json!({"final_decision": "approved"}),
        ),
        (
            "approved",
            "processed",
            json!({"final_decision": "Flagged", "status": "APPROVED"}),
        ),
        (
            "declined",
            "processed",
            json!({"final_decision": "rejected"}),
        ),
        (
            "review",
            "processed",
            json!({"final_decision": "MANUAL_REVIEW", "status": "PROCESSED"}),
        ),
        (
            "approved",
            "processed",
            json!({"final_decision": null, "status": "APPROVED"}),
        ),
        (
            "?",
            "processed",
            json!({"final_decision": "approved", "status": "REJECTED"}),
        ),
        (
            "?",
            "processed",
            json!({"final_decision": "unclear", "status": "APPROVED"}),
        ),
        ("?", "processed", json!({})),
        ("?", "archived", json!({"status": "APPROVED"})),
    ];
    for (expected, name, data) in table {
        check(
            "legal-talent",
            json!({"type": format!("kyc.session.{name}"), "data": data}),
            expected,
        );
    }
    check(
        "legal-talent",
        json!({"type": "watchlist.anything", "data": {"status": "APPROVED"}}),
        "none",
    );
    check(
        "legal-talent",
        json!({"type": "other.session.approved"}),
        "?",
    );
}

#[test]
fn k_id() {
    let table = [
        ("approved", "PASS"),
        ("declined", "FAIL"),
        ("review", "INCONCLUSIVE"),
        ("pending", "IN_PROGRESS"),
        ("pending", "in progress"),
        ("?", "MAYBE"),
    ];
    for (expected, status) in table {
        for name in [
            "Verification.Result",
            "Challenge.StateChange",
            "AgeAssurance.Result",
            "AdultVerification.Result",
        ] {
            let data = json!({"status": status, "ageCategory": "adult"});
            check("k-id", json!({"eventType": name, "data": data}), expected);
        }
        for name in [
            "Session.ChangePermissions",
            "Session.Delete",
            "Account.Delete",
            "Test",
        ] {
            check(
                "k-id",
                json!({"eventType": name, "data": {"status": status}}),
                "none",
            );
        }
        check(
            "k-id",
            json!({"eventType": "Widget.AgeGate.Result", "data": {"status": status}}),
            "?",
        );
        check(
            "k-id",
            json!({"eventType": "Verification.Revoke", "data": {"status": status}}),
            "declined",
        );
    }
    check(
        "k-id",
        json!({"eventType": "ParentalConsent.Granted", "data": {}}),
        "approved",
    );
    check(
        "k-id",
        json!({"eventType": "Verification.Result", "data": {"ageCategory": "adult"}}),
        "?",
    );
    check("k-id", json!({"data": {"status": "PASS"}}), "?");
}

#[test]
fn onfido() {
    let table = [
        ("approved", json!("approved")),
        ("declined", json!("declined")),
        ("review", json!("review")),
        ("pending", json!("processing")),
        ("pending", json!("awaiting_input")),
        ("pending", json!("awaiting_client_input")),
        ("expired", json!("abandoned")),
        ("none", json!("error")),
        ("none", json!(null)),
        ("?", json!("paused")),
    ];
    for (expected, status) in table {
        let object = json!({"status": status});
        let run = json!({"action": "workflow_run.completed", "object": object, "resource": {"status": "approved"}});
        check("onfido", json!({"payload": run}), expected);
        for name in [
            "check.completed",
            "report.completed",
            "workflow_task.completed",
            "check.withdrawn",
        ] {
            check(
                "onfido",
                json!({"payload": {"action": name, "object": object}}),
                "none",
            );
        }
        check(
            "onfido",
            json!({"payload": {"action": "tea.served", "object": object}}),
            "?",
        );
    }
}

#[test]
fn sumsub() {
    let reviewed = |answer: Value, kind: Value| json!({"type": "applicantReviewed", "reviewResult": {"reviewAnswer": answer, "reviewRejectType": kind}});
    check("sumsub", reviewed(json!("GREEN"), json!(null)), "approved");
    check("sumsub", reviewed(json!("RED"), json!("FINAL")), "declined");
    check("sumsub", reviewed(json!("RED"), json!("RETRY")), "pending");
    check("sumsub", reviewed(json!("red"), json!("final")), "declined");
    check("sumsub", reviewed(json!("RED"), json!(null)), "?");
    check("sumsub", reviewed(json!("RED"), json!("SOON")), "?");
    check("sumsub", reviewed(json!("YELLOW"), json!(null)), "?");
    check("sumsub", reviewed(json!(null), json!("FINAL")), "?");
    check(
        "sumsub",
        json!({"type": "applicantReviewed", "reviewStatus": "completed"}),
        "?",
    );
    check("sumsub", json!({"type": "applicantOnHold"}), "review");
    for pending in [
        "applicantCreated",
        "applicantPending",
        "applicantPrechecked",
        "applicantReset",
    ] {
        check(
            "sumsub",
            json!({"type": pending, "reviewResult": {"reviewAnswer": "GREEN"}}),
            "pending",
        );
    }
    for nothing in [
        "applicantActionPending",
        "applicantActionReviewed",
        "applicantActionOnHold",
        "applicantTagsChanged",
        "applicantLevelChanged",
        "applicantActivated",
        "applicantDeactivated",
        "applicantDeleted",
        "applicantPersonalInfoChanged",
        "videoIdentStatusChanged",
    ] {
        check(
            "sumsub",
            json!({"type": nothing, "reviewResult": {"reviewAnswer": "GREEN"}}),
            "none",
        );
    }
    check(
        "sumsub",
        json!({"type": "applicantTeleported", "reviewResult": {"reviewAnswer": "GREEN"}}),
        "?",
    );
}

#[test]
fn veriff() {
    let table = [
        ("approved", json!("approved"), json!(9001)),
        ("declined", json!("declined"), json!(9102)),
        ("review", json!("review"), json!(9121)),
        ("pending", json!("resubmission_requested"), json!(9103)),
        ("expired", json!("expired"), json!(9104)),
        ("expired", json!("abandoned"), json!(9104)),
        ("approved", json!("Approved"), json!(null)),
        ("approved", json!(null), json!(9001)),
        ("approved", json!("approved"), json!(4711)),
        ("?", json!("approved"), json!(9102)),
        ("?", json!("cheerful"), json!(9001)),
        ("?", json!(null), json!(4711)),
        ("?", json!(null), json!(null)),
    ];
    for (expected, status, code) in table {
        let verification = json!({"status": status, "code": code});
        check(
            "veriff",
            json!({"status": "success", "verification": verification}),
            expected,
        );
    }
    check(
        "veriff",
        json!({"action": "started", "code": 7001}),
        "pending",
    );
    check(
        "veriff",
        json!({"action": "submitted", "code": 7002}),
        "pending",
    );
    check("veriff", json!({"action": "paused", "code": 7003}), "?");
    check(
        "veriff",
        json!({"eventType": "user-status.updated"}),
        "none",
    );
    check(
        "veriff",
        json!({"eventType": "watchlist-screening.updated"}),
        "none",
    );
    check(
        "veriff",
        json!({"eventType": "fullauto", "data": {"verification": {"decision": "declined"}}}),
        "declined",
    );
    check("veriff", json!({"status": "success"}), "?");
}

#[test]
fn persona() {
    let event = |name: &str, status: Value| json!({"data": {"attributes": {"name": name, "payload": {"data": {"attributes": {"status": status}}}}}});
    let table = [
        ("approved", "inquiry.approved", json!("approved")),
        ("declined", "inquiry.declined", json!("declined")),
        ("declined", "inquiry.failed", json!("failed")),
        ("review", "inquiry.marked-for-review", json!("needs_review")),
        ("review", "inquiry.marked-for-review", json!("needs-review")),
        ("pending", "inquiry.created", json!("created")),
        ("pending", "inquiry.started", json!("pending")),
        ("pending", "inquiry.completed", json!("completed")),
        ("expired", "inquiry.expired", json!("expired")),
        ("none", "inquiry.transitioned", json!("approved")),
        ("none", "inquiry.redacted", json!("approved")),
        (
            "none",
            "inquiry.reusable-persona-created",
            json!("approved"),
        ),
        ("none", "inquiry.tags-updated", json!("approved")),
        ("none", "account.tag-added", json!(null)),
        ("?", "inquiry.approved", json!("dandy")),
        ("?", "inquiry.approved", json!(null)),
        ("?", "verification.failed", json!("failed")),
        ("?", "case.resolved", json!("approved")),
    ];
    for (expected, name, status) in table {
        check("persona", event(name, status), expected);
    }
}
