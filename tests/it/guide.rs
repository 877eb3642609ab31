//! Guides as tests: what a page tells its reader to write is written, and what it tells them to run is run.
//!
//! A block after a line "Make `PATH` this:" is a file. A block `sh` is run by bash, in the folder and with the
//! variables that the blocks before it left; `sh server` in the background, until the page ends. Each line of a
//! block `text` must be in what the block before it printed. Addresses are replaced by free ones.

use std::fs;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::support::PATIENCE;

const TARGET: &str = "wasm32-wasip2";

#[test]
fn the_guide_to_verifiers_works_as_written() {
    run_page("docs/guide/verifier-plugin.md");
}

fn run_page(page: &'static str) {
    if !has_target() {
        xtask::skipped::record(page, "this Rust has no target for plugins");
        return;
    }
    let mut reader = Reader::new(page);
    for block in blocks(&fs::read_to_string(page).unwrap()) {
        reader.take(&block);
    }
    assert!(reader.commands > 0, "{page}: no command in it");
}

/// A block between fences.
struct Block {
    /// What stands after the opening fence.
    kind: String,
    /// The last line of text before it.
    before: String,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut before = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(kind) = line.strip_prefix("```") {
            let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            found.push(Block {
                kind: kind.to_owned(),
                before: std::mem::take(&mut before),
                text: text.join("\n") + "\n",
            });
        } else if !line.is_empty() {
            line.clone_into(&mut before);
        }
    }
    found
}

/// Somebody who does as the page says.
struct Reader {
    page: &'static str,
    dir: tempfile::TempDir,
    ports: Vec<(String, String)>,
    /// The same, held until the server takes them: other tests look for free ports while this one builds.
    held: Vec<TcpListener>,
    printed: String,
    server: Option<Child>,
    commands: usize,
}

impl Reader {
    fn new(page: &'static str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        symlink(&root, dir.path().join("hookswitch")).unwrap();
        fs::create_dir(dir.path().join(".bin")).unwrap();
        let program = dir.path().join(".bin/hookswitch");
        symlink(env!("CARGO_BIN_EXE_hookswitch"), program).unwrap();
        fs::write(dir.path().join(".cwd"), dir.path().to_str().unwrap()).unwrap();
        fs::write(dir.path().join(".variables"), "").unwrap();
        let mut held = Vec::new();
        let mut free = |fixed: &str| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap().to_string();
            held.push(listener);
            (fixed.to_owned(), address)
        };
        let ports = vec![free("127.0.0.1:8080"), free("127.0.0.1:9180")];
        Self {
            page,
            dir,
            ports,
            held,
            printed: String::new(),
            server: None,
            commands: 0,
        }
    }

    fn take(&mut self, block: &Block) {
        let text = self
            .ports
            .iter()
            .fold(block.text.clone(), |text, (fixed, free)| {
                text.replace(fixed, free)
            });
        let file = block
            .before
            .split_once("Make `")
            .and_then(|(_, rest)| rest.split_once('`'))
            .filter(|(_, rest)| rest.trim_end().ends_with("this:"));
        match (file, block.kind.as_str()) {
            (Some((path, _)), _) => fs::write(self.dir.path().join(path), text).unwrap(),
            (None, "sh") => self.run(&text),
            (None, "sh server") => self.serve(&text),
            (None, "text") => {
                for line in text.lines().filter(|line| !line.is_empty()) {
                    assert!(
                        self.printed.contains(line),
                        "{}: `{line}` was not printed, but\n{}",
                        self.page,
                        self.printed
                    );
                }
            }
            (None, kind) => panic!("{}: what is a block `{kind}` for?", self.page),
        }
    }

    /// Bash with what the commands before left behind.
    fn bash(&self, script: &str) -> Command {
        let own = self.dir.path().display();
        let mut bash = Command::new("bash");
        bash.arg("-c")
            .arg(format!(
                "set -a; . '{own}/.variables'; cd \"$(cat '{own}/.cwd')\"\nset -euo pipefail\n{script}\n\
                 export -p > '{own}/.variables'; pwd > '{own}/.cwd'"
            ))
            .env("PATH", self.path())
            .env("CARGO_TARGET_DIR", "target")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        // A guide's crate is no part of this run's settings.
        for name in ["CARGO_PROFILE_RELEASE_INCREMENTAL", "CARGO_MANIFEST_DIR"] {
            bash.env_remove(name);
        }
        bash
    }

    fn path(&self) -> String {
        let before = std::env::var("PATH").unwrap_or_default();
        format!("{}:{before}", self.dir.path().join(".bin").display())
    }

    fn run(&mut self, script: &str) {
        let output = self.bash(script).output().unwrap();
        self.printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{}: {}\n{script}\n{}{}",
            self.page,
            output.status,
            self.printed,
            String::from_utf8_lossy(&output.stderr)
        );
        self.commands += 1;
    }

    /// Starts it and waits until it listens.
    fn serve(&mut self, script: &str) {
        self.held.clear();
        let child = self.bash(&format!("exec {}", script.trim()));
        let mut child = { child }.stderr(Stdio::piped()).spawn().unwrap();
        let address = self.ports[0].1.clone();
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(&address).is_err() {
            if child.try_wait().unwrap().is_some() || Instant::now() > deadline {
                child.kill().ok();
                let mut log = String::new();
                child.stderr.take().unwrap().read_to_string(&mut log).ok();
                panic!("{}: the server does not listen\n{log}", self.page);
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        self.server = Some(child);
        self.commands += 1;
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            server.kill().ok();
            server.wait().ok();
        }
    }
}

/// True if `cargo build --target` can work here.
fn has_target() -> bool {
    let asked = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .output();
    let Ok(asked) = asked else { return false };
    let folder = String::from_utf8_lossy(&asked.stdout).into_owned();
    let has_rustup = Command::new("rustup").arg("--version").output().is_ok();
    has_rustup
        && Path::new(folder.trim())
            .read_dir()
            .is_ok_and(|mut files| files.next().is_some())
}
