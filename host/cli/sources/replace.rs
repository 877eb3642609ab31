//! Replacing: files written whole or not at all.
//!
//! A config is replaced by a rename, so that who reads it meanwhile (a running server watches it) sees the old or
//! the new text and never half of one. Both the file and its folder are synced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Writes `text` in place of `file`, which holds `before`. Mode and owner stay; a symbolic link stays one.
///
/// # Errors
/// If a step fails, or the file no longer holds `before`; it is as it was then.
pub(super) fn replace(file: &Path, before: &str, text: &str) -> io::Result<()> {
    let file = fs::canonicalize(file)?;
    let metadata = fs::metadata(&file)?;
    let draft = beside(&file);
    let written = write_new(&draft, text.as_bytes(), 0o600).and_then(|written| {
        written.set_permissions(fs::Permissions::from_mode(metadata.mode() & 0o7777))?;
        keep_owner(&written, &metadata)?;
        written.sync_all()?;
        if fs::read(&file)? != before.as_bytes() {
            return Err(io::Error::other(
                "somebody else changed it meanwhile; try again",
            ));
        }
        fs::rename(&draft, &file)
    });
    if written.is_err() {
        // The first error is the one to tell of.
        let _ = fs::remove_file(&draft);
    }
    written?;
    sync_folder(&file)
}

/// Makes a file of its own that only this user can read, synced, its folder too.
///
/// # Errors
/// If it exists already, or a step fails.
pub(super) fn create_private(file: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = file.parent().filter(|folder| *folder != Path::new("")) {
        let mut builder = fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(folder)?;
    }
    write_new(file, text.as_bytes(), 0o600)?.sync_all()?;
    sync_folder(file)
}

fn write_new(file: &Path, bytes: &[u8], mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let mut opened = options.write(true).create_new(true).mode(mode).open(file)?;
    opened.write_all(bytes)?;
    Ok(opened)
}

/// A config that root edits for a service stays the service's.
fn keep_owner(draft: &File, wanted: &fs::Metadata) -> io::Result<()> {
    let now = draft.metadata()?;
    if (now.uid(), now.gid()) == (wanted.uid(), wanted.gid()) {
        return Ok(());
    }
    std::os::unix::fs::fchown(draft, Some(wanted.uid()), Some(wanted.gid()))
}

fn beside(file: &Path) -> PathBuf {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!(".{name}.{}.new", std::process::id()))
}

fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_replaced_file_keeps_its_mode_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("routes.toml");
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        replace(&file, "old", "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (
            folder.path().join("real.toml"),
            folder.path().join("routes.toml"),
        );
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace(&link, "old", "new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    }

    #[test]
    fn a_file_that_somebody_else_changed_stays_as_they_left_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("routes.toml");
        fs::write(&file, "theirs").unwrap();
        assert!(replace(&file, "old", "new").is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "theirs");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_secrets_file_is_private_and_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secrets/github");
        create_private(&file, "one\n").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        let parent = fs::metadata(file.parent().unwrap()).unwrap();
        assert_eq!(parent.mode() & 0o777, 0o700);
        let error = create_private(&file, "two\n").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&file).unwrap(), "one\n");
    }
}
