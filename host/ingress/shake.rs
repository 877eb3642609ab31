//! Shake: answering a handshake, and what it asks for afterwards.
//!
//! A handshake is no event: nothing is stored. It is counted and logged, and has passed every bound that an event
//! passes. A URL that it wants fetched is fetched after the answer, by a task of its own; those are bounded, and
//! what is beyond the bound is refused with 503, so that the sender asks again.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::{Answer, Refusal};
use super::request::Link;
use crate::config::Source;
use crate::handshake::{self, Confirmation, Question, Refuse};
use crate::verify::Rejection;

/// Confirmations under way at a time, waits between their tries included.
const CONFIRMATIONS_MAX: u32 = 32;

/// The confirmations of a listener.
#[derive(Debug)]
pub struct Confirmations(Arc<Semaphore>);

impl Default for Confirmations {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(CONFIRMATIONS_MAX as usize)))
    }
}

impl Confirmations {
    fn begin(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }

    /// Returns once none is under way.
    pub async fn ended(&self) {
        // The semaphore is never closed.
        let _all = self.0.acquire_many(CONFIRMATIONS_MAX).await;
    }
}

/// Why a handshake got no 2xx: the answer, and the reason for operators.
pub(super) type NotShaken = (Refusal, Option<Rejection>);

/// Answers a handshake that may be answered.
pub(super) fn shake(
    link: &Link,
    source: &Arc<Source>,
    question: &Question<'_, '_>,
    now_ms: u64,
) -> Result<Answer, NotShaken> {
    let name = question.shake.name();
    let shaken = question.answer(now_ms).map_err(|refused| {
        let outcome = refused.outcome();
        link.door
            .deps
            .metrics
            .handshake(&source.name, name, outcome);
        let detail = format!("handshake `{name}`: {refused}");
        (refusal(&refused), Some(Rejection::new(outcome, detail)))
    })?;
    if let Some(confirmation) = shaken.confirmation {
        let Some(place) = link.door.confirmations.begin() else {
            link.door
                .deps
                .metrics
                .handshake(&source.name, name, "overloaded");
            return Err((Refusal::Overloaded, None));
        };
        let confirming = confirm(
            Arc::clone(&link.door),
            Arc::clone(source),
            Arc::clone(name),
            confirmation,
        );
        tokio::spawn(async move {
            confirming.await;
            drop(place);
        });
    }
    link.door
        .deps
        .metrics
        .handshake(&source.name, name, "answered");
    // Anybody can make an unsigned handshake: a flood of them does not flood the log.
    if let Some(skipped) = link.door.log.spend() {
        tracing::info!(peer = %link.peer, source = %source.name, handshake = %name, skipped, "handshake answered");
    }
    Ok(answer(shaken.answer))
}

/// Counts a handshake that was not authentic.
pub(super) fn not_authentic(link: &Link, source: &Source, question: &Question<'_, '_>) {
    let name = question.shake.name();
    link.door
        .deps
        .metrics
        .handshake(&source.name, name, "unauthorized");
}

/// How a handshake is refused.
pub(crate) fn refusal(refused: &handshake::Refused) -> Refusal {
    match refused {
        handshake::Refused::Missing(_)
        | handshake::Refused::Twice(_)
        | handshake::Refused::Challenge { .. }
        | handshake::Refused::Confirmation { .. } => Refusal::BadChallenge,
        handshake::Refused::Unexpected { refuse, .. } => match refuse {
            Refuse::Forbidden => Refusal::UnexpectedValue,
            Refuse::MethodNotAllowed => Refusal::MethodNotAllowed,
        },
    }
}

fn answer(answer: handshake::Answer) -> Answer {
    let mut response = Response::new(Full::<Bytes>::new(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or_default();
    *response.headers_mut() = answer.headers;
    response
}

async fn confirm(
    door: Arc<super::request::Door>,
    source: Arc<Source>,
    name: Arc<str>,
    confirmation: Confirmation,
) {
    let deps = &door.deps;
    let leaving = door.shutdown.drain_token();
    match confirmation.run(&deps.fetcher, leaving).await {
        Ok(()) => {
            deps.metrics.handshake(&source.name, &name, "confirmed");
            tracing::info!(source = %source.name, handshake = %name, "confirmed");
        }
        Err(error) => {
            deps.metrics.handshake(&source.name, &name, "not_confirmed");
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(
                source = %source.name,
                handshake = %name,
                code = error.code(),
                %error,
                cause,
                "not confirmed; let the provider ask again"
            );
        }
    }
}
