//! The command line: one module per command, each with its `Args` and an `execute` that gives the exit
//! code. Exit codes: 0 done, 1 no, 64 usage or config, 70 bug.

pub mod check;
pub mod completions;
pub mod dead_letters;
pub mod events;
pub mod explain;
pub mod man;
pub mod plugin;
pub mod providers;
pub mod receive;
pub mod rejected;
mod remote;
pub mod run;
pub mod send;
pub mod sinks;
pub mod sources;
mod table;
pub mod verify;

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

/// Exit code for a wrong command line or configuration, `EX_USAGE` of sysexits.h.
pub const USAGE: u8 = 64;
/// Exit code for a fault of this program, `EX_SOFTWARE` of sysexits.h.
pub const BUG: u8 = 70;

/// The variable that sets what is logged, such as `debug` or `info,hookswitch::sink=debug`.
pub const LOG_VARIABLE: &str = "HOOKSWITCH_LOG";

const AFTER_HELP: &str = "\
Examples:
  hookswitch providers list                     whose webhooks can be taken without writing code?
  hookswitch sources new github --write         add a source to routes.toml, with a fresh secret
  hookswitch check                              is routes.toml good?
  hookswitch run                                serve webhooks as routes.toml says
  hookswitch send didit --to http://127.0.0.1:8080/hooks/didit --secret env:DIDIT_WEBHOOK_SECRET
                                                send yourself a signed sample event
  hookswitch explain --source didit delivery.http
                                                what would become of this request?
  hookswitch events list --state dead           what did not get through?
  hookswitch events show ID                     and why?
  hookswitch dead-letters replay --sink crm     send that again
  hookswitch rejected list --source didit       what was not taken, and why?

Exit codes: 0 done, 1 no (invalid, not found), 64 wrong usage or configuration, 70 bug.
Environment: HOOKSWITCH_LOG sets the log level (error, warn, info, debug, or per module), NO_COLOR=1 turns
colours off.";

/// A webhook router: verifies each webhook, stores it before it answers 2xx, transforms it with sandboxed
/// WebAssembly plugins, and delivers it to Kafka, RabbitMQ, HTTP and files.
#[derive(Debug, Parser)]
#[command(name = "hookswitch", version, after_help = AFTER_HELP, max_term_width = 100)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve webhooks until SIGTERM or SIGINT
    Run(run::Args),
    /// Check a configuration and show what `run` would do with it
    Check(check::Args),
    /// Say whether a recorded request is authentic, and why not
    Verify(verify::Args),
    /// Tell what would become of a recorded request: verdict, routes, plugins, sinks
    Explain(explain::Args),
    /// Send a signed sample event, as the provider would
    Send(send::Args),
    /// Print and verify what an HTTP sink sends
    Receive(receive::Args),
    /// Look at what a running server took in, and what became of it
    Events(events::Args),
    /// Look at the requests that a running server did not take, and why
    Rejected(rejected::Args),
    /// See how sinks do; pause and resume them
    Sinks(sinks::Args),
    /// Look at what was given up on, send it again or give it up for good
    DeadLetters(dead_letters::Args),
    /// Work on plugins
    Plugin(plugin::Args),
    /// Look up what is known of a provider, and what a source for it needs
    Providers(providers::Args),
    /// Make a source for a provider
    Sources(sources::Args),
    /// Print completions for a shell
    Completions(completions::Args),
    /// Write manual pages
    Man(man::Args),
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line for people
    #[default]
    Text,
    /// A JSON object per line
    Json,
}

impl Command {
    /// True for the command that serves.
    #[must_use]
    pub fn is_server(&self) -> bool {
        matches!(self, Self::Run(_))
    }

    /// How log lines look.
    #[must_use]
    pub fn log_format(&self) -> LogFormat {
        match self {
            Self::Run(args) => args.log_format,
            _ => LogFormat::Text,
        }
    }

    /// Runs the command. An error is a bug or an environment that fails, exit code 70.
    pub async fn execute(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Run(args) => run::execute(args).await,
            Self::Check(args) => check::execute(args).await,
            Self::Verify(args) => verify::execute(args).await,
            Self::Explain(args) => explain::execute(args).await,
            Self::Send(args) => send::execute(args).await,
            Self::Receive(args) => receive::execute(args).await,
            Self::Events(args) => events::execute(args).await,
            Self::Rejected(args) => rejected::execute(args).await,
            Self::Sinks(args) => sinks::execute(args).await,
            Self::DeadLetters(args) => dead_letters::execute(args).await,
            Self::Plugin(args) => plugin::execute(args).await,
            Self::Providers(args) => providers::execute(args),
            Self::Sources(args) => sources::execute(args).await,
            Self::Completions(args) => completions::execute(args),
            Self::Man(args) => man::execute(args),
        }
    }
}

/// Reads the command line. For `--help` and `--version` prints and gives 0, for a wrong one prints why and
/// gives [`USAGE`].
pub fn parse() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|error| {
        // Where nobody reads the message, the exit code still tells.
        let _ = error.print();
        if error.use_stderr() {
            ExitCode::from(USAGE)
        } else {
            ExitCode::SUCCESS
        }
    })
}

/// The AMQP client warns of a returned message with all of its body, and a webhook's body is personal data.
const NO_BODIES: &str = "lapin::returned_messages=off";

/// Sends log lines to standard error, at the level of [`LOG_VARIABLE`], else `info`. What is wrong in the
/// variable is named there and left out.
pub fn start_log(format: LogFormat) -> anyhow::Result<()> {
    let filter = EnvFilter::builder()
        .with_default_directive(tracing::Level::INFO.into())
        .with_env_var(LOG_VARIABLE)
        .from_env_lossy()
        .add_directive(NO_BODIES.parse()?);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(colours(&io::stderr()));
    let started = match format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("start the log: {error}"))
}

/// True if `stream` may be coloured: it is a terminal, and `NO_COLOR` is not set (no-color.org).
pub(crate) fn colours(stream: &impl io::IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// True if whoever read our output has left, as `head` does: the end of the work, not a fault.
#[must_use]
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().map(io::Error::kind)
    };
    error
        .chain()
        .any(|cause| kind(cause) == Some(io::ErrorKind::BrokenPipe))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does() {
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
        }
    }
}
