//! `hookswitch sinks`: how a running server's sinks do, and stopping and starting them.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Subcommand;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::remote::{By, Connection, Got, get, post};
use super::table;
use crate::admin::view::{Sink, Sinks};

const AFTER_HELP: &str = "\
Examples:
  hookswitch sinks list                 which sinks are halted, and why?
  hookswitch sinks pause crm            stop sending to it; its events wait in the journal
  hookswitch sinks resume crm           go on, also after a 410 or a configuration error";

/// Arguments of `hookswitch sinks`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List sinks with what waits for them and what halts them
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Stop sending to a sink; kept over reloads and restarts until `resume`
    Pause(OneArgs),
    /// Send again, whatever stopped it; one delivery probes first
    Resume(OneArgs),
}

#[derive(Debug, clap::Args)]
struct OneArgs {
    /// The sink's name in routes.toml
    sink: String,
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    connection: Connection,
}

/// Runs the command.
pub async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::List { connection } => {
            let Sinks { sinks } = match get(&connection, "/sinks").await? {
                Got::Value(sinks) => sinks,
                Got::Done(code) => return Ok(code),
            };
            let text = render(&sinks, jiff::Timestamp::now());
            std::io::stdout().write_all(text.as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Pause(args) => order(&args, "pause").await,
        Command::Resume(args) => order(&args, "resume").await,
    }
}

async fn order(args: &OneArgs, word: &str) -> anyhow::Result<ExitCode> {
    let name = utf8_percent_encode(&args.sink, NON_ALPHANUMERIC);
    let sink: Sink = match post(
        &args.connection,
        &format!("/sinks/{name}/{word}"),
        &args.by.name(),
    )
    .await?
    {
        Got::Value(sink) => sink,
        Got::Done(code) => return Ok(code),
    };
    let text = render(&[sink], jiff::Timestamp::now());
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn render(sinks: &[Sink], now: jiff::Timestamp) -> String {
    if sinks.is_empty() {
        return "no sinks\n".to_owned();
    }
    let rows: Vec<Vec<String>> = sinks.iter().map(|sink| row(sink, now)).collect();
    let head = [
        "SINK",
        "TYPE",
        "IN FLIGHT",
        "QUEUED",
        "PENDING",
        "STATE",
        "LAST ERROR",
    ];
    table::render(&head, &rows)
}

fn row(sink: &Sink, now: jiff::Timestamp) -> Vec<String> {
    let age_of = |at: &str, from_now: bool| {
        let at: Option<jiff::Timestamp> = at.parse().ok();
        at.map(|at| {
            let seconds = now.as_second() - at.as_second();
            table::age(if from_now { -seconds } else { seconds })
        })
        .unwrap_or_default()
    };
    let state = match (&sink.halted, &sink.halted_until) {
        (None, _) => "sending".to_owned(),
        (Some(why), None) => format!("halted ({why})"),
        (Some(why), Some(until)) => format!("halted ({why}), probes in {}", age_of(until, true)),
    };
    let error = sink.last_error.as_ref().map_or_else(
        || "-".to_owned(),
        |error| {
            format!(
                "{}, {} ago",
                table::clean(&error.code, 40),
                age_of(&error.at, false)
            )
        },
    );
    vec![
        table::clean(&sink.name, 32),
        sink.kind.clone(),
        format!("{}/{}", sink.in_flight, sink.limit),
        sink.queued.to_string(),
        sink.pending.to_string(),
        state,
        error,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::view::LastError;

    #[test]
    fn a_halted_sink_says_why_and_when_it_probes() {
        let now: jiff::Timestamp = "2026-01-31T08:05:00Z".parse().unwrap_or_default();
        let sink = Sink {
            name: "crm".to_owned(),
            kind: "http".to_owned(),
            in_flight: 0,
            limit: 8,
            queued: 3,
            pending: 40,
            halted: Some("breaker".to_owned()),
            halted_until: Some("2026-01-31T08:05:20Z".to_owned()),
            last_error: Some(LastError {
                at: "2026-01-31T08:04:50Z".to_owned(),
                class: "transient".to_owned(),
                code: "http_503".to_owned(),
                detail: "https://crm.example.com answered 503".to_owned(),
            }),
        };
        let expected = "\
SINK  TYPE  IN FLIGHT  QUEUED  PENDING  STATE                           LAST ERROR
crm   http  0/8        3       40       halted (breaker), probes in 20s  http_503, 10s ago
";
        let got = render(&[sink], now);
        let words = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(words(&got), words(expected));
    }
}
