//! `hookswitch explain`: what would become of this request?
//!
//! Takes a recorded request through the code that the server uses, stage by stage, and tells what each says:
//! verification, routes, plugins (which really run, in their sandbox), and each sink's message. Nothing is
//! stored, sent or connected, and no running server is needed.

mod recorder;
mod report;
mod text;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use http::Method;
use http::request::Parts;

use crate::clock::unix_ms;
use crate::config;
use crate::config::diagnostic::nearest;
use crate::dispatch::{chain, plan};
use crate::event::{Event, EventId};
use crate::generation::Prepared;
use crate::handshake::Question;
use crate::ingress::answer::Refusal;
use crate::ingress::proof::{Proven, Unproven};
use crate::ingress::{Intake, event as made, request as ingress};
use crate::metrics::Metrics;
use crate::plugin::{Outcome, PluginError};
use crate::route::{Matched, RouteTable};
use crate::server;
use crate::sink;
use crate::verify;

use super::USAGE;
use super::verify::args::Usage;
use super::verify::request::RawRequest;
use recorder::{Recorder, Steps};
use report::{Body, Delivery, End, Handshake, Message, Named, Report, Route, Step, Verdict, Why};

const EXAMPLES: &str = "\
Examples:
  What would happen with this request?
    hookswitch explain --source didit delivery.http
  One that was recorded earlier, judged at the time when it came:
    hookswitch explain --source didit --at 1760000000 delivery.http
  Try out routes and plugins with a request that nobody signed:
    hookswitch explain --source didit --no-verify delivery.http

  A request file is what came over the wire; `hookswitch verify --help` shows one.

Nothing is stored, sent or connected. Plugins run in their sandbox, with an empty store where they are granted one.
Ids that are made at receipt are shown as zeros.

Exit code: 0 the request would be accepted (or --no-verify), 1 it would be refused, 64 the command or the
configuration was wrong.";

/// Arguments of `hookswitch explain`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Tell what would become of a recorded request: verdict, routes, plugins, sinks",
    after_help = EXAMPLES
)]
pub struct Args {
    /// The configuration
    #[arg(
        long,
        short,
        value_name = "FILE",
        default_value = "routes.toml",
        env = "HOOKSWITCH_CONFIG"
    )]
    config: PathBuf,

    /// The source that gets the request
    #[arg(long, value_name = "NAME")]
    source: String,

    /// Judge as if it were this time, in Unix seconds. Without it: now
    #[arg(long, value_name = "UNIX")]
    at: Option<u64>,

    /// Go on in spite of a bad signature
    #[arg(long)]
    no_verify: bool,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    /// A file with the raw HTTP/1.1 request, or `-` for standard input
    #[arg(value_name = "REQUEST")]
    request: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// If standard output cannot be written. What is wrong with the arguments or the configuration is printed.
pub async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let received = match received(&args) {
        Ok(received) => received,
        Err(usage) => return wrong(&usage),
    };
    let prepared = match server::rehearse(&args.config).await {
        Ok(prepared) => prepared,
        Err(error) => return super::run::refused(error),
    };
    let intake = match intake(&prepared, &args.source) {
        Ok(intake) => intake,
        Err(usage) => return wrong(&usage),
    };
    let now_ms = args.at.map_or_else(unix_ms, |at| at.saturating_mul(1000));
    let report = explain(&prepared, &intake, received, now_ms, args.no_verify).await;
    let text = match args.json {
        true => format!("{:#}\n", serde_json::to_value(&report)?),
        false => text::render(&report),
    };
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("write to standard output")?;
    let refused = !report.verdict.accepted && !args.no_verify;
    Ok(ExitCode::from(u8::from(refused)))
}

fn wrong(usage: &Usage) -> anyhow::Result<ExitCode> {
    writeln!(anstream::stderr(), "{usage}")?;
    Ok(ExitCode::from(USAGE))
}

/// A request as ingress has it before it looks at it.
struct Received {
    head: Parts,
    body: Bytes,
}

fn received(args: &Args) -> Result<Received, Usage> {
    let raw = RawRequest::read(&args.request)?;
    let raw = raw.as_request();
    let mut request = http::Request::builder().method(raw.method).uri(raw.target);
    for header in raw.headers {
        request = request.header(&header.name, header.value.as_ref());
    }
    let request = request.body(()).map_err(|error| {
        Usage::new(format!("no server would take this request: {error}"))
            .hint("look at its first line and its headers")
    })?;
    Ok(Received {
        head: request.into_parts().0,
        body: Bytes::copy_from_slice(raw.body),
    })
}

fn intake(prepared: &Prepared, name: &str) -> Result<Arc<Intake>, Usage> {
    let found = prepared.intake(name);
    found.ok_or_else(|| {
        let sources = prepared.config().sources.iter();
        let names: Vec<&str> = sources.map(|source| &*source.name).collect();
        let usage = Usage::new(format!("there is no source `{name}`"));
        match nearest(name, names.iter().copied()) {
            Some(near) => usage.hint(format!("did you mean `{near}`?")),
            None => usage.hint(format!("there are {}", names.join(", "))),
        }
    })
}

async fn explain(
    prepared: &Prepared,
    intake: &Intake,
    received: Received,
    now_ms: u64,
    no_verify: bool,
) -> Report {
    let source = &intake.source;
    let Received { head, body } = received;
    let mut report = Report {
        source: source.name.to_string(),
        provider: source.provider.to_string(),
        method: head.method.to_string(),
        target: head.uri.to_string(),
        body_bytes: body.len(),
        verdict: Verdict {
            accepted: true,
            status: source.ok_status,
            code: None,
            reason: None,
            overruled: false,
            notes: notes(source, &head),
        },
        handshake: None,
        event: None,
        routes: Vec::new(),
        unrouted: None,
    };
    let mut sender = made::Sender::default();
    let proven = match judge(intake, &head, &body, now_ms).await {
        Ok(Judged::Event(proven)) => proven,
        Ok(Judged::Handshake(shaken)) => {
            report.verdict.status = shaken.status;
            report.handshake = Some(shaken);
            return report;
        }
        Err(refused) => {
            // What a verifier could not judge is not let through.
            let is_let_through = !source.admission.enforce
                && refused.names.is_some()
                && refused.status == source.reject_status;
            report.verdict.accepted = is_let_through;
            if is_let_through {
                sender.unproved = Some(refused.code);
                let note = "the source has `enforce = false`, so it is let through".to_owned();
                report.verdict.notes.push(note);
            } else {
                report.verdict.status = refused.status;
            }
            report.verdict.code = Some(refused.code.to_owned());
            report.verdict.reason = Some(refused.reason);
            report.verdict.overruled = no_verify && refused.names.is_some() && !is_let_through;
            match refused.names {
                Some(names) if no_verify || is_let_through => names,
                _ => return report,
            }
        }
    };
    let window = prepared.config().storage.dedupe_window;
    let verified = &proven.verified;
    let dedupe = verified
        .dedupe_key()
        .filter(|_| source.dedupe && sender.unproved.is_none())
        .map(|id| made::dedupe_key(window, source, id, now_ms));
    report.event = Some(Named {
        kind: verified.event_type.clone(),
        provider_event_id: verified.event_id.clone(),
        coverage: verified.coverage.to_string(),
        dedupe_key: dedupe.as_ref().map(|key| hex::encode(key.hash)),
        dedupe_until: dedupe.map(|key| rfc3339(key.expires_at_ms)),
    });
    let headers = made::event_headers(&head);
    let mut event = made::event_of(intake, &head, headers, body, proven, sender, now_ms);
    // The same each time, so that two explanations can be compared.
    event.id = EventId::from_bytes([0; 16]);
    route(&mut report, prepared, &Arc::new(event), now_ms).await;
    report
}

/// A request that would get a 2xx.
enum Judged {
    Event(Proven),
    Handshake(Handshake),
}

/// A request that would get no 2xx.
struct Refused {
    status: u16,
    code: &'static str,
    reason: String,
    /// What its event would be called, if only its signature stands in the way.
    names: Option<Proven>,
}

/// What ingress would say of it, in the order in which it asks.
async fn judge(
    intake: &Intake,
    head: &Parts,
    body: &Bytes,
    now_ms: u64,
) -> Result<Judged, Refused> {
    let by_rule = |refusal: Refusal| {
        let row = refusal.row();
        Refused {
            status: row.status,
            code: row.code,
            reason: row.message.to_owned(),
            names: None,
        }
    };
    let source = &*intake.source;
    let method = head.method.as_str();
    if head.method != Method::POST && !source.handshakes.want(method) {
        return Err(by_rule(Refusal::MethodNotAllowed));
    }
    let is_of_type = ingress::takes_content_type(source, head);
    if !is_of_type && !source.handshakes.may_ignore_body(method) {
        return Err(by_rule(Refusal::UnsupportedMediaType));
    }
    if body.len() > source.body_bytes_max {
        return Err(by_rule(Refusal::BodyTooLarge));
    }
    let headers = made::event_headers(head);
    let target = head.uri.path_and_query();
    let request = verify::Request {
        method: head.method.as_str(),
        target: target.map_or("/", |target| target.as_str()),
        headers: &headers,
        body,
    };
    let question = source.handshakes.find(request);
    match &question {
        Some(question) if !question.shake.verify_first() => {
            return shaken(question, now_ms)
                .map(Judged::Handshake)
                .map_err(|refused| *refused);
        }
        None if head.method != Method::POST => return Err(by_rule(Refusal::NoHandshake)),
        None if !is_of_type => return Err(by_rule(Refusal::UnsupportedMediaType)),
        _ => {}
    }
    let proven = intake
        .proof
        .judge(request, now_ms, &Metrics::new(), &verify::NoKeys)
        .await;
    let proven = proven.map_err(|unproven| {
        let (status, why) = match unproven {
            Unproven::Rejected(rejection) => (source.reject_status, rejection),
            Unproven::Unknown(failure) => (Refusal::VerifierFailed.row().status, failure),
        };
        Refused {
            status,
            code: why.code,
            reason: why.detail,
            names: question.is_none().then(|| intake.proof.read(request)),
        }
    })?;
    match &question {
        Some(question) => shaken(question, now_ms)
            .map(Judged::Handshake)
            .map_err(|refused| *refused),
        None => Ok(Judged::Event(proven)),
    }
}

/// The answer to a handshake. What it would have fetched is not fetched.
fn shaken(question: &Question<'_, '_>, now_ms: u64) -> Result<Handshake, Box<Refused>> {
    let name = question.shake.name();
    match question.answer(now_ms) {
        Ok(shaken) => Ok(Handshake {
            name: name.to_string(),
            status: shaken.answer.status,
            body: Body::of(&shaken.answer.body),
            confirms: shaken.confirmation.is_some(),
        }),
        Err(refused) => {
            let row = ingress::handshake_refusal(&refused).row();
            Err(Box::new(Refused {
                status: row.status,
                code: refused.outcome(),
                reason: format!("handshake `{name}`: {refused}"),
                names: None,
            }))
        }
    }
}

fn notes(source: &config::Source, head: &Parts) -> Vec<String> {
    let path = head.uri.path();
    if path == source.path {
        return Vec::new();
    }
    vec![format!(
        "the request is for {path}; this source has the path {}",
        source.path
    )]
}

async fn route(report: &mut Report, prepared: &Prepared, event: &Arc<Event>, now_ms: u64) {
    let config = prepared.config();
    let routes: Vec<_> = config.routes.iter().cloned().map(Arc::new).collect();
    let matched = RouteTable::new(routes.clone()).matching(event);
    let metrics = Metrics::new();
    let mut passes = Vec::new();
    report.routes = routes
        .iter()
        .map(|route| told(route, &matched, event))
        .collect();
    for route in &matched.routes {
        let steps = Steps::default();
        let plugins: Vec<_> = prepared
            .chain(route)
            .into_iter()
            .map(|plugin| Arc::new(Recorder::new(plugin, &steps)))
            .collect();
        let passed = chain::run(&plugins, event, 1, &metrics).await;
        if let Some(told) = named(&mut report.routes, &route.name) {
            told.plugins = steps.take().into_iter().map(step).collect();
        }
        let route = route.clone();
        passes.push(plan::RoutePass { route, passed });
    }
    let plan = plan::plan(0, event, &matched, passes, now_ms, 0.0);
    for delivery in &plan.deliveries {
        if let Some(told) = named(&mut report.routes, &delivery.route) {
            told.deliveries.push(preview(prepared, delivery, now_ms));
        }
    }
    for record in plan.records {
        let end = End {
            state: record.state.as_str(),
            code: record.code,
            detail: record.detail,
        };
        match named(&mut report.routes, &record.route) {
            Some(told) => told.ends.push(end),
            None => report.unrouted = Some(end),
        }
    }
}

fn named<'r>(routes: &'r mut [Route], name: &str) -> Option<&'r mut Route> {
    routes.iter_mut().find(|route| route.name == name)
}

/// A route and whether it takes the event.
fn told(route: &config::Route, matched: &Matched, event: &Event) -> Route {
    let failed = matched
        .failed
        .iter()
        .find(|(failed, _)| failed.name == route.name);
    let takes = matched.routes.iter().any(|taken| taken.name == route.name);
    let why = if !route.from.contains(&event.source) {
        Why::OtherSources(route.from.iter().map(ToString::to_string).collect())
    } else if let Some((_, why)) = failed {
        Why::WhenFails(why.clone())
    } else {
        match (takes, &route.when) {
            (true, None) => Why::Source,
            (true, Some(_)) => Why::WhenHolds,
            (false, _) => Why::WhenDoesNotHold,
        }
    };
    Route {
        name: route.name.to_string(),
        takes,
        why,
        when: route.when.as_ref().map(|when| when.text().to_owned()),
        plugins: Vec::new(),
        deliveries: Vec::new(),
        ends: Vec::new(),
    }
}

fn step(step: recorder::Step) -> Step {
    let (result, detail, messages) = match step.result {
        Ok(Outcome::Unchanged) => ("unchanged", None, Vec::new()),
        Ok(Outcome::Forward(messages)) => ("forward", None, messages),
        Ok(Outcome::Drop(reason)) => ("drop", Some(reason), Vec::new()),
        Err(PluginError::Reject(reason)) => ("reject", Some(reason), Vec::new()),
        Err(PluginError::Retry { reason, .. }) => ("retry", Some(reason), Vec::new()),
        Err(PluginError::Failed { code, detail }) => {
            let detail = format!("{detail} (on_error: {})", step.on_error.as_str());
            (code, Some(detail), Vec::new())
        }
    };
    Step {
        plugin: step.plugin,
        result: result.to_owned(),
        detail,
        messages: messages.into_iter().map(message).collect(),
    }
}

fn message(message: crate::event::Message) -> Message {
    let headers = message.headers.iter().map(|header| {
        let value = String::from_utf8_lossy(&header.value).into_owned();
        (header.name.clone(), value)
    });
    Message {
        headers: headers.collect(),
        body: Body::of(&message.body),
        kind: message.kind,
        content_type: message.content_type,
        sink: message.sink,
        key: message.key,
        attributes: message.attributes,
    }
}

fn preview(prepared: &Prepared, delivery: &sink::Delivery, now_ms: u64) -> Delivery {
    let mut told = Delivery {
        sink: delivery.sink.to_string(),
        message_id: delivery.message_id.clone(),
        key: delivery.key.clone(),
        to: None,
        headers: Vec::new(),
        body: None,
        error: None,
    };
    let Some(sink) = prepared.sink(&delivery.sink) else {
        return told;
    };
    match sink.preview(delivery, now_ms) {
        Ok(preview) => {
            told.to = Some(preview.to);
            told.headers = preview.headers;
            told.body = Some(Body::of(&preview.body));
        }
        Err(error) => told.error = Some(format!("{}: {}", error.code, error.detail)),
    }
    told
}

fn rfc3339(unix_ms: u64) -> String {
    let ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX);
    format!("{time:.3}")
}
