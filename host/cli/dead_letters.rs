//! `hookswitch dead-letters`: what a running server gave up on, and what becomes of it.

mod batch;
mod discard;
mod filter;
mod list;
mod replay;
mod show;

use std::process::ExitCode;

use clap::Subcommand;

const AFTER_HELP: &str = "\
A dead letter is a delivery that was given up: refused for good, out of attempts, or stopped by a plugin. It keeps
its event, its message, the plugins that made it and every attempt, until it is replayed, discarded or older than
`[storage] retain_dead_letters`.

Examples:
  hookswitch dead-letters list --since 1h
  hookswitch dead-letters show ID
  hookswitch dead-letters replay ID
  hookswitch dead-letters replay --sink crm --cause http_503 --rate 50/s
  hookswitch dead-letters discard --route old --until 2026-01-31T08:00:00Z --reason OPS-7";

/// Arguments of `hookswitch dead-letters`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List dead letters, the last to die first
    List(list::Args),
    /// Tell all about one: event, message, plugins, every attempt
    Show(show::Args),
    /// Send dead letters on their way again
    Replay(replay::Args),
    /// Give dead letters up for good
    Discard(discard::Args),
}

/// Runs the command.
pub async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::List(args) => list::execute(args).await,
        Command::Show(args) => show::execute(args).await,
        Command::Replay(args) => replay::execute(args).await,
        Command::Discard(args) => discard::execute(args).await,
    }
}
