//! `cargo xtask ci`: what must pass before a change is taken. `.ci/run` and the hosted workflow run only this.

use std::{env, time::Instant};

use anyhow::{Context, Result, bail};
use xtask::{brokers::BROKERS, repository};

use crate::{
    demo, plugins,
    prerequisites::{self, answers},
    step::{Step, say},
    test_command,
};

/// Built by `cargo install` where it is missing.
const CARGO_DENY: &str = "0.20.2";
/// Set to `required`, makes an advisory database that cannot be fetched an error.
const ADVISORIES: &str = "HOOKSWITCH_ADVISORIES";

/// Runs every check, and stops at the first that fails.
///
/// # Errors
/// The check that failed.
pub(crate) fn run() -> Result<()> {
    if env::var(BROKERS).as_deref() != Ok("required") {
        // Not set for our own process: another thread might read the environment at the time.
        Step::new(env::current_exe()?)
            .arg("ci")
            .env(BROKERS, "required")
            .run()
    } else {
        checks()
    }
}

fn checks() -> Result<()> {
    prerequisites::check()?;
    let mut timings = Vec::new();
    let mut check = |name: &'static str, run: fn() -> Result<()>| {
        say(&format!("\n== {name}"));
        let start = Instant::now();
        let outcome = run().with_context(|| format!("check `{name}`"));
        timings.push(format!("{name} {} s", start.elapsed().as_secs()));
        outcome
    };
    check("format", format)?;
    check("dependencies", dependencies)?;
    check("clippy", clippy)?;
    check("test", || test_command::run(&[]))?;
    check("demo", || demo::run(true))?;
    say(&format!("\nall checks passed: {}", timings.join(", ")));
    Ok(())
}

/// The guest workspaces that exist, next to the host's.
fn guest_workspaces() -> impl Iterator<Item = std::path::PathBuf> {
    [plugins::folder(), plugins::test_guests()]
        .into_iter()
        .filter(|folder| folder.join("Cargo.toml").is_file())
}

fn format() -> Result<()> {
    let step = || Step::cargo().args(["fmt", "--all", "--check"]);
    step().run()?;
    guest_workspaces().try_for_each(|folder| step().in_folder(folder).run())
}

/// In release, since the build scripts (OpenSSL, librdkafka, SQLite) are then the same as the tests'.
fn clippy() -> Result<()> {
    let step = || {
        Step::cargo().args([
            "clippy",
            "--release",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ])
    };
    step().run()?;
    step().in_folder(plugins::folder()).run()
}

fn dependencies() -> Result<()> {
    let program = cargo_deny()?;
    let deny = || Step::new(&program).args(["--workspace", "--all-features"]);
    deny()
        .args(["check", "bans", "licenses", "sources"])
        .run()?;
    // The only check that needs the network each time, and its database is not part of the repository.
    if deny().args(["fetch", "db"]).run().is_ok() {
        return deny()
            .args(["check", "--disable-fetch", "advisories"])
            .run();
    }
    if env::var(ADVISORIES).is_ok_and(|value| value == "required") {
        bail!("the advisory database could not be fetched");
    }
    say(&format!(
        "NOT CHECKED: advisories (their database could not be fetched; {ADVISORIES}=required makes this an error)"
    ));
    Ok(())
}

fn cargo_deny() -> Result<std::path::PathBuf> {
    if answers("cargo-deny") {
        return Ok("cargo-deny".into());
    }
    let tools = repository::target().join("tools");
    let program = tools.join("bin/cargo-deny");
    if !program.is_file() {
        let install = Step::cargo().args([
            "install",
            "--locked",
            "--debug",
            "--version",
            CARGO_DENY,
            "--root",
        ]);
        // Without optimisation it is built in a third of the time, and it is run twice.
        install.arg(&tools).arg("cargo-deny").run()?;
    }
    Ok(program)
}
