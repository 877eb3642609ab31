//! Request: from a head to a 2xx, stage by stage; see [`super`] for their order.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderValue, Method, Request, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;

use super::answer::{self, Answer, Refusal};
use super::body::{self, BodyError, Patience};
use super::certificate::Identity;
use super::client::Client;
use super::event::{Sender, dedupe_key, event_headers, event_of};
use super::gate::{Gate, Pass};
use super::key_ring::{KeyRing, NoKey};
use super::log_budget::LogBudget;
use super::pace::Pace;
use super::proof::{Proven, Unproven};
use super::rate::{Rates, retry_after_secs};
use super::report::{Reason, report};
pub(crate) use super::shake::refusal as handshake_refusal;
use super::shake::{self, Confirmations, NotShaken};
use super::strikes::Strikes;
use super::{Deps, Intake, admission, headers};
use crate::config::Source;
use crate::journal::{AppendError, Appended};
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
    /// How often each source's door opens.
    pub rates: Rates,
    /// Addresses that send what is refused, if they are watched.
    strikes: Option<Strikes>,
    pub(super) shutdown: Shutdown,
    gate: Gate,
    pub(super) log: LogBudget,
}

impl Door {
    /// A door with nobody in it.
    #[must_use]
    pub fn new(deps: Arc<Deps>, shutdown: Shutdown) -> Self {
        let strikes = deps.reject_rate.map(Strikes::new);
        Self {
            deps,
            confirmations: Confirmations::default(),
            keys: KeyRing::default(),
            rates: Rates::default(),
            strikes,
            shutdown,
            gate: Gate::default(),
            log: LogBudget::default(),
        }
    }

    /// Counts and keeps a refusal that was made before there was a request.
    pub fn refuse_headless(&self, refusal: Refusal, peer: IpAddr) {
        let row = refusal.row();
        let client = Client::of(peer, &http::HeaderMap::new(), &[]);
        self.deps.metrics.refused(NO_SOURCE, row.code);
        let reason = Reason {
            code: row.code,
            detail: "",
            status: row.status,
            enforced: true,
            is_ours: false,
        };
        self.keep(reason, None, (peer, client), None, None);
    }

    /// Keeps a request in the log of rejected ones, if it has a place for it.
    fn keep(
        &self,
        reason: Reason<'_>,
        source: Option<&Source>,
        from: (IpAddr, Client),
        head: Option<&Parts>,
        body: Option<&Bytes>,
    ) {
        let name = source.map_or(NO_SOURCE, |source| &source.name);
        let now_ms = (self.deps.clock)();
        if let Some(place) = self.deps.rejected.place(name, reason.code, now_ms) {
            let rejected = report(reason, source, from, head, body.cloned(), now_ms);
            self.deps.rejected.keep(place, rejected);
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
    /// Who the client's certificate says it is, where it showed one.
    pub identity: Option<Identity>,
}

/// A request that got no 2xx.
struct Refused {
    refusal: Refusal,
    source: Option<Arc<Source>>,
    /// The operator's reason, where it is not the refusal's own code.
    rejection: Option<Rejection>,
    /// When there is room again, where it is not the refusal's own time.
    wait: Option<Duration>,
    /// What was read of the body.
    body: Option<Bytes>,
    /// True if bytes of the body may still come.
    unread: bool,
}

impl Refused {
    fn early(turned: Turned, body: &Incoming) -> Self {
        Self {
            refusal: turned.refusal,
            source: turned.source,
            rejection: None,
            wait: turned.wait,
            body: None,
            unread: !body.is_end_stream(),
        }
    }

    fn shake((refusal, rejection): NotShaken, source: &Arc<Source>, body: &Bytes) -> Self {
        Self {
            rejection,
            ..Self::late(refusal, source, body.clone())
        }
    }

    fn unread(refusal: Refusal, source: &Arc<Source>) -> Self {
        Self {
            refusal,
            source: Some(Arc::clone(source)),
            rejection: None,
            wait: None,
            body: None,
            unread: true,
        }
    }

    fn late(refusal: Refusal, source: &Arc<Source>, body: Bytes) -> Self {
        Self {
            body: Some(body),
            unread: false,
            ..Self::unread(refusal, source)
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
    let (head, body) = request.into_parts();
    let peer = link.peer.ip();
    let client = Client::of(peer, &head.headers, &link.door.deps.trusted_proxies);
    let handled = AssertUnwindSafe(accept(&link, client, &head, body, began))
        .catch_unwind()
        .await;
    let answer = handled.unwrap_or_else(|_| {
        // The panic's message and place are in the log by the panic hook.
        tracing::error!(peer = %link.peer, "a request hit a bug; it was answered with 500");
        Err(Refused {
            refusal: Refusal::Bug,
            source: None,
            rejection: None,
            wait: None,
            body: None,
            unread: true,
        })
    });
    Ok(answer.unwrap_or_else(|refused| refuse(&link, client, &head, &refused)))
}

/// Counts, logs and keeps a refusal, and makes its answer.
fn refuse(link: &Link, client: Client, head: &Parts, refused: &Refused) -> Answer {
    let row = refused.refusal.row();
    let source = refused.source.as_deref();
    let name = source.map_or(NO_SOURCE, |source| &source.name);
    let (code, detail) = match &refused.rejection {
        Some(rejection) => (rejection.code, rejection.detail.as_str()),
        None => (row.code, ""),
    };
    let status = source.map_or(row.status, |source| match row.status {
        401 => source.reject_status,
        503 => source.busy_status,
        other => other,
    });
    link.door.deps.metrics.refused(name, code);
    if let Some(strikes) = &link.door.strikes
        && matches!(row.status, 401 | 403 | 404)
    {
        strikes.strike(client, (link.door.deps.clock)());
    }
    // What needs an operator is logged, but a flood of it does not flood the log.
    let needs_operator = refused.rejection.is_some()
        || matches!(row.status, 401 | 403 | 503)
        || refused.refusal == Refusal::Bug;
    if needs_operator && let Some(skipped) = link.door.log.spend() {
        tracing::warn!(%client, source = name, status, code, detail, skipped, "webhook refused");
    } else {
        tracing::debug!(%client, source = name, status, code, detail, "webhook refused");
    }
    let reason = Reason {
        code,
        detail,
        status,
        enforced: true,
        is_ours: row.status >= 500,
    };
    let from = (link.peer.ip(), client);
    let body = refused.body.as_ref();
    link.door.keep(reason, source, from, Some(head), body);
    if refused.unread {
        link.pace.leave_unread();
    }
    let mut answer = refused.refusal.answer(refused.unread && !link.http2);
    if refused.refusal == Refusal::MethodNotAllowed
        && let Some(Ok(allow)) = source.map(|source| source.handshakes.allow().try_into())
    {
        answer.headers_mut().insert(ALLOW, allow);
    }
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    if let Some(wait) = refused.wait {
        let seconds = HeaderValue::from(retry_after_secs(wait));
        answer.headers_mut().insert(RETRY_AFTER, seconds);
    }
    answer
}

async fn accept(
    link: &Link,
    client: Client,
    head: &Parts,
    body: Incoming,
    began: Instant,
) -> Result<Answer, Refused> {
    let deps = &*link.door.deps;
    let (intake, _pass) = match admit(link, client, head) {
        Ok(admitted) => admitted,
        Err(turned) => return Err(Refused::early(turned, &body)),
    };
    let source = &intake.source;
    let patience = if link.http2 {
        Patience::Own(deps.limits.body_timeout)
    } else {
        Patience::Watched(&link.pace)
    };
    let body = body::read(body, source.body_bytes_max, patience)
        .await
        .map_err(|error| {
            let refusal = match error {
                BodyError::TooLarge => Refusal::BodyTooLarge,
                BodyError::Timeout => Refusal::BodyTimeout,
                BodyError::Broken => Refusal::BadRequest,
            };
            Refused::unread(refusal, source)
        })?;
    link.pace.body_arrived();

    let now_ms = (deps.clock)();
    let headers = event_headers(head);
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
        shake::shake(link, source, question, now_ms)
            .map_err(|why| Refused::shake(why, source, &body))
    };
    match &question {
        Some(question) if !question.shake.verify_first() => return shake(question),
        None if head.method != Method::POST => {
            return Err(Refused::late(Refusal::NoHandshake, source, body.clone()));
        }
        None if !takes_content_type(source, head) => {
            let refusal = Refusal::UnsupportedMediaType;
            return Err(Refused::late(refusal, source, body.clone()));
        }
        _ => {}
    }
    let (proven, unproved) = match prove(link, &intake, request, now_ms).await {
        Ok(proven) => (proven, None),
        // A handshake is never answered on trust: its answer may prove that we know the secret.
        Err((Refusal::Unauthorized, rejection))
            if !source.admission.enforce && question.is_none() =>
        {
            let from = (link.peer.ip(), client);
            let_through(&link.door, source, &rejection, from, head, &body);
            (intake.proof.read(request), Some(rejection.code))
        }
        Err((refusal, reason)) => {
            if let Some(question) = &question {
                shake::not_authentic(link, source, question);
            }
            let mut refused = Refused::late(refusal, source, body.clone());
            refused.rejection = Some(reason);
            return Err(refused);
        }
    };
    if let Some(question) = &question {
        return shake(question);
    }

    let dedupe = match proven.verified.dedupe_key() {
        // An id that nobody proved must not make a genuine event look like a duplicate.
        Some(id) if source.dedupe && unproved.is_none() => {
            Some(dedupe_key(deps.limits.dedupe_window, source, id, now_ms))
        }
        _ => None,
    };
    let sender = Sender {
        unproved,
        client: admission::named(link, source),
    };
    let event = event_of(&intake, head, headers, body, proven, sender, now_ms);
    let (id, body) = (event.id, event.body.clone());
    match deps.journal.append(Arc::new(event), dedupe).await {
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
            Err(Refused::late(Refusal::Draining, source, body))
        }
        Err(error) => Err(Refused::late(error.into(), source, body)),
    }
}

/// Counts, logs and keeps a request that is not authentic and whose source takes it all the same.
fn let_through(
    door: &Door,
    source: &Source,
    rejection: &Rejection,
    from: (IpAddr, Client),
    head: &Parts,
    body: &Bytes,
) {
    let Rejection { code, detail, .. } = rejection;
    door.deps.metrics.unenforced(&source.name, code);
    if let Some(skipped) = door.log.spend() {
        tracing::warn!(client = %from.1, source = &*source.name, code, detail, skipped, "webhook let through that is not authentic");
    }
    let reason = Reason {
        code,
        detail,
        status: source.ok_status,
        enforced: false,
        is_ours: false,
    };
    door.keep(reason, Some(source), from, Some(head), Some(body));
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

/// A request that its head alone refuses.
pub(super) struct Turned {
    pub(super) refusal: Refusal,
    pub(super) source: Option<Arc<Source>>,
    pub(super) wait: Option<Duration>,
}

impl Turned {
    pub(super) fn away(refusal: Refusal, source: Option<Arc<Source>>) -> Self {
        Self {
            refusal,
            source,
            wait: None,
        }
    }
}

/// Everything that the head alone decides. No `100 Continue` goes out before this is passed, because
/// hyper sends it when the body is first asked for.
fn admit(link: &Link, client: Client, head: &Parts) -> Result<(Arc<Intake>, Pass), Turned> {
    let deps = &*link.door.deps;
    if head.headers.len() > headers::FIELDS_MAX
        || headers::bytes_in(&head.headers) > deps.limits.header_bytes_max
    {
        return Err(Turned::away(Refusal::HeadersTooLarge, None));
    }
    if let Some(strikes) = &link.door.strikes {
        strikes
            .check(client, (deps.clock)())
            .map_err(|wait| Turned {
                refusal: Refusal::AddressLimited,
                source: None,
                wait: Some(wait),
            })?;
    }
    let Some(intake) = deps.sources.by_path(head.uri.path()) else {
        return Err(Turned::away(Refusal::NotFound, None));
    };
    let source = &intake.source;
    let turned = |refusal| Turned::away(refusal, Some(Arc::clone(source)));
    admission::check(link, client, source).map_err(|(refusal, wait)| Turned {
        wait,
        ..turned(refusal)
    })?;
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
