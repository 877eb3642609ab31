//! `hookswitch dead-letters discard`

use std::process::ExitCode;

use super::batch::{Batch, rehearse};
use super::filter::{Filter, Id};
use crate::cli::remote::{By, Connection};

const AFTER_HELP: &str = "\
A discarded delivery is dropped: its message is removed, and it stays on record with the reason and the cause of
its death. Its event and its other deliveries are left alone. It cannot be replayed any more. The reason goes into
the audit log, which keeps it for good: name a ticket, not a person.

Examples:
  hookswitch dead-letters discard 0193a5e4-7c1b-7d3e-9a40-0c5f7b1e2d33:0 --reason \"test event\"
  hookswitch dead-letters discard --cause sink_gone --until 30d --reason OPS-7
  hookswitch dead-letters discard --all --dry-run --reason OPS-7";

/// Arguments of `hookswitch dead-letters discard`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// These dead letters: their ids, or the ids of events
    #[arg(value_name = "ID", conflicts_with_all = ["source", "kind", "sink", "route", "cause", "since", "until", "all", "dry_run"])]
    ids: Vec<Id>,
    #[command(flatten)]
    filter: Filter,
    /// All there are
    #[arg(long)]
    all: bool,
    /// Why: a line of at most 200 characters, without personal data
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Only say how many it would be
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    connection: Connection,
}

/// Runs the command.
pub(super) async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    if args.ids.is_empty() && args.filter.is_empty() && !args.all {
        anstream::eprintln!(
            "error: which dead letters? Name them by ID or by a filter such as --cause, or say --all"
        );
        return Ok(ExitCode::from(crate::cli::USAGE));
    }
    if args.dry_run {
        return rehearse(&args.connection, &args.filter, "discarded").await;
    }
    let batch = Batch {
        connection: &args.connection,
        act: "discard",
        word: "discarded",
        reason: Some(&args.reason),
        actor: args.by.name(),
        rate: None,
    };
    if args.ids.is_empty() {
        batch.filtered(&args.filter).await
    } else {
        batch.named(&args.ids).await
    }
}
