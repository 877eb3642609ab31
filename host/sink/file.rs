//! File sink: JSON lines, synced before a delivery counts as confirmed, rotated by size and count.
//!
//! Needs nothing installed, so it is the audit trail and the default of the example. Deliveries become
//! lines here, concurrently; one [`writer`] thread appends what has gathered, syncs once, and confirms
//! the whole batch.

mod line;
mod log;
mod writer;

#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use self::log::{Log, Rotation};
use self::writer::Job;
use super::{Class, Delivery, Preview, Receipt, SetupError, Sink, SinkError, envelope};
use crate::config;

/// Lines that wait for the writer beyond those of deliveries in flight.
const QUEUE: usize = 1024;

/// A file of JSON lines. See the module's text.
pub struct FileSink {
    path: PathBuf,
    rotation: Rotation,
    patience: Duration,
    writer: Mutex<Writer>,
}

/// The writer thread, started with the first delivery.
enum Writer {
    Idle,
    Running(mpsc::Sender<Job>, std::thread::JoinHandle<()>),
    Closed,
}

impl FileSink {
    /// Keeps the settings; the file is opened, and its folder made, with the first delivery.
    ///
    /// # Errors
    /// None today; the signature is that of all sinks.
    pub fn new(sink: &config::Sink, file: &config::File) -> Result<Self, SetupError> {
        Ok(Self {
            path: file.path.clone(),
            rotation: Rotation {
                bytes: file.rotate_bytes,
                keep: file.keep,
            },
            patience: envelope::patience(sink.timeout),
            writer: Mutex::new(Writer::Idle),
        })
    }

    /// Where to hand lines to, or why there is no writer.
    fn jobs(&self) -> Result<mpsc::Sender<Job>, SinkError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        match &*writer {
            Writer::Running(jobs, _) if !jobs.is_closed() => Ok(jobs.clone()),
            Writer::Closed => Err(gone()),
            Writer::Idle | Writer::Running(..) => {
                let (jobs, queue) = mpsc::channel(QUEUE);
                let log = Log::new(self.path.clone(), self.rotation);
                let thread = std::thread::Builder::new()
                    .name("file sink".to_owned())
                    .spawn(move || writer::run(log, queue))
                    .map_err(|error| self.failure(&error))?;
                *writer = Writer::Running(jobs.clone(), thread);
                Ok(jobs)
            }
        }
    }

    async fn write(&self, line: Vec<u8>) -> Result<Receipt, SinkError> {
        let (done, written) = oneshot::channel();
        self.jobs()?
            .send(Job { line, done })
            .await
            .map_err(|_| gone())?;
        match written.await {
            Ok(Ok(())) => Ok(Receipt {
                code: "synced".to_owned(),
            }),
            Ok(Err(error)) => Err(self.failure(&error)),
            Err(_) => Err(gone()),
        }
    }

    fn too_slow(&self) -> SinkError {
        let (path, patience) = (self.path.display(), self.patience);
        let detail = format!(
            "`{path}` was not written within {patience:?}; the disk is slow, or somebody locks the file"
        );
        SinkError::new(Class::Transient, "timeout", detail)
    }

    fn failure(&self, error: &io::Error) -> SinkError {
        let (class, code) = classify(error);
        let detail = format!("cannot write `{}`: {error}", self.path.display());
        SinkError::new(class, code, detail)
    }
}

#[async_trait]
impl Sink for FileSink {
    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, SinkError> {
        let line = line_of(delivery)?;
        match timeout(self.patience, self.write(line)).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(self.too_slow()),
        }
    }

    fn preview(&self, delivery: &Delivery, _now_ms: u64) -> Result<Preview, SinkError> {
        Ok(Preview {
            to: format!("file {}", self.path.display()),
            key: None,
            headers: Vec::new(),
            body: line_of(delivery)?.into(),
        })
    }

    async fn close(&self) {
        let writer = {
            let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *writer, Writer::Closed)
        };
        if let Writer::Running(jobs, thread) = writer {
            drop(jobs);
            // The thread ends once the queue is empty; nothing is left to tell anybody of its panic. It
            // may be stuck at a lock or a dead disk, which must not hold up the whole program.
            let ended = tokio::task::spawn_blocking(move || thread.join());
            let _ = timeout(self.patience, ended).await;
        }
    }
}

fn line_of(delivery: &Delivery) -> Result<Vec<u8>, SinkError> {
    line::render(delivery)
        .map_err(|error| SinkError::new(Class::Permanent, "bad_line", error.to_string()))
}

/// The writer ended before it confirmed.
fn gone() -> SinkError {
    SinkError::new(Class::Transient, "closed", "the file's writer has ended")
}

/// How to go on after this error.
fn classify(error: &io::Error) -> (Class, &'static str) {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => {
            (Class::Transient, "disk_full")
        }
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => {
            (Class::Configuration, "permission_denied")
        }
        Kind::IsADirectory | Kind::NotADirectory | Kind::InvalidFilename | Kind::AlreadyExists => {
            (Class::Configuration, "bad_path")
        }
        _ => (Class::Transient, "io"),
    }
}
