//! `hookswitch events show`

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use crate::admin::view::{Body, Delivery, Event, Request};
use crate::cli::remote::{Connection, Got, get};
use crate::cli::table;
use crate::event::EventId;

/// Characters of a body or detail that are shown; `--json` and the API have all of it.
const TEXT_CHARS_MAX: usize = 4000;

const AFTER_HELP: &str = "\
Examples:
  hookswitch events show 0193a5e4-7c1b-7d3e-9a40-0c5f7b1e2d33
  hookswitch events show --json 0193a5e4-7c1b-7d3e-9a40-0c5f7b1e2d33 | jq .deliveries";

/// Arguments of `hookswitch events show`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// The event's id, from `events list` or the answer that its sender got
    id: EventId,
    #[command(flatten)]
    connection: Connection,
}

/// Runs the command.
pub(super) async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let event: Event = match get(&args.connection, &format!("/events/{}", args.id)).await? {
        Got::Value(event) => event,
        Got::Done(code) => return Ok(code),
    };
    std::io::stdout()
        .write_all(story(&event, crate::cli::colours(&std::io::stdout())).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// The event's way from top to bottom.
pub(in crate::cli) fn story(event: &Event, colours: bool) -> String {
    let mut text = String::new();
    // Writing into a `String` cannot fail.
    let mut line = |line: String| {
        let _ = writeln!(text, "{line}");
    };
    let kind = if event.kind.is_empty() {
        "without a type"
    } else {
        &event.kind
    };
    line(format!("{}  {}", event.id, table::clean(kind, 80)));
    line(format!(
        "  received   {} by source {} ({})",
        event.received_at, event.source, event.provider
    ));
    if let Some(id) = &event.provider_event_id {
        line(format!("  their id   {}", table::clean(id, 200)));
    }
    if let Some(request) = &event.request {
        for (name, value) in &request.attributes {
            line(format!("  {name:<10} {}", table::clean(value, 200)));
        }
    }
    line(format!("  body       {} bytes", event.body_bytes));
    line(String::new());
    if event.deliveries.is_empty() {
        let state = if event.finished {
            "finished without a delivery"
        } else {
            "waits for its routes"
        };
        line(format!("  {state}"));
    }
    for delivery in &event.deliveries {
        tell(delivery, colours, &mut line);
    }
    if let Some(request) = &event.request {
        line(String::new());
        show_request(request, &mut line);
    }
    text
}

fn tell(delivery: &Delivery, colours: bool, line: &mut impl FnMut(String)) {
    let or = |text: &str, other: &str| {
        if text.is_empty() {
            other.to_owned()
        } else {
            table::clean(text, 60)
        }
    };
    line(format!(
        "  {} -> {}  {}{}",
        or(&delivery.route, "(no route)"),
        or(&delivery.sink, "(no sink)"),
        paint(&delivery.state, colours),
        if delivery.code.is_empty() {
            String::new()
        } else {
            format!("  {}", table::clean(&delivery.code, 120))
        },
    ));
    for plugin in delivery.plugins.split_whitespace() {
        line(format!("      plugin   {}", table::clean(plugin, 160)));
    }
    for attempt in &delivery.history {
        line(format!(
            "      attempt {} failed at {}  {} {}: {}",
            attempt.number,
            attempt.at,
            table::clean(&attempt.class, 20),
            table::clean(&attempt.code, 60),
            table::clean(&attempt.detail, 300),
        ));
    }
    match delivery.state.as_str() {
        "delivered" => {
            let attempts = if delivery.attempts == 1 {
                "attempt"
            } else {
                "attempts"
            };
            line(format!(
                "      confirmed at {} after {} {attempts}",
                delivery.at, delivery.attempts
            ));
        }
        "pending" => match &delivery.next_at {
            Some(next_at) => line(format!("      next attempt at {next_at}")),
            None => line("      the sink works on it now".to_owned()),
        },
        _ => line(format!(
            "      at {}: {}",
            delivery.at,
            table::clean(&delivery.detail, 600)
        )),
    }
}

fn show_request(request: &Request, line: &mut impl FnMut(String)) {
    let query = if request.query.is_empty() {
        String::new()
    } else {
        format!("?{}", request.query)
    };
    line(format!(
        "  {} {}",
        request.method,
        table::clean(&format!("{}{query}", request.path), 400)
    ));
    for (name, value) in &request.headers {
        line(format!(
            "  {}: {}",
            table::clean(name, 80),
            table::clean(value, 200)
        ));
    }
    line(String::new());
    show_body(&request.body, line);
}

/// A body, as far as the eye wants it.
pub(in crate::cli) fn show_body(body: &Body, line: &mut impl FnMut(String)) {
    if body.encoding == "utf-8" {
        for text in body
            .text
            .chars()
            .take(TEXT_CHARS_MAX)
            .collect::<String>()
            .lines()
        {
            line(format!("  {}", table::clean(text, TEXT_CHARS_MAX)));
        }
    } else {
        line("  (binary; --json has it as base64)".to_owned());
    }
    if body.truncated || body.text.chars().count() > TEXT_CHARS_MAX {
        line("  ... (--json has more, GET /events/{id}?body=raw all of an event's)".to_owned());
    }
}

fn paint(state: &str, colours: bool) -> String {
    let code = match state {
        "delivered" => "32",
        "pending" => "33",
        "dead" => "31",
        _ => "36",
    };
    if colours {
        format!("\x1b[{code}m{state}\x1b[0m")
    } else {
        state.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::view::Attempt;

    #[test]
    fn the_story_tells_each_attempt_and_the_end() {
        let event = Event {
            id: "0193a5e4-7c1b-7d3e-9a40-0c5f7b1e2d33".to_owned(),
            source: "didit".to_owned(),
            provider: "didit".to_owned(),
            kind: "status.updated".to_owned(),
            provider_event_id: Some("evt_1".to_owned()),
            received_at: "2026-01-31T08:00:00.000Z".to_owned(),
            body_bytes: 9,
            finished: true,
            deliveries: vec![Delivery {
                ordinal: 0,
                route: "kyc".to_owned(),
                sink: "crm".to_owned(),
                state: "dead".to_owned(),
                code: "http_413".to_owned(),
                attempts: 1,
                at: "2026-01-31T08:00:01.000Z".to_owned(),
                next_at: None,
                detail: "the endpoint refused the size".to_owned(),
                plugins: "normalize-kyc@3f2a".to_owned(),
                message_id: "m".to_owned(),
                history: vec![Attempt {
                    number: 1,
                    at: "2026-01-31T08:00:01.000Z".to_owned(),
                    class: "permanent".to_owned(),
                    code: "http_413".to_owned(),
                    detail: "413 Content Too Large".to_owned(),
                }],
            }],
            request: Some(Request {
                method: "POST".to_owned(),
                path: "/hooks/didit".to_owned(),
                query: String::new(),
                headers: vec![("content-type".to_owned(), "application/json".to_owned())],
                attributes: vec![("coverage".to_owned(), "full".to_owned())],
                body: Body {
                    encoding: "utf-8".to_owned(),
                    text: "{\"a\":\n1}".to_owned(),
                    truncated: false,
                },
            }),
        };
        let expected = "\
0193a5e4-7c1b-7d3e-9a40-0c5f7b1e2d33  status.updated
  received   2026-01-31T08:00:00.000Z by source didit (didit)
  their id   evt_1
  coverage   full
  body       9 bytes

  kyc -> crm  dead  http_413
      plugin   normalize-kyc@3f2a
      attempt 1 failed at 2026-01-31T08:00:01.000Z  permanent http_413: 413 Content Too Large
      at 2026-01-31T08:00:01.000Z: the endpoint refused the size

  POST /hooks/didit
  content-type: application/json

  {\"a\":
  1}
";
        assert_eq!(story(&event, false), expected);
    }
}
