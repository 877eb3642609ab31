//! `hookswitch events`: what a running server took in, through its admin API.

mod list;
pub(super) mod show;

use std::process::ExitCode;

use clap::Subcommand;

/// Arguments of `hookswitch events`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List events, newest first
    List(list::Args),
    /// Tell one event's way, with every attempt
    Show(show::Args),
}

/// Runs the command.
pub async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::List(args) => list::execute(args).await,
        Command::Show(args) => show::execute(args).await,
    }
}
