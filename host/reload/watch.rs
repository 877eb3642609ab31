//! Watch: notices that a file of the config changed.
//!
//! Folders are watched, not files, because editors and deployments rename a new file into place. A burst
//! of events is one trigger, and a trigger reloads only if a watched file's identity, size or time is
//! different, so a log that grows beside the config costs nothing.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify_debouncer_full::notify::RecursiveMode;
use notify_debouncer_full::{DebounceEventResult, new_debouncer};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Reloader;

/// Quiet time after which a burst of changes counts as over.
const DEBOUNCE: Duration = Duration::from_millis(200);

/// Inode, size and modification time of each file; `None` for one that is not there.
pub type Fingerprint = Vec<(PathBuf, Option<(u64, u64, i64, i64)>)>;

/// Reloads whenever a file of the config changes, until `stop`. Without file events (too many watches, a
/// file system that gives none) SIGHUP and `POST /reload` still work, and the log says so.
pub async fn watch(reloader: Arc<Reloader>, stop: CancellationToken) {
    let (trigger, mut triggered) = mpsc::channel::<()>(1);
    let debouncer = new_debouncer(DEBOUNCE, None, move |events: DebounceEventResult| {
        if events.is_ok() {
            // A full channel holds a trigger already.
            trigger.try_send(()).ok();
        }
    });
    let mut debouncer = match debouncer {
        Ok(debouncer) => debouncer,
        Err(error) => {
            tracing::warn!(%error, "files are not watched; reload by SIGHUP or POST /reload");
            return;
        }
    };
    let mut folders = BTreeSet::new();
    let mut seen = reloader.first_seen.clone();
    loop {
        let wanted: BTreeSet<PathBuf> = reloader.files().iter().filter_map(|f| folder(f)).collect();
        for gone in folders.difference(&wanted) {
            debouncer.unwatch(gone).ok();
        }
        for new in wanted.difference(&folders) {
            if let Err(error) = debouncer.watch(new, RecursiveMode::NonRecursive) {
                tracing::warn!(folder = %new.display(), %error, "folder is not watched; reload by SIGHUP or POST /reload");
            }
        }
        folders = wanted;
        // Between the last look and the new watches something may have changed.
        let now = fingerprint(&reloader.files());
        if now == seen {
            tokio::select! {
                Some(()) = triggered.recv() => {}
                () = stop.cancelled() => return,
            }
        }
        let now = fingerprint(&reloader.files());
        if now != seen {
            seen = now;
            reloader.reload().await;
        }
    }
}

/// The folder that a file's changes are seen in.
fn folder(file: &Path) -> Option<PathBuf> {
    let parent = file.parent()?;
    let parent = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    };
    std::fs::canonicalize(parent).ok()
}

/// What `files` are now. To be taken before they are read: a change in between is then noticed, at the price
/// of a reload too many.
#[must_use]
pub fn fingerprint(files: &[PathBuf]) -> Fingerprint {
    files
        .iter()
        .map(|file| {
            let identity = std::fs::metadata(file)
                .ok()
                .map(|m| (m.ino(), m.size(), m.mtime(), m.mtime_nsec()));
            (file.clone(), identity)
        })
        .collect()
}
