//! Refused: why a handshake is not answered, for operators.

use super::echo::BadEcho;
use super::rule::Refuse;
use crate::fetch::FetchError;

/// See the module's text.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// What is wanted back is not there.
    #[error("{0} is missing")]
    Missing(String),
    /// What is wanted back is there twice.
    #[error("{0} stands there more than once")]
    Twice(String),
    /// What is wanted back is not given to anybody.
    #[error("{place} {why}")]
    Challenge {
        /// Where it stands.
        place: String,
        /// What is wrong with it.
        why: BadEcho,
    },
    /// A value is not the one that the source expects. It is not shown: it may be a good one with a slip.
    #[error("{place} is not what the source expects")]
    Unexpected {
        /// Where it stands.
        place: String,
        /// How that is answered.
        refuse: Refuse,
    },
    /// The URL to fetch is not one that may be fetched.
    #[error("{place} cannot be fetched: {why}")]
    Confirmation {
        /// Where it stands.
        place: String,
        /// What is wrong with it.
        why: FetchError,
    },
}

impl Refused {
    /// Stable name of the reason, for metrics.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Missing(_) | Self::Twice(_) | Self::Challenge { .. } => "bad_challenge",
            Self::Unexpected { .. } => "unexpected_value",
            Self::Confirmation { .. } => "bad_url",
        }
    }
}
