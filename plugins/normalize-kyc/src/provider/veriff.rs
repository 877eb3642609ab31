//! Veriff: decisions (told by a status and a code, which must agree), progress, and full automation. The
//! outermost `"status":"success"` only says that the request succeeded.

use super::{Input, Reading, all, first, time};
use crate::decision::Decision::{Approved, Declined, Expired, Pending, Review};
use crate::decision::{NOTHING, Rule, Table, Verdict};

const TABLE: Table = Table {
    types: &[
        ("decision", Rule::Status),
        ("started", Rule::Always(Pending)),
        ("submitted", Rule::Always(Pending)),
        ("user-status.*", NOTHING),
        ("watchlist*", NOTHING),
    ],
    statuses: &[
        ("approved", Approved),
        ("declined", Declined),
        ("review", Review),
        ("resubmission_requested", Pending),
        ("started", Pending),
        ("submitted", Pending),
        ("expired", Expired),
        ("abandoned", Expired),
    ],
};

const CODES: Table = Table {
    types: &[],
    statuses: &[
        ("9001", Approved),
        ("9102", Declined),
        ("9121", Review),
        ("9103", Pending),
        ("7001", Pending),
        ("7002", Pending),
        ("9104", Expired),
    ],
};

pub(super) fn read(input: &Input<'_>) -> Reading {
    let root = input.root;
    let status = first(
        root,
        &["/verification/status", "/data/verification/decision"],
    );
    let code = first(root, &["/verification/code"]);
    let event_type = match root.at("/verification") {
        Some(_) => Some("decision".to_owned()),
        None => first(root, &["/action", "/eventType"]),
    };
    let automatic = root.at("/data/verification/decision").is_some();
    let decisive = if automatic {
        Some("decision")
    } else {
        event_type.as_deref()
    };
    let by_status = TABLE.decide(decisive, status.as_deref().or(code.as_deref()));
    let by_code = CODES.status(code.as_deref());
    let verdict = match (by_status, by_code) {
        (Verdict::Listed(one), Verdict::Listed(other)) if one != other => Verdict::Unknown,
        (Verdict::Unknown, Verdict::Listed(_)) if status.is_none() => by_code,
        _ => by_status,
    };
    Reading {
        verdict,
        subject: first(
            root,
            &[
                "/verification/vendorData",
                "/verification/endUserId",
                "/vendorData",
                "/endUserId",
            ],
        ),
        session: first(root, &["/verification/id", "/id", "/sessionId"]),
        reasons: all(root, &["/verification/reason", "/verification/reasonCode"]),
        occurred_at: time(root, &["/verification/decisionTime"]),
        event_type,
        status: status.or(code),
        ..Reading::default()
    }
}
