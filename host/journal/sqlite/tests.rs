//! The journal's promises on a real database, with clock, disk and commits in the test's hand.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod acts;
mod keeping;
mod settling;
mod state;
mod storing;
mod trouble;

use std::future::Future;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::event::{Header, Message};
use crate::journal::{Record, State};

/// Midnight of some day: the clock's first value.
const START_MS: u64 = 1_700_000_000_000;
const DAY: Duration = Duration::from_secs(24 * 3600);

type Hook = Box<dyn FnMut(&Connection) -> rusqlite::Result<()> + Send>;

/// A folder and what surrounds the journal in it.
struct World {
    folder: TempDir,
    options: Options,
    now_ms: Arc<AtomicU64>,
    free_bytes: Arc<AtomicU64>,
    hook: Arc<Mutex<Hook>>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            path: folder.path().join("journal"),
            retain: DAY,
            retain_dead_letters: 3 * DAY,
            size_bytes_max: 1 << 30,
            free_bytes_min: 1 << 20,
            dedupe_window: DAY,
            dedupe_ids_max: 1000,
        };
        Self {
            folder,
            options,
            now_ms: Arc::new(START_MS.into()),
            free_bytes: Arc::new((1 << 30).into()),
            hook: Arc::new(Mutex::new(Box::new(|_| Ok(())))),
        }
    }

    fn try_open(&self, steps: &[&str]) -> Result<Arc<SqliteJournal>, OpenError> {
        let (now_ms, free_bytes) = (Arc::clone(&self.now_ms), Arc::clone(&self.free_bytes));
        let hook = Arc::clone(&self.hook);
        let seams = Seams {
            clock: Arc::new(move || now_ms.load(Ordering::SeqCst)),
            free_bytes: Arc::new(move |_| Ok(free_bytes.load(Ordering::SeqCst))),
            before_commit: Arc::new(move |connection| (hook.lock().unwrap())(connection)),
            tick: Duration::from_millis(5),
            pause: Duration::ZERO,
        };
        SqliteJournal::open_with(self.options.clone(), seams, steps)
    }

    fn open(&self) -> Arc<SqliteJournal> {
        self.try_open(schema::STEPS).unwrap()
    }

    fn later(&self, by: Duration) {
        self.now_ms.fetch_add(millis(by), Ordering::SeqCst);
    }

    fn before_commit(
        &self,
        hook: impl FnMut(&Connection) -> rusqlite::Result<()> + Send + 'static,
    ) {
        *self.hook.lock().unwrap() = Box::new(hook);
    }

    /// A figure from the database, as the sqlite3 shell would show it.
    fn figure(&self, sql: &str) -> i64 {
        let connection = schema::reader(&self.options.path.join("journal.db")).unwrap();
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

/// Makes the database as a program of that schema version left it, holding what `sql` inserts.
fn former(world: &World, version: usize, sql: &str) {
    std::fs::create_dir_all(&world.options.path).unwrap();
    let database = Connection::open(world.options.path.join("journal.db")).unwrap();
    for step in &schema::STEPS[..version] {
        database.execute_batch(step).unwrap();
    }
    let id = schema::APPLICATION_ID;
    database
        .execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA application_id = {id}; PRAGMA user_version = {version}; {sql}"
        ))
        .unwrap();
}

fn event(body: &str) -> Arc<Event> {
    Arc::new(Event {
        id: EventId::now(),
        source: "didit".into(),
        provider: "didit".into(),
        kind: "status.updated".to_owned(),
        provider_event_id: Some("evt_1".to_owned()),
        received_at_ms: START_MS,
        method: "POST".to_owned(),
        path: "/hooks/didit".to_owned(),
        query: "a=b".to_owned(),
        headers: vec![
            Header::new("x-twice", "one"),
            Header::new("x-twice", "two \"quoted\" \u{1F980}"),
            Header {
                name: "x-bytes".to_owned(),
                value: Bytes::from_static(&[0xFF, 0x00, 0x80]),
            },
        ],
        content_type: Some("application/json".to_owned()),
        body: Bytes::from(body.to_owned()),
        attributes: vec![("coverage".to_owned(), "full".to_owned())],
    })
}

fn key(number: u8) -> DedupeKey {
    DedupeKey {
        hash: [number; 16],
        expires_at_ms: START_MS + millis(DAY),
    }
}

fn message(body: &str) -> Message {
    let mut message = Message::of(&event(body));
    message.key = Some("k".to_owned());
    message.headers = vec![Header::new("x-out", "1")];
    message
}

fn record(ordinal: u32, sink: &str, state: State) -> Record {
    let kept = matches!(state, State::Pending | State::Dead);
    Record {
        ordinal,
        route: "route".into(),
        sink: sink.into(),
        state,
        attempts: 1,
        at_ms: START_MS,
        next_at_ms: 0,
        key_hash: None,
        code: "201".to_owned(),
        detail: String::new(),
        plugins: "redact@ab12".to_owned(),
        message_id: "id".to_owned(),
        message: kept.then(|| message("out")),
        attempt: None,
    }
}

fn settlement(seq: Seq, records: Vec<Record>) -> Settlement {
    Settlement {
        seq,
        records,
        planned: true,
    }
}

fn delivered(seq: Seq) -> Settlement {
    settlement(seq, vec![record(0, "crm", State::Delivered)])
}

async fn store(journal: &SqliteJournal, body: &str) -> Seq {
    match journal.append(event(body), None).await.unwrap() {
        Appended::Stored(seq) => seq,
        Appended::Duplicate => panic!("not a duplicate"),
    }
}

/// Takes exactly `count` events.
async fn take(journal: &SqliteJournal, count: usize) -> Vec<StoredEvent> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.extend(soon(journal.next(count - taken.len())).await.unwrap());
    }
    taken
}

/// Fails a test that would hang.
async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future)
        .await
        .expect("did not happen in time")
}

/// Waits for something that the committer does by itself.
async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what} did not happen in time");
}

fn sqlite_error(code: i32) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)
}
