//! The file sink against a real folder.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;

use super::super::testing::{config_of, delivery};
use super::*;
use crate::config::SinkKind;

fn sink(path: &Path, rotate_bytes: u64, keep: usize) -> FileSink {
    let file = config::File {
        path: path.to_owned(),
        rotate_bytes,
        keep,
    };
    let config = config_of(SinkKind::File(file.clone()), Duration::from_secs(5));
    FileSink::new(&config, &file).unwrap()
}

fn ids(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines()
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            value["id"].as_str().unwrap().to_owned()
        })
        .collect()
}

#[tokio::test]
async fn deliveries_at_once_become_one_line_each_and_the_folder_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/audit.jsonl");
    let sink = sink(&path, 0, 0);
    let deliveries: Vec<_> = (0..500)
        .map(|n| delivery(&format!("m-{n}"), b"{}"))
        .collect();
    for outcome in join_all(deliveries.iter().map(|d| sink.deliver(d))).await {
        assert_eq!(outcome.unwrap().code, "synced");
    }
    let mut found = ids(&path);
    found.sort();
    let mut expected: Vec<_> = deliveries.into_iter().map(|d| d.message_id).collect();
    expected.sort();
    assert_eq!(found, expected);
    sink.close().await;
    let error = sink.deliver(&delivery("late", b"{}")).await.unwrap_err();
    assert_eq!(
        (error.class, error.code.as_str()),
        (Class::Transient, "closed")
    );
}

#[tokio::test]
async fn rotation_keeps_as_many_files_as_it_was_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    // Room for one line of about 250 bytes in each file.
    let sink = sink(&path, 300, 2);
    for n in 1..=5 {
        sink.deliver(&delivery(&format!("m-{n}"), b"{}"))
            .await
            .unwrap();
    }
    assert_eq!(ids(&path), ["m-5"]);
    assert_eq!(ids(&folder.path().join("audit.jsonl.1")), ["m-4"]);
    assert_eq!(ids(&folder.path().join("audit.jsonl.2")), ["m-3"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    sink.close().await;
}

#[tokio::test]
async fn a_line_that_a_crash_tore_is_cut_off_before_the_next_is_written() {
    let torn_in_the_middle = format!("{{\"id\":\"whole\"}}\n{{\"id\":\"{}", "x".repeat(200_000));
    for (before, expected) in [
        ("{\"id\":\"whole\"}\n{\"id\":\"to", vec!["whole", "new"]),
        (&torn_in_the_middle, vec!["whole", "new"]),
        ("{\"id\":\"no newline at all\"", vec!["new"]),
        ("{\"id\":\"whole\"}\n", vec!["whole", "new"]),
        ("", vec!["new"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        fs::write(&path, before).unwrap();
        let sink = sink(&path, 0, 0);
        sink.deliver(&delivery("new", b"{}")).await.unwrap();
        assert_eq!(ids(&path), expected);
        sink.close().await;
    }
}

#[tokio::test]
async fn a_file_that_was_moved_away_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let sink = sink(&path, 0, 0);
    sink.deliver(&delivery("m-1", b"{}")).await.unwrap();
    fs::rename(&path, folder.path().join("moved")).unwrap();
    sink.deliver(&delivery("m-2", b"{}")).await.unwrap();
    assert_eq!(ids(&path), ["m-2"]);
    sink.close().await;
}

#[tokio::test]
async fn two_sinks_share_a_file_through_rotations_without_losing_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let sinks = [sink(&path, 4_000, 1_000), sink(&path, 4_000, 1_000)];
    let deliveries: Vec<_> = (0..200)
        .map(|n| delivery(&format!("m-{n}"), b"{}"))
        .collect();
    let attempts = deliveries.iter().enumerate();
    for outcome in join_all(attempts.map(|(n, d)| sinks[n % 2].deliver(d))).await {
        outcome.unwrap();
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(folder.path()).unwrap() {
        found.extend(ids(&entry.unwrap().path()));
    }
    assert_eq!(found.len(), deliveries.len());
    for sink in sinks {
        sink.close().await;
    }
}

#[tokio::test]
async fn a_path_that_cannot_be_a_file_needs_an_operator() {
    let folder = tempfile::tempdir().unwrap();
    let sink = sink(folder.path(), 0, 0);
    let error = sink.deliver(&delivery("m-1", b"{}")).await.unwrap_err();
    assert_eq!(
        (error.class, error.code.as_str()),
        (Class::Configuration, "bad_path")
    );
    assert!(error.detail.contains(&folder.path().display().to_string()));
    sink.close().await;
}

#[tokio::test]
async fn a_full_disk_is_transient_and_leaves_nothing_behind() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        eprintln!("SKIPPED: no /dev/full on this system");
        return;
    }
    let error = fs::OpenOptions::new()
        .write(true)
        .open(full)
        .and_then(|mut file| std::io::Write::write_all(&mut file, b"x"))
        .unwrap_err();
    assert_eq!(classify(&error), (Class::Transient, "disk_full"));
}

#[test]
fn errors_of_the_system_have_their_classes() {
    use io::ErrorKind as Kind;
    for (kind, expected) in [
        (Kind::StorageFull, (Class::Transient, "disk_full")),
        (Kind::QuotaExceeded, (Class::Transient, "disk_full")),
        (
            Kind::PermissionDenied,
            (Class::Configuration, "permission_denied"),
        ),
        (
            Kind::ReadOnlyFilesystem,
            (Class::Configuration, "permission_denied"),
        ),
        (Kind::NotADirectory, (Class::Configuration, "bad_path")),
        (Kind::Interrupted, (Class::Transient, "io")),
        (Kind::Other, (Class::Transient, "io")),
    ] {
        assert_eq!(classify(&io::Error::from(kind)), expected, "{kind:?}");
    }
}
