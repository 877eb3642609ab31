//! `hookswitch plugin`: what is done to components without a running server.
//!
//! `compile` is also what the server starts, as a child process, when it meets a new component: it reads
//! the component from standard input and limits itself before that. It must print nothing but its error.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use serde_json::json;

use crate::plugin::cache::sha256;
use crate::plugin::inspect::{Role, Shape};
use crate::plugin::limits::COMPONENT_BYTES_MAX;
use crate::plugin::{Grants, compile};

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
    /// Show what a component is: contract, grants it needs, imports, size
    ///
    /// Exit code 0 if it can be loaded as a plugin, 1 if not.
    Inspect {
        /// The component
        component: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command.
///
/// # Errors
/// Files cannot be read or written.
pub async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Compile { component, out } => compile(&component, &out),
        Command::Inspect { component, json } => inspect(&component, json),
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

fn inspect(component: &Path, json: bool) -> anyhow::Result<ExitCode> {
    compile::limit_this_process().context("limit the compiler's own resources")?;
    let wasm = read(component)?;
    let shape = match Shape::read(&wasm) {
        Ok(shape) => shape,
        Err(problem) => {
            writeln!(io::stderr(), "error: `{}`: {problem}", component.display())?;
            return Ok(ExitCode::from(USAGE));
        }
    };
    let world = shape.world();
    // What is of no world is judged as the one that is given the most.
    let role = world.as_ref().map_or(Role::Transformer, |world| world.role);
    let refused = shape.refused_imports(role);
    let loads = world.is_ok() && refused.is_empty();
    let (world, contract) = match &world {
        Ok(world) => (world.role.name().to_owned(), Some(world.version.as_str())),
        Err(mismatch) => (format!("none: {mismatch}"), None),
    };
    let grants = shape.missing_grants(&Grants::default());
    let sha = hex::encode(sha256(&wasm));
    let mut out = io::stdout().lock();
    if json {
        let report = json!({
            "component": component.display().to_string(),
            "sha256": sha,
            "bytes": wasm.len(),
            "loads": loads,
            "world": world,
            "contract": contract,
            "grants": grants,
            "refused_imports": refused,
            "imports": shape.imports,
            "exports": shape.exports,
        });
        writeln!(out, "{report:#}")?;
    } else {
        let or_none = |names: &[String]| match names {
            [] => "none".to_owned(),
            names => names.join("\n          "),
        };
        let needed: Vec<String> = grants.iter().map(|grant| (*grant).to_owned()).collect();
        writeln!(out, "component {}", component.display())?;
        writeln!(out, "sha256    {sha}")?;
        writeln!(out, "size      {} bytes", wasm.len())?;
        writeln!(out, "world     {world}")?;
        writeln!(out, "contract  {}", contract.unwrap_or("none"))?;
        writeln!(out, "grants    {}", or_none(&needed))?;
        writeln!(out, "refused   {}", or_none(&refused))?;
        writeln!(out, "imports   {}", or_none(&shape.imports))?;
        writeln!(out, "exports   {}", or_none(&shape.exports))?;
    }
    Ok(ExitCode::from(u8::from(!loads)))
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
