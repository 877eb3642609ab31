//! The event that comes out, `kyc.v1`. Its schema is `schema/kyc.v1.json`.
//!
//! All keys are always there, in this order, null where nothing is known; `original` alone only where the
//! config asks for it. Within `kyc.v1` keys are never removed and never change their meaning.

use hookswitch::Event;
use serde::Serialize;

use crate::decision::Decision;
use crate::json::Original;
use crate::provider::Reading;

/// Name of the schema.
pub(crate) const SCHEMA: &str = "kyc.v1";

/// The provider approved with reservations, or flagged the person.
pub(crate) const FLAGGED: &str = "flagged";
/// The outcome is not in the event; ask the provider's API for it.
pub(crate) const FETCH_RESULT: &str = "fetch-result";
/// The event is of a kind that comes from the user's browser.
pub(crate) const NOT_AUTHORITATIVE: &str = "not-authoritative";
/// The event speaks of several sessions, so `session` names none.
pub(crate) const SEVERAL_SESSIONS: &str = "several-sessions";
/// The signature did not cover the whole body.
const FULL_COVERAGE_MISSING: &str = "full-coverage-missing";

/// One decision event.
#[derive(Serialize)]
pub(crate) struct KycEvent<'a> {
    schema: &'static str,
    /// The provider's name, the same for all of its sources.
    pub(crate) provider: &'a str,
    event_type: Option<String>,
    event_id: Option<String>,
    subject: Option<String>,
    session: Option<String>,
    pub(crate) decision: Decision,
    status: Option<String>,
    recognised: bool,
    reasons: Vec<String>,
    workflow: Option<String>,
    occurred_at: Option<String>,
    test: bool,
    flags: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) original: Option<Original<'a>>,
}

impl<'a> KycEvent<'a> {
    /// What a provider's event says, with what the host says of it.
    pub(crate) fn new(provider: &'a str, reading: Reading, event: &Event) -> Self {
        let mut flags = reading.flags;
        if event
            .attribute("coverage")
            .is_some_and(|coverage| coverage != "full")
        {
            flags.push(FULL_COVERAGE_MISSING);
        }
        Self {
            schema: SCHEMA,
            provider,
            event_type: reading.event_type,
            event_id: reading.event_id,
            subject: reading.subject,
            session: reading.session,
            decision: reading.verdict.decision(),
            status: reading.status,
            recognised: reading.verdict.recognised(),
            reasons: distinct(reading.reasons),
            workflow: reading.workflow,
            occurred_at: reading.occurred_at,
            test: reading.test,
            flags,
            original: None,
        }
    }
}

/// Each reason once, where it came first.
fn distinct(reasons: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::with_capacity(reasons.len());
    for reason in reasons {
        if !kept.contains(&reason) {
            kept.push(reason);
        }
    }
    kept
}
