//! The committer: the one thread that writes.
//!
//! It takes one operation from the queue, adds all that wait behind it up to a bound, writes them in one
//! transaction, commits, and only then answers. There is no linger: while one commit syncs, the next batch
//! gathers by itself. What can go wrong, and what follows:
//!
//! | commit                      | appends, state, acts | settlements        | then                       |
//! |-----------------------------|----------------------|--------------------|----------------------------|
//! | disk full                   | `Full`, unavailable  | tried again, alone | goes on when there is room |
//! | locked by another program   | `Busy`, unavailable  | tried again, alone | goes on when it lets go    |
//! | anything else               | `Failed`, closed     | closed             | the journal is closed      |
//!
//! A transaction that failed is rolled back, and what it had noted in memory is taken back. After "anything
//! else" nothing is written or synced through these file handles again.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, ffi};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::acts;
use super::audit::Chain;
use super::dedupe::Window;
use super::feed::Feed;
use super::operation::{Answer, Append, Operation, Settle, StateWrite};
use super::queue::QUEUE_OPERATIONS_MAX;
use super::settle::{self, Settler};
use super::space::{BALLAST_BYTES, Ballast, Pages};
use super::status::{Changes, Status};
use super::upkeep::{Site, Upkeep};
use super::{Options, Seams, schema};
use crate::journal::state::{Quotas, StateError};
use crate::journal::{AppendError, Appended, JournalError, Seq, StoredEvent};

/// Operations in one transaction.
const BATCH_OPERATIONS_MAX: usize = 1024;
/// Bytes in one transaction, but for one operation that is larger alone.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// Between two tries while the disk is full or the database locked.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Everything the thread owns.
pub(super) struct Committer {
    pub(super) connection: Connection,
    pub(super) operations: mpsc::Receiver<Operation>,
    pub(super) runtime: Runtime,
    pub(super) options: Options,
    pub(super) seams: Seams,
    pub(super) status: Arc<Status>,
    pub(super) feed: Arc<Feed>,
    pub(super) window: Window,
    pub(super) settler: Settler,
    pub(super) quotas: Quotas,
    pub(super) chain: Chain,
    pub(super) upkeep: Upkeep,
    pub(super) room: Room,
    pub(super) stalled: Stalled,
    pub(super) last_seq: Seq,
    pub(super) next_tick: Instant,
    /// Held until the thread ends.
    pub(super) lock: File,
}

/// Why appends are refused, if they are.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) ballast: Ballast,
    /// The free-space floor is reached.
    pub(super) disk_low: bool,
    /// A commit met a full disk, and there is no room yet.
    pub(super) disk_full: bool,
}

/// Settlements that could not be committed yet, in order.
#[derive(Debug)]
pub(super) struct Stalled {
    pub(super) operations: Vec<Operation>,
    /// What appends are told meanwhile.
    pub(super) why: AppendError,
    pub(super) retry_at: Option<Instant>,
}

/// How a failed transaction is dealt with.
enum Trouble {
    DiskFull,
    Locked,
    Broken,
}

/// What the queue gave.
enum Next {
    Operation(Operation),
    Nothing,
    Gone,
}

/// A committed transaction.
struct Written {
    answers: Vec<Answer>,
    stored: Vec<StoredEvent>,
    changes: Changes,
}

impl Committer {
    /// Runs until closed or failed.
    pub(super) fn run(mut self) {
        loop {
            let (batch, close) = match self.next() {
                Next::Operation(first) => self.gather(first),
                Next::Nothing => (Vec::new(), None),
                Next::Gone => return self.finish(None),
            };
            let result = self
                .commit(batch)
                .and_then(|()| self.tick())
                .and_then(|()| self.maintain());
            if let Err(error) = result {
                return self.fail(&error);
            }
            if close.is_some() {
                return self.finish(close);
            }
        }
    }

    /// The next operation, or nothing when there is something else to do.
    fn next(&mut self) -> Next {
        // With too many settlements kept already, the queue is left to fill up.
        if self.stalled.operations.len() < QUEUE_OPERATIONS_MAX {
            match self.operations.try_recv() {
                Ok(operation) => return Next::Operation(operation),
                Err(mpsc::error::TryRecvError::Disconnected) => return Next::Gone,
                Err(mpsc::error::TryRecvError::Empty) if self.upkeep.has_work() => {
                    return Next::Nothing;
                }
                Err(mpsc::error::TryRecvError::Empty) => {}
            }
        }
        let retry_at = self.stalled.retry_at.unwrap_or(self.next_tick);
        let deadline = retry_at.min(self.next_tick);
        let is_open = self.stalled.operations.len() < QUEUE_OPERATIONS_MAX;
        let operations = &mut self.operations;
        self.runtime.block_on(async {
            if !is_open {
                tokio::time::sleep_until(deadline).await;
                return Next::Nothing;
            }
            match tokio::time::timeout_at(deadline, operations.recv()).await {
                Ok(Some(operation)) => Next::Operation(operation),
                Ok(None) => Next::Gone,
                Err(_) => Next::Nothing,
            }
        })
    }

    /// `first` with what waits behind it. Ends at a request to close.
    fn gather(&mut self, first: Operation) -> (Vec<Operation>, Option<oneshot::Sender<()>>) {
        let mut batch = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(operation) = next {
            match operation {
                Operation::Close(reply) => return (batch, Some(reply)),
                operation => {
                    bytes += operation.bytes();
                    batch.push(operation);
                }
            }
            let has_room = batch.len() < BATCH_OPERATIONS_MAX && bytes < BATCH_BYTES_MAX;
            next = has_room.then(|| self.operations.try_recv().ok()).flatten();
        }
        (batch, None)
    }

    /// Writes what was kept back, then `batch`. An error means that the journal failed.
    fn commit(&mut self, batch: Vec<Operation>) -> rusqlite::Result<()> {
        if let Some(retry_at) = self.stalled.retry_at {
            if Instant::now() < retry_at {
                self.keep_back(batch);
                return Ok(());
            }
            self.stalled.retry_at = None;
            let stalled = std::mem::take(&mut self.stalled.operations);
            self.try_batch(stalled)?;
            if self.stalled.retry_at.is_some() {
                self.keep_back(batch);
                return Ok(());
            }
        }
        self.try_batch(batch)
    }

    fn try_batch(&mut self, batch: Vec<Operation>) -> rusqlite::Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let error = match self.write(&batch) {
            Ok(written) => return self.publish(batch, written),
            Err(error) => error,
        };
        self.window.take_back();
        self.settler.take_back();
        self.quotas.take_back();
        self.chain.take_back();
        let why = match trouble(&error) {
            Trouble::DiskFull => {
                if !self.room.disk_full {
                    tracing::error!(%error, "the journal's disk is full: new events are refused");
                }
                self.room.disk_full = true;
                self.room.ballast.drop_it();
                self.show_room();
                AppendError::Full
            }
            Trouble::Locked => {
                tracing::warn!(
                    "another program has locked the journal's database: nothing can be stored"
                );
                AppendError::Busy
            }
            // The batch is dropped with its replies, which tells the callers; they find the status changed.
            Trouble::Broken => {
                self.status.fail();
                return Err(error);
            }
        };
        self.stalled.why = why;
        self.stalled.retry_at = Some(Instant::now() + RETRY_PAUSE);
        self.keep_back(batch);
        Ok(())
    }

    /// Keeps settlements for later and refuses everything else.
    fn keep_back(&mut self, batch: Vec<Operation>) {
        for operation in batch {
            match operation {
                Operation::Append(append) => append.answer(Err(self.stalled.why)),
                Operation::State(write) => write.answer(Err(StateError::Unavailable)),
                Operation::Act(act) => act.answer(Err(JournalError::Unavailable)),
                Operation::Settle(_) | Operation::Close(_) => {
                    self.stalled.operations.push(operation);
                }
            }
        }
    }

    /// One transaction.
    fn write(&mut self, batch: &[Operation]) -> rusqlite::Result<Written> {
        let now_ms = (self.seams.clock)();
        let refuse = self.is_full();
        let transaction =
            Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        let mut written = Written {
            answers: Vec::with_capacity(batch.len()),
            stored: Vec::new(),
            changes: Changes::default(),
        };
        for operation in batch {
            let answer = match operation {
                Operation::Append(append) => {
                    let answer = store(
                        &transaction,
                        append,
                        &mut self.window,
                        self.last_seq + 1,
                        refuse,
                        now_ms,
                    )?;
                    if let Ok(Appended::Stored(seq)) = answer {
                        self.last_seq = seq;
                        let event = Arc::clone(&append.encoded.event);
                        written.stored.push(StoredEvent { seq, event });
                        written.changes.open += 1;
                    }
                    Answer::Append(answer)
                }
                Operation::Settle(Settle { settlement, .. }) => {
                    self.settler
                        .settle(&transaction, settlement, &mut written.changes)?;
                    Answer::Settle
                }
                Operation::State(StateWrite { write, .. }) => {
                    Answer::State(self.quotas.write(&transaction, write, now_ms)?)
                }
                Operation::Act(asked) => Answer::Act(
                    acts::Site {
                        connection: &transaction,
                        settler: &mut self.settler,
                        chain: &mut self.chain,
                        changes: &mut written.changes,
                        now_ms,
                    }
                    .act(&asked.act, &asked.actor)?,
                ),
                Operation::Close(_) => Answer::Settle,
            };
            written.answers.push(answer);
        }
        (self.seams.before_commit)(&transaction)?;
        transaction.commit()?;
        Ok(written)
    }

    /// Tells everybody about a committed batch.
    fn publish(&mut self, batch: Vec<Operation>, written: Written) -> rusqlite::Result<()> {
        self.window.keep();
        self.quotas.keep();
        if let Some(head) = self.chain.keep() {
            // Whoever keeps the log elsewhere has an anchor for `hookswitch audit verify`.
            tracing::info!(%head, "audit log");
        }
        self.status.apply(&written.changes);
        for (operation, answer) in batch.into_iter().zip(written.answers) {
            operation.answer(answer);
        }
        if !written.stored.is_empty() {
            self.feed.add(written.stored.into_iter());
        }
        self.measure().map(|_| ())
    }

    /// Counts pages; cheap enough for every batch, so that the bound on size is never passed by more
    /// than one batch.
    fn measure(&mut self) -> rusqlite::Result<Pages> {
        let pages = Pages::count(&self.connection)?;
        self.status.set_bytes(pages.bytes_used());
        self.show_room();
        Ok(pages)
    }

    fn is_full(&self) -> bool {
        self.room.disk_low
            || self.room.disk_full
            || self.status.bytes() >= self.options.size_bytes_max
    }

    fn show_room(&self) {
        let is_full = self.is_full();
        let was_full = self.status.set_full(is_full);
        if is_full && !was_full {
            tracing::warn!("the journal is full: new events are refused");
        } else if was_full && !is_full {
            tracing::info!("the journal has room again");
        }
    }

    /// Looks at the disk and plans upkeep, about once a second.
    pub(super) fn tick(&mut self) -> rusqlite::Result<()> {
        let now = Instant::now();
        if now < self.next_tick {
            return Ok(());
        }
        self.next_tick = now + self.seams.tick;
        let floor = self.options.free_bytes_min;
        match (self.seams.free_bytes)(&self.options.path) {
            Ok(free) => {
                self.room.disk_low = free < floor;
                self.room.ballast.lay(free, floor);
            }
            Err(error) => {
                tracing::warn!(%error, "the free space of the journal's disk could not be read");
            }
        }
        let pages = self.measure().and_then(|pages| {
            self.probe(pages)?;
            Ok(pages)
        });
        match pages {
            Ok(pages) => {
                // What the database does not need may be all that the disk has left.
                let is_short = self.room.disk_low || self.room.disk_full;
                let now_ms = (self.seams.clock)();
                self.upkeep.plan(pages, is_short, &self.window, now_ms);
            }
            Err(error) => self.excuse(error)?,
        }
        self.show_room();
        Ok(())
    }

    /// After a full disk: takes events again once there is room for them, which is when the ballast is
    /// down again, or the database has as much room inside. Events must not eat up what the ballast left
    /// for settlements.
    fn probe(&mut self, pages: Pages) -> rusqlite::Result<()> {
        let has_room = self.room.ballast.is_down() || pages.bytes_free() >= BALLAST_BYTES;
        if !self.room.disk_full || !has_room || !self.stalled.operations.is_empty() {
            return Ok(());
        }
        let transaction =
            Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        transaction.execute(
            "INSERT OR REPLACE INTO meta(name, value) VALUES ('last_seq', ?1)",
            [self.last_seq],
        )?;
        (self.seams.before_commit)(&transaction)?;
        transaction.commit()?;
        self.room.disk_full = false;
        Ok(())
    }

    /// One step of upkeep, if there is any.
    fn maintain(&mut self) -> rusqlite::Result<()> {
        if !self.upkeep.has_work() {
            return Ok(());
        }
        let stepped = self.upkeep.step(&mut Site {
            connection: &self.connection,
            window: &mut self.window,
            now_ms: (self.seams.clock)(),
            last_seq: self.last_seq,
        });
        match stepped {
            Ok(stepped) => {
                if stepped.state_trimmed {
                    self.quotas.take_back();
                }
                self.status.apply(&stepped.changes);
                self.measure().map(|_| ())
            }
            Err(error) => {
                self.upkeep.put_off();
                self.excuse(error)
            }
        }
    }

    /// Lets errors pass that pass by themselves.
    fn excuse(&self, error: rusqlite::Error) -> rusqlite::Result<()> {
        match trouble(&error) {
            Trouble::DiskFull | Trouble::Locked => Ok(()),
            Trouble::Broken => Err(error),
        }
    }

    /// Everything is answered; a last try for what was kept back, then the database is closed.
    fn finish(mut self, reply: Option<oneshot::Sender<()>>) {
        self.stalled.retry_at = None;
        let stalled = std::mem::take(&mut self.stalled.operations);
        if let Err(error) = self.try_batch(stalled) {
            return self.fail(&error);
        }
        self.feed.close();
        // The last connection to go writes the log back and removes it; this one only makes it short
        // for a reader that is still open, such as a person's shell.
        let shortened =
            self.connection
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) =
            shortened.and_then(|()| self.connection.close().map_err(|(_, error)| error))
        {
            tracing::warn!(%error, "the journal's database was not closed cleanly");
        }
        drop(self.lock);
        if let Some(reply) = reply {
            // The caller may have stopped waiting.
            let _ = reply.send(());
        }
    }

    /// A commit failed for good. Dropping the queue and what is kept tells every caller.
    fn fail(self, error: &rusqlite::Error) {
        tracing::error!(%error, "the journal failed: nothing more is taken until the program restarts");
        if let Err(error) = schema::without_checkpoint_on_close(&self.connection) {
            tracing::error!(%error, "the journal's log may be synced again on close");
        }
        self.status.fail();
        self.feed.close();
        let Self {
            connection,
            lock,
            operations,
            stalled,
            ..
        } = self;
        drop(connection);
        drop(lock);
        // Last, because this is what `close` waits for.
        drop((stalled, operations));
    }
}

/// Writes one event, unless it is known or there is no room.
fn store(
    connection: &Connection,
    append: &Append,
    window: &mut Window,
    seq: Seq,
    refuse: bool,
    now_ms: u64,
) -> rusqlite::Result<Result<Appended, AppendError>> {
    let known = append
        .dedupe
        .as_ref()
        .is_some_and(|key| window.contains(&key.hash, now_ms));
    if known {
        return Ok(Ok(Appended::Duplicate));
    }
    if refuse {
        return Ok(Err(AppendError::Full));
    }
    match settle::append(connection, seq, &append.encoded) {
        Ok(()) => {}
        // The event's own id is there already: the caller appends the same event again.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            return Ok(Ok(Appended::Duplicate));
        }
        Err(error) => return Err(error),
    }
    if let Some(key) = &append.dedupe {
        window.note(connection, key.hash, key.expires_at_ms, now_ms)?;
    }
    Ok(Ok(Appended::Stored(seq)))
}

fn trouble(error: &rusqlite::Error) -> Trouble {
    let Some(error) = error.sqlite_error() else {
        return Trouble::Broken;
    };
    match error.code {
        ErrorCode::DiskFull => Trouble::DiskFull,
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Trouble::Locked,
        // The index of the log could not be made larger; nothing was written yet.
        _ if error.extended_code == ffi::SQLITE_IOERR_SHMSIZE => Trouble::DiskFull,
        _ => Trouble::Broken,
    }
}
