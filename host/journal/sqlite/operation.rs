//! Operations: what callers ask of the committer, each with the way back for its answer.
//!
//! An operation that is dropped unanswered tells its caller that the journal is closed.

use tokio::sync::oneshot;

use super::queue::Load;
use super::settle::EncodedEvent;
use crate::journal::archive::{Act, Acted};
use crate::journal::audit::Actor;
use crate::journal::state::{StateError, Write, Wrote};
use crate::journal::{AppendError, Appended, DedupeKey, JournalError, Settlement};

#[derive(Debug)]
pub(super) struct Append {
    pub(super) encoded: EncodedEvent,
    pub(super) dedupe: Option<DedupeKey>,
    pub(super) load: Load,
    pub(super) reply: oneshot::Sender<Result<Appended, AppendError>>,
}

#[derive(Debug)]
pub(super) struct Settle {
    pub(super) settlement: Settlement,
    pub(super) reply: oneshot::Sender<Result<(), JournalError>>,
}

#[derive(Debug)]
pub(super) struct StateWrite {
    pub(super) write: Write,
    pub(super) reply: oneshot::Sender<Result<Wrote, StateError>>,
}

#[derive(Debug)]
pub(super) struct ActFor {
    pub(super) act: Act,
    pub(super) actor: Actor,
    pub(super) reply: oneshot::Sender<Result<Acted, JournalError>>,
}

#[derive(Debug)]
pub(super) enum Operation {
    Append(Append),
    Settle(Settle),
    State(StateWrite),
    /// In a box, because it is rare and larger than the others.
    Act(Box<ActFor>),
    /// Commit what was queued before, close the database, then answer.
    Close(oneshot::Sender<()>),
}

/// The answer to the operation of the same kind.
#[derive(Debug)]
pub(super) enum Answer {
    Append(Result<Appended, AppendError>),
    Settle,
    State(Result<Wrote, StateError>),
    Act(Acted),
}

impl Append {
    pub(super) fn answer(self, answer: Result<Appended, AppendError>) {
        // Before the answer, so that who has it finds room for the next.
        drop(self.load);
        // Callers may stop waiting at any time; what they asked for is done all the same.
        let _ = self.reply.send(answer);
    }
}

impl StateWrite {
    pub(super) fn answer(self, answer: Result<Wrote, StateError>) {
        let _ = self.reply.send(answer);
    }
}

impl ActFor {
    pub(super) fn answer(self, answer: Result<Acted, JournalError>) {
        let _ = self.reply.send(answer);
    }
}

impl Operation {
    /// About how many bytes it adds to a transaction.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Append(append) => append.encoded.bytes(),
            Self::Settle(settle) => settle
                .settlement
                .records
                .iter()
                .filter_map(|record| record.message.as_ref())
                .map(|message| message.body.len())
                .sum(),
            Self::State(write) => write.write.bytes(),
            // Acts are bounded by the number of deliveries, and take what is there already.
            Self::Act(_) | Self::Close(_) => 0,
        }
    }

    pub(super) fn answer(self, answer: Answer) {
        match (self, answer) {
            (Self::Append(append), Answer::Append(answer)) => append.answer(answer),
            (Self::State(write), Answer::State(answer)) => write.answer(answer),
            (Self::Settle(settle), Answer::Settle) => {
                let _ = settle.reply.send(Ok(()));
            }
            (Self::Act(act), Answer::Act(acted)) => act.answer(Ok(acted)),
            // Answers are made from the operations in order, so no other pair exists.
            _ => {}
        }
    }
}
