//! Returns: which of many concurrent publishes the broker returned as unroutable.
//!
//! The client library hands a returned message to whichever confirm it completes next, which with many
//! messages in flight is often not the one that it belongs to. Trusting it would count an unroutable
//! message as delivered. What holds (by the order in which the library works, one frame after another):
//!
//! 1. A returned message is queued before its own confirm is completed.
//! 2. Every confirm that is completed takes the first message of that queue, if there is one.
//!
//! Hence a confirm that took nothing found the queue empty, and if its own message had been returned, a
//! confirm completed *earlier* has taken it: after looking at every confirm completed so far, the answer
//! is certain. A confirm that took somebody else's message tells nothing about its own, which may still
//! be queued: its outcome is unknown. Pure.

use std::collections::{HashMap, HashSet};

/// What one completed confirm said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Confirm {
    /// The id of the message that it confirms.
    pub(super) message_id: String,
    /// False for a negative acknowledgement.
    pub(super) ack: bool,
    /// The id of the returned message that it took, its own or another's.
    pub(super) took: Option<String>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Stored in every queue that takes it.
    Stored,
    /// No queue takes it.
    Unroutable,
    /// The broker refused it: a queue is full.
    Refused,
    /// It may be stored or not.
    Unknown,
}

/// What is known of returned messages. Bounded by the messages in flight.
#[derive(Debug, Default)]
pub(super) struct Returns {
    /// Returned, with their own confirm still to come, and how often: an id is in flight twice if a
    /// cancelled delivery was tried again.
    seen: HashMap<String, usize>,
    /// Judged as unknown: if their return turns up after all, nobody waits for it.
    unsure: HashSet<String>,
}

impl Returns {
    /// The fates of confirms that were completed since the last call, in that order and without gaps.
    pub(super) fn judge(&mut self, confirms: &[Confirm]) -> Vec<Fate> {
        for confirm in confirms {
            match &confirm.took {
                Some(id) if self.unsure.remove(id) => {}
                Some(id) => *self.seen.entry(id.clone()).or_default() += 1,
                // The queue was empty, so no return of an earlier message can turn up any more.
                None => self.unsure.clear(),
            }
        }
        confirms
            .iter()
            .map(|confirm| {
                let fate = self.fate(confirm);
                match fate {
                    Fate::Unroutable => self.forget(&confirm.message_id),
                    Fate::Unknown => drop(self.unsure.insert(confirm.message_id.clone())),
                    Fate::Stored | Fate::Refused => {}
                }
                fate
            })
            .collect()
    }

    fn forget(&mut self, id: &str) {
        if let Some(count) = self.seen.get_mut(id) {
            *count -= 1;
            if *count == 0 {
                self.seen.remove(id);
            }
        }
    }

    fn fate(&self, confirm: &Confirm) -> Fate {
        if self.seen.contains_key(&confirm.message_id) {
            Fate::Unroutable
        } else if !confirm.ack {
            Fate::Refused
        } else if confirm.took.is_some() {
            Fate::Unknown
        } else {
            Fate::Stored
        }
    }

    /// Messages seen as returned whose confirm is still to come.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.seen.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(id: &str, took: Option<&str>) -> Confirm {
        Confirm {
            message_id: id.to_owned(),
            ack: true,
            took: took.map(str::to_owned),
        }
    }

    fn nack(id: &str) -> Confirm {
        Confirm {
            ack: false,
            ..ack(id, None)
        }
    }

    #[test]
    fn fates_follow_from_what_the_confirms_took() {
        use Fate::{Refused, Stored, Unknown, Unroutable};
        for (what, rounds) in [
            (
                "alone",
                vec![(vec![ack("a", None), nack("b")], vec![Stored, Refused])],
            ),
            (
                "its own",
                vec![(vec![ack("a", Some("a"))], vec![Unroutable])],
            ),
            (
                "taken by an earlier one in the same round",
                vec![(
                    vec![ack("good", Some("bad")), ack("bad", None)],
                    vec![Unknown, Unroutable],
                )],
            ),
            (
                "taken by one in an earlier round",
                vec![
                    (vec![ack("good", Some("bad"))], vec![Unknown]),
                    (
                        vec![ack("other", None), ack("bad", None)],
                        vec![Stored, Unroutable],
                    ),
                ],
            ),
            (
                "one id in flight twice, both returned",
                vec![
                    (
                        vec![ack("x", Some("a")), ack("y", Some("a"))],
                        vec![Unknown; 2],
                    ),
                    (vec![ack("a", None)], vec![Unroutable]),
                    (vec![ack("a", None)], vec![Unroutable]),
                    (vec![ack("a", None)], vec![Stored]),
                ],
            ),
            (
                "a return that turns up after its own confirm was given up on",
                vec![
                    (vec![ack("a", Some("b"))], vec![Unknown]),
                    (vec![ack("b", Some("a"))], vec![Unroutable]),
                ],
            ),
            (
                "two that took each other's",
                vec![(
                    vec![ack("a", Some("b")), ack("b", Some("a"))],
                    vec![Unroutable; 2],
                )],
            ),
        ] {
            let mut returns = Returns::default();
            for (confirms, expected) in rounds {
                assert_eq!(returns.judge(&confirms), expected, "{what}");
            }
            assert_eq!(returns.len(), 0, "{what}: nothing stays behind");
        }
    }

    /// Plays the library: returns are queued before their confirm, confirms complete in any order and
    /// take the first of the queue. No unroutable message may be judged as stored, whatever the order.
    #[test]
    fn an_unroutable_message_is_never_judged_as_stored() {
        for seed in 0..2_000_u64 {
            let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut below = |n: u64| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random % n
            };
            let mut queue = std::collections::VecDeque::new();
            let mut open: Vec<(String, bool)> = Vec::new();
            let mut returns = Returns::default();
            let mut batch = Vec::new();
            let mut bad = HashSet::new();
            for step in 0..60 {
                let unroutable = below(3) == 0;
                let id = format!("m{step}");
                if unroutable {
                    queue.push_back(id.clone());
                    bad.insert(id.clone());
                }
                open.push((id, unroutable));
                while !open.is_empty() && below(2) == 0 {
                    let at = usize::try_from(below(open.len() as u64)).unwrap_or(0);
                    let (id, _) = open.swap_remove(at);
                    let took = queue.pop_front();
                    batch.push(ack(&id, took.as_deref()));
                }
                if below(3) == 0 {
                    let fates = returns.judge(&batch);
                    for (confirm, fate) in batch.drain(..).zip(fates) {
                        let is_bad = bad.contains(&confirm.message_id);
                        assert!(
                            !(is_bad && fate == Fate::Stored),
                            "seed {seed}: {confirm:?}"
                        );
                        assert!(
                            is_bad || fate != Fate::Unroutable,
                            "seed {seed}: {confirm:?}"
                        );
                    }
                }
            }
        }
    }
}
