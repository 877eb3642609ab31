//! The folder of compiled components.
//!
//! Mapping machine code from a file means trusting that file, so: the folder is ours alone (mode 0700,
//! owner checked, no symbolic link), a file is written under a temporary name and renamed when it is
//! whole, its name is bound to the component's SHA-256 and to the engine's settings, and a second file
//! holds the SHA-256 of its bytes, so that a damaged one is compiled again and never mapped.
//! Knows nothing of how code is compiled or run.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

/// Compiled components kept; the least recently used go first.
const ENTRIES_MAX: usize = 64;
/// Age at which a temporary file is a leftover of a crash.
const LEFTOVER: Duration = Duration::from_secs(3600);
/// Ending of compiled components.
const CODE: &str = "cwasm";
/// Ending of the file with the digest of the compiled component.
const DIGEST: &str = "cwasm-sha256";
/// Ending of files that are being written.
const TEMPORARY: &str = "tmp";

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// An operation failed.
    #[error("{action} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Someone else could put code there.
    #[error("`{}` {problem}, and machine code is run from it (make it a folder of your own: `chmod 700`)", path.display())]
    Unsafe {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// SHA-256 of a component.
pub type Sha = [u8; 32];

/// SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Sha {
    Sha256::digest(bytes).into()
}

/// The folder.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    settings: u64,
}

/// A file that code is being compiled into; removed when dropped, unless it was stored.
#[derive(Debug)]
pub struct Draft {
    path: PathBuf,
    stored: bool,
}

impl Cache {
    /// Opens the folder, making it if it is not there. `settings` is a hash of the engine's.
    ///
    /// # Errors
    /// The folder cannot be made, or is not ours alone.
    pub fn open(folder: PathBuf, settings: u64) -> Result<Self, CacheError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(failed("make the folder", &folder))?;
        let cache = Self { folder, settings };
        cache.check_folder()?;
        Ok(cache)
    }

    /// The file with the code of the component `sha`, if it is there and undamaged.
    ///
    /// # Errors
    /// The folder or file is not ours alone, or cannot be read.
    pub fn find(&self, sha: &Sha) -> Result<Option<PathBuf>, CacheError> {
        self.check_folder()?;
        let path = self.path(sha, CODE);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("open", &path)(error)),
        };
        check_owner(&path, &file.metadata().map_err(failed("look at", &path))?)?;
        let Ok(expected) = fs::read_to_string(self.path(sha, DIGEST)) else {
            return Ok(None);
        };
        let found = digest_of(&mut file).map_err(failed("read", &path))?;
        if expected.trim() != found {
            tracing::warn!(path = %path.display(), "a compiled plugin is damaged; compiling it again");
            return Ok(None);
        }
        // Marks it as used, for `prune`. A cache that cannot be marked still works.
        if let Err(error) = file.set_modified(SystemTime::now()) {
            tracing::debug!(%error, "mark a compiled plugin as used");
        }
        Ok(Some(path))
    }

    /// A new name to compile into.
    #[must_use]
    pub fn draft(&self, sha: &Sha) -> Draft {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        Draft {
            path: self
                .path(sha, &format!("{process}-{number}"))
                .with_added_extension(TEMPORARY),
            stored: false,
        }
    }

    /// Takes a finished draft in as the code of the component `sha`, and removes the oldest entries.
    ///
    /// # Errors
    /// The draft cannot be read, synced or renamed.
    pub fn store(&self, sha: &Sha, mut draft: Draft) -> Result<PathBuf, CacheError> {
        self.check_folder()?;
        let mut file = File::open(&draft.path).map_err(failed("open", &draft.path))?;
        let metadata = file.metadata().map_err(failed("look at", &draft.path))?;
        check_owner(&draft.path, &metadata)?;
        let digest = digest_of(&mut file).map_err(failed("read", &draft.path))?;
        file.sync_all().map_err(failed("sync", &draft.path))?;

        // The code first: without its digest it is compiled again, while a digest without its code or
        // beside older code of the same name matches nothing.
        let path = self.path(sha, CODE);
        fs::rename(&draft.path, &path).map_err(failed("rename", &draft.path))?;
        draft.stored = true;
        self.write_digest(sha, &digest)?;
        self.prune();
        Ok(path)
    }

    fn write_digest(&self, sha: &Sha, digest: &str) -> Result<(), CacheError> {
        let mut draft = self.draft(sha);
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft.path)
            .and_then(|mut file| {
                file.write_all(digest.as_bytes())?;
                file.sync_all()
            });
        written.map_err(failed("write", &draft.path))?;
        fs::rename(&draft.path, self.path(sha, DIGEST)).map_err(failed("rename", &draft.path))?;
        draft.stored = true;
        Ok(())
    }

    fn path(&self, sha: &Sha, ending: &str) -> PathBuf {
        let name = format!("{}-{:016x}.{ending}", hex::encode(sha), self.settings);
        self.folder.join(name)
    }

    fn check_folder(&self) -> Result<(), CacheError> {
        let metadata =
            fs::symlink_metadata(&self.folder).map_err(failed("look at", &self.folder))?;
        if !metadata.is_dir() {
            return Err(CacheError::Unsafe {
                path: self.folder.clone(),
                problem: "is not a folder",
            });
        }
        check_owner(&self.folder, &metadata)?;
        if metadata.mode() & 0o077 != 0 {
            return Err(CacheError::Unsafe {
                path: self.folder.clone(),
                problem: "is open to others",
            });
        }
        Ok(())
    }

    /// Removes all but the newest entries, and leftovers. Failures leave files behind, nothing worse.
    /// A file that is mapped somewhere may go: the mapping keeps its bytes.
    fn prune(&self) {
        let Ok(listing) = fs::read_dir(&self.folder) else {
            return;
        };
        let mut entries = Vec::new();
        for entry in listing.flatten() {
            let path = entry.path();
            let Ok(modified) = entry.metadata().and_then(|metadata| metadata.modified()) else {
                continue;
            };
            match path.extension().and_then(|ending| ending.to_str()) {
                Some(CODE) => entries.push((modified, path)),
                Some(TEMPORARY) if modified.elapsed().is_ok_and(|age| age > LEFTOVER) => {
                    remove(&path);
                }
                _ => {}
            }
        }
        entries.sort_by(|one, other| other.cmp(one));
        for (_, path) in entries.into_iter().skip(ENTRIES_MAX) {
            remove(&path.with_extension(DIGEST));
            remove(&path);
        }
    }
}

impl Draft {
    /// Where to write.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.stored {
            remove(&self.path);
        }
    }
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::debug!(path = %path.display(), %error, "remove a file of the plugin cache");
    }
}

fn check_owner(path: &Path, metadata: &fs::Metadata) -> Result<(), CacheError> {
    if metadata.uid() == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    Err(CacheError::Unsafe {
        path: path.to_owned(),
        problem: "belongs to another user",
    })
}

fn digest_of(file: &mut File) -> io::Result<String> {
    let mut sha = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(sha.finalize())),
            read => sha.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CacheError {
    let path = path.to_owned();
    move |source| CacheError::Io {
        action,
        path,
        source,
    }
}

#[cfg(test)]
mod tests;
