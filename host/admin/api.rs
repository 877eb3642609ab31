//! The API: paths to answers.

use std::net::IpAddr;

use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Request, StatusCode};
use percent_encoding::percent_decode_str;

use super::answer::{Answer, Problem, json, text};
use super::{Deps, SinkOrder, dead_letters, guard, query, rejected, view};
use crate::clock::unix_ms;
use crate::event::EventId;
use crate::journal::audit::Actor;
use crate::metrics;

const INDEX: &str = "\
Hookswitch, admin listener

  GET  /livez         200 while the process runs
  GET  /readyz        200 while webhooks are taken, else 503; reasons as JSON
  GET  /metrics       OpenMetrics for Prometheus
  GET  /events        newest events; ?source= type= state= since= limit= before=
  GET  /events/{id}   one event with its deliveries and attempts; ?body=raw downloads the body
  GET  /sinks         how each sink does, what waits for it, what halts it
  POST /sinks/{name}/pause   send nothing more to it, also after a restart; its events wait
  POST /sinks/{name}/resume  go on, whatever stopped it
  GET  /dead-letters  newest dead letters; ?source= type= sink= route= cause= event= since= until= limit= before=
                      count=true adds how many there are
  GET  /dead-letters/{id}          one dead letter: event, message, plugins, every attempt
  POST /dead-letters/{id}/replay   send it on its way again
  POST /dead-letters/{id}/discard  give it up for good; ?reason=
  POST /dead-letters/replay        the oldest that a filter takes, or all=true; ?limit=
  POST /dead-letters/discard       likewise; ?reason=
  GET  /rejected      newest requests without a 2xx; ?source= code= since= limit= before=
  GET  /rejected/{n}  one of them with its headers and the beginning of its body
  POST /reload        read routes.toml again; 200, or 422 with the diagnostics
";

/// The header with the name of who asks, for the audit log.
pub const ACTOR_HEADER: &str = "x-hookswitch-actor";

/// Answers one request that came from `peer`. Bodies of requests are not read.
pub async fn answer<B>(deps: &Deps, request: Request<B>, peer: IpAddr) -> Answer {
    let mut answer = route(deps, &request, peer)
        .await
        .unwrap_or_else(Problem::answer);
    // Stored bodies come from outside: no browser may guess a type for them, or keep them.
    let headers = answer.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

async fn route<B>(deps: &Deps, request: &Request<B>, peer: IpAddr) -> Result<Answer, Problem> {
    if !guard::admits(request.headers()) {
        let message = "requests from web pages are refused: use an address or a private name as host, without Origin";
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "host_not_allowed",
            message,
        ));
    }
    let path = request.uri().path();
    let query = request.uri().query().unwrap_or_default();
    if let Some(rest) = below(path, "/dead-letters") {
        return dead_letters::answer(deps, request, rest, actor(request, peer)).await;
    }
    if let Some(rest) = below(path, "/rejected") {
        return match is_read(request.method()) {
            true => rejected(deps, rest, query),
            false => Err(Problem::method("GET, HEAD")),
        };
    }
    if let Some(rest) = path.strip_prefix("/sinks/") {
        return match *request.method() {
            Method::POST => order_sink(deps, rest).await,
            _ => Err(Problem::method("POST")),
        };
    }
    if path == "/reload" {
        return match *request.method() {
            Method::POST => Ok(reload(deps).await),
            _ => Err(Problem::method("POST")),
        };
    }
    let plain = "text/plain; charset=utf-8";
    match (path, below(path, "/events")) {
        ("/" | "/livez" | "/readyz" | "/metrics" | "/sinks", _) | (_, Some(_))
            if !is_read(request.method()) =>
        {
            Err(Problem::method("GET, HEAD"))
        }
        ("/", _) => Ok(text(StatusCode::OK, plain, INDEX)),
        ("/livez", _) => Ok(text(StatusCode::OK, plain, "ok\n")),
        ("/readyz", _) => Ok(ready(deps)),
        ("/metrics", _) => {
            deps.metrics.journal(deps.journal.stats());
            Ok(text(
                StatusCode::OK,
                metrics::CONTENT_TYPE,
                deps.metrics.render(),
            ))
        }
        ("/sinks", _) => {
            let sinks = deps.control.sinks();
            Ok(json(StatusCode::OK, &view::Sinks { sinks }))
        }
        (_, Some("")) => events(deps, query).await,
        (_, Some(rest)) => event(deps, rest.trim_start_matches('/'), query).await,
        _ => Err(Problem::no_page()),
    }
}

/// True for the methods that change nothing.
pub(super) fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// What follows `page` in `path`, if that is the page or something below it.
fn below<'p>(path: &'p str, page: &str) -> Option<&'p str> {
    path.strip_prefix(page)
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `/rejected` for the list, `/rejected/17` for one of them.
fn rejected(deps: &Deps, rest: &str, query: &str) -> Result<Answer, Problem> {
    let Some(number) = rest.strip_prefix('/') else {
        let query = rejected::query(query, unix_ms()).map_err(Problem::query)?;
        let page = rejected::page(&deps.rejected.list(&query), query.limit);
        return Ok(json(StatusCode::OK, &page));
    };
    let number = number.parse().map_err(|_| {
        let message = "a rejected request's number looks like 17";
        Problem::new(StatusCode::BAD_REQUEST, "bad_number", message)
    })?;
    let found = deps.rejected.get(number).ok_or_else(|| {
        let message = format!("no rejected request {number}; it may have made room for newer ones");
        Problem::new(StatusCode::NOT_FOUND, "no_such_request", message)
    })?;
    Ok(json(StatusCode::OK, &rejected::whole(&found)))
}

/// Who asks.
fn actor<B>(request: &Request<B>, peer: IpAddr) -> Actor {
    let name = request.headers().get(ACTOR_HEADER);
    let name = name.map_or_else(String::new, |name| {
        String::from_utf8_lossy(name.as_bytes()).into_owned()
    });
    Actor::new(&name, peer.to_string())
}

async fn reload(deps: &Deps) -> Answer {
    let report = deps.control.reload().await;
    let status = if report.ok {
        StatusCode::OK
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    json(status, &report)
}

/// `NAME/pause` or `NAME/resume`, the name percent-encoded.
async fn order_sink(deps: &Deps, rest: &str) -> Result<Answer, Problem> {
    let no_page = || {
        let message = "no such page; there are /sinks/NAME/pause and /sinks/NAME/resume";
        Problem::new(StatusCode::NOT_FOUND, "not_found", message)
    };
    let (name, word) = rest.rsplit_once('/').ok_or_else(no_page)?;
    let order = match word {
        "pause" => SinkOrder::Pause,
        "resume" => SinkOrder::Resume,
        _ => return Err(no_page()),
    };
    let name = percent_decode_str(name).decode_utf8_lossy();
    let ordered = deps.control.order_sink(&name, order).await;
    match ordered.map_err(Problem::journal)? {
        Some(sink) => Ok(json(StatusCode::OK, &sink)),
        None => {
            let names: Vec<String> = deps.control.sinks().into_iter().map(|s| s.name).collect();
            let message = format!("no sink `{name}`; there are: {}", names.join(", "));
            Err(Problem::new(StatusCode::NOT_FOUND, "no_such_sink", message))
        }
    }
}

fn ready(deps: &Deps) -> Answer {
    let status = deps.control.status();
    let code = if status.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    json(code, &status)
}

async fn events(deps: &Deps, query: &str) -> Result<Answer, Problem> {
    let query = query::events(query, unix_ms()).map_err(Problem::query)?;
    let limit = query.limit;
    let found = deps.journal.events(query).await.map_err(Problem::journal)?;
    Ok(json(StatusCode::OK, &view::page(&found, limit)))
}

async fn event(deps: &Deps, id: &str, query: &str) -> Result<Answer, Problem> {
    let raw = match query {
        "" => false,
        "body=raw" => true,
        _ => {
            return Err(Problem::query("the only parameter is body=raw"));
        }
    };
    let id: EventId = id.parse().map_err(|_| {
        let message = "an event's id looks like 0193a5e4-7c1b-7d3e-9a40-0c5f7b1e2d33";
        Problem::new(StatusCode::BAD_REQUEST, "bad_id", message)
    })?;
    let found = deps
        .journal
        .event(id)
        .await
        .map_err(Problem::journal)?
        .ok_or_else(|| {
            let message = format!("no event {id}; it may have passed its retention");
            Problem::new(StatusCode::NOT_FOUND, "no_such_event", message)
        })?;
    if !raw {
        return Ok(json(StatusCode::OK, &view::whole(&found)));
    }
    let mut answer = text(
        StatusCode::OK,
        "application/octet-stream",
        found.event.body.clone(),
    );
    let disposition = format!("attachment; filename=\"{id}.bin\"");
    if let Ok(disposition) = HeaderValue::from_str(&disposition) {
        answer
            .headers_mut()
            .insert(CONTENT_DISPOSITION, disposition);
    }
    Ok(answer)
}
