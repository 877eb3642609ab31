//! Decisions, and tables that lead from a provider's words to one.
//!
//! Words are compared without case, and with `_`, `-` and space left out. What a table does not list is
//! [`Verdict::Unknown`], never the nearest guess.

use serde::{Deserialize, Serialize};

/// What the provider decided on the subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Verified.
    Approved,
    /// Refused.
    Declined,
    /// A person must look.
    Review,
    /// Under way, or the user must act again.
    Pending,
    /// Ended without an outcome, or an earlier approval lapsed.
    Expired,
    /// The event says nothing on the outcome.
    None,
}

impl Decision {
    /// The word in the output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Declined => "declined",
            Self::Review => "review",
            Self::Pending => "pending",
            Self::Expired => "expired",
            Self::None => "none",
        }
    }

    /// The type of the message that carries it.
    #[must_use]
    pub fn message_type(self) -> &'static str {
        match self {
            Self::None => "kyc.event",
            _ => "kyc.decision",
        }
    }
}

/// What a table says of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The table lists it.
    Listed(Decision),
    /// The table does not list its type or status.
    #[default]
    Unknown,
}

impl Verdict {
    /// The decision; none where the event is unknown.
    pub(crate) fn decision(self) -> Decision {
        match self {
            Self::Listed(decision) => decision,
            Self::Unknown => Decision::None,
        }
    }

    /// Whether the table lists the event.
    pub(crate) fn recognised(self) -> bool {
        self != Self::Unknown
    }
}

/// What the type of an event tells.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    /// The decision itself, whatever the status.
    Always(Decision),
    /// That the status decides.
    Status,
    /// That the status decides, and that there may be none, which says nothing.
    StatusIfAny,
}

/// That the event is known and says nothing on the outcome.
pub(crate) const NOTHING: Rule = Rule::Always(Decision::None);

/// One provider's rows. The first that matches counts; a trailing `*` matches any rest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    pub(crate) types: &'static [(&'static str, Rule)],
    pub(crate) statuses: &'static [(&'static str, Decision)],
}

impl Table {
    /// What the table says of a type and a status.
    pub(crate) fn decide(&self, event_type: Option<&str>, status: Option<&str>) -> Verdict {
        match event_type.and_then(|event_type| look_up(self.types, event_type)) {
            Some(Rule::Always(decision)) => Verdict::Listed(decision),
            Some(Rule::Status) => self.status(status),
            Some(Rule::StatusIfAny) if status.is_none() => Verdict::Listed(Decision::None),
            Some(Rule::StatusIfAny) => self.status(status),
            None => Verdict::Unknown,
        }
    }

    /// What the table says of a status alone.
    pub(crate) fn status(&self, status: Option<&str>) -> Verdict {
        status
            .and_then(|status| look_up(self.statuses, status))
            .map_or(Verdict::Unknown, Verdict::Listed)
    }
}

fn look_up<T: Copy>(rows: &[(&str, T)], word: &str) -> Option<T> {
    rows.iter()
        .find(|(pattern, _)| matches(pattern, word))
        .map(|(_, found)| *found)
}

fn matches(pattern: &str, word: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => {
            let mut letters = letters(word);
            self::letters(prefix).all(|letter| letters.next() == Some(letter))
        }
        None => same(pattern, word),
    }
}

/// Whether two words are one, as this plugin compares words.
pub(crate) fn same(one: &str, other: &str) -> bool {
    letters(one).eq(letters(other))
}

fn letters(word: &str) -> impl Iterator<Item = char> + '_ {
    word.chars()
        .filter(|letter| !matches!(letter, '_' | '-' | ' '))
        .map(|letter| letter.to_ascii_lowercase())
}
