//! `hookswitch run`

use std::process::ExitCode;

/// Arguments of `hookswitch run`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command.
pub async fn execute(_args: Args) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
