//! WASI for plugins: what languages' standard libraries need, with nothing behind it.
//!
//! No files (no folder is preopened), no sockets (not linked at all), no arguments, no environment, no
//! input. The wall clock stands still at the event's time. Standard output and error go to the log.
//! The monotonic clock and random numbers are real: libraries seed hash tables and measure with them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tracing::Level;
use wasmtime::component::Linker;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream, WasiCli, WasiCliView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult, bindings};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::{HostWallClock, WasiCtx, WasiCtxView, WasiView};

use super::host::Call;
use super::limits;

/// Interfaces of WASI 0.2 that plugins are given, without the version.
pub(super) const OFFERED: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// Bytes of standard output and error that a call may write; what is over is thrown away.
const OUTPUT_BYTES: usize = 16 << 10;

/// Links [`OFFERED`] and nothing else.
pub(super) fn add_to_linker(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
    use bindings::{cli, filesystem, random};
    // io, clocks, random/random, stdin, stdout, stderr.
    wasmtime_wasi::p2::add_to_linker_proxy_interfaces_async(linker)?;
    cli::environment::add_to_linker::<_, WasiCli>(linker, Call::cli)?;
    cli::exit::add_to_linker::<_, WasiCli>(linker, Call::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(linker, Call::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(linker, Call::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(linker, Call::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(linker, Call::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(linker, Call::cli)?;
    filesystem::preopens::add_to_linker::<_, WasiFilesystem>(linker, Call::filesystem)?;
    filesystem::types::add_to_linker::<_, WasiFilesystem>(linker, Call::filesystem)?;
    random::insecure::add_to_linker::<_, WasiRandom>(linker, |call| call.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<_, WasiRandom>(linker, |call| call.ctx().ctx.random())?;
    Ok(())
}

impl WasiView for Call {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let (now_ms, output) = (self.now_ms, &self.output);
        let ctx = self.wasi.get_or_insert_with(|| {
            WasiCtx::builder()
                .wall_clock(Frozen(Duration::from_millis(now_ms)))
                .stdout(output.clone())
                .stderr(output.clone())
                .max_random_size(limits::RANDOM_BYTES_MAX)
                .allow_tcp(false)
                .allow_udp(false)
                .build()
        });
        WasiCtxView {
            ctx,
            table: &mut self.table,
        }
    }
}

impl Call {
    /// Logs what the guest wrote to its standard output and error.
    pub(super) fn log_output(&mut self) {
        let (bytes, lost) = self.output.take();
        for line in String::from_utf8_lossy(&bytes).lines() {
            if !line.is_empty() {
                self.lines.write(Level::INFO, line);
            }
        }
        if lost {
            self.lines.lost(1);
        }
    }
}

/// A wall clock that shows the event's time.
struct Frozen(Duration);

impl HostWallClock for Frozen {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        self.0
    }
}

/// Where the guest's standard output and error end up.
#[derive(Clone, Debug, Default)]
pub(super) struct Output(Arc<Mutex<Written>>);

#[derive(Debug, Default)]
struct Written {
    bytes: Vec<u8>,
    lost: bool,
}

impl Output {
    fn write(&self, bytes: &[u8]) {
        let Ok(mut written) = self.0.lock() else {
            return;
        };
        let room = OUTPUT_BYTES.saturating_sub(written.bytes.len());
        let kept = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        written.bytes.extend_from_slice(kept);
        written.lost |= kept.len() < bytes.len();
    }

    fn take(&self) -> (Vec<u8>, bool) {
        let Ok(mut written) = self.0.lock() else {
            return (Vec::new(), false);
        };
        (
            std::mem::take(&mut written.bytes),
            std::mem::take(&mut written.lost),
        )
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // For WASI 0.3, which is not offered.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        Self::write(self, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(OUTPUT_BYTES)
    }
}
