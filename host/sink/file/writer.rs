//! Writer: the thread that owns the file.
//!
//! Group commit: takes what has gathered while the last batch was synced, appends it with one write,
//! syncs, then answers everybody. No timer and no linger; a lone line is synced at once.

use std::io;

use tokio::sync::{mpsc, oneshot};

use super::log::Log;

/// Bytes of a batch; a longer line makes a batch of its own.
const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// One line, its newline included, and whom to tell.
pub(super) struct Job {
    pub(super) line: Vec<u8>,
    pub(super) done: oneshot::Sender<io::Result<()>>,
}

/// Writes until the queue is closed and empty.
pub(super) fn run(mut log: Log, mut queue: mpsc::Receiver<Job>) {
    let mut bytes = Vec::new();
    let mut waiting = Vec::new();
    let mut held = None;
    while let Some(first) = held.take().or_else(|| queue.blocking_recv()) {
        let mut next = Some(first);
        while let Some(job) = next {
            if !bytes.is_empty() && bytes.len() + job.line.len() > BATCH_BYTES_MAX {
                held = Some(job);
                break;
            }
            // A delivery that was cancelled meanwhile will come again: one line less to write twice.
            if !job.done.is_closed() {
                bytes.extend_from_slice(&job.line);
                waiting.push(job.done);
            }
            next = queue.try_recv().ok();
        }
        if !bytes.is_empty() {
            let outcome = log.append(&bytes);
            if let Err(error) = &outcome {
                tracing::warn!(path = %log.path().display(), %error, "File sink could not write.");
            }
            for done in waiting.drain(..) {
                // Who was cancelled in between does not listen any more.
                let _ = done.send(copy_of(&outcome));
            }
        }
        bytes.clear();
        bytes.shrink_to(BATCH_BYTES_MAX);
    }
}

/// The outcome for one of those that share it; `io::Error` is not `Clone`.
fn copy_of(outcome: &io::Result<()>) -> io::Result<()> {
    match outcome {
        Ok(()) => Ok(()),
        Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
    }
}
