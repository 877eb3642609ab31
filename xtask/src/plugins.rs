//! Builds the two guest workspaces: `plugins/`, and the test guests.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use xtask::repository;

use crate::{
    step::{Step, say, shown_path},
    wasm_target::{GuestCargo, TARGET},
};

/// The folder of the plugins.
pub(crate) fn folder() -> PathBuf {
    repository::root().join("plugins")
}

/// The folder of the guests that only tests use; absent in a source package.
pub(crate) fn test_guests() -> PathBuf {
    repository::root().join("tests/fixtures/guests")
}

/// Builds the plugins and copies each component to `plugins/NAME.wasm`, where `routes.toml` looks for it.
///
/// # Errors
/// If the build fails or gives no component.
pub(crate) fn build(cargo: &GuestCargo) -> Result<Vec<PathBuf>> {
    let workspace = folder();
    let mut copies = Vec::new();
    for component in build_workspace(cargo, &workspace)? {
        let name = component
            .file_name()
            .context("a component without a name")?;
        let copy = workspace.join(name);
        copy_if_new(&component, &copy)?;
        copies.push(copy);
    }
    let shown: Vec<String> = copies.iter().map(|copy| shown_path(copy)).collect();
    say(&format!("# copied to {}", shown.join(" ")));
    Ok(copies)
}

/// Builds the test guests; the folder of their components, or `None` where there are none.
///
/// # Errors
/// If the build fails or gives no component.
pub(crate) fn build_test_guests(cargo: &GuestCargo) -> Result<Option<PathBuf>> {
    if !test_guests().is_dir() {
        return Ok(None);
    }
    let components = build_workspace(cargo, &test_guests())?;
    Ok(components
        .first()
        .and_then(|component| component.parent())
        .map(Path::to_path_buf))
}

fn build_workspace(cargo: &GuestCargo, workspace: &Path) -> Result<Vec<PathBuf>> {
    cargo.build(workspace).run()?;
    let components = components(workspace)?;
    if components.is_empty() {
        bail!(
            "{} has no package that builds a component (crate-type cdylib)",
            shown_path(workspace)
        );
    }
    Ok(components)
}

/// Runs the native tests of the plugins and their SDK.
///
/// # Errors
/// If one fails.
pub(crate) fn test(filter: &[String]) -> Result<()> {
    Step::cargo()
        .args(["test", "--release", "--workspace"])
        .args(filter)
        .in_folder(folder())
        .run()
}

/// Where Cargo puts a workspace's components.
fn components(workspace: &Path) -> Result<Vec<PathBuf>> {
    let metadata = Step::cargo()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .in_folder(workspace)
        .read()?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata gave no JSON")?;
    let target = metadata
        .pointer("/target_directory")
        .and_then(Value::as_str);
    let target = target.context("cargo metadata names no target folder")?;
    let list = |value: &Value, key: &str| {
        value
            .get(key)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let mut names = Vec::new();
    for package in list(&metadata, "packages") {
        for item in list(&package, "targets") {
            let name = item.get("name").and_then(Value::as_str).unwrap_or_default();
            if list(&item, "crate_types")
                .iter()
                .any(|kind| kind == "cdylib")
            {
                names.push(name.replace('-', "_"));
            }
        }
    }
    names.sort();
    let folder = Path::new(target).join(TARGET).join("release");
    Ok(names
        .iter()
        .map(|name| folder.join(format!("{name}.wasm")))
        .collect())
}

/// Copies by renaming, and only what differs: a running Hookswitch watches these files.
fn copy_if_new(from: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    let part = to.with_extension("wasm.part");
    fs::write(&part, bytes).with_context(|| format!("cannot write {}", part.display()))?;
    fs::rename(&part, to).with_context(|| format!("cannot write {}", to.display()))
}
