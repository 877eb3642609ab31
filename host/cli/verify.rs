//! `hookswitch verify`

use std::process::ExitCode;

/// Arguments of `hookswitch verify`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command.
pub async fn execute(_args: Args) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
