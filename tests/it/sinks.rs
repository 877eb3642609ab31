//! Every kind of sink against the real thing: one suite of checks for all, and what is particular to each.

mod compliance;
mod file;
mod http;
mod kafka;
mod rabbitmq;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookswitch::config::{self, SinkKind};
use hookswitch::delivery::throttle::ThrottlePolicy;
use hookswitch::event::{EventId, Message};
use hookswitch::retry::RetryPolicy;
use hookswitch::sink::{Delivery, Origin};
use hookswitch::template::Template;

/// Time for one attempt where nothing is meant to go wrong.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A configuration with this destination.
fn config_of(kind: SinkKind, timeout: Duration) -> config::Sink {
    config::Sink {
        name: Arc::from("under-test"),
        kind,
        retry: RetryPolicy::default(),
        throttle: ThrottlePolicy::plain(1000),
        timeout,
        queue_max: 1000,
    }
}

/// A delivery of `body` with this message id and key.
fn delivery_of(message_id: &str, key: &str, body: impl Into<Bytes>) -> Delivery {
    Delivery {
        seq: 1,
        ordinal: 0,
        route: Arc::from("kyc decisions"),
        sink: Arc::from("under-test"),
        origin: Arc::new(Origin {
            event_id: EventId::now(),
            source: Arc::from("didit"),
            provider: Arc::from("didit"),
            provider_event_id: Some("evt_1".to_owned()),
            received_at_ms: 1_795_176_000_250,
        }),
        message_id: message_id.to_owned(),
        key: Some(key.to_owned()),
        order: None,
        plugins: Arc::from(""),
        message: Message {
            sink: None,
            key: None,
            kind: "kyc.decided".to_owned(),
            content_type: Some("application/json".to_owned()),
            headers: Vec::new(),
            body: body.into(),
            attributes: Vec::new(),
        },
        attempts: 0,
        created_at_ms: 1_795_176_000_250,
    }
}

/// A small delivery with this message id.
fn delivery(message_id: &str) -> Delivery {
    delivery_of(
        message_id,
        message_id,
        format!("{{\"id\":\"{message_id}\"}}"),
    )
}

/// A template without placeholders.
fn constant(text: &str) -> Template {
    Template::parse(text, &[]).unwrap()
}

/// A name that no other test uses.
fn unique(prefix: &str) -> String {
    format!("{prefix}-{}", EventId::now())
}

/// Where a broker of this name may keep its data.
fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join("brokers")
        .join(name)
}
