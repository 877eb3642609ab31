//! The audit log: who did what to the journal's contents, and when, in a chain that shows tampering.
//!
//! Pure: values, the link between two entries, and the check of a chain. An entry is one line of JSON, and
//! its hash is `SHA-256(hash of the entry before, as 32 bytes || the line)`; before the first entry stand 32
//! zero bytes. So an entry cannot be changed, taken out or moved without its successors showing it. The last
//! hash stands a second time in a head record, which shows that the end was cut off. Who can write to the
//! database can forge all of that together; only a head that was kept elsewhere ([`Anchor`]) finds this.
//!
//! Entries hold names of operators, ids and reasons, never contents of events: they outlive what they tell of.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Hash of an entry.
pub type Hash = [u8; 32];

/// What stands before the first entry.
pub const GENESIS: Hash = [0; 32];

/// Characters kept of an operator's name.
pub const ACTOR_CHARS_MAX: usize = 100;
/// Characters of a reason; longer ones are refused at the door, and cut here.
pub const REASON_CHARS_MAX: usize = 200;

/// Who asks for an act. Nobody proves a name to the admin listener: it is what the other side said, beside
/// the address that it came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// The name that was given, else `unknown`.
    pub name: String,
    /// Address of the connection; empty for acts that came over none, such as a signal.
    pub peer: String,
}

impl Actor {
    /// This name, without control characters and cut to [`ACTOR_CHARS_MAX`].
    #[must_use]
    pub fn new(name: &str, peer: impl Into<String>) -> Self {
        let name = line(name, ACTOR_CHARS_MAX);
        Self {
            name: if name.is_empty() {
                "unknown".to_owned()
            } else {
                name
            },
            peer: peer.into(),
        }
    }
}

/// What was done: the part of an entry that the one who does it knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deed {
    /// Stable word: `dead_letters.replay`, `dead_letters.discard`, `events.delete`, `reload` ...
    pub act: &'static str,
    /// What it was done to: an id, a sink, or the filter that chose the items.
    pub subject: String,
    /// Ids of what was changed, where there are several or a filter chose them.
    pub items: Vec<String>,
    /// The operator's reason, where the act asks for one.
    pub reason: String,
    /// How it ended, where it can end in more than one way.
    pub outcome: String,
}

/// One entry, in the order of its JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Place in the log, from 1, without gaps.
    pub seq: u64,
    /// RFC 3339, UTC, milliseconds.
    pub at: String,
    /// See [`Actor::name`].
    pub actor: String,
    /// See [`Actor::peer`].
    pub peer: String,
    /// See [`Deed::act`].
    pub act: String,
    /// See [`Deed::subject`].
    pub subject: String,
    /// See [`Deed::items`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<String>,
    /// See [`Deed::reason`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// See [`Deed::outcome`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub outcome: String,
}

impl Entry {
    /// The entry of this deed.
    #[must_use]
    pub fn new(seq: u64, at_ms: u64, actor: &Actor, deed: &Deed) -> Self {
        Self {
            seq,
            at: time(at_ms),
            actor: actor.name.clone(),
            peer: actor.peer.clone(),
            act: deed.act.to_owned(),
            subject: deed.subject.clone(),
            items: deed.items.clone(),
            reason: line(&deed.reason, REASON_CHARS_MAX),
            outcome: deed.outcome.clone(),
        }
    }

    /// The line that is stored and hashed.
    #[must_use]
    pub fn text(&self) -> String {
        // Text and numbers always serialise.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The hash of the entry with this text, after the one with hash `before`.
#[must_use]
pub fn link(before: &Hash, text: &str) -> Hash {
    Sha256::new()
        .chain_update(before)
        .chain_update(text.as_bytes())
        .finalize()
        .into()
}

/// An entry as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its place by the database.
    pub seq: u64,
    /// Its line.
    pub text: String,
    /// Its hash.
    pub hash: Hash,
}

/// The place and hash of an entry, mostly the last one. As text `SEQ:HEX`, to be kept somewhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Place, 0 for an empty log.
    pub seq: u64,
    /// Hash, [`GENESIS`] for an empty log.
    pub hash: Hash,
}

impl Head {
    /// Of an empty log.
    pub const EMPTY: Self = Self {
        seq: 0,
        hash: GENESIS,
    };
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, hex::encode(self.hash))
    }
}

/// A text that is no [`Head`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a head is a number, a colon and 64 hex digits, as `hookswitch audit verify` prints it")]
pub struct BadHead;

impl FromStr for Head {
    type Err = BadHead;

    fn from_str(text: &str) -> Result<Self, BadHead> {
        let (seq, digits) = text.split_once(':').ok_or(BadHead)?;
        let mut hash = GENESIS;
        hex::decode_to_slice(digits, &mut hash).map_err(|_| BadHead)?;
        Ok(Self {
            seq: seq.parse().map_err(|_| BadHead)?,
            hash,
        })
    }
}

/// A head that was noted outside of the database.
pub type Anchor = Head;

/// Something wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The hash does not follow from the text and the hash before.
    #[error(
        "entry {0} does not follow from the entry before it: one of the two was altered or replaced"
    )]
    Altered(u64),
    /// The text says another place than the row.
    #[error("entry {seq} says that it is entry {says}: it was moved")]
    Moved {
        /// The row.
        seq: u64,
        /// Its text.
        says: u64,
    },
    /// The text is no entry.
    #[error("entry {0} cannot be read: it was altered")]
    Unreadable(u64),
    /// Rows are missing in the middle or at the beginning.
    #[error("entries {first} to {last} are missing")]
    Missing {
        /// The first missing one.
        first: u64,
        /// The last missing one.
        last: u64,
    },
    /// The log is longer or shorter than its head record says.
    #[error(
        "the log ends with entry {last}, and its head record names entry {head}: the end was cut off or the record altered"
    )]
    Cut {
        /// The last row.
        last: u64,
        /// The record's place.
        head: u64,
    },
    /// The head record has another hash than the last entry.
    #[error("the head record does not have the hash of entry {0}: one of the two was altered")]
    Head(u64),
    /// The log does not contain the anchor.
    #[error(
        "the log does not hold the anchor {0}: entries up to it were replaced, or it is another journal's"
    )]
    Anchor(Anchor),
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Entries looked at.
    pub entries: u64,
    /// The last one.
    pub head: Head,
    /// What is wrong; empty if nothing is.
    pub faults: Vec<Fault>,
}

/// Faults told at most: enough to see where it begins.
pub const FAULTS_MAX: usize = 100;

/// A check in progress: [`Check::row`] for each row in order, then [`Check::end`].
#[derive(Debug)]
pub struct Check {
    anchors: Vec<Anchor>,
    last: Head,
    entries: u64,
    faults: Vec<Fault>,
}

impl Check {
    /// The log must hold these heads, too.
    #[must_use]
    pub fn new(anchors: Vec<Anchor>) -> Self {
        Self {
            anchors,
            last: Head::EMPTY,
            entries: 0,
            faults: Vec::new(),
        }
    }

    /// The next row.
    pub fn row(&mut self, row: &Row) {
        let expected = self.last.seq + 1;
        if row.seq > expected {
            self.fault(Fault::Missing {
                first: expected,
                last: row.seq - 1,
            });
        } else if link(&self.last.hash, &row.text) != row.hash {
            // After a gap there is nothing to compare with.
            self.fault(Fault::Altered(row.seq));
        }
        match serde_json::from_str::<Entry>(&row.text) {
            Ok(entry) if entry.seq == row.seq => {}
            Ok(entry) => self.fault(Fault::Moved {
                seq: row.seq,
                says: entry.seq,
            }),
            Err(_) => self.fault(Fault::Unreadable(row.seq)),
        }
        self.last = Head {
            seq: row.seq,
            hash: row.hash,
        };
        self.entries += 1;
        let found = self.last;
        self.anchors.retain(|anchor| *anchor != found);
    }

    /// The end of the log, with its head record.
    #[must_use]
    pub fn end(mut self, head: Head) -> Verdict {
        if head.seq != self.last.seq {
            self.fault(Fault::Cut {
                last: self.last.seq,
                head: head.seq,
            });
        } else if head.hash != self.last.hash {
            self.fault(Fault::Head(head.seq));
        }
        for anchor in std::mem::take(&mut self.anchors) {
            if anchor != Head::EMPTY {
                self.fault(Fault::Anchor(anchor));
            }
        }
        Verdict {
            entries: self.entries,
            head: self.last,
            faults: self.faults,
        }
    }

    fn fault(&mut self, fault: Fault) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        }
    }
}

/// One line without control characters, cut to `chars_max` characters.
fn line(text: &str, chars_max: usize) -> String {
    text.trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(chars_max)
        .collect()
}

fn time(at_ms: u64) -> String {
    let at = i64::try_from(at_ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or_else(String::new, |at| format!("{at:.3}"))
}

#[cfg(test)]
mod tests;
