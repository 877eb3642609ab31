//! The journal's folder: made if it is missing, for its owner only, and taken by one process at a time.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::path::Path;

use super::OpenError;

/// Makes the folder and locks it. The lock goes with the returned file, also when the process is killed.
pub(super) fn take(folder: &Path) -> Result<File, OpenError> {
    let unusable = |source| OpenError::Folder {
        path: folder.to_owned(),
        source,
    };
    make(folder).map_err(unusable)?;
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join("lock"))
        .map_err(unusable)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked {
            path: folder.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(unusable(source)),
    }
}

fn make(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    // The new folder's name has to be as safe as what will be in it.
    let parent = fs::canonicalize(folder)?;
    match parent.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
