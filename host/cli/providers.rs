//! `hookswitch providers`: what is known of each provider, and what a source for it needs.

mod show;

use std::io::Write as _;
use std::process::ExitCode;

use serde_json::json;

use crate::provider::words::Words;
use crate::provider::{self, Preset};

use super::USAGE;
use super::table;
use super::verify::args;

/// The widest line of the list, as a terminal has it.
const WIDTH: usize = 80;

const LIST_EXAMPLES: &str = "\
Examples:
  hookswitch providers list
  hookswitch providers list --json | jq -r '.[] | select(.coverage != \"full\") | .name'

FAMILY is how it signs; COVERS how much of the body the signature protects: full, partial or none; SURE is `no`
where part of what is known is a guess, and `hookswitch check` warns of it.";

const SHOW_EXAMPLES: &str = "\
Examples:
  hookswitch providers show didit
  hookswitch providers show github --json | jq -r .block >> routes.toml

Exit code: 0 shown, 64 there is no such provider.";

/// Arguments of `hookswitch providers`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the providers whose webhooks can be verified without writing code
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Print a JSON array, an object per provider
        #[arg(long)]
        json: bool,
    },
    /// Show what a source for a provider needs from you, how it signs, and a ready block for routes.toml
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// The provider's preset, such as `didit` or `stripe`
        #[arg(value_name = "PROVIDER")]
        provider: String,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command.
///
/// # Errors
/// If standard output cannot be written.
pub fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let text = match args.command {
        Command::List { json: false } => list(),
        Command::List { json: true } => {
            let all: Vec<_> = presets().map(summary).collect();
            format!("{:#}\n", serde_json::Value::from(all))
        }
        Command::Show { provider, json } => match args::preset(&provider) {
            Ok(preset) if json => format!("{:#}\n", show::json(preset)),
            Ok(preset) => show::text(preset),
            Err(usage) => {
                writeln!(anstream::stderr(), "{usage}")?;
                return Ok(ExitCode::from(USAGE));
            }
        },
    };
    write!(anstream::stdout(), "{text}")?;
    Ok(ExitCode::SUCCESS)
}

fn presets() -> impl Iterator<Item = &'static Preset> {
    provider::names().filter_map(provider::preset)
}

/// What the list says of a preset.
fn summary(preset: &Preset) -> serde_json::Value {
    let words = Words::of(preset);
    json!({
        "name": preset.name,
        "title": preset.title,
        "family": words.family,
        "coverage": words.coverage,
        "confirmed": preset.confirmed,
        "handshake": Words::of(preset).handshakes.iter().map(|shake| &shake.name).collect::<Vec<_>>(),
    })
}

fn list() -> String {
    let rows: Vec<[String; 6]> = presets()
        .map(|preset| {
            let words = Words::of(preset);
            let shakes = if words.handshakes.is_empty() {
                "-"
            } else {
                "yes"
            };
            [
                preset.name.to_owned(),
                preset.title.clone(),
                words.family,
                words.coverage,
                if preset.confirmed { "yes" } else { "no" }.to_owned(),
                shakes.to_owned(),
            ]
        })
        .collect();
    let head = ["NAME", "TITLE", "FAMILY", "COVERS", "SURE", "HANDSHAKE"];
    let widest = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widths = cells.map(|cell| cell.chars().count());
        let title = head.get(column).map_or(0, |cell| cell.len());
        widths.max().unwrap_or(0).max(title)
    };
    // Titles have what the other columns and the gaps leave.
    let others: usize = [0, 2, 3, 4, 5]
        .into_iter()
        .map(|column| widest(column) + 2)
        .sum();
    let room = WIDTH.saturating_sub(others);
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|[name, title, family, coverage, sure, handshake]| {
            vec![
                name,
                table::clean(&title, room),
                family,
                coverage,
                sure,
                handshake,
            ]
        })
        .collect();
    table::render(&head, &rows)
}
