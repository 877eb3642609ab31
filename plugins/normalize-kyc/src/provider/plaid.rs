//! Plaid Identity Verification: events only say that something changed; the status is to be fetched. No
//! event names the person.

use super::{Input, Reading, first};
use crate::decision::Decision::Pending;
use crate::decision::{NOTHING, Rule, Table, same};
use crate::kyc::FETCH_RESULT;

const STATUS_UPDATED: &str = "IDENTITY_VERIFICATION.STATUS_UPDATED";

const TABLE: Table = Table {
    types: &[
        ("IDENTITY_VERIFICATION.STEP_UPDATED", Rule::Always(Pending)),
        ("IDENTITY_VERIFICATION.RETRIED", Rule::Always(Pending)),
        (STATUS_UPDATED, NOTHING),
    ],
    statuses: &[],
};

pub(super) fn read(input: &Input<'_>) -> Reading {
    let root = input.root;
    let event_type = match (
        first(root, &["/webhook_type"]),
        first(root, &["/webhook_code"]),
    ) {
        (Some(family), Some(code)) => Some(format!("{family}.{code}")),
        (family, code) => family.or(code),
    };
    let to_fetch = event_type
        .as_deref()
        .is_some_and(|name| same(name, STATUS_UPDATED));
    let environment = first(root, &["/environment"]);
    Reading {
        verdict: TABLE.decide(event_type.as_deref(), None),
        session: first(root, &["/identity_verification_id"]),
        test: environment.is_some_and(|environment| same(&environment, "sandbox")),
        flags: Vec::from_iter(to_fetch.then_some(FETCH_RESULT)),
        event_type,
        ..Reading::default()
    }
}
