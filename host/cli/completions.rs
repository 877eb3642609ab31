//! `hookswitch completions`

use std::io::Write as _;
use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

/// Arguments of `hookswitch completions`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  hookswitch completions bash > ~/.local/share/bash-completion/completions/hookswitch"
)]
pub struct Args {
    /// The shell
    shell: Shell,
}

/// Runs the command.
pub fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut super::Cli::command(),
        "hookswitch",
        &mut script,
    );
    std::io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}
