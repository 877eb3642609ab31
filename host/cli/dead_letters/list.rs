//! `hookswitch dead-letters list`

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use super::filter::Filter;
use crate::admin::view::dead::{DeadLetter, Page};
use crate::cli::remote::{Connection, Got, Target, get};
use crate::cli::table;
use crate::event::EventId;

const AFTER_HELP: &str = "\
Examples:
  hookswitch dead-letters list --source didit --since 15m
  hookswitch dead-letters list --sink crm --cause http_503
  hookswitch dead-letters list --json --count | jq .total";

/// Arguments of `hookswitch dead-letters list`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    #[command(flatten)]
    filter: Filter,
    /// Only of this event
    #[arg(long, value_name = "ID")]
    event: Option<EventId>,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Only those before this place, which an earlier page's last line names
    #[arg(long, value_name = "PLACE")]
    before: Option<String>,
    /// Say how many there are in all; a million take a second
    #[arg(long)]
    count: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Runs the command.
pub(super) async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let target = Target::new("/dead-letters").with("limit", &args.limit.to_string());
    let event = args.event.map(|id| id.to_string());
    let target = args
        .filter
        .narrow(target)
        .maybe("event", event.as_deref())
        .maybe("before", args.before.as_deref())
        .maybe("count", args.count.then_some("true"));
    let page: Page = match get(&args.connection, target.as_str()).await? {
        Got::Value(page) => page,
        Got::Done(code) => return Ok(code),
    };
    let text = render(&page, jiff::Timestamp::now());
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn render(page: &Page, now: jiff::Timestamp) -> String {
    let mut text = if page.dead_letters.is_empty() {
        "no dead letters\n".to_owned()
    } else {
        let rows: Vec<Vec<String>> = page
            .dead_letters
            .iter()
            .map(|letter| row(letter, now))
            .collect();
        table::render(&["SOURCE", "SINK", "ID", "DEAD", "TRIES", "CAUSE"], &rows)
    };
    // Writing into a `String` cannot fail.
    if let Some(total) = page.total {
        let _ = writeln!(text, "{total} in all");
    }
    if let Some(next) = &page.next {
        let _ = writeln!(text, "older ones: --before {next}");
    }
    text
}

fn row(letter: &DeadLetter, now: jiff::Timestamp) -> Vec<String> {
    let died: Option<jiff::Timestamp> = letter.died_at.parse().ok();
    let age = died.map(|at| table::age(now.as_second() - at.as_second()));
    let or_none = |text: &str| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            table::clean(text, 24)
        }
    };
    let detail = table::clean(&letter.detail, 60);
    vec![
        table::clean(&letter.source, 24),
        or_none(&letter.sink),
        letter.id.clone(),
        age.unwrap_or_default(),
        letter.attempts.to_string(),
        format!("{} {detail}", table::clean(&letter.cause, 40)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_a_table_with_the_way_to_the_next_one() {
        let letter = DeadLetter {
            id: "0193a5e4-7c1b-7d3e-9a40-0c5f7b1e2d33:0".to_owned(),
            source: "didit".to_owned(),
            provider: "didit".to_owned(),
            kind: "status.updated".to_owned(),
            provider_event_id: None,
            received_at: "2026-01-31T08:00:00.000Z".to_owned(),
            route: "kyc".to_owned(),
            sink: "crm".to_owned(),
            cause: "http_413".to_owned(),
            detail: "too\nlarge".to_owned(),
            attempts: 1,
            died_at: "2026-01-31T08:00:01.000Z".to_owned(),
            plugins: String::new(),
            message_id: String::new(),
            replays: 0,
            replayed_at: None,
        };
        let unrouted = DeadLetter {
            sink: String::new(),
            ..letter.clone()
        };
        let page = Page {
            dead_letters: vec![letter, unrouted],
            next: Some("7.8.0".to_owned()),
            total: Some(3),
        };
        let now: jiff::Timestamp = "2026-01-31T08:05:01Z".parse().unwrap_or_default();
        let id = "0193a5e4-7c1b-7d3e-9a40-0c5f7b1e2d33:0";
        let expected = format!(
            "\
SOURCE  SINK  ID                                      DEAD  TRIES  CAUSE
didit   crm   {id}  5m    1      http_413 too\u{fffd}large
didit   -     {id}  5m    1      http_413 too\u{fffd}large
3 in all
older ones: --before 7.8.0
"
        );
        assert_eq!(render(&page, now), expected);
        let none = Page {
            dead_letters: Vec::new(),
            next: None,
            total: None,
        };
        assert_eq!(render(&none, now), "no dead letters\n");
    }
}
