//! k-ID: age verification, parental consent, sessions. Events have no id and no time. The age category
//! comes with failures too and never decides.

use super::{Input, Reading, all, first};
use crate::decision::Decision::{Approved, Declined, Pending, Review};
use crate::decision::{NOTHING, Rule, Table, same};
use crate::kyc::{NOT_AUTHORITATIVE, SEVERAL_SESSIONS};

const TABLE: Table = Table {
    types: &[
        ("Verification.Result", Rule::Status),
        ("Challenge.StateChange", Rule::Status),
        ("AgeAssurance.Result", Rule::Status),
        ("AdultVerification.Result", Rule::Status),
        ("ParentalConsent.Granted", Rule::Always(Approved)),
        // An approval is withdrawn.
        ("Verification.Revoke", Rule::Always(Declined)),
        ("Session.*", NOTHING),
        ("Account.Delete", NOTHING),
        ("Test", NOTHING),
    ],
    statuses: &[
        ("PASS", Approved),
        ("FAIL", Declined),
        ("INCONCLUSIVE", Review),
        ("IN_PROGRESS", Pending),
    ],
};

pub(super) fn read(input: &Input<'_>) -> Reading {
    let root = input.root;
    let event_type = first(root, &["/eventType"])
        .or_else(|| input.event.header("x-event-type").map(str::to_owned));
    let status = first(root, &["/data/status"]);
    let revoked = all(root, &["/data/verifications/*/id"]);
    let is = |name| {
        event_type
            .as_deref()
            .is_some_and(|event_type| same(event_type, name))
    };
    // Events of the browser's widget look like webhooks and prove nothing.
    let of_browser = is("Verification.Error")
        || event_type
            .as_deref()
            .is_some_and(|name| name.starts_with("Widget."));
    let mut flags = Vec::from_iter(of_browser.then_some(NOT_AUTHORITATIVE));
    let mut session = first(root, &["/data/id"]);
    match revoked.as_slice() {
        [only] if session.is_none() => session = Some(only.clone()),
        [_, _, ..] if session.is_none() => flags.push(SEVERAL_SESSIONS),
        _ => {}
    }
    Reading {
        verdict: TABLE.decide(event_type.as_deref(), status.as_deref()),
        subject: first(root, &["/data/kuid"]),
        session,
        reasons: all(
            root,
            &["/data/failureReason", "/data/verifications/*/reason"],
        ),
        test: is("Test"),
        flags,
        event_type,
        status,
        ..Reading::default()
    }
}
