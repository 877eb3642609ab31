//! `hookswitch run`

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use super::{LogFormat, USAGE, colours};
use crate::server::{self, End, StartError};

const AFTER_HELP: &str = "\
Nothing listens before the configuration, its secrets, plugins and journal are good; what is wrong is printed
with file, line and column, and the exit code is 64.

Signals: SIGTERM or SIGINT drains (no new webhooks; running requests and deliveries end; at most `[server]
drain`), a second one stops at once. SIGHUP reads the configuration again; so does every change of it.

Examples:
  hookswitch run
  hookswitch run --config /etc/hookswitch/routes.toml --log-format json
  HOOKSWITCH_LOG=debug hookswitch run";

/// Arguments of `hookswitch run`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The configuration
    #[arg(
        long,
        short,
        value_name = "FILE",
        default_value = "routes.toml",
        env = "HOOKSWITCH_CONFIG"
    )]
    pub config: PathBuf,
    /// How log lines on standard error look
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "text",
        env = "HOOKSWITCH_LOG_FORMAT"
    )]
    pub log_format: LogFormat,
}

/// Runs the command.
pub async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let error = match server::serve(&args.config).await {
        Ok(End::Drained) => return Ok(ExitCode::SUCCESS),
        // The log has said why.
        Ok(End::JournalFailed) => return Ok(ExitCode::FAILURE),
        Err(error) => error,
    };
    refused(error)
}

/// Says why nothing was started; gives the exit code.
pub(crate) fn refused(error: StartError) -> anyhow::Result<ExitCode> {
    let mut stderr = io::stderr();
    match error {
        StartError::Config(diagnostics) => {
            write!(stderr, "{}", diagnostics.render(colours(&stderr)))?;
            Ok(ExitCode::from(USAGE))
        }
        StartError::Tls(error) => {
            writeln!(stderr, "error: {error}")?;
            Ok(ExitCode::from(USAGE))
        }
        // The machine's fault, not the file's: a taken port, a full or foreign disk.
        error => {
            writeln!(stderr, "error: {:#}", anyhow::Error::from(error))?;
            Ok(ExitCode::FAILURE)
        }
    }
}
