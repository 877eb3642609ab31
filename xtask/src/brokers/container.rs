//! A broker in a Docker container.
//!
//! Invariant: the container is removed, with its data, when the value is dropped or this process dies.

use std::{
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::process::{Guardian, output_of};

/// How often a starting container's log is read.
const POLL: Duration = Duration::from_millis(200);

/// A container, running or stopped.
pub(super) struct Container {
    name: String,
    guardian: Guardian,
    ready_line: &'static str,
}

impl Container {
    /// True if a Docker engine answers.
    pub(super) fn engine_answers() -> bool {
        output_of(Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]))
            .is_ok()
    }

    /// Creates and starts a container and waits until its log has `ready_line`.
    pub(super) fn start(
        image: &str,
        arguments: &[String],
        ready_line: &'static str,
        patience: Duration,
    ) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "hookswitch-{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        let guardian = Guardian::spawn(&["docker", "rm", "--force", "--volumes", &name])?;
        let container = Self {
            name,
            guardian,
            ready_line,
        };
        output_of(
            Command::new("docker")
                .args(["run", "--detach", "--name", &container.name])
                .args(arguments)
                .arg(image),
        )
        .with_context(|| format!("Docker cannot run {image}"))?;
        container.wait(1, patience)?;
        Ok(container)
    }

    /// Starts it again, with the same ports and data.
    pub(super) fn start_again(&self, patience: Duration) -> Result<()> {
        let before = self.ready_lines()?;
        output_of(Command::new("docker").args(["start", &self.name]))?;
        self.wait(before + 1, patience)
    }

    /// SIGTERM, and SIGKILL after ten seconds.
    pub(super) fn stop(&self) -> Result<()> {
        output_of(Command::new("docker").args(["stop", &self.name])).map(drop)
    }

    /// SIGKILL.
    pub(super) fn kill(&self) -> Result<()> {
        output_of(Command::new("docker").args(["kill", &self.name])).map(drop)
    }

    /// Runs a command in the container; its standard output.
    pub(super) fn run(&self, command: &str, arguments: &[&str]) -> Result<String> {
        output_of(
            Command::new("docker")
                .args(["exec", &self.name, command])
                .args(arguments),
        )
    }

    fn ready_lines(&self) -> Result<usize> {
        let log = Command::new("docker")
            .args(["logs", &self.name])
            .output()
            .context("cannot start `docker`")?;
        let count = |bytes: &[u8]| {
            String::from_utf8_lossy(bytes)
                .matches(self.ready_line)
                .count()
        };
        Ok(count(&log.stdout) + count(&log.stderr))
    }

    fn wait(&self, count: usize, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        while self.ready_lines()? < count {
            if Instant::now() >= deadline {
                bail!(
                    "container {} is not ready after {} s",
                    self.name,
                    patience.as_secs()
                );
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.guardian.dismiss();
        output_of(Command::new("docker").args(["rm", "--force", "--volumes", &self.name])).ok();
    }
}
