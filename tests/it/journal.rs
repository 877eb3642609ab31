//! The journal through its public face, on real files: killed processes, torn logs, two at once.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookswitch::event::{Event, EventId};
use hookswitch::journal::sqlite::{OpenError, Options, SqliteJournal};
use hookswitch::journal::{Appended, DedupeKey, Journal, Record, Settlement, State};

/// Set in the child process: the folder to work in.
const CHILD_FOLDER: &str = "HOOKSWITCH_TEST_JOURNAL";
const DAY: Duration = Duration::from_secs(24 * 3600);

fn options(path: &Path) -> Options {
    Options {
        path: path.to_owned(),
        retain: DAY,
        retain_dead_letters: DAY,
        size_bytes_max: 1 << 30,
        free_bytes_min: 0,
        dedupe_window: DAY,
        dedupe_ids_max: 100_000,
    }
}

fn event(number: u64) -> Arc<Event> {
    Arc::new(Event {
        id: EventId::now(),
        source: "s".into(),
        provider: "custom".into(),
        kind: "t".to_owned(),
        provider_event_id: Some(number.to_string()),
        received_at_ms: now_ms(),
        method: "POST".to_owned(),
        path: "/".to_owned(),
        query: String::new(),
        headers: Vec::new(),
        content_type: None,
        body: Bytes::from(number.to_string().repeat(200)),
        attributes: Vec::new(),
    })
}

fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::try_from(now.unwrap().as_millis()).unwrap()
}

fn dedupe(number: u64) -> DedupeKey {
    let mut hash = [0; 16];
    hash.get_mut(..8)
        .unwrap()
        .copy_from_slice(&number.to_be_bytes());
    DedupeKey {
        hash,
        expires_at_ms: now_ms() + 3_600_000,
    }
}

fn delivered(seq: i64) -> Settlement {
    let record = Record {
        ordinal: 0,
        route: "r".into(),
        sink: "k".into(),
        state: State::Delivered,
        attempts: 1,
        at_ms: 1,
        next_at_ms: 0,
        key_hash: None,
        code: "201".to_owned(),
        detail: String::new(),
        plugins: String::new(),
        message_id: "m".to_owned(),
        message: None,
        attempt: None,
    };
    Settlement {
        seq,
        records: vec![record],
        planned: true,
    }
}

/// Numbers of the events that wait for their routes.
async fn waiting(journal: &SqliteJournal) -> Vec<u64> {
    let mut numbers = Vec::new();
    while (numbers.len() as u64) < journal.stats().open {
        for stored in journal.next(1000).await.unwrap() {
            let number = stored.event.provider_event_id.as_ref().unwrap();
            numbers.push(number.parse().unwrap());
        }
    }
    numbers
}

/// Not a test of its own: what the killed process does. It appends and settles as fast as it can, and
/// prints a line for each answer.
#[test]
fn the_process_that_is_killed() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let journal = SqliteJournal::open(options(Path::new(&folder))).unwrap();
        let start = journal.stats().bytes * 1_000_000;
        let writers: Vec<_> = (0..16_u64)
            .map(|writer| {
                let journal = Arc::clone(&journal);
                tokio::spawn(async move {
                    for step in 0..10_000 {
                        let number = start + step * 16 + writer;
                        let answer = journal.append(event(number), Some(dedupe(number))).await;
                        let Ok(Appended::Stored(seq)) = answer else {
                            panic!("{answer:?}");
                        };
                        say(&format!("stored {number}"));
                        if number.is_multiple_of(3) {
                            say(&format!("settling {number}"));
                            journal.settle(delivered(seq)).await.unwrap();
                            say(&format!("settled {number}"));
                        }
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
    });
}

/// One line on the pipe in one write, so that a kill tears none.
fn say(line: &str) {
    let mut out = std::io::stderr().lock();
    out.write_all(format!("> {line}\n").as_bytes()).unwrap();
}

fn start_child(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["the_process_that_is_killed", "--nocapture"])
        .env(CHILD_FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn nothing_that_was_answered_is_lost_when_the_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (mut stored, mut settling, mut settled) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..5 {
        let mut child = start_child(&path);
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut count = 0;
        while let Some(Ok(line)) = lines.next() {
            match line
                .strip_prefix("> ")
                .and_then(|line| line.split_once(' '))
            {
                Some(("stored", number)) => stored.push(number.parse::<u64>().unwrap()),
                Some(("settling", number)) => settling.push(number.parse::<u64>().unwrap()),
                Some(("settled", number)) => settled.push(number.parse::<u64>().unwrap()),
                _ => continue,
            }
            count += 1;
            if count == 300 + round * 100 {
                // SIGKILL; what is in the pipe already is read all the same.
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(
            count >= 300,
            "the child ended by itself after {count} lines"
        );

        let journal = SqliteJournal::open(options(&path)).unwrap();
        let found = waiting(&journal).await;
        for number in &stored {
            // One whose settlement was under way may be finished or not.
            if !settling.contains(number) {
                assert!(found.contains(number), "{number} was stored and is lost");
            }
        }
        for number in &settled {
            assert!(
                !found.contains(number),
                "{number} was settled and comes again"
            );
        }
        for number in stored.iter().rev().take(20) {
            let again = journal.append(event(*number), Some(dedupe(*number))).await;
            assert_eq!(again, Ok(Appended::Duplicate), "{number}");
        }
        journal.close().await;
    }
}

/// The folder as a crash would leave it: the files as they are while the journal is open.
fn crash(path: &Path) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("journal");
    std::fs::create_dir(&copy).unwrap();
    for name in ["journal.db", "journal.db-wal"] {
        std::fs::copy(path.join(name), copy.join(name)).unwrap();
    }
    (folder, copy)
}

#[tokio::test]
async fn a_torn_end_of_the_log_is_left_out_and_everything_before_it_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let journal = SqliteJournal::open(options(&path)).unwrap();
    for number in 0..20 {
        journal.append(event(number), None).await.unwrap();
    }
    let before = crash(&path);
    let before_bytes = log_bytes(&before.1);
    journal.append(event(20), None).await.unwrap();
    let whole = crash(&path);
    let whole_bytes = log_bytes(&whole.1);
    assert!(whole_bytes > before_bytes);

    let junk = crash(&path);
    let mut log = std::fs::File::options()
        .append(true)
        .open(junk.1.join("journal.db-wal"))
        .unwrap();
    log.write_all(&[0x5A; 10_000]).unwrap();
    let cut = crash(&path);
    let log = std::fs::File::options()
        .write(true)
        .open(cut.1.join("journal.db-wal"))
        .unwrap();
    log.set_len(whole_bytes - 100).unwrap();
    for (what, path, count) in [
        ("before", &before.1, 20),
        ("whole", &whole.1, 21),
        ("junk behind", &junk.1, 21),
        ("cut", &cut.1, 20),
    ] {
        let copy = SqliteJournal::open(options(path)).unwrap();
        let expected: Vec<u64> = (0..count).collect();
        assert_eq!(waiting(&copy).await, expected, "{what}");
        copy.append(event(99), None).await.unwrap();
        copy.close().await;
    }
    journal.close().await;
}

fn log_bytes(path: &Path) -> u64 {
    std::fs::metadata(path.join("journal.db-wal"))
        .unwrap()
        .len()
}

#[tokio::test]
async fn a_second_process_on_the_same_folder_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = start_child(folder.path());
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let stored = lines.find(|line| line.as_ref().is_ok_and(|line| line.starts_with("> stored")));
    assert!(stored.is_some());
    let error = SqliteJournal::open(options(folder.path())).unwrap_err();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(matches!(error, OpenError::Locked { .. }));
    assert!(
        error.to_string().contains("in use by another process"),
        "{error}"
    );
    // The lock goes with the process.
    SqliteJournal::open(options(folder.path()))
        .unwrap()
        .close()
        .await;
}
