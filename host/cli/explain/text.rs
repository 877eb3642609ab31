//! Text: the report for people. Pure.
//!
//! Values come from outside, so control characters are made visible and long bodies are cut; `--json` has all.

use std::fmt::Write as _;

use super::report::{Body, Delivery, End, Message, Report, Route, Step, Why};

/// Characters of a body that are shown.
const BODY_CHARS_MAX: usize = 4000;

/// Writes the report.
pub(super) fn render(report: &Report) -> String {
    let mut page = Page::default();
    page.line(format_args!(
        "{} {}, {} bytes, for source `{}` ({})",
        report.method, report.target, report.body_bytes, report.source, report.provider
    ));
    page.line(format_args!(""));
    verdict(&mut page, report);
    for route in &report.routes {
        page.line(format_args!(""));
        route_of(&mut page, route);
    }
    if let Some(end) = &report.unrouted {
        page.line(format_args!(""));
        page.line(format_args!("no route takes it"));
        page.field("ends", &ending(end));
    }
    page.text
}

fn verdict(page: &mut Page, report: &Report) {
    let verdict = &report.verdict;
    let (code, reason) = (
        verdict.code.as_deref().unwrap_or_default(),
        verdict.reason.as_deref().unwrap_or_default(),
    );
    match (verdict.accepted, verdict.overruled) {
        (true, _) => page.field("verdict", &format!("accepted, answered {}", verdict.status)),
        (false, overruled) => {
            let status = verdict.status;
            page.field(
                "verdict",
                &format!("refused, answered {status}: {code}: {reason}"),
            );
            if overruled {
                page.field(
                    "",
                    "what follows is as if it had been accepted (--no-verify)",
                );
            }
        }
    }
    for note in &verdict.notes {
        page.field("note", note);
    }
    if let Some(shake) = &report.handshake {
        page.field("handshake", &shake.name);
        page.body(&shake.body);
        if shake.confirms {
            page.field("", "then the URL in it would be fetched");
        }
    }
    let Some(event) = &report.event else { return };
    let or_none = |text: &str| match text {
        "" => "(none)".to_owned(),
        text => text.to_owned(),
    };
    page.field("event type", &or_none(&event.kind));
    page.field(
        "event id",
        event.provider_event_id.as_deref().unwrap_or("(none)"),
    );
    page.field("coverage", &event.coverage);
    match (&event.dedupe_key, &event.dedupe_until) {
        (Some(key), Some(until)) => page.field("dedupe key", &format!("{key}, until {until}")),
        _ => page.field("dedupe key", "(none)"),
    }
}

fn route_of(page: &mut Page, route: &Route) {
    let takes = if route.takes {
        "takes it"
    } else {
        "does not take it"
    };
    page.line(format_args!("route `{}`: {takes}", clean(&route.name)));
    let when = route.when.as_deref().unwrap_or_default();
    match &route.why {
        Why::Source => {}
        Why::OtherSources(sources) => page.field("from", &format!("{} only", sources.join(", "))),
        Why::WhenHolds => page.field("when", &format!("{when} -> true")),
        Why::WhenDoesNotHold => page.field("when", &format!("{when} -> false")),
        Why::WhenFails(why) => page.field("when", &format!("{when} -> error: {why}")),
    }
    for step in &route.plugins {
        step_of(page, step);
    }
    for delivery in &route.deliveries {
        delivery_of(page, delivery);
    }
    for end in &route.ends {
        page.field("ends", &ending(end));
    }
}

fn step_of(page: &mut Page, step: &Step) {
    let count = match step.messages.len() {
        0 => String::new(),
        1 => ", 1 message".to_owned(),
        count => format!(", {count} messages"),
    };
    let detail = step
        .detail
        .as_ref()
        .map_or(String::new(), |detail| format!(": {detail}"));
    page.field(
        "plugin",
        &format!("{}: {}{count}{detail}", step.plugin, step.result),
    );
    for message in &step.messages {
        message_of(page, message);
    }
}

fn message_of(page: &mut Page, message: &Message) {
    let mut line = format!("type {}", message.kind);
    for (name, value) in [
        ("content type", &message.content_type),
        ("sink", &message.sink),
        ("key", &message.key),
    ] {
        if let Some(value) = value {
            let _ = write!(line, ", {name} {value}");
        }
    }
    page.field("", &line);
    for (name, value) in &message.headers {
        page.field("", &format!("{name}: {value}"));
    }
    for (name, value) in &message.attributes {
        page.field("", &format!("attribute {name} = {value}"));
    }
    page.body(&message.body);
}

fn delivery_of(page: &mut Page, delivery: &Delivery) {
    let to = match (&delivery.to, &delivery.error) {
        (Some(to), _) => to.clone(),
        (None, Some(error)) => format!("cannot be sent: {error}"),
        (None, None) => String::new(),
    };
    page.field("sink", &format!("{}: {to}", delivery.sink));
    page.field("", &format!("message id {}", delivery.message_id));
    if let Some(key) = &delivery.key {
        page.field("", &format!("key {key}"));
    }
    for (name, value) in &delivery.headers {
        page.field("", &format!("{name}: {value}"));
    }
    if let Some(body) = &delivery.body {
        page.body(body);
    }
}

fn ending(end: &End) -> String {
    let state = match end.state {
        "dead" => "dead letter",
        "pending" => "tried again later",
        other => other,
    };
    let code = match end.code.as_str() {
        "" => String::new(),
        code => format!(" ({code})"),
    };
    format!("{state}{code}: {}", end.detail)
}

/// Lines with a label on the left.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.text, "{line}");
    }

    fn field(&mut self, label: &str, value: &str) {
        let _ = writeln!(self.text, "  {label:<11}{}", clean(value));
    }

    fn body(&mut self, body: &Body) {
        let (text, unit) = match body {
            Body::Text(text) => (text, "characters"),
            Body::Base64(text) => (text, "characters of Base64"),
        };
        let text = text.trim_end();
        let shown: String = text.chars().take(BODY_CHARS_MAX).collect();
        for line in shown.lines() {
            self.field("", line);
        }
        let count = text.chars().count();
        if count > BODY_CHARS_MAX {
            self.field(
                "",
                &format!("... ({count} {unit} in all; --json shows them)"),
            );
        }
    }
}

/// Control characters made visible.
fn clean(text: &str) -> String {
    let visible = |c: char| {
        if c.is_control() && c != '\t' {
            '\u{fffd}'
        } else {
            c
        }
    };
    text.chars().map(visible).collect()
}
