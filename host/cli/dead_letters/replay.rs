//! `hookswitch dead-letters replay`

use std::process::ExitCode;

use super::batch::{Batch, Rate, rehearse};
use super::filter::{Filter, Id};
use crate::cli::remote::{By, Connection};

const AFTER_HELP: &str = "\
A replayed delivery keeps its event's id and its message id, so consumers can tell that they know it. One that
has a message is sent as it is; one that died before that (a plugin refused it, no route took it) goes through its
routes and plugins again, as they are now. Its attempts stay on record. Replaying twice, or two people at once,
sends nothing twice. A replay that is cut off is simply run again: what went out is no longer dead.

Examples:
  hookswitch dead-letters replay 0193a5e4-7c1b-7d3e-9a40-0c5f7b1e2d33:0
  hookswitch dead-letters replay 0193a5e4-7c1b-7d3e-9a40-0c5f7b1e2d33      all dead letters of an event
  hookswitch dead-letters replay --sink crm --since 2026-01-31T08:00:00Z --until 2026-01-31T09:30:00Z --rate 50/s
  hookswitch dead-letters replay --all --dry-run";

/// Arguments of `hookswitch dead-letters replay`.
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
    /// At most so many in a second (50/s) or in a minute (30/m)
    #[arg(long, value_name = "RATE")]
    rate: Option<Rate>,
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
            "error: which dead letters? Name them by ID or by a filter such as --sink, or say --all"
        );
        return Ok(ExitCode::from(crate::cli::USAGE));
    }
    if args.dry_run {
        return rehearse(&args.connection, &args.filter, "replayed").await;
    }
    let batch = Batch {
        connection: &args.connection,
        act: "replay",
        word: "replayed",
        reason: None,
        actor: args.by.name(),
        rate: args.rate,
    };
    if args.ids.is_empty() {
        batch.filtered(&args.filter).await
    } else {
        batch.named(&args.ids).await
    }
}
