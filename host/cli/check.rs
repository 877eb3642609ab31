//! `hookswitch check`

use std::process::ExitCode;

/// Arguments of `hookswitch check`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command.
pub async fn execute(_args: Args) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
