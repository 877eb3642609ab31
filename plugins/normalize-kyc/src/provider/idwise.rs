//! IDWise: journeys, their steps, ongoing monitoring and spot checks. Types are English words. No event
//! tells its time; the deadlines in `requiredSteps` are others.

use super::{Input, Reading, all, first};
use crate::decision::Decision::{Approved, Declined, Expired, Pending, Review};
use crate::decision::{Rule, Table};

const TABLE: Table = Table {
    types: &[
        ("Finished Step", Rule::Always(Pending)),
        ("Finished User Steps", Rule::Always(Pending)),
        ("Step Submitted", Rule::Always(Pending)),
        ("Verification Update Required", Rule::Always(Pending)),
        ("KYC Renewal Deadline Exceeded", Rule::Always(Expired)),
        ("Finished Journey", Rule::Status),
        ("Updated Journey", Rule::Status),
        ("AML Monitor Update", Rule::Status),
        ("Finished Spot Check", Rule::Status),
        ("Finished Ongoing Check", Rule::Status),
        ("Manually Reviewed", Rule::Status),
    ],
    statuses: &[
        ("Complete", Approved),
        ("Approved", Approved),
        ("Rejected", Declined),
        ("Refer", Review),
        ("Incomplete", Pending),
        ("Resubmission Requested", Pending),
    ],
};

pub(super) fn read(input: &Input<'_>) -> Reading {
    let root = input.root;
    let event_type = first(root, &["/event"]);
    // The final decision is the reviewer's where there is one.
    let status = first(
        root,
        &[
            "/body/finalDecision",
            "/body/manualDecision",
            "/body/systemDecision",
        ],
    );
    Reading {
        verdict: TABLE.decide(event_type.as_deref(), status.as_deref()),
        event_id: first(root, &["/body/eventId"]),
        subject: first(root, &["/body/referenceNo"]),
        session: first(
            root,
            &[
                "/body/journeyId",
                "/body/spotCheckJourneyId",
                "/body/ongoingCheckId",
            ],
        ),
        reasons: all(
            root,
            &[
                "/body/action",
                "/body/trigger",
                "/body/requiredSteps/*/reasonCode",
            ],
        ),
        event_type,
        status,
        ..Reading::default()
    }
}
