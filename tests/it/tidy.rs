//! The house rules that a compiler does not hold: fences between modules, sizes, heads, words and papers.
//!
//! A message says where, what, and what to do instead. All faults of a rule are shown at once.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Folders that are not ours or not source.
const SKIPPED_FOLDERS: [&str; 7] = [
    "target",
    ".git",
    "data",
    "out",
    "node_modules",
    "vendor",
    ".venv",
];
/// Lines of a source file; tests apart.
const LINES_MAX: usize = 600;
/// Which modules of `host/` may name a crate. Everybody else goes through those modules.
const FENCES: [(&str, &[&str]); 10] = [
    ("hyper", HTTP),
    ("hyper_util", HTTP),
    ("hyper_rustls", &["network/trust", "sink/http", "cli/send"]),
    ("wasmtime", &["plugin"]),
    ("wasmtime_wasi", &["plugin"]),
    ("rdkafka", &["sink/kafka"]),
    ("lapin", &["sink/rabbitmq"]),
    ("rusqlite", &["journal"]),
    ("notify", &["reload"]),
    ("notify_debouncer_full", &["reload"]),
];
const HTTP: &[&str] = &[
    "ingress",
    "admin",
    "fetch",
    "sink/http",
    "cli/send",
    "cli/receive",
    "cli/events",
];

#[test]
fn crates_stay_behind_their_fences() {
    let mut faults = Vec::new();
    for file in rust_files("host").filter(|file| !is_test(&file.path)) {
        let module = file.path.trim_start_matches("host/");
        for (name, allowed) in FENCES {
            if allowed.iter().any(|fence| is_within(module, fence)) {
                continue;
            }
            for (number, line) in file.code() {
                if names_crate(line, name) {
                    let place = allowed.join(", ");
                    faults.push(format!(
                        "{}:{number}: `{name}` belongs to {place}; ask that module",
                        file.path
                    ));
                }
            }
        }
    }
    report(&faults);
}

#[test]
fn no_source_file_outgrows_its_noun() {
    let all = ["host", "xtask", "plugins", "tests"]
        .into_iter()
        .flat_map(rust_files);
    let long = all.filter(|file| !is_test(&file.path) && file.text.lines().count() > LINES_MAX);
    let told = |file: Source| {
        format!(
            "{}: more than {LINES_MAX} lines; which second noun is in it?",
            file.path
        )
    };
    report(&long.map(told).collect::<Vec<_>>());
}

#[test]
fn every_source_file_opens_with_its_purpose() {
    let all = ["host", "xtask", "plugins", "tests"]
        .into_iter()
        .flat_map(rust_files);
    let bare = all.filter(|file| !opens_with_purpose(&file.text));
    let told = |file: Source| format!("{}: begin with `//! ` and what it is for", file.path);
    report(&bare.map(told).collect::<Vec<_>>());
}

#[test]
fn nothing_unfinished_is_left_in_the_source() {
    // In two parts, so that this file does not find itself.
    let banned = [
        (concat!("to", "do!"), "write it, or return an error"),
        (
            concat!("unimpl", "emented!"),
            "write it, or return an error",
        ),
        (
            concat!("FIX", "ME"),
            "mend it, or say in a sentence what is so",
        ),
        (
            concat!("XX", "X"),
            "mend it, or say in a sentence what is so",
        ),
        (concat!("db", "g!"), "use tracing, or nothing"),
    ];
    let mut faults = Vec::new();
    for file in ["host", "xtask", "plugins", "tests"]
        .into_iter()
        .flat_map(rust_files)
    {
        for (number, line) in (1..).zip(file.text.lines()) {
            for (word, instead) in banned {
                if line.contains(word) {
                    faults.push(format!("{}:{number}: `{word}`: {instead}", file.path));
                }
            }
        }
    }
    report(&faults);
}

#[test]
fn every_decision_record_has_a_status() {
    let records = files_below(&root().join("docs/adr"))
        .into_iter()
        .filter(|path| is_kind(path, "md"));
    let without = records.filter(|path| {
        let text = fs::read_to_string(path).unwrap_or_default();
        !text.lines().any(|line| {
            line.trim_start_matches(['#', '*', ' ', '-'])
                .starts_with("Status")
        })
    });
    report(
        &without
            .map(|path| format!("{}: no line `Status: ...`", shown(&path)))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn nothing_names_a_developers_machine() {
    let paths = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
    ];
    let kinds = ["rs", "md", "toml", "wit", "yml", "yaml", "service", "sh"];
    let mut faults = Vec::new();
    for path in files_below(&root())
        .into_iter()
        .filter(|path| kinds.iter().any(|kind| is_kind(path, kind)))
    {
        let text = fs::read_to_string(&path).unwrap_or_default();
        for (number, line) in (1..).zip(text.lines()) {
            if let Some(found) = paths.iter().find(|found| line.contains(**found)) {
                faults.push(format!(
                    "{}:{number}: `{found}`: say it without a machine's own path",
                    shown(&path)
                ));
            }
        }
    }
    report(&faults);
}

#[test]
fn every_dependency_comes_from_the_public_registry() {
    let mut faults = Vec::new();
    for path in files_below(&root())
        .into_iter()
        .filter(|path| path.ends_with("Cargo.lock"))
    {
        let text = fs::read_to_string(&path).unwrap_or_default();
        for source in text.lines().filter(|line| line.starts_with("source = ")) {
            if source != r#"source = "registry+https://github.com/rust-lang/crates.io-index""# {
                faults.push(format!(
                    "{}: {source}: use a released version",
                    shown(&path)
                ));
            }
        }
    }
    report(&faults);
}

/// A source file, its path as seen from the root.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// Numbered lines that are not comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..)
            .zip(self.text.lines())
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &str) -> impl Iterator<Item = Source> {
    let files = files_below(&root().join(folder))
        .into_iter()
        .filter(|path| is_kind(path, "rs"));
    files.map(|path| Source {
        text: fs::read_to_string(&path).unwrap_or_default(),
        path: shown(&path),
    })
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && SKIPPED_FOLDERS.iter().any(|skip| name == *skip) => {}
                Ok(kind) if kind.is_dir() => folders.push(path),
                Ok(kind) if kind.is_file() => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}

fn is_kind(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

/// Tests may use any crate, as a witness from outside, and be as long as their tables.
fn is_test(path: &str) -> bool {
    path.starts_with("tests/")
        || path.contains("/tests/")
        || path.ends_with("tests.rs")
        || path.ends_with("/testing.rs")
}

/// A library may open with its README instead.
fn opens_with_purpose(text: &str) -> bool {
    text.starts_with("//! ") || text.starts_with("#![doc = include_str!(")
}

/// True for `sink/http.rs` and `sink/http/pool.rs` within `sink/http`.
fn is_within(module: &str, fence: &str) -> bool {
    module
        .strip_prefix(fence)
        .is_some_and(|rest| rest.starts_with('/') || rest == ".rs")
}

/// True for a path or import that begins with the crate, not for `self::notify` or `hyper_util` when asked for `hyper`.
fn names_crate(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + name.len()..]);
        let starts = !before
            .ends_with(|letter: char| letter.is_alphanumeric() || letter == '_' || letter == '"')
            && (!before.ends_with("::") || before.trim_start() == "::")
            && !before.ends_with('.');
        let imported = before.trim_end().ends_with("use")
            && (after.starts_with(';') || after.starts_with(" as "));
        starts && (after.starts_with("::") || imported)
    })
}

fn report(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn a_crate_is_told_from_a_word_that_looks_like_it() {
    let named = [
        "use hyper::body;",
        "let x = hyper::Request::new();",
        "use hyper;",
        "    ::hyper::x()",
    ];
    for line in named {
        assert!(names_crate(line, "hyper"), "{line}");
    }
    for line in [
        "use hyper_util::rt;",
        "self::hyper::x",
        "\"hyper::\"",
        "waiter.notify::<T>()",
        "let hyper = 1;",
    ] {
        assert!(
            !names_crate(line, "hyper") && !names_crate(line, "notify"),
            "{line}"
        );
    }
}
