//! Journal part: sqlite.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How the journal is kept; see `config::Storage` for the meaning of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The journal's folder; made with mode 0700 if it is missing.
    pub path: PathBuf,
    /// How long finished events, their attempts and bodies are kept.
    pub retain: Duration,
    /// How long dead letters are kept.
    pub retain_dead_letters: Duration,
    /// Bytes in use at which new events are refused.
    pub size_bytes_max: u64,
    /// Free space on the disk, in bytes, below which new events are refused.
    pub free_bytes_min: u64,
    /// How long a dedupe key is remembered at most, whatever its own expiry says.
    pub dedupe_window: Duration,
    /// How many dedupe keys are remembered at most; the oldest are forgotten first.
    pub dedupe_ids_max: usize,
}

/// Why the journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Placeholder.
    #[error("not built yet")]
    Placeholder,
}

/// The journal in an SQLite database.
#[derive(Debug)]
pub struct SqliteJournal;

impl SqliteJournal {
    /// Opens the journal, making it if it is missing. Blocks: call it before serving.
    pub fn open(_options: Options) -> Result<Arc<Self>, OpenError> {
        Err(OpenError::Placeholder)
    }

    /// Waits until a commit has failed, after which the journal takes nothing: the program should exit.
    pub async fn failed(&self) {
        std::future::pending().await
    }

    /// The durable key-value store of plugins, in the same database.
    pub fn state(self: &Arc<Self>) -> crate::journal::state::StateStore {
        crate::journal::state::StateStore
    }
}
