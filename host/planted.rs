//! Planted bugs: mistakes made on purpose, one for each promise, to see that the chaos harness notices.
//!
//! Compiled with the feature `planted-bugs` only, which no release has: without it neither this module nor the
//! places that ask it exist. A build with it does no harm until [`VARIABLE`] names one of them.

use std::sync::OnceLock;

/// The environment variable that chooses a bug by its name.
pub const VARIABLE: &str = "HOOKSWITCH_PLANTED_BUG";

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// The sender gets its 2xx before the commit.
    AckBeforeCommit,
    /// Commits are not synced.
    SkippedFsync,
    /// A delivery counts as confirmed before it is sent.
    SettleBeforeSend,
    /// After a restart the journal forgets which events still wait for their routes.
    LostCursor,
    /// Of those that wait behind a key the youngest goes first.
    SwappedOrder,
}

/// Their names.
pub const BUGS: [(&str, Bug); 5] = [
    ("ack-before-commit", Bug::AckBeforeCommit),
    ("skipped-fsync", Bug::SkippedFsync),
    ("settle-before-send", Bug::SettleBeforeSend),
    ("lost-cursor", Bug::LostCursor),
    ("swapped-order", Bug::SwappedOrder),
];

/// True if this one was chosen.
#[must_use]
pub fn is(bug: Bug) -> bool {
    static CHOSEN: OnceLock<Option<Bug>> = OnceLock::new();
    *CHOSEN.get_or_init(choose) == Some(bug)
}

fn choose() -> Option<Bug> {
    let name = std::env::var(VARIABLE).ok()?;
    let chosen = BUGS.iter().find(|(known, _)| *known == name);
    tracing::error!(%name, known = chosen.is_some(), "this build makes a mistake on purpose: never use it for anything but tests");
    chosen.map(|(_, bug)| *bug)
}
