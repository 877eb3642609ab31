//! Read connections: a few, opened when first needed, used on blocking threads.
//!
//! A read sees one snapshot of the database, made when it begins, hence every commit that was answered
//! before. Reads are short, because a long one keeps the write-ahead log from being started over.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::Semaphore;

use super::schema;
use crate::journal::JournalError;

/// A bounded set of read connections; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Readers {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: PathBuf,
    count: u32,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    /// At most `count` reads at a time.
    pub(super) fn new(file: PathBuf, count: u32) -> Self {
        Self {
            inner: Arc::new(Inner {
                file,
                count,
                permits: Arc::new(Semaphore::new(count as usize)),
                idle: Mutex::default(),
            }),
        }
    }

    /// Runs `query` in a read transaction on a blocking thread.
    pub(super) async fn read<T, F>(&self, query: F) -> Result<T, JournalError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let permit = Arc::clone(&self.inner.permits)
            .acquire_owned()
            .await
            .map_err(|_| JournalError::Closed)?;
        let inner = Arc::clone(&self.inner);
        let done = tokio::task::spawn_blocking(move || {
            // Held here, so that a caller who stops waiting does not let another read begin.
            let _permit = permit;
            inner.run(query)
        })
        .await;
        match done {
            Ok(result) => result.map_err(|error| JournalError::Storage(error.to_string())),
            Err(error) => Err(JournalError::Storage(error.to_string())),
        }
    }

    /// Lets no more reads begin, waits for those that run and closes the connections.
    pub(super) async fn close(&self) {
        if let Ok(permits) = self.inner.permits.acquire_many(self.inner.count).await {
            self.inner.permits.close();
            drop(permits);
        }
        self.inner.idle().clear();
    }
}

impl Inner {
    fn run<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let known = self.idle().pop();
        let mut connection = match known {
            Some(connection) => connection,
            None => schema::reader(&self.file)?,
        };
        // A failed read drops its connection, whatever state that is in.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
        let result = query(&transaction)?;
        transaction.finish()?;
        self.idle().push(connection);
        Ok(result)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
