//! The decision table, continued: providers that many use for something else, or that only tell when to
//! fetch a result.

use serde_json::json;

use super::decisions::check;

#[test]
fn stripe_identity() {
    let table = [
        ("approved", "verified", "verified"),
        ("pending", "requires_input", "requires_input"),
        ("pending", "processing", "processing"),
        ("pending", "created", "created"),
        ("pending", "created", "requires_input"),
        ("expired", "canceled", "canceled"),
        ("none", "redacted", "verified"),
        ("?", "verified", "great"),
        ("?", "celebrated", "verified"),
    ];
    for (expected, name, status) in table {
        let name = format!("identity.verification_session.{name}");
        check(
            "stripe",
            json!({"type": name, "data": {"object": {"status": status}}}),
            expected,
        );
    }
    check(
        "stripe",
        json!({"type": "charge.succeeded", "data": {"object": {"status": "succeeded"}}}),
        "?",
    );
}

#[test]
fn the_other_providers() {
    let plaid = |code: &str| json!({"webhook_type": "IDENTITY_VERIFICATION", "webhook_code": code});
    check("plaid", plaid("STEP_UPDATED"), "pending");
    check("plaid", plaid("RETRIED"), "pending");
    check("plaid", plaid("STATUS_UPDATED"), "none");
    check("plaid", plaid("FORGOTTEN"), "?");
    check(
        "plaid",
        json!({"webhook_type": "ITEM", "webhook_code": "RETRIED"}),
        "?",
    );
    check(
        "trulioo",
        json!({"event": {"type": "SERVICE_SUBMIT"}, "serviceData": {"match": true}}),
        "none",
    );
    check("trulioo", json!({"type": "EVENT_CALLBACK"}), "none");
    check("trulioo", json!({}), "?");
    for (name, expected) in [
        ("check.completed.clear", "approved"),
        ("check.completed.rejected", "declined"),
        ("check.completed.match_confirmed", "declined"),
        ("check.completed.attention", "review"),
        ("check.updated.clear", "approved"),
        ("check.completed.shiny", "?"),
        ("check.pending", "pending"),
        ("check.completed", "none"),
        ("check.failed", "none"),
        ("check.updated", "none"),
        ("client.created", "none"),
        ("document.clear", "?"),
    ] {
        check(
            "complycube",
            json!({"type": name, "payload": {"outcome": "clear"}}),
            expected,
        );
    }
    for (name, expected) in [
        ("verification.accepted", "approved"),
        ("verification.declined", "declined"),
        ("review.pending", "review"),
        ("request.pending", "pending"),
        ("request.timeout", "expired"),
        ("verification.cancelled", "expired"),
        ("request.invalid", "none"),
        ("request.unauthorized", "none"),
        ("request.deleted", "none"),
        ("request.lost", "?"),
    ] {
        check("shufti-pro", json!({"event": name}), expected);
    }
    for (status, expected) in [
        ("INITIATED", "pending"),
        ("ACQUISITION_STARTED", "pending"),
        ("ACQUIRED", "pending"),
        ("SESSION_EXPIRED", "expired"),
        ("TOKEN_EXPIRED", "expired"),
        ("PROCESSED", "none"),
        ("LOST", "?"),
    ] {
        check(
            "jumio",
            json!({"workflowExecution": {"status": status}}),
            expected,
        );
    }
}

#[test]
fn jumio_forms() {
    let table = [
        ("approved", "verificationStatus=APPROVED_VERIFIED"),
        (
            "approved",
            "verificationStatus=APPROVED_VERIFIED&identityVerification={\"similarity\":\"MATCH\",\"validity\":true}",
        ),
        (
            "approved",
            "verificationStatus=APPROVED_VERIFIED&identityVerification={\"similarity\":\"MATCH\",\"validity\":\"TRUE\"}",
        ),
        (
            "declined",
            "verificationStatus=APPROVED_VERIFIED&identityVerification={\"similarity\":\"NO_MATCH\",\"validity\":true}",
        ),
        (
            "declined",
            "verificationStatus=APPROVED_VERIFIED&identityVerification={\"similarity\":\"MATCH\",\"validity\":\"false\"}",
        ),
        (
            "review",
            "verificationStatus=APPROVED_VERIFIED&identityVerification={\"similarity\":\"NOT_POSSIBLE\",\"validity\":true}",
        ),
        (
            "?",
            "verificationStatus=APPROVED_VERIFIED&identityVerification={\"similarity\":\"MATCH\"}",
        ),
        (
            "?",
            "verificationStatus=APPROVED_VERIFIED&identityVerification=broken",
        ),
        ("declined", "verificationStatus=DENIED_FRAUD"),
        ("declined", "verificationStatus=DENIED_UNSUPPORTED_ID_TYPE"),
        ("declined", "verificationStatus=ERROR_NOT_READABLE_ID"),
        ("expired", "verificationStatus=NO_ID_UPLOADED"),
        ("?", "verificationStatus=WONDERFUL"),
        ("?", ""),
    ];
    for (expected, fields) in table {
        let form = format!("callBackType=NETVERIFYID&{fields}");
        let event = hookswitch::testing::event("jumio")
            .with_body("application/x-www-form-urlencoded", form);
        let kyc = super::body(&super::handle(json!({}), event).unwrap());
        let (decision, recognised) = if expected == "?" {
            ("none", false)
        } else {
            (expected, true)
        };
        assert_eq!(
            (&kyc["decision"], &kyc["recognised"]),
            (&json!(decision), &json!(recognised)),
            "{fields}"
        );
    }
}
