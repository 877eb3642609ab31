//! A step: a command that is printed as a person could type it in the repository's root, and then run.

use std::{
    ffi::{OsStr, OsString},
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, bail};
use xtask::repository;

/// A command to print and run.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(String, OsString)>,
    folder: PathBuf,
}

/// True for what Cargo sets for the program that `cargo run` starts.
fn is_of_our_package(name: &str) -> bool {
    name.starts_with("CARGO_PKG_")
        || name.starts_with("CARGO_MANIFEST_")
        || name.starts_with("CARGO_BIN_")
}

impl Step {
    /// A step in the repository's root.
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: repository::root(),
        }
    }

    /// The Cargo that runs us, or the one on the PATH.
    pub(crate) fn cargo() -> Self {
        Self::new("cargo")
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(
            arguments
                .into_iter()
                .map(|argument| argument.as_ref().to_owned()),
        );
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment
            .push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    pub(crate) fn envs<'a>(
        mut self,
        pairs: impl IntoIterator<Item = &'a (String, String)>,
    ) -> Self {
        for (name, value) in pairs {
            self = self.env(name, value);
        }
        self
    }

    pub(crate) fn in_folder(mut self, folder: impl AsRef<Path>) -> Self {
        self.folder = folder.as_ref().to_path_buf();
        self
    }

    /// Prints the step and runs it to its end.
    ///
    /// # Errors
    /// If it cannot be started, or does not exit with 0.
    pub(crate) fn run(self) -> Result<()> {
        self.print();
        let status = self
            .command()
            .status()
            .with_context(|| format!("cannot start {}", quoted(&self.program)))?;
        if !status.success() {
            bail!("failed ({status}): {}", self.as_typed());
        }
        Ok(())
    }

    /// Runs the step without printing it; its standard output.
    ///
    /// # Errors
    /// If it cannot be started, or does not exit with 0; with what it said.
    pub(crate) fn read(self) -> Result<String> {
        let output = self.command().stdin(Stdio::null()).output();
        let output = output.with_context(|| format!("cannot start {}", quoted(&self.program)))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            bail!("failed ({}): {}: {said}", output.status, self.as_typed());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Prints the step, runs it to its end, and gives its exit code and both outputs.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(crate) fn try_read(self) -> Result<(Option<i32>, String)> {
        self.print();
        let output = self.command().stdin(Stdio::null()).output();
        let output = output.with_context(|| format!("cannot start {}", quoted(&self.program)))?;
        let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
        said += &String::from_utf8_lossy(&output.stderr);
        Ok((output.status.code(), said))
    }

    /// Prints the step with `&` and starts it, its output going to the file `log`.
    ///
    /// # Errors
    /// If the log cannot be written or the command not started.
    pub(crate) fn start(self, log: &Path) -> Result<Running> {
        say(&format!(
            "$ {} > {} 2>&1 &",
            self.as_typed(),
            shown_path(log)
        ));
        self.start_silently(log)
    }

    /// As [`Step::start`], without a word.
    pub(crate) fn start_silently(self, log: &Path) -> Result<Running> {
        let file = std::fs::File::create(log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = self.command();
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", quoted(&self.program)))?;
        Ok(Running(child))
    }

    fn print(&self) {
        say(&format!("$ {}", self.as_typed()));
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        // `cargo run` tells us about this package, in variables that build scripts of others watch (`ring`'s does):
        // with them, what we build and what a person builds would make each other stale.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(is_of_our_package) {
                command.env_remove(name);
            }
        }
        command.args(&self.arguments).current_dir(&self.folder);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    fn as_typed(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        for (name, value) in &self.environment {
            words.push(format!("{name}={}", quoted(value)));
        }
        words.push(shown_from(&self.folder, Path::new(&self.program)));
        words.extend(self.arguments.iter().map(|argument| quoted(argument)));
        let line = words.join(" ");
        if self.folder == repository::root() {
            line
        } else {
            format!("(cd {} && {line})", shown_path(&self.folder))
        }
    }
}

/// A started step; SIGTERM and, if that does not help, SIGKILL when dropped.
pub(crate) struct Running(Child);

impl Running {
    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// True once it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        use std::time::{Duration, Instant};
        if self.has_ended() {
            return;
        }
        let id = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).ok();
        let deadline = Instant::now() + Duration::from_secs(15);
        while !self.has_ended() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Prints a line now, also where standard output is a file.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).ok();
}

/// A path as seen from the repository's root, where it is below it.
pub(crate) fn shown_path(path: &Path) -> String {
    quoted(
        path.strip_prefix(repository::root())
            .unwrap_or(path)
            .as_os_str(),
    )
}

/// A program as typed in `folder`: relative if both are in the repository, so that what is printed holds in any
/// checkout.
fn shown_from(folder: &Path, program: &Path) -> String {
    let inside = |path: &Path| path.strip_prefix(repository::root()).map(Path::to_path_buf);
    let (Ok(folder), Ok(program)) = (inside(folder), inside(program)) else {
        return quoted(program.as_os_str());
    };
    let shared = folder
        .components()
        .zip(program.components())
        .take_while(|(a, b)| a == b)
        .count();
    let mut path: PathBuf = folder.components().skip(shared).map(|_| "..").collect();
    path.extend(program.components().skip(shared));
    if path.components().count() == 1 {
        path = Path::new(".").join(path);
    }
    quoted(path.as_os_str())
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=,+@%~".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_shown_as_a_person_would_type_it() {
        let step = Step::new("cargo")
            .args(["test", "a b"])
            .env("KEY", "it's")
            .in_folder(repository::root().join("plugins"));
        assert_eq!(
            step.as_typed(),
            r"(cd plugins && KEY='it'\''s' cargo test 'a b')"
        );
        assert_eq!(Step::new("ls").as_typed(), "ls");
    }
}
