//! The API: paths to answers.

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use percent_encoding::percent_decode_str;
use serde::Serialize;

use super::{Deps, SinkOrder, guard, query, view};
use crate::clock::unix_ms;
use crate::event::EventId;
use crate::metrics;

type Answer = Response<Full<Bytes>>;

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
  POST /reload        read routes.toml again; 200, or 422 with the diagnostics
";

/// An answer that is not what was asked for.
struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }
}

/// Answers one request. Bodies of requests are not read.
pub async fn answer<B>(deps: &Deps, request: Request<B>) -> Answer {
    let mut answer = route(deps, &request).await.unwrap_or_else(|problem| {
        let error = serde_json::json!({
            "error": { "code": problem.code, "message": problem.message }
        });
        let mut answer = json(problem.status, &error);
        if problem.status == StatusCode::METHOD_NOT_ALLOWED {
            let path = request.uri().path();
            let allow = if path == "/reload" || path.starts_with("/sinks/") {
                "POST"
            } else {
                "GET, HEAD"
            };
            answer
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static(allow));
        }
        answer
    });
    // Stored bodies come from outside: no browser may guess a type for them, or keep them.
    let headers = answer.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

async fn route<B>(deps: &Deps, request: &Request<B>) -> Result<Answer, Problem> {
    if !guard::admits(request.headers()) {
        let message = "requests from web pages are refused: use an address or a private name as host, without Origin";
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "host_not_allowed",
            message,
        ));
    }
    let path = request.uri().path();
    let read = matches!(*request.method(), Method::GET | Method::HEAD);
    if let Some(rest) = path.strip_prefix("/sinks/") {
        return match *request.method() {
            Method::POST => order_sink(deps, rest).await,
            _ => Err(method_not_allowed()),
        };
    }
    match (path, path.strip_prefix("/events/")) {
        ("/reload", _) if request.method() == Method::POST => Ok(reload(deps).await),
        ("/reload", _) => Err(method_not_allowed()),
        ("/" | "/livez" | "/readyz" | "/metrics" | "/sinks" | "/events", _) | (_, Some(_))
            if !read =>
        {
            Err(method_not_allowed())
        }
        ("/", _) => Ok(text(StatusCode::OK, "text/plain; charset=utf-8", INDEX)),
        ("/livez", _) => Ok(text(StatusCode::OK, "text/plain; charset=utf-8", "ok\n")),
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
        ("/events", _) => events(deps, request.uri().query().unwrap_or_default()).await,
        (_, Some(id)) => event(deps, id, request.uri().query().unwrap_or_default()).await,
        _ => Err(Problem::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "no such page; GET / lists them",
        )),
    }
}

fn method_not_allowed() -> Problem {
    let message = "this page does not take this method";
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        message,
    )
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
    match ordered.map_err(unreadable)? {
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
    let query = query::events(query, unix_ms())
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "bad_query", error.to_string()))?;
    let limit = query.limit;
    let found = deps.journal.events(query).await.map_err(unreadable)?;
    Ok(json(StatusCode::OK, &view::page(&found, limit)))
}

async fn event(deps: &Deps, id: &str, query: &str) -> Result<Answer, Problem> {
    let raw = match query {
        "" => false,
        "body=raw" => true,
        _ => {
            let message = "the only parameter is body=raw";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_query", message));
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
        .map_err(unreadable)?
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

fn unreadable(error: crate::journal::JournalError) -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "journal_unreadable",
        error.to_string(),
    )
}

fn text(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(mut body) => {
            body.push(b'\n');
            text(status, "application/json", body)
        }
        // No value here has a map with keys other than text, which is all that can fail.
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "application/json",
                "{}\n",
            )
        }
    }
}
