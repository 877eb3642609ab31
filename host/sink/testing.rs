//! Test values for the sinks' unit tests: one delivery, as a route would make it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Delivery, Origin};
use crate::config::{self, SinkKind};
use crate::delivery::throttle::ThrottlePolicy;
use crate::event::{EventId, Message};
use crate::retry::RetryPolicy;

/// 2026-11-20T12:00:00.250Z
const RECEIVED_AT_MS: u64 = 1_795_176_000_250;

/// A delivery of `body` with this message id.
pub(super) fn delivery(message_id: &str, body: &[u8]) -> Delivery {
    Delivery {
        seq: 1,
        ordinal: 0,
        route: Arc::from("kyc decisions"),
        sink: Arc::from("crm"),
        origin: Arc::new(Origin {
            event_id: EventId::now(),
            source: Arc::from("didit"),
            provider: Arc::from("didit"),
            provider_event_id: Some("evt_1".to_owned()),
            received_at_ms: RECEIVED_AT_MS,
        }),
        message_id: message_id.to_owned(),
        key: Some("subject-1".to_owned()),
        order: None,
        plugins: Arc::from(""),
        message: Message {
            sink: None,
            key: None,
            kind: "kyc.decided".to_owned(),
            content_type: Some("application/json".to_owned()),
            headers: Vec::new(),
            body: Bytes::copy_from_slice(body),
            attributes: Vec::new(),
        },
        attempts: 0,
        created_at_ms: RECEIVED_AT_MS,
    }
}

/// A sink's configuration with this destination and timeout.
pub(super) fn config_of(kind: SinkKind, timeout: Duration) -> config::Sink {
    config::Sink {
        name: Arc::from("crm"),
        kind,
        retry: RetryPolicy::default(),
        throttle: ThrottlePolicy::plain(16),
        timeout,
        queue_max: 1000,
    }
}
