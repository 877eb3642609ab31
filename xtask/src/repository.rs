//! Where the repository and its build output are.

use std::{env, path::PathBuf};

/// The repository's root: the folder above `xtask/`.
pub fn root() -> PathBuf {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    match manifest.parent() {
        Some(root) => root.to_path_buf(),
        None => manifest,
    }
}

/// Cargo's target folder: `CARGO_TARGET_DIR` (relative to the working folder, as Cargo reads it), else `target`
/// in the root.
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) if !folder.is_empty() => {
            std::path::absolute(&folder).unwrap_or_else(|_| PathBuf::from(&folder))
        }
        _ => root().join("target"),
    }
}
