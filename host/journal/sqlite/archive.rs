//! The archive's face of the journal: reads on the readers, acts through the committer.

use async_trait::async_trait;

use super::{SqliteJournal, audit, dead};
use crate::journal::archive::{
    Act, Acted, Archive, Buried, DeadLetter, DeadPlace, DeadQuery, DeliveryId,
};
use crate::journal::audit::{Actor, Head, Row};
use crate::journal::{JournalError, PendingDelivery, Seq};

#[async_trait]
impl Archive for SqliteJournal {
    async fn dead_letters(
        &self,
        query: DeadQuery,
        before: Option<DeadPlace>,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, JournalError> {
        self.readers
            .read(move |connection| dead::list(connection, &query, before, limit))
            .await
    }

    async fn count_dead_letters(&self, query: DeadQuery) -> Result<u64, JournalError> {
        if query.is_all() {
            return Ok(self.status.stats().dead);
        }
        self.readers
            .read(move |connection| dead::count(connection, &query))
            .await
    }

    async fn dead_letter(&self, id: DeliveryId) -> Result<Option<Buried>, JournalError> {
        self.readers
            .read(move |connection| dead::one(connection, id))
            .await
    }

    async fn act(&self, act: Act, actor: Actor) -> Result<Acted, JournalError> {
        self.queue.act(act, actor).await
    }

    async fn pending(
        &self,
        deliveries: Vec<(Seq, u32)>,
    ) -> Result<Vec<PendingDelivery>, JournalError> {
        self.readers
            .read(move |connection| dead::pending(connection, &deliveries))
            .await
    }

    async fn audit(&self, after: u64, limit: u32) -> Result<Vec<Row>, JournalError> {
        self.readers
            .read(move |connection| audit::rows(connection, after, limit))
            .await
    }

    async fn audit_head(&self) -> Result<Head, JournalError> {
        self.readers.read(audit::head).await
    }
}
