//! A Cargo that can build for `wasm32-wasip2`: the installed one, with the target added through rustup, or
//! Debian's packages where rustup cannot help.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use xtask::repository;

use crate::{
    prerequisites::answers,
    step::{Step, say},
};

/// The target of every plugin.
pub(crate) const TARGET: &str = "wasm32-wasip2";

/// Debian's compiler with the sources of its library, the C library for WASI, and the linker for it.
const DEBIAN_PACKAGES: [&str; 5] = [
    "rustc-web",
    "cargo-web",
    "rust-web-src",
    "wasi-libc",
    "lld-19",
];

const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_COMPILER: &str = "/usr/bin/rustc";
const DEBIAN_LINKER: &str = "/usr/bin/wasm-ld-19";
const DEBIAN_LIBRARY: &str = "/usr/lib/wasm32-wasi";
/// What the packages put where; the last is the library's sources.
const DEBIAN_FILES: [&str; 5] = [
    DEBIAN_CARGO,
    DEBIAN_COMPILER,
    DEBIAN_LINKER,
    DEBIAN_LIBRARY,
    "/usr/lib/rustlib/src/rust/library/Cargo.lock",
];

/// How to call Cargo for the target.
#[derive(Clone, Debug)]
pub(crate) struct GuestCargo {
    program: &'static str,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl GuestCargo {
    fn installed() -> Self {
        Self {
            program: "cargo",
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// `cargo build --release --target wasm32-wasip2` in a workspace.
    pub(crate) fn build(&self, workspace: &Path) -> Step {
        let step = Step::new(self.program)
            .args(["build", "--release", "--target", TARGET])
            .args(&self.arguments);
        step.envs(&self.environment).in_folder(workspace)
    }
}

/// Finds or makes a Cargo for the target.
///
/// # Errors
/// What to do, if neither rustup nor Debian's packages can add it here.
pub(crate) fn ensure() -> Result<GuestCargo> {
    if is_installed() {
        return Ok(GuestCargo::installed());
    }
    let rustup = if answers("rustup") {
        match Step::new("rustup").args(["target", "add", TARGET]).run() {
            Ok(()) if is_installed() => return Ok(GuestCargo::installed()),
            Ok(()) => "rustup added the target, but not to the `rustc` on the PATH".to_owned(),
            Err(error) => format!("{error:#}"),
        }
    } else {
        "there is no rustup".to_owned()
    };
    from_debian().with_context(|| advice(&rustup))
}

fn advice(rustup: &str) -> String {
    format!(
        "this Rust cannot build for {TARGET}, and the target could not be added: {rustup}\n\
         One of these helps:\n  \
         any system       install rustup (https://rustup.rs), then: rustup target add {TARGET}\n  \
         Fedora           sudo dnf install rust-std-static-{TARGET}\n  \
         Debian           sudo apt-get install {}   and run this again",
        DEBIAN_PACKAGES.join(" ")
    )
}

fn is_installed() -> bool {
    let asked = Step::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .read();
    asked.is_ok_and(|folder| {
        Path::new(folder.trim())
            .read_dir()
            .is_ok_and(|mut files| files.next().is_some())
    })
}

/// Debian has no library built for the target, but everything to build it: so Cargo does, with the plugins.
fn from_debian() -> Result<GuestCargo> {
    let missing = || {
        DEBIAN_FILES
            .into_iter()
            .find(|path| !Path::new(path).exists())
    };
    if missing().is_some() {
        if !answers("apt-get") {
            bail!("this is not Debian");
        }
        if !rustix::process::geteuid().is_root() {
            bail!("the Debian packages are not installed, and we are not root");
        }
        let apt = || Step::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive");
        apt().args(["update", "-q"]).run()?;
        apt()
            .args(["install", "-q", "-y", "--no-install-recommends"])
            .args(DEBIAN_PACKAGES)
            .run()?;
    }
    if let Some(path) = missing() {
        bail!("the Debian packages are installed, but {path} is not there");
    }

    // rustc calls the component linker, which calls `wasm-ld`: both by name.
    let tools = repository::target().join("tools/bin");
    fs::create_dir_all(&tools).with_context(|| format!("cannot create {}", tools.display()))?;
    link(Path::new(DEBIAN_LINKER), &tools.join("wasm-ld"))?;
    if find_component_linker(&tools).is_none() {
        let root = tools.parent().unwrap_or(&tools).to_path_buf();
        Step::cargo()
            .args(["install", "--locked", "wasm-component-ld", "--root"])
            .arg(root)
            .run()?;
    }
    let path = env::var("PATH").unwrap_or_default();
    let flags = format!("-Clink-self-contained=no -L{DEBIAN_LIBRARY}");
    say("using Debian's compiler for the plugins");
    Ok(GuestCargo {
        program: DEBIAN_CARGO,
        arguments: vec!["-Zbuild-std=std,panic_abort".to_owned()],
        environment: vec![
            ("RUSTC".to_owned(), DEBIAN_COMPILER.to_owned()),
            // Allows -Z on a released compiler; building the library with the plugins needs it.
            ("RUSTC_BOOTSTRAP".to_owned(), "1".to_owned()),
            ("CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS".to_owned(), flags),
            ("PATH".to_owned(), format!("{}:{path}", tools.display())),
        ],
    })
}

fn find_component_linker(tools: &Path) -> Option<PathBuf> {
    let ours = tools.join("wasm-component-ld");
    if ours.is_file() {
        return Some(ours);
    }
    // A toolchain of rustup's has one for its own use.
    let folder = Step::new("rustc")
        .args(["--print", "target-libdir"])
        .read()
        .ok()?;
    let installed = Path::new(folder.trim())
        .parent()?
        .join("bin/wasm-component-ld");
    (installed.is_file() && link(&installed, &ours).is_ok()).then_some(ours)
}

fn link(to: &Path, from: &Path) -> Result<()> {
    if from.exists() {
        return Ok(());
    }
    std::os::unix::fs::symlink(to, from).with_context(|| format!("cannot link {}", from.display()))
}
