//! `hookswitch events list`

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use crate::admin::view::{Event, Page};
use crate::cli::remote::{Connection, Got, Target, get};
use crate::cli::table;

const AFTER_HELP: &str = "\
Examples:
  hookswitch events list --source didit --since 15m
  hookswitch events list --state dead --limit 500
  hookswitch events list --json | jq -r '.events[].id'";

/// Arguments of `hookswitch events list`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// Only events of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only events of this type
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Only events with a delivery in this state
    #[arg(long, value_parser = ["pending", "delivered", "dropped", "dead"])]
    state: Option<String>,
    /// Only events since then: an age (15m, 2h) or a time (2026-01-31T08:00:00Z)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Only events before this place, which an earlier page's last line names
    #[arg(long, value_name = "PLACE")]
    before: Option<i64>,
    #[command(flatten)]
    connection: Connection,
}

impl Args {
    fn target(&self) -> Target {
        let before = self.before.map(|before| before.to_string());
        Target::new("/events")
            .with("limit", &self.limit.to_string())
            .maybe("source", self.source.as_deref())
            .maybe("type", self.kind.as_deref())
            .maybe("state", self.state.as_deref())
            .maybe("since", self.since.as_deref())
            .maybe("before", before.as_deref())
    }
}

/// Runs the command.
pub(super) async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let page: Page = match get(&args.connection, args.target().as_str()).await? {
        Got::Value(page) => page,
        Got::Done(code) => return Ok(code),
    };
    let text = render(&page, jiff::Timestamp::now());
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn render(page: &Page, now: jiff::Timestamp) -> String {
    if page.events.is_empty() {
        return "no events\n".to_owned();
    }
    let rows: Vec<Vec<String>> = page.events.iter().map(|event| row(event, now)).collect();
    let mut text = table::render(&["SOURCE", "TYPE", "ID", "AGE", "STATE"], &rows);
    if let Some(next) = page.next {
        let _ = writeln!(text, "older events: --before {next}");
    }
    text
}

fn row(event: &Event, now: jiff::Timestamp) -> Vec<String> {
    let received: Option<jiff::Timestamp> = event.received_at.parse().ok();
    let age = received.map(|at| table::age(now.as_second() - at.as_second()));
    vec![
        table::clean(&event.source, 24),
        table::clean(
            if event.kind.is_empty() {
                "-"
            } else {
                &event.kind
            },
            36,
        ),
        event.id.clone(),
        age.unwrap_or_default(),
        state(event),
    ]
}

/// `delivered 2, dead 1 (http_413)`: how many deliveries are in which state, and why for the bad ones.
pub(super) fn state(event: &Event) -> String {
    if event.deliveries.is_empty() {
        return if event.finished {
            "finished"
        } else {
            "waiting for its routes"
        }
        .to_owned();
    }
    let mut parts = Vec::new();
    for state in ["delivered", "pending", "dropped", "dead"] {
        let of_state: Vec<_> = event
            .deliveries
            .iter()
            .filter(|d| d.state == state)
            .collect();
        let Some(last) = of_state.last() else {
            continue;
        };
        let code = table::clean(&last.code, 40);
        if state == "delivered" || code.is_empty() {
            parts.push(format!("{state} {}", of_state.len()));
        } else {
            parts.push(format!("{state} {} ({code})", of_state.len()));
        }
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::view::Delivery;

    fn delivery(state: &str, code: &str) -> Delivery {
        Delivery {
            ordinal: 0,
            route: "kyc".to_owned(),
            sink: "crm".to_owned(),
            state: state.to_owned(),
            code: code.to_owned(),
            attempts: 1,
            at: String::new(),
            next_at: None,
            detail: String::new(),
            plugins: String::new(),
            message_id: String::new(),
            history: Vec::new(),
        }
    }

    fn event(deliveries: Vec<Delivery>) -> Event {
        Event {
            id: "0193a5e4-7c1b-7d3e-9a40-0c5f7b1e2d33".to_owned(),
            source: "didit".to_owned(),
            provider: "didit".to_owned(),
            kind: String::new(),
            provider_event_id: None,
            received_at: "2026-01-31T08:00:00.000Z".to_owned(),
            body_bytes: 2,
            finished: false,
            deliveries,
            request: None,
        }
    }

    #[test]
    fn a_page_is_a_table_with_the_way_to_the_next_one() {
        let page = Page {
            events: vec![event(vec![
                delivery("delivered", "201"),
                delivery("dead", "http_413"),
            ])],
            next: Some(17),
        };
        let now: jiff::Timestamp = "2026-01-31T08:05:00Z".parse().unwrap_or_default();
        let expected = "\
SOURCE  TYPE  ID                                    AGE  STATE
didit   -     0193a5e4-7c1b-7d3e-9a40-0c5f7b1e2d33  5m   delivered 1, dead 1 (http_413)
older events: --before 17
";
        assert_eq!(render(&page, now), expected);
    }

    #[test]
    fn an_event_without_deliveries_waits_for_its_routes() {
        assert_eq!(state(&event(Vec::new())), "waiting for its routes");
    }
}
