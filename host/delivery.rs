//! Delivery: getting planned messages to their sinks, in order where asked, until each has settled.
//!
//! [`lane`] decides (pure) with its [`throttle`], [`worker`] does it (one task a sink), [`handle`] is the way to
//! it, [`progress`] says what of an event
//! must be on disk before anything of it may be forgotten. Invariant: a delivery leaves memory only
//! after the journal confirmed a record of it, or while its event is still unplanned in the journal.

pub mod handle;
pub mod lane;
pub mod progress;
pub mod throttle;
pub mod worker;

#[cfg(test)]
mod simulation;

use crate::journal::{Record, State};
use crate::sink::Delivery;

pub use handle::{Offer, Order, SinkHandle, SinkStatus};
pub use progress::Progress;
pub use worker::Worker;

/// The record of a delivery in this state. Pending and dead ones carry the message, so that a retry or
/// replay sends the same bytes whatever the plugins do by then.
#[must_use]
pub fn record(delivery: &Delivery, state: State, at_ms: u64) -> Record {
    Record {
        ordinal: delivery.ordinal,
        route: delivery.route.clone(),
        sink: delivery.sink.clone(),
        state,
        attempts: delivery.attempts,
        at_ms,
        next_at_ms: 0,
        key_hash: delivery.order,
        code: String::new(),
        detail: String::new(),
        plugins: delivery.plugins.to_string(),
        message_id: delivery.message_id.clone(),
        message: match state {
            State::Pending | State::Dead => {
                let mut message = delivery.message.clone();
                message.key.clone_from(&delivery.key);
                Some(message)
            }
            State::Delivered | State::Dropped => None,
        },
        attempt: None,
    }
}
