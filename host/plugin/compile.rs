//! Compiling a component, in a child process that can be killed.
//!
//! Compilers take time and memory out of proportion to hostile input, and wasmtime 48 keeps the
//! compiler's memory as long as the engine lives. So the server starts this program again as
//! `hookswitch plugin compile - --out FILE`, feeds it the component's bytes (not a path, which could
//! change after it was hashed), and waits. The child limits itself before it reads anything.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};

use super::engine;

/// Wall time of a compilation; the largest known guests need 17 s of one core.
const WALL_TIME: Duration = Duration::from_secs(120);
/// CPU seconds of a compilation, over all threads.
const CPU_SECONDS: u64 = 120;
/// Address space of a compilation in bytes; the largest known guests need 450 MiB of memory.
const ADDRESS_SPACE_BYTES: u64 = 4 << 30;
/// Size of a file that the child may write, in bytes; the largest known guests give 33 MiB.
const FILE_BYTES: u64 = 512 << 20;
/// Threads of the compiler. Each costs address space for its allocator's arena.
const THREADS: &str = "2";
/// What is kept of the child's complaint, in bytes.
const COMPLAINT_BYTES: u64 = 4096;

/// Why there is no compiled component.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The child could not be started or fed.
    #[error("start the compiler `{program}`: {source}")]
    Start {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// The component is invalid or asks for what is switched off.
    #[error("{0}")]
    Invalid(String),
    /// The child was killed by a limit.
    #[error("compiling it took more than {0}")]
    TooMuch(String),
}

/// Compiles the component `wasm` into the new file `out`, in a child process.
///
/// Blocks until the child ends, 120 s at most.
///
/// # Errors
/// See [`CompileError`].
pub(super) fn in_child(program: &Path, wasm: &[u8], out: &Path) -> Result<(), CompileError> {
    let failed = |source| CompileError::Start {
        program: program.display().to_string(),
        source,
    };
    let mut child = Command::new(program)
        .args(["plugin", "compile", "-", "--out"])
        .arg(out)
        // Secrets may be in the environment, and a compiler has no use for it.
        .env_clear()
        .env("RAYON_NUM_THREADS", THREADS)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let complaint = converse(&mut child, wasm);
    if complaint.is_none() {
        // May fail only because the child has just ended by itself.
        drop(child.kill());
    }
    let status = child.wait().map_err(failed)?;
    match complaint {
        None => Err(CompileError::TooMuch(format!("{} s", WALL_TIME.as_secs()))),
        Some(_) if status.success() => Ok(()),
        Some(text) if status.code().is_some() && !text.trim().is_empty() => Err(
            CompileError::Invalid(text.trim().trim_start_matches("error: ").to_owned()),
        ),
        Some(_) => Err(CompileError::TooMuch(format!(
            "{CPU_SECONDS} s of CPU or {} MiB of memory ({status})",
            ADDRESS_SPACE_BYTES >> 20
        ))),
    }
}

/// Feeds the child and reads what it says until it closes its end; `None` if it takes too long.
fn converse(child: &mut Child, wasm: &[u8]) -> Option<String> {
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let (said, heard) = mpsc::sync_channel(1);
    thread::scope(|scope| {
        scope.spawn(move || {
            if let Some(mut stdin) = stdin {
                // A child that dies early closes the pipe; its status tells why.
                drop(stdin.write_all(wasm));
            }
        });
        scope.spawn(move || {
            let mut text = Vec::new();
            if let Some(mut stderr) = stderr {
                drop(stderr.by_ref().take(COMPLAINT_BYTES).read_to_end(&mut text));
                // The rest is read too, so that the child never waits for a reader.
                drop(io::copy(&mut stderr, &mut io::sink()));
            }
            drop(said.send(String::from_utf8_lossy(&text).into_owned()));
        });
        let heard = heard.recv_timeout(WALL_TIME).ok();
        if heard.is_none() {
            // Ends the two threads above, which the scope waits for.
            drop(child.kill());
        }
        heard
    })
}

/// The child's side: limits this very process, for good. Call it before anything else.
///
/// # Errors
/// The system refuses a limit.
pub fn limit_this_process() -> io::Result<()> {
    let limits = [
        (Resource::Cpu, CPU_SECONDS),
        (Resource::As, ADDRESS_SPACE_BYTES),
        (Resource::Fsize, FILE_BYTES),
        (Resource::Core, 0),
    ];
    for (resource, most) in limits {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        // A stricter limit that is set already cannot be raised, and need not be.
        match setrlimit(resource, limit) {
            Ok(()) | Err(rustix::io::Errno::PERM | rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The child's side: compiles `wasm` to the bytes that the server maps.
///
/// # Errors
/// A text for the plugin's author: the component is invalid or needs a feature that is off.
pub fn compile(wasm: &[u8]) -> Result<Vec<u8>, String> {
    let engine = engine::compiling().map_err(|error| format!("{error:#}"))?;
    engine
        .precompile_component(wasm)
        .map_err(|error| format!("{error:#}"))
}
