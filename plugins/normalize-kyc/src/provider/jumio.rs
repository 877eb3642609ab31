//! Jumio: the old callback is a form with JSON inside some fields; KYX is JSON and only says when the
//! result can be fetched.

use super::{Input, Reading, all, first, time};
use crate::decision::Decision::{self, Approved, Declined, Expired, Pending, Review};
use crate::decision::{Rule, Table, Verdict, same};
use crate::json::Node;
use crate::kyc::FETCH_RESULT;

const FORM: Table = Table {
    types: &[("NETVERIFYID", Rule::Status)],
    statuses: &[
        (VERIFIED, Approved),
        ("DENIED_*", Declined),
        ("ERROR_NOT_READABLE_ID", Declined),
        ("NO_ID_UPLOADED", Expired),
    ],
};

/// The document is genuine; whether it is the person's is told by `identityVerification`.
const VERIFIED: &str = "APPROVED_VERIFIED";

const KYX: Table = Table {
    types: &[("workflow_execution", Rule::Status)],
    statuses: &[
        ("INITIATED", Pending),
        ("ACQUISITION_STARTED", Pending),
        ("ACQUIRED", Pending),
        ("SESSION_EXPIRED", Expired),
        ("TOKEN_EXPIRED", Expired),
        (PROCESSED, Decision::None),
    ],
};

const PROCESSED: &str = "PROCESSED";

pub(super) fn read(input: &Input<'_>) -> Reading {
    let root = input.root;
    if root.at("/workflowExecution").is_some() {
        return workflow_execution(root);
    }
    let event_type = first(root, &["/callBackType"]);
    let status = first(root, &["/verificationStatus"]);
    let mut verdict = FORM.decide(event_type.as_deref(), status.as_deref());
    if verdict == Verdict::Listed(Approved) {
        verdict = identity(root.at("/identityVerification"));
    }
    Reading {
        verdict,
        subject: first(root, &["/customerId", "/merchantIdScanReference"]),
        session: first(root, &["/jumioIdScanReference"]),
        reasons: reasons(root),
        occurred_at: time(root, &["/callbackDate"]),
        event_type,
        status,
        ..Reading::default()
    }
}

/// Whether the person is the document's: similarity and validity, of which the second may be text.
fn identity(field: Option<&Node<'_>>) -> Verdict {
    let Some(field) = field.filter(|field| field.text().is_some()) else {
        return Verdict::Listed(Approved);
    };
    let Some(document) = field.embedded() else {
        return Verdict::Unknown;
    };
    let similarity = first(document.root(), &["/similarity"]).unwrap_or_default();
    let validity = first(document.root(), &["/validity"]).unwrap_or_default();
    let is = |word| same(&similarity, word);
    match () {
        () if is("NO_MATCH") || same(&validity, "false") => Verdict::Listed(Declined),
        () if is("NOT_POSSIBLE") => Verdict::Listed(Review),
        () if is("MATCH") && same(&validity, "true") => Verdict::Listed(Approved),
        () => Verdict::Unknown,
    }
}

fn reasons(root: &Node<'_>) -> Vec<String> {
    let Some(document) = root.at("/rejectReason").and_then(Node::embedded) else {
        return all(root, &["/rejectReason"]);
    };
    let paths = [
        "/rejectReasonDescription",
        "/rejectReasonDetails/*/detailsDescription",
        // One detail comes without its list.
        "/rejectReasonDetails/detailsDescription",
    ];
    all(document.root(), &paths)
}

fn workflow_execution(root: &Node<'_>) -> Reading {
    let event_type = "workflow_execution".to_owned();
    let status = first(root, &["/workflowExecution/status"]);
    let processed = status
        .as_deref()
        .is_some_and(|status| same(status, PROCESSED));
    Reading {
        verdict: KYX.decide(Some(&event_type), status.as_deref()),
        subject: first(root, &["/userReference", "/account/id"]),
        session: first(root, &["/workflowExecution/id"]),
        workflow: first(root, &["/workflowExecution/definitionKey"]),
        occurred_at: time(root, &["/callbackSentAt"]),
        flags: Vec::from_iter(processed.then_some(FETCH_RESULT)),
        event_type: Some(event_type),
        status,
        ..Reading::default()
    }
}
