//! A process group that cannot outlive us, whose output goes to a log file and can be waited for.
//!
//! Invariant: after [`Group::stop`], [`Group::kill`] or a drop no process of the group is left. A guardian
//! shell does the same if this process dies without dropping anything.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

/// Lines kept for a waiter that is slower than the log; further ones only go to the file.
const LINES_WAITING_MAX: usize = 4096;
/// Lines of the log quoted when a broker did not start.
const LINES_QUOTED: usize = 12;
/// How often an ending process is looked at.
const POLL: Duration = Duration::from_millis(10);

/// A running process group.
pub(super) struct Group {
    child: Child,
    guardian: Guardian,
    log: PathBuf,
    /// In a lock only so that a broker can be shared between tests.
    lines: Mutex<Receiver<String>>,
}

impl Group {
    /// Starts `command` as the leader of a group of its own; its output is appended to `log`.
    pub(super) fn spawn(mut command: Command, log: &Path) -> Result<Self> {
        let (reader, writer) = std::io::pipe()?;
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let program = command.get_program().to_string_lossy().into_owned();
        command
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0);
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start `{program}`"))?;
        // The command holds the pipe's write ends; while it lives, the reader would never see the end.
        drop(command);

        let guardian = match Guardian::of_group(Pid::from_child(&child)) {
            Ok(guardian) => guardian,
            Err(error) => {
                child.kill().ok();
                child.wait().ok();
                return Err(error);
            }
        };
        let (sender, lines) = mpsc::sync_channel(LINES_WAITING_MAX);
        thread::Builder::new()
            .name("broker-log".to_owned())
            .spawn(move || copy_lines(reader, file, sender))?;
        Ok(Self {
            child,
            guardian,
            log: log.to_path_buf(),
            lines: Mutex::new(lines),
        })
    }

    /// Waits until a line of output contains `needle`.
    pub(super) fn wait_for_line(&mut self, needle: &str, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            match self
                .lines
                .get_mut()
                .unwrap_or_else(PoisonError::into_inner)
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) if line.contains(needle) => return Ok(()),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => bail!(
                    "not ready after {} s; {}",
                    patience.as_secs(),
                    self.last_lines()
                ),
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("ended while starting; {}", self.last_lines())
                }
            }
        }
    }

    /// Asks the group to end (SIGTERM), and kills it if it has not after `patience`.
    pub(super) fn stop(mut self, patience: Duration) {
        self.signal(Signal::TERM);
        let deadline = Instant::now() + patience;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(POLL);
        }
        // Dropping kills what is left.
    }

    /// Ends the group at once (SIGKILL), as a crash would.
    pub(super) fn kill(self) {}

    fn signal(&self, signal: Signal) {
        // The only error is that nothing of the group is left, which is what a signal is sent for.
        kill_process_group(Pid::from_child(&self.child), signal).ok();
    }

    fn last_lines(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(LINES_QUOTED);
        format!(
            "the end of {}:\n{}",
            self.log.display(),
            lines.get(from..).unwrap_or_default().join("\n")
        )
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.guardian.dismiss();
        self.signal(Signal::KILL);
        self.child.wait().ok();
    }
}

/// A shell that does one thing if we die: it reads from our pipe, which nobody ever writes to.
pub(super) struct Guardian(Child);

impl Guardian {
    /// Kills a process group when we die.
    fn of_group(group: Pid) -> Result<Self> {
        Self::spawn(&[
            "kill",
            // Not `-KILL`, after which Debian's sh takes `--` for a number.
            "-s",
            "KILL",
            "--",
            &format!("-{}", group.as_raw_nonzero()),
        ])
    }

    /// Runs `command` when we die.
    pub(super) fn spawn(command: &[&str]) -> Result<Self> {
        let child = Command::new("sh")
            .args(["-c", r#"read -r _; "$@""#, "guardian"])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A group of its own, so that Ctrl-C in a terminal does not end the guardian first.
            .process_group(0)
            .spawn()
            .context("cannot start `sh`")?;
        Ok(Self(child))
    }

    /// Ends the guardian without its deed.
    pub(super) fn dismiss(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Waits until something accepts connections at a port of 127.0.0.1.
pub(super) fn wait_for_port(port: u16, patience: Duration) -> Result<()> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let deadline = Instant::now() + patience;
    while let Err(error) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) {
        if Instant::now() >= deadline {
            return Err(error).with_context(|| {
                format!(
                    "nothing listens on {address} after {} s",
                    patience.as_secs()
                )
            });
        }
        thread::sleep(POLL);
    }
    Ok(())
}

/// Runs a command to its end; its standard output, or its error output as the error.
pub(super) fn output_of(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{program}`"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = if said.trim().is_empty() {
            String::from_utf8_lossy(&output.stdout)
        } else {
            said
        };
        bail!("`{program}` failed ({}): {}", output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn copy_lines(reader: std::io::PipeReader, mut file: File, sender: SyncSender<String>) {
    for line in BufReader::new(reader).split(b'\n') {
        let Ok(mut line) = line else { return };
        line.push(b'\n');
        file.write_all(&line).ok();
        // Full or nobody waits any more: the file has the line.
        sender
            .try_send(String::from_utf8_lossy(&line).into_owned())
            .ok();
    }
}
