//! What a machine must have besides Rust, looked for before anything is built for ten minutes.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

/// What is needed: its name, the programs of which one must answer, and what for.
const NEEDED: [(&str, &[&str], &str); 4] = [
    (
        "a C compiler",
        &["cc", "gcc", "clang"],
        "SQLite, OpenSSL and librdkafka",
    ),
    ("a C++ compiler", &["c++", "g++", "clang++"], "librdkafka"),
    ("make", &["make", "gmake"], "OpenSSL and librdkafka"),
    ("perl", &["perl"], "configuring OpenSSL"),
];

/// The one line for each system, the same as in the README.
pub(crate) const INSTALL: [(&str, &str); 3] = [
    (
        "Debian, Ubuntu",
        "sudo apt-get install build-essential perl",
    ),
    ("Fedora", "sudo dnf install gcc gcc-c++ make perl"),
    ("macOS", "xcode-select --install"),
];

/// Looks for each of them.
///
/// # Errors
/// All that is missing, and the line that installs it.
pub(crate) fn check() -> Result<()> {
    let missing: Vec<String> = NEEDED
        .iter()
        .filter(|(_, programs, _)| !programs.iter().any(|program| answers(program)))
        .map(|(name, _, purpose)| format!("  {name} (to build {purpose})"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = INSTALL
        .iter()
        .map(|(system, line)| format!("  {system:16}{line}"))
        .collect();
    bail!(
        "missing on this machine:\n{}\nThis installs it:\n{}",
        missing.join("\n"),
        lines.join("\n")
    )
}

/// True if `program --version` runs and succeeds. (Without its tools, macOS has a `cc` that only fails.)
pub(crate) fn answers(program: &str) -> bool {
    let mut command = Command::new(program);
    command
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_readme_gives_the_same_install_lines() {
        let readme = std::fs::read_to_string(xtask::repository::root().join("README.md"))
            .unwrap_or_default();
        for (system, line) in super::INSTALL {
            assert!(
                readme.contains(line),
                "README.md lacks the line for {system}: {line}"
            );
        }
    }
}
