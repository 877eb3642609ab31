//! Log: an append-only file of lines, durable batch by batch, with rotation.
//!
//! Invariants: after `Ok` the batch is synced; after `Err` the file holds none of it or (if not even
//! cutting it off worked) ends in a line that the next opening repairs. A file always starts at the
//! start of a line. Two writers on one path, such as the old and the new generation during a reload, are
//! safe: every batch holds the file's advisory lock and looks whether the path still names this file.
//!
//! Own code because the rotating writers on crates.io (`file-rotate` among them) hide the file they
//! write to, so that it can neither be synced nor cut back after a failed write.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Bytes that the repair looks at a time.
const CHUNK: usize = 64 * 1024;

/// How often an append starts over because another writer rotated the file under it.
const TRIES: usize = 8;

/// When to start a new file, and how many old ones to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rotation {
    /// Size that a batch may not push the file beyond; 0 switches rotation off.
    pub(super) bytes: u64,
    /// Older files that are kept, as `name.1` (the newest) to `name.N`.
    pub(super) keep: usize,
}

/// See the module's text.
pub(super) struct Log {
    path: PathBuf,
    rotation: Rotation,
    file: Option<File>,
}

impl Log {
    /// A log at `path`, opened with the first append.
    pub(super) fn new(path: PathBuf, rotation: Rotation) -> Self {
        Self {
            path,
            rotation,
            file: None,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends whole lines and syncs them.
    ///
    /// # Errors
    /// After any error the file is closed: a failed sync may have dropped pages that a second sync on
    /// the same handle would report as written.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        for _ in 0..TRIES {
            let file = match self.file.take() {
                Some(file) => file,
                None => open(&self.path)?,
            };
            file.lock()?;
            let metadata = file.metadata()?;
            if !names(&self.path, &metadata) {
                continue;
            }
            let length = metadata.len();
            if self.is_due(length, lines.len()) {
                rotate(&self.path, self.rotation.keep)?;
                continue;
            }
            write_synced(&file, lines, length)?;
            file.unlock()?;
            self.file = Some(file);
            return Ok(());
        }
        Err(io::Error::other(
            "the file was replaced again and again while it was opened",
        ))
    }

    fn is_due(&self, length: u64, more: usize) -> bool {
        let limit = self.rotation.bytes;
        limit > 0 && length > 0 && length.saturating_add(more as u64) > limit
    }
}

/// Writes at the end and syncs; cuts off what was written of a batch that failed.
fn write_synced(mut file: &File, lines: &[u8], length: u64) -> io::Result<()> {
    let outcome = file.write_all(lines).and_then(|()| file.sync_data());
    if outcome.is_err() {
        // If this fails too, the next opening repairs the torn line; whole lines that stay are
        // duplicates of deliveries that will be tried again, which at-least-once allows.
        let _ = file.set_len(length);
    }
    outcome
}

/// Opens the file for appending, made if missing with its folder, and repairs its end.
fn open(path: &Path) -> io::Result<File> {
    let folder = folder(path);
    fs::create_dir_all(folder)?;
    let file = OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .open(path)?;
    file.lock()?;
    repair(&file, path)?;
    sync_folder(folder)?;
    file.unlock()?;
    Ok(file)
}

/// Cuts off a last line without a newline: a crash tore it, and nobody was told that it was written.
fn repair(mut file: &File, path: &Path) -> io::Result<()> {
    let length = file.metadata()?.len();
    let mut end = length;
    let mut chunk = vec![0; CHUNK];
    while end > 0 {
        let start = end.saturating_sub(CHUNK as u64);
        let size = usize::try_from(end - start).unwrap_or(CHUNK);
        let part = chunk.get_mut(..size).unwrap_or_default();
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        if let Some(newline) = part.iter().rposition(|&byte| byte == b'\n') {
            end = start + newline as u64 + 1;
            break;
        }
        end = start;
    }
    if end < length {
        tracing::warn!(
            path = %path.display(),
            bytes = length - end,
            "Cut off a line that a crash had left unfinished; its delivery will be tried again."
        );
        file.set_len(end)?;
        file.sync_data()?;
    }
    Ok(())
}

/// True if `path` still names the file with this metadata.
fn names(path: &Path, metadata: &fs::Metadata) -> bool {
    fs::metadata(path)
        .is_ok_and(|found| found.dev() == metadata.dev() && found.ino() == metadata.ino())
}

/// Moves `path` to `path.1`, that to `path.2` and so on; the one past `keep` goes.
fn rotate(path: &Path, keep: usize) -> io::Result<()> {
    if keep == 0 {
        fs::remove_file(path)?;
    } else {
        for number in (1..keep).rev() {
            match fs::rename(numbered(path, number), numbered(path, number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(path, numbered(path, 1))?;
    }
    sync_folder(folder(path))
}

fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    name.into()
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes names durable; without it a crash may forget a file that is synced itself.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
