//! `hookswitch plugin`: what is done to components without a running server.
//!
//! `compile` is also what the server starts, as a child process, when it meets a new component: it reads
//! the component from standard input and limits itself before that. It must print nothing but its error.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use std::os::unix::fs::OpenOptionsExt;

use crate::plugin::compile;
use crate::plugin::limits::COMPONENT_BYTES_MAX;

/// Exit code for bad input.
const USAGE: u8 = 64;

/// Arguments of `hookswitch plugin`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Compile a component to machine code of this machine
    Compile {
        /// The component, `-` for standard input
        component: PathBuf,
        /// File to write; it is overwritten
        #[arg(long)]
        out: PathBuf,
    },
}

/// Runs the command.
///
/// # Errors
/// Files cannot be read or written.
pub async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Compile { component, out } => compile(&component, &out),
    }
}

fn compile(component: &Path, out: &Path) -> anyhow::Result<ExitCode> {
    compile::limit_this_process().context("limit the compiler's own resources")?;
    let wasm = read(component)?;
    match compile::compile(&wasm) {
        Ok(code) => {
            write(out, &code).with_context(|| format!("write `{}`", out.display()))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(problem) => {
            writeln!(io::stderr(), "error: {problem}")?;
            Ok(ExitCode::from(USAGE))
        }
    }
}

/// The component's bytes, 32 MiB at most.
fn read(component: &Path) -> anyhow::Result<Vec<u8>> {
    let mut wasm = Vec::new();
    let most = COMPONENT_BYTES_MAX as u64 + 1;
    let read = if component == Path::new("-") {
        io::stdin().lock().take(most).read_to_end(&mut wasm)
    } else {
        File::open(component).and_then(|file| file.take(most).read_to_end(&mut wasm))
    };
    read.with_context(|| format!("read `{}`", component.display()))?;
    anyhow::ensure!(
        wasm.len() <= COMPONENT_BYTES_MAX,
        "the component has more than {} MiB",
        COMPONENT_BYTES_MAX >> 20
    );
    Ok(wasm)
}

/// Writes machine code that only this user can read or change.
fn write(out: &Path, code: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(out)?;
    file.write_all(code)?;
    file.sync_all()
}
