//! Request: from a head to a 2xx, stage by stage; see [`super`] for their order.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use http::header::{ALLOW, CONTENT_TYPE};
use http::request::Parts;
use http::{Method, Request, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use sha2::{Digest as _, Sha256};

use super::answer::{self, Answer, Refusal};
use super::body::{self, BodyError, Patience};
use super::gate::{Gate, Pass};
use super::key_ring::{KeyRing, NoKey};
use super::log_budget::LogBudget;
use super::pace::Pace;
use super::proof::{Proven, Unproven};
pub(crate) use super::shake::refusal as handshake_refusal;
use super::shake::{self, Confirmations, NotShaken};
use super::{Deps, Intake, headers};
use crate::config::Source;
use crate::event::{Event, EventId, Header};
use crate::journal::{AppendError, Appended, DedupeKey};
use crate::metrics::NO_SOURCE;
use crate::shutdown::Shutdown;
use crate::verify::{self, Rejection};

/// What all connections of a listener share.
pub struct Door {
    /// The parts ingress works with.
    pub deps: Arc<Deps>,
    /// What handshakes had fetched after their answer.
    pub confirmations: Confirmations,
    /// Keys that were fetched to verify with.
    pub(super) keys: KeyRing,
    pub(super) shutdown: Shutdown,
    gate: Gate,
    pub(super) log: LogBudget,
}

impl Door {
    /// A door with nobody in it.
    #[must_use]
    pub fn new(deps: Arc<Deps>, shutdown: Shutdown) -> Self {
        Self {
            deps,
            confirmations: Confirmations::default(),
            keys: KeyRing::default(),
            shutdown,
            gate: Gate::default(),
            log: LogBudget::default(),
        }
    }
}

/// What all requests of a connection share.
pub struct Link {
    /// The listener's part.
    pub door: Arc<Door>,
    /// The connection's watch.
    pub pace: Arc<Pace>,
    /// The client's address.
    pub peer: SocketAddr,
    /// True on HTTP/2.
    pub http2: bool,
}

/// A request that got no 2xx.
struct Refused {
    refusal: Refusal,
    source: Option<Arc<Source>>,
    /// The operator's reason, where it is not the refusal's own code.
    rejection: Option<Rejection>,
    /// True if bytes of the body may still come.
    unread: bool,
}

impl Refused {
    fn early(refusal: Refusal, source: Option<Arc<Source>>, body: &Incoming) -> Self {
        Self {
            refusal,
            source,
            rejection: None,
            unread: !body.is_end_stream(),
        }
    }

    fn shake((refusal, rejection): NotShaken, source: &Arc<Source>) -> Self {
        Self {
            rejection,
            ..Self::late(refusal, source)
        }
    }

    fn late(refusal: Refusal, source: &Arc<Source>) -> Self {
        Self {
            refusal,
            source: Some(Arc::clone(source)),
            rejection: None,
            unread: false,
        }
    }
}

/// Keeps the connection's watch right however the request ends.
struct Active<'p>(&'p Pace);

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.request_ended(Instant::now());
    }
}

/// Answers one request.
pub async fn answer(link: Arc<Link>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let began = Instant::now();
    link.pace.request_began(began);
    let _active = Active(&link.pace);
    let handled = AssertUnwindSafe(accept(&link, request, began))
        .catch_unwind()
        .await;
    let answer = handled.unwrap_or_else(|_| {
        // The panic's message and place are in the log by the panic hook.
        tracing::error!(peer = %link.peer, "a request hit a bug; it was answered with 500");
        Err(Refused {
            refusal: Refusal::Bug,
            source: None,
            rejection: None,
            unread: true,
        })
    });
    Ok(answer.unwrap_or_else(|refused| refuse(&link, &refused)))
}

/// Counts and logs a refusal, and makes its answer.
fn refuse(link: &Link, refused: &Refused) -> Answer {
    let row = refused.refusal.row();
    let source = refused.source.as_deref();
    let name = source.map_or(NO_SOURCE, |source| &source.name);
    let code = refused
        .rejection
        .as_ref()
        .map_or(row.code, |rejection| rejection.code);
    link.door.deps.metrics.refused(name, code);
    let detail = refused
        .rejection
        .as_ref()
        .map_or("", |rejection| &rejection.detail);
    let status = row.status;
    // What needs an operator is logged, but a flood of it does not flood the log.
    let needs_operator = refused.rejection.is_some()
        || matches!(row.status, 401 | 503)
        || refused.refusal == Refusal::Bug;
    if needs_operator && let Some(skipped) = link.door.log.spend() {
        tracing::warn!(peer = %link.peer, source = name, status, code, detail, skipped, "webhook refused");
    } else {
        tracing::debug!(peer = %link.peer, source = name, status, code, detail, "webhook refused");
    }
    if refused.unread {
        link.pace.leave_unread();
    }
    let mut answer = refused.refusal.answer(refused.unread && !link.http2);
    if refused.refusal == Refusal::MethodNotAllowed
        && let Some(Ok(allow)) = source.map(|source| source.handshakes.allow().try_into())
    {
        answer.headers_mut().insert(ALLOW, allow);
    }
    if refused.refusal == Refusal::Unauthorized
        && let Some(source) = source
    {
        *answer.status_mut() =
            StatusCode::from_u16(source.reject_status).unwrap_or(StatusCode::UNAUTHORIZED);
    }
    answer
}

async fn accept(
    link: &Link,
    request: Request<Incoming>,
    began: Instant,
) -> Result<Answer, Refused> {
    let deps = &*link.door.deps;
    let (head, body) = request.into_parts();
    let (intake, _pass) = match admit(link, &head) {
        Ok(admitted) => admitted,
        Err((refusal, source)) => return Err(Refused::early(refusal, source, &body)),
    };
    let source = &intake.source;
    let patience = if link.http2 {
        Patience::Own(deps.limits.body_timeout)
    } else {
        Patience::Watched(&link.pace)
    };
    let body = match body::read(body, source.body_bytes_max, patience).await {
        Ok(body) => body,
        Err(error) => {
            let refusal = match error {
                BodyError::TooLarge => Refusal::BodyTooLarge,
                BodyError::Timeout => Refusal::BodyTimeout,
                BodyError::Broken => Refusal::BadRequest,
            };
            let mut refused = Refused::late(refusal, source);
            refused.unread = true;
            return Err(refused);
        }
    };
    link.pace.body_arrived();

    let now_ms = (deps.clock)();
    let headers = event_headers(&head);
    let request = verify::Request {
        method: head.method.as_str(),
        target: head
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str()),
        headers: &headers,
        body: &body,
    };
    let question = source.handshakes.find(request);
    let shake = |question| {
        shake::shake(link, source, question, now_ms).map_err(|why| Refused::shake(why, source))
    };
    match &question {
        Some(question) if !question.shake.verify_first() => return shake(question),
        None if head.method != Method::POST => {
            return Err(Refused::late(Refusal::NoHandshake, source));
        }
        None if !takes_content_type(source, &head) => {
            return Err(Refused::late(Refusal::UnsupportedMediaType, source));
        }
        _ => {}
    }
    let proven = prove(link, &intake, request, now_ms).await;
    let proven = proven.map_err(|(refusal, reason)| {
        if let Some(question) = &question {
            shake::not_authentic(link, source, question);
        }
        let mut refused = Refused::late(refusal, source);
        refused.rejection = Some(reason);
        refused
    })?;
    if let Some(question) = &question {
        return shake(question);
    }

    let dedupe = match proven.verified.dedupe_key() {
        Some(id) if source.dedupe => {
            Some(dedupe_key(deps.limits.dedupe_window, source, id, now_ms))
        }
        _ => None,
    };
    let event = Arc::new(event(&intake, &head, headers, body, proven, now_ms));
    let id = event.id;
    let appended = deps.journal.append(event, dedupe).await;
    match appended {
        Ok(Appended::Stored(_)) => {
            deps.metrics
                .accepted(&source.name, began.elapsed().as_secs_f64());
            Ok(answer::accepted(source.ok_status, Some(id)))
        }
        Ok(Appended::Duplicate) => {
            deps.metrics.duplicate(&source.name);
            Ok(answer::accepted(source.ok_status, None))
        }
        Err(AppendError::Failed) if link.door.shutdown.is_draining() => {
            Err(Refused::late(Refusal::Draining, source))
        }
        Err(error) => Err(Refused::late(error.into(), source)),
    }
}

/// Judges a request. Where a key is missing that the source lets be fetched, it is fetched and the request judged once
/// more; a second key is not looked for, since a request is signed with one.
async fn prove(
    link: &Link,
    intake: &Intake,
    request: verify::Request<'_>,
    now_ms: u64,
) -> Result<Proven, (Refusal, Rejection)> {
    let deps = &*link.door.deps;
    let keys = &link.door.keys;
    let told = |unproven| match unproven {
        Unproven::Rejected(rejection) => (Refusal::Unauthorized, rejection),
        Unproven::Unknown(failure) => (Refusal::VerifierFailed, failure),
    };
    let judge = async || {
        let fetched = keys.at(now_ms);
        let judging = intake.proof.judge(request, now_ms, &deps.metrics, &fetched);
        judging.await.map_err(told)
    };
    let (refusal, rejection) = match judge().await {
        Ok(proven) => return Ok(proven),
        Err(told) => told,
    };
    let Some(wanted) = &rejection.needs else {
        return Err((refusal, rejection));
    };
    let name = &intake.source.name;
    match keys.obtain(name, wanted, &deps.fetcher, now_ms).await {
        Ok(()) => judge().await,
        Err(why @ NoKey::Refused(_)) => {
            Err((refusal, Rejection::new(rejection.code, why.to_string())))
        }
        Err(why) => Err((Refusal::NoKey, Rejection::new("no_key", why.to_string()))),
    }
}

type Turned = (Refusal, Option<Arc<Source>>);

/// Everything that the head alone decides. No `100 Continue` goes out before this is passed, because
/// hyper sends it when the body is first asked for.
fn admit(link: &Link, head: &Parts) -> Result<(Arc<Intake>, Pass), Turned> {
    let deps = &*link.door.deps;
    if head.headers.len() > headers::FIELDS_MAX
        || headers::bytes_in(&head.headers) > deps.limits.header_bytes_max
    {
        return Err((Refusal::HeadersTooLarge, None));
    }
    let Some(intake) = deps.sources.by_path(head.uri.path()) else {
        return Err((Refusal::NotFound, None));
    };
    let source = &intake.source;
    let turned = |refusal| (refusal, Some(Arc::clone(source)));
    let method = head.method.as_str();
    if head.method != Method::POST && !source.handshakes.want(method) {
        return Err(turned(Refusal::MethodNotAllowed));
    }
    // Of what may be a handshake the type is looked at again once it is known to be none.
    if !takes_content_type(source, head) && !source.handshakes.may_ignore_body(method) {
        return Err(turned(Refusal::UnsupportedMediaType));
    }
    match link.door.gate.enter(&source.name, source.in_flight_max) {
        Some(pass) => Ok((intake, pass)),
        None => Err(turned(Refusal::Overloaded)),
    }
}

/// Whether the source takes requests of this media type.
pub(crate) fn takes_content_type(source: &Source, head: &Parts) -> bool {
    if source.content_types.is_empty() {
        return true;
    }
    let value = head
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = headers::media_type(value.unwrap_or_default());
    source
        .content_types
        .iter()
        .any(|taken| taken.eq_ignore_ascii_case(media_type))
}

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

/// The event that an authentic request becomes, without the credentials that it carried.
pub(crate) fn event(
    intake: &Intake,
    head: &Parts,
    mut headers: Vec<Header>,
    body: bytes::Bytes,
    proven: Proven,
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
    let mut attributes = vec![("coverage".to_owned(), verified.coverage.as_str().to_owned())];
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
