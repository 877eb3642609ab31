//! Room: bytes that the database uses, bytes that are free on the disk, and the ballast.
//!
//! The ballast is a file of real blocks beside the database. When the disk is full in spite of the
//! free-space floor, because something else filled it, the ballast is removed, so that what became of
//! events can still be recorded; it is laid down again when there is room.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::codec::unsigned;

/// Size of the ballast: room for some ten thousand settlements in the write-ahead log.
pub(super) const BALLAST_BYTES: u64 = 8 << 20;

/// Free bytes for this user on the disk that holds `folder`.
pub(super) fn free_bytes(folder: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Pages of the database: all, and those among them that are free for reuse.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pages {
    pub(super) all: u64,
    pub(super) free: u64,
    bytes_each: u64,
}

impl Pages {
    pub(super) fn count(connection: &Connection) -> rusqlite::Result<Self> {
        let figure = |sql: &str| {
            connection
                .prepare_cached(sql)?
                .query_row([], |row| row.get(0).map(unsigned))
        };
        Ok(Self {
            all: figure("PRAGMA page_count")?,
            free: figure("PRAGMA freelist_count")?,
            bytes_each: figure("PRAGMA page_size")?,
        })
    }

    pub(super) fn bytes_used(self) -> u64 {
        self.all
            .saturating_sub(self.free)
            .saturating_mul(self.bytes_each)
    }

    pub(super) fn bytes_free(self) -> u64 {
        self.free.saturating_mul(self.bytes_each)
    }
}

/// The ballast file.
#[derive(Debug)]
pub(super) struct Ballast {
    file: PathBuf,
    is_down: bool,
}

impl Ballast {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            file: folder.join("ballast"),
            is_down: false,
        }
    }

    /// Lays it down if it is missing and `free_bytes` leaves `free_bytes_min` beside it. Failing is no
    /// error: it is tried again.
    pub(super) fn lay(&mut self, free_bytes: u64, free_bytes_min: u64) {
        let needed = free_bytes_min.saturating_add(BALLAST_BYTES);
        if self.is_down || free_bytes < needed {
            return;
        }
        self.is_down = self.write().is_ok();
        if !self.is_down {
            self.drop_it();
        }
    }

    /// True while it takes its room.
    pub(super) fn is_down(&self) -> bool {
        self.is_down
    }

    /// Removes it; true if that made room.
    pub(super) fn drop_it(&mut self) -> bool {
        self.is_down = false;
        fs::remove_file(&self.file).is_ok()
    }

    fn write(&self) -> io::Result<()> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.file)?;
        if file.metadata()?.len() == BALLAST_BYTES {
            return Ok(());
        }
        allocate(&file)
    }
}

#[cfg(any(target_os = "linux", target_os = "freebsd"))]
fn allocate(file: &File) -> io::Result<()> {
    rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, BALLAST_BYTES)?;
    Ok(())
}

#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
fn allocate(mut file: &File) -> io::Result<()> {
    use std::io::Write as _;
    let block = vec![0xA5_u8; 1 << 20];
    for _ in 0..BALLAST_BYTES >> 20 {
        file.write_all(&block)?;
    }
    Ok(())
}
