//! Failures: requests that ended without an answer.
//!
//! Pure: finds the cause among an error's sources, and says how to go on.

use std::error::Error as StdError;

use http::Extensions;
use hyper_util::client::legacy::Error as ClientError;

use super::connect::{Reused, TooSlow};
use crate::network::PrivateAddress;
use crate::sink::{Class, SinkError};

/// A request without an answer.
pub(super) fn classify(error: &ClientError, place: &str) -> SinkError {
    let (class, code) = if find::<PrivateAddress>(error).is_some() {
        (Class::Configuration, "private_address")
    } else if let Some(slow) = find::<TooSlow>(error) {
        (
            Class::Transient,
            match slow {
                TooSlow::Connect => "connect_timeout",
                TooSlow::Tls => "tls_timeout",
            },
        )
    } else if find::<rustls::Error>(error).is_some() {
        (Class::Transient, "tls")
    } else if error.is_connect() {
        (Class::Transient, "connect")
    } else {
        (Class::Transient, "connection_lost")
    };
    let cause = innermost(error);
    SinkError::new(class, code, format!("no answer from {place}: {cause}"))
}

/// True if a request failed on a kept connection before any byte of an answer: most likely the other
/// side closed it for idleness at that moment.
pub(super) fn met_a_closing_connection(error: &ClientError) -> bool {
    was_reused(error) && closed_before_answer(error)
}

fn was_reused(error: &ClientError) -> bool {
    let mut extras = Extensions::new();
    if let Some(connection) = error.connect_info() {
        connection.get_extras(&mut extras);
    }
    extras.get::<Reused>().is_some_and(Reused::is_marked)
}

fn closed_before_answer(error: &ClientError) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    let by_hyper = find::<hyper::Error>(error)
        .is_some_and(|e| e.is_incomplete_message() || e.is_canceled() || e.is_closed());
    let by_system = find::<std::io::Error>(error)
        .is_some_and(|e| matches!(e.kind(), BrokenPipe | ConnectionAborted | ConnectionReset));
    by_hyper || by_system
}

/// The first error of type `E` among an error and its causes.
fn find<'e, E: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e E> {
    causes(error).find_map(|error| error.downcast_ref::<E>())
}

/// The error that started it, which names the cause best.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    causes(error)
        .last()
        .map(ToString::to_string)
        .unwrap_or_default()
}

/// An error and its causes, outermost first.
fn causes<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| {
        // What an io error wraps is not its `source`: that is the source of what it wraps.
        match error.downcast_ref::<std::io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &(dyn StdError + 'static)),
            None => error.source(),
        }
    })
}
