//! `hookswitch rejected`: what a running server did not take, through its admin API.

mod list;
mod show;

use std::process::ExitCode;

use clap::Subcommand;

/// Arguments of `hookswitch rejected`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List rejected requests, newest first
    List(list::Args),
    /// Show one rejected request as it came, credentials masked
    Show(show::Args),
}

/// Runs the command.
pub async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::List(args) => list::execute(args).await,
        Command::Show(args) => show::execute(args).await,
    }
}
