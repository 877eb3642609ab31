//! Event: what an authentic request becomes, and what recognises it when it comes again.
//!
//! Pure but for the event's id. Invariant: nothing by which a sender shows a credential stays on the event.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use sha2::{Digest as _, Sha256};

use super::proof::Proven;
use super::{Intake, headers};
use crate::config::Source;
use crate::event::{Event, EventId, Header};
use crate::journal::DedupeKey;
use crate::verify::Coverage;

/// All headers; on HTTP/2 with the `host` that HTTP/1.1 would have.
pub(crate) fn event_headers(head: &Parts) -> Vec<Header> {
    let mut headers = headers::copy(&head.headers);
    if !head.headers.contains_key(http::header::HOST)
        && let Some(authority) = head.uri.authority()
    {
        headers.push(Header::new("host", authority.as_str()));
    }
    headers
}

/// What recognises the same event when it comes again within `window`.
pub(crate) fn dedupe_key(
    window: Duration,
    source: &Source,
    event_id: &str,
    now_ms: u64,
) -> DedupeKey {
    let digest = Sha256::new()
        .chain_update(source.name.as_bytes())
        .chain_update([0])
        .chain_update(event_id.as_bytes())
        .finalize();
    let mut hash = [0; 16];
    for (byte, of_digest) in hash.iter_mut().zip(digest) {
        *byte = of_digest;
    }
    let window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
    DedupeKey {
        hash,
        expires_at_ms: now_ms.saturating_add(window_ms),
    }
}

/// What is known of the sender besides what [`verify::Verified`] says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sender<'p> {
    /// Why the request is not authentic, where its source takes it all the same.
    pub(crate) unproved: Option<&'static str>,
    /// The name in the client's certificate.
    pub(crate) client: Option<&'p str>,
}

impl Sender<'_> {
    fn attributes(&self, intake: &Intake, coverage: Coverage) -> Vec<(String, String)> {
        let is_verified = self.unproved.is_none() && !intake.proof.is_unverified();
        let pairs = [
            Some(("coverage", coverage.as_str())),
            Some(("verified", if is_verified { "true" } else { "false" })),
            self.unproved.map(|code| ("rejection", code)),
            self.client.map(|name| ("client", name)),
        ];
        pairs
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

/// The event that a request becomes, without the credentials that it carried.
pub(crate) fn event_of(
    intake: &Intake,
    head: &Parts,
    mut headers: Vec<Header>,
    body: Bytes,
    proven: Proven,
    sender: Sender<'_>,
    now_ms: u64,
) -> Event {
    let Intake { source, proof } = intake;
    headers::strip_credentials(&mut headers, |name| proof.hides_header(&proven, name));
    let query = headers::strip_query(head.uri.query().unwrap_or_default(), |name| {
        proof.hides_parameter(&proven, name)
    });
    let Proven {
        verified,
        attributes: further,
        ..
    } = proven;
    let mut attributes = sender.attributes(intake, verified.coverage);
    if verified.event_ids.len() > 1 {
        let ids = serde_json::Value::from(verified.event_ids);
        attributes.push(("event_ids".to_owned(), ids.to_string()));
    }
    attributes.extend(further);
    let content_type = head
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    Event {
        id: EventId::now(),
        source: Arc::clone(&source.name),
        provider: Arc::clone(&source.provider),
        kind: verified.event_type,
        provider_event_id: verified.event_id,
        received_at_ms: now_ms,
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query,
        headers,
        content_type: content_type.map(str::to_owned),
        body,
        attributes,
    }
}
