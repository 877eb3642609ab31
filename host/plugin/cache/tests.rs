//! Tests of the folder of compiled components.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::os::unix::fs::PermissionsExt;

use super::*;

fn cache() -> (tempfile::TempDir, Cache) {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path().join("deep/components"), 7).unwrap();
    (folder, cache)
}

fn put(cache: &Cache, component: &[u8], code: &[u8]) -> PathBuf {
    let sha = sha256(component);
    let draft = cache.draft(&sha);
    fs::write(draft.path(), code).unwrap();
    cache.store(&sha, draft).unwrap()
}

#[test]
fn what_was_stored_is_found_under_its_component_only() {
    let (_folder, cache) = cache();
    let path = put(&cache, b"one", b"code of one");
    assert_eq!(cache.find(&sha256(b"one")).unwrap(), Some(path.clone()));
    assert_eq!(fs::read(path).unwrap(), b"code of one");
    assert_eq!(cache.find(&sha256(b"two")).unwrap(), None);
}

#[test]
fn other_engine_settings_do_not_find_it() {
    let (_folder, cache) = cache();
    put(&cache, b"one", b"code");
    let other = Cache::open(cache.folder.clone(), 8).unwrap();
    assert_eq!(other.find(&sha256(b"one")).unwrap(), None);
}

#[test]
fn damaged_truncated_and_unsigned_code_is_not_given_out() {
    type Damage = fn(&Path);
    let table: [(&str, Damage); 3] = [
        ("changed", |path| fs::write(path, b"evil code").unwrap()),
        ("cut", |path| fs::write(path, b"").unwrap()),
        ("digest gone", |path| {
            fs::remove_file(path.with_extension(DIGEST)).unwrap();
        }),
    ];
    for (name, damage) in table {
        let (_folder, cache) = cache();
        damage(&put(&cache, b"one", b"good code"));
        assert_eq!(cache.find(&sha256(b"one")).unwrap(), None, "{name}");
        put(&cache, b"one", b"good code");
        assert!(cache.find(&sha256(b"one")).unwrap().is_some(), "{name}");
    }
}

#[test]
fn the_folder_is_private_and_one_that_is_not_is_refused() {
    let (_folder, cache) = cache();
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&cache.folder), 0o700);
    fs::set_permissions(&cache.folder, fs::Permissions::from_mode(0o770)).unwrap();
    let error = cache.find(&sha256(b"one")).unwrap_err();
    assert!(error.to_string().contains("open to others"), "{error}");
    assert!(Cache::open(cache.folder.clone(), 7).is_err());
}

#[test]
fn a_symbolic_link_is_no_folder() {
    let (folder, cache) = cache();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&cache.folder, &link).unwrap();
    let error = Cache::open(link, 7).unwrap_err();
    assert!(error.to_string().contains("is not a folder"), "{error}");
}

#[test]
fn a_dropped_draft_leaves_nothing_behind() {
    let (_folder, cache) = cache();
    let draft = cache.draft(&sha256(b"one"));
    fs::write(draft.path(), b"half").unwrap();
    drop(draft);
    assert_eq!(fs::read_dir(&cache.folder).unwrap().count(), 0);
}

#[test]
fn the_oldest_entries_go_and_a_used_one_stays() {
    let (_folder, cache) = cache();
    let age = |path: &Path, seconds: u64| {
        let then = SystemTime::now() - Duration::from_secs(seconds);
        File::open(path).unwrap().set_modified(then).unwrap();
    };
    for number in 0..ENTRIES_MAX as u64 {
        let path = put(&cache, &number.to_le_bytes(), b"code");
        age(&path, 10_000 - number);
    }
    let (oldest, second) = (sha256(&0_u64.to_le_bytes()), sha256(&1_u64.to_le_bytes()));
    assert!(cache.find(&oldest).unwrap().is_some(), "and marks it used");
    put(&cache, b"one more", b"code");
    assert!(cache.find(&oldest).unwrap().is_some());
    assert!(cache.find(&second).unwrap().is_none());
    assert_eq!(
        fs::read_dir(&cache.folder).unwrap().count(),
        2 * ENTRIES_MAX
    );
}
