//! Report: everything that `explain` found, as `--json` prints it.
//!
//! Names of keys are stable. Only values of the request, of plugins and of sinks are in it; secrets that sinks
//! send are masked by the sinks themselves.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;

/// What would become of one request.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) source: String,
    pub(super) provider: String,
    pub(super) method: String,
    pub(super) target: String,
    pub(super) body_bytes: usize,
    pub(super) verdict: Verdict,
    /// What is answered, if it is a handshake and no event.
    pub(super) handshake: Option<Handshake>,
    /// Absent where the request is refused, or a handshake.
    pub(super) event: Option<Named>,
    pub(super) routes: Vec<Route>,
    /// Where no route takes the event: what is recorded.
    pub(super) unrouted: Option<End>,
}

/// What the sender would be told.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    pub(super) accepted: bool,
    pub(super) status: u16,
    /// Why it is refused.
    pub(super) code: Option<String>,
    pub(super) reason: Option<String>,
    /// True if it was refused and `--no-verify` went on.
    pub(super) overruled: bool,
    /// What else is to be known, such as another path.
    pub(super) notes: Vec<String>,
}

/// A question of the provider's, which is answered and not stored.
#[derive(Debug, Serialize)]
pub(super) struct Handshake {
    pub(super) name: String,
    pub(super) status: u16,
    pub(super) body: Body,
    /// True if a URL would be fetched after the answer.
    pub(super) confirms: bool,
}

/// The event that is made of it.
#[derive(Debug, Serialize)]
pub(super) struct Named {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) provider_event_id: Option<String>,
    pub(super) coverage: String,
    /// What recognises a repetition, in hexadecimal; absent where the source does not deduplicate.
    pub(super) dedupe_key: Option<String>,
    pub(super) dedupe_until: Option<String>,
}

/// A route and what it does with the event.
#[derive(Debug, Serialize)]
pub(super) struct Route {
    pub(super) name: String,
    pub(super) takes: bool,
    /// Why it does, or does not.
    pub(super) why: Why,
    pub(super) when: Option<String>,
    pub(super) plugins: Vec<Step>,
    pub(super) deliveries: Vec<Delivery>,
    /// What ends before a sink.
    pub(super) ends: Vec<End>,
}

/// Why a route takes an event, or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Why {
    /// It has no filter.
    Source,
    /// Its filter holds.
    WhenHolds,
    /// It is for other sources.
    OtherSources(Vec<String>),
    /// Its filter does not hold.
    WhenDoesNotHold,
    /// Its filter cannot be evaluated: the event goes to the dead letters.
    WhenFails(String),
}

/// One plugin call.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    pub(super) plugin: String,
    /// `unchanged`, `forward`, `drop`, `reject`, `retry`, or the code of a failure.
    pub(super) result: String,
    pub(super) detail: Option<String>,
    pub(super) messages: Vec<Message>,
}

/// What a plugin gave.
#[derive(Debug, Serialize)]
pub(super) struct Message {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) content_type: Option<String>,
    pub(super) sink: Option<String>,
    pub(super) key: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) body: Body,
}

/// One message for one sink.
#[derive(Debug, Serialize)]
pub(super) struct Delivery {
    pub(super) sink: String,
    pub(super) message_id: String,
    /// Order and partition key.
    pub(super) key: Option<String>,
    /// Where it goes; absent where the sink could not send it.
    pub(super) to: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Body>,
    /// Why the sink could not send it: `code: detail`.
    pub(super) error: Option<String>,
}

/// A record that is no delivery.
#[derive(Debug, Serialize)]
pub(super) struct End {
    /// `dropped`, `dead` or `pending`.
    pub(super) state: &'static str,
    pub(super) code: String,
    pub(super) detail: String,
}

/// A body, whole.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Body {
    /// UTF-8.
    Text(String),
    /// Anything else.
    Base64(String),
}

impl Body {
    /// Of these bytes.
    pub(super) fn of(bytes: &Bytes) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Base64(STANDARD.encode(bytes)),
        }
    }
}
