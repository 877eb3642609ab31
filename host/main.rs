//! The program: reads the command line, prepares the process, runs one command, gives its exit code.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use hookswitch::cli::{self, Cli};
use tokio::runtime::{Builder, Runtime};

/// An event is a hundred small allocations, many of which another thread frees; the allocators of common C libraries are
/// slow at that, and were a seventh of the CPU time from request to sink.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    match execute(cli) {
        Ok(code) => code,
        Err(error) if cli::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do where standard error is closed, too.
            let _ = writeln!(std::io::stderr(), "hookswitch: {error:#}");
            ExitCode::from(cli::BUG)
        }
    }
}

fn execute(cli: Cli) -> anyhow::Result<ExitCode> {
    cli::start_log(cli.command.log_format())?;
    // One TLS implementation for listener, sinks and brokers; only a second call could fail.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = runtime(&cli)?;
    let code = runtime.block_on(cli.command.execute());
    // What still blocks a thread (a file, a resolver) must not hold up the end of the process.
    runtime.shutdown_background();
    code
}

/// Several threads for the server, named so that CPU time can be told by stage (`hookswitch-io` here, others
/// where they are started); one for commands, which may be children under strict resource limits.
fn runtime(cli: &Cli) -> anyhow::Result<Runtime> {
    let mut builder = if cli.command.is_server() {
        Builder::new_multi_thread()
    } else {
        Builder::new_current_thread()
    };
    let threads = AtomicUsize::new(0);
    builder
        .enable_all()
        .thread_name_fn(move || format!("hookswitch-io{}", threads.fetch_add(1, Ordering::Relaxed)))
        .build()
        .context("start the runtime")
}
