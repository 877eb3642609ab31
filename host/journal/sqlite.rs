//! The journal in an SQLite database, which anybody can open with the sqlite3 shell.
//!
//! One thread writes ([`committer`]), groups what waits into one transaction and syncs it; a few read
//! connections look things up. The database is in write-ahead mode with `synchronous = FULL`: a commit
//! returns after the log is synced, and after a crash the log's valid prefix, that is every commit that
//! returned, is taken over, while a torn end is told by its checksums and left out.
//!
//! In the folder (mode 0700): `journal.db`, its `-wal` and `-shm`, `lock` (held while the journal is open)
//! and `ballast` (see [`space`]). `docs/reference/journal.md` has the tables. The only module that knows
//! rusqlite, with `state`, its sibling.

mod acts;
mod archive;
mod audit;
mod codec;
mod committer;
mod dead;
mod dedupe;
mod feed;
mod folder;
mod operation;
mod query;
mod queue;
mod reader;
mod schema;
mod settle;
mod space;
mod status;
mod upkeep;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::time::Instant;

use super::state::{self, Quotas, StateError, StateStore, Write, Wrote};
use super::{
    AppendError, Appended, Backlog, DedupeKey, EventQuery, EventSummary, HELD_IN_MEMORY, Journal,
    JournalError, JournalStats, PendingDelivery, Seq, Settlement, StoredEvent,
};
use crate::event::{Event, EventId};
use committer::{Committer, Room, Stalled};
use feed::{Feed, Gap, Line};
use queue::Queue;
use reader::Readers;
use status::Status;

/// Reads at a time, besides the feed's.
const READERS: u32 = 4;

/// How the journal is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The journal's folder; made with mode 0700 if it is missing.
    pub path: PathBuf,
    /// How long finished events, their attempts and bodies are kept.
    pub retain: Duration,
    /// How long dead letters are kept; their events with them.
    pub retain_dead_letters: Duration,
    /// Bytes in use at which new events are refused. From nine tenths of it on, the oldest finished
    /// events without dead letters are removed before their time.
    pub size_bytes_max: u64,
    /// Free space on the disk, in bytes, below which new events are refused.
    pub free_bytes_min: u64,
    /// How long a dedupe key is remembered at most, whatever its own expiry says.
    pub dedupe_window: Duration,
    /// How many dedupe keys are remembered at most; the oldest are forgotten first. One takes about
    /// 45 bytes of memory.
    pub dedupe_ids_max: usize,
}

/// Why the journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder or a file in it cannot be made or opened.
    #[error("the journal's folder `{}` cannot be used", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process has it open.
    #[error(
        "the journal in `{}` is in use by another process: stop that one, or give this one a `path` of its own",
        path.display()
    )]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// A newer version of the program wrote it.
    #[error(
        "the journal `{}` has schema version {found}, and this program knows versions up to {known}: \
         start the program that wrote it, or a newer one",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that this program knows.
        known: usize,
    },
    /// It is some other database.
    #[error("`{}` is not a journal of this program", path.display())]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// The database gave an error.
    #[error("the journal `{}` cannot be opened", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}

/// What tests put in the place of the world.
#[derive(Clone)]
pub(in crate::journal) struct Seams {
    /// Milliseconds since the Unix epoch.
    clock: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Free bytes on the disk of a folder.
    free_bytes: FreeBytes,
    /// Called before each commit; its error is taken for the commit's.
    before_commit: BeforeCommit,
    /// Between two looks at the disk and at what upkeep there is.
    tick: Duration,
    /// Between two passes of upkeep over the tables.
    pause: Duration,
}

type FreeBytes = Arc<dyn Fn(&Path) -> io::Result<u64> + Send + Sync>;
type BeforeCommit = Arc<dyn Fn(&Connection) -> rusqlite::Result<()> + Send + Sync>;

impl Default for Seams {
    fn default() -> Self {
        Self {
            clock: Arc::new(crate::clock::unix_ms),
            free_bytes: Arc::new(space::free_bytes),
            before_commit: Arc::new(|_| Ok(())),
            tick: Duration::from_secs(1),
            pause: Duration::from_secs(10),
        }
    }
}

/// The journal in an SQLite database.
pub struct SqliteJournal {
    queue: Queue,
    readers: Readers,
    feed: Arc<Feed>,
    status: Arc<Status>,
    recovery: Arc<Recovery>,
    clock: Arc<dyn Fn() -> u64 + Send + Sync>,
}

/// Events that waited for their routes when the journal was opened: until the last of them is planned again,
/// a keyed delivery of a younger event must not go out, for one of them may have the same key.
struct Recovery {
    upto: Seq,
    done: AtomicBool,
}

impl Recovery {
    /// The place from which on keyed deliveries have to wait.
    fn keyed_before(&self, connection: &Connection) -> rusqlite::Result<Seq> {
        if self.done.load(Ordering::Relaxed) {
            return Ok(Seq::MAX);
        }
        let first = query::first_unplanned(connection, self.upto)?;
        self.done.store(first.is_none(), Ordering::Relaxed);
        Ok(first.unwrap_or(Seq::MAX))
    }
}

impl fmt::Debug for SqliteJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteJournal")
            .field("stats", &self.status.stats())
            .finish_non_exhaustive()
    }
}

impl SqliteJournal {
    /// Opens the journal, making it if it is missing, brings its schema up to date, loads the dedupe
    /// window and starts the committer. Blocks meanwhile: call it before serving.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]; nothing of the journal was changed then, but that it may have been migrated.
    pub fn open(options: Options) -> Result<Arc<Self>, OpenError> {
        Self::open_with(options, Seams::default(), schema::STEPS)
    }

    fn open_with(options: Options, seams: Seams, steps: &[&str]) -> Result<Arc<Self>, OpenError> {
        let lock = folder::take(&options.path)?;
        let file = options.path.join("journal.db");
        let connection = schema::writer(&file, steps)?;
        let now_ms = (seams.clock)();
        let found =
            Found::read(&connection, &options, now_ms).map_err(|source| OpenError::Database {
                path: file.clone(),
                source,
            })?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|source| OpenError::Folder {
                path: options.path.clone(),
                source,
            })?;
        let gap = (found.open > 0).then_some(Gap {
            after: 0,
            upto: found.last_seq,
        });
        #[cfg(feature = "planted-bugs")]
        let gap = gap.filter(|_| !crate::planted::is(crate::planted::Bug::LostCursor));
        let line = Line::new(gap, feed::FEED_EVENTS_MAX, feed::FEED_BYTES_MAX);
        let feed = Arc::new(Feed::new(line, Readers::new(file.clone(), 1)));
        let status = Arc::new(Status::new(found.open, found.dead, found.pending));
        let recovery = Arc::new(Recovery {
            upto: found.last_seq,
            done: AtomicBool::new(found.open == 0),
        });
        let (queue, operations) = Queue::new();
        let clock = Arc::clone(&seams.clock);
        let mut committer = Committer {
            connection,
            operations,
            runtime,
            status: Arc::clone(&status),
            feed: Arc::clone(&feed),
            window: found.window,
            settler: settle::Settler::default(),
            quotas: Quotas::default(),
            chain: found.chain,
            upkeep: upkeep::Upkeep::new(upkeep::Terms {
                retain_ms: millis(options.retain),
                retain_dead_letters_ms: millis(options.retain_dead_letters),
                size_bytes_max: options.size_bytes_max,
                pause: seams.pause,
            }),
            room: Room {
                ballast: space::Ballast::new(&options.path),
                disk_low: false,
                disk_full: false,
            },
            stalled: Stalled {
                operations: Vec::new(),
                why: AppendError::Full,
                retry_at: None,
            },
            last_seq: found.last_seq,
            next_tick: Instant::now(),
            options,
            seams,
            lock,
        };
        let database = |source| OpenError::Database {
            path: file.clone(),
            source,
        };
        // The figures, and whether there is room, are right from the first append on.
        committer.tick().map_err(database)?;
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || committer.run())
            .map_err(|source| OpenError::Folder {
                path: file.clone(),
                source,
            })?;
        Ok(Arc::new(Self {
            queue,
            readers: Readers::new(file, READERS),
            feed,
            status,
            recovery,
            clock,
        }))
    }

    /// Waits until a commit has failed, after which the journal takes nothing: the program should exit.
    pub async fn failed(&self) {
        self.status.failed().await;
    }

    /// The durable key-value store of plugins, in the same database.
    #[must_use]
    pub fn state(self: &Arc<Self>) -> StateStore {
        StateStore::new(Arc::clone(self))
    }

    pub(in crate::journal) fn now_ms(&self) -> u64 {
        (self.clock)()
    }

    pub(in crate::journal) async fn write_state(&self, write: Write) -> Result<Wrote, StateError> {
        self.queue.state(write).await
    }

    pub(in crate::journal) async fn read_state<T, F>(&self, query: F) -> Result<T, StateError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.readers.read(query).await.map_err(|error| match error {
            JournalError::Closed => StateError::Closed,
            JournalError::Unavailable => StateError::Unavailable,
            JournalError::Storage(detail) => StateError::Storage(detail),
        })
    }
}

#[async_trait]
impl Journal for SqliteJournal {
    async fn append(
        &self,
        event: Arc<Event>,
        dedupe: Option<DedupeKey>,
    ) -> Result<Appended, AppendError> {
        self.queue.append(event, dedupe).await
    }

    async fn next(&self, max: usize) -> Result<Vec<StoredEvent>, JournalError> {
        self.feed.next(max).await
    }

    async fn settle(&self, settlement: Settlement) -> Result<(), JournalError> {
        self.queue.settle(settlement).await
    }

    async fn due(
        &self,
        sink: &str,
        now_ms: u64,
        limit: usize,
    ) -> Result<Vec<PendingDelivery>, JournalError> {
        let sink = sink.to_owned();
        let recovery = Arc::clone(&self.recovery);
        self.readers
            .read(move |connection| {
                let keyed_before = recovery.keyed_before(connection)?;
                query::due(connection, &sink, now_ms, limit, keyed_before)
            })
            .await
    }

    async fn backlog(&self, sink: &str) -> Result<Backlog, JournalError> {
        let pending = self.status.pending_of(sink);
        let sink = sink.to_owned();
        let held = self.status.held_of(&sink);
        self.readers
            .read(move |connection| {
                let paused = state::is_paused(connection, &sink)?;
                if pending == 0 {
                    return Ok(Backlog {
                        keys: Some(Vec::new()),
                        paused,
                        ..Backlog::default()
                    });
                }
                let next_at_ms = query::next_at(connection, &sink)?;
                if held > 0 {
                    return Ok(Backlog {
                        pending: query::count_not_held(connection, &sink)?,
                        next_at_ms,
                        keys: query::keys_not_held(connection, &sink)?,
                        paused,
                    });
                }
                Ok(Backlog {
                    pending,
                    next_at_ms,
                    keys: query::keys(connection, &sink)?,
                    paused,
                })
            })
            .await
    }

    async fn set_paused(&self, sink: &str, paused: bool) -> Result<(), JournalError> {
        self.write_state(Write::paused(sink, paused))
            .await
            .map(drop)
            .map_err(|error| JournalError::Storage(error.to_string()))
    }

    async fn pending_sinks(&self) -> Result<Vec<String>, JournalError> {
        Ok(self.status.pending_sinks())
    }

    async fn events(&self, query: EventQuery) -> Result<Vec<EventSummary>, JournalError> {
        self.readers
            .read(move |connection| query::events(connection, &query))
            .await
    }

    async fn event(&self, id: EventId) -> Result<Option<EventSummary>, JournalError> {
        self.readers
            .read(move |connection| query::event(connection, id))
            .await
    }

    fn stats(&self) -> JournalStats {
        self.status.stats()
    }

    async fn close(&self) {
        self.feed.close();
        self.readers.close().await;
        self.feed.release().await;
        self.queue.close().await;
    }
}

/// What a database holds when it is opened.
struct Found {
    last_seq: Seq,
    open: u64,
    dead: u64,
    pending: Vec<(String, u64)>,
    window: dedupe::Window,
    chain: audit::Chain,
}

impl Found {
    fn read(connection: &Connection, options: &Options, now_ms: u64) -> rusqlite::Result<Self> {
        // No sink of this process holds anything yet. Between them the two indexes have all that is pending.
        for (index, members) in [
            ("delivery_due", "head = 1"),
            ("delivery_key", "key_hash IS NOT NULL"),
        ] {
            connection.execute(
                &format!(
                    "UPDATE delivery INDEXED BY {index} SET next_at = ?1
                     WHERE state = 'pending' AND {members} AND next_at = ?2"
                ),
                (codec::signed(now_ms), HELD_IN_MEMORY),
            )?;
        }
        let count = |sql| connection.query_row(sql, [], |row| row.get(0).map(codec::unsigned));
        Ok(Self {
            last_seq: connection.query_row(
                "SELECT max(coalesce((SELECT max(seq) FROM event), 0),
                   coalesce((SELECT value FROM meta WHERE name = 'last_seq'), 0))",
                [],
                |row| row.get(0),
            )?,
            open: count("SELECT count(*) FROM open")?,
            dead: count("SELECT count(*) FROM delivery WHERE state = 'dead'")?,
            pending: query::pending(connection)?,
            window: dedupe::Window::load(
                connection,
                now_ms,
                options.dedupe_ids_max,
                millis(options.dedupe_window),
            )?,
            chain: audit::Chain::load(connection)?,
        })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
