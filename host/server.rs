//! Server: the parts put together.

use std::path::Path;
use std::process::ExitCode;

/// Runs until a signal ends it.
pub async fn run(_config: &Path) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
