//! The vectors through `hookswitch verify`: the preset's name, request file, secrets, parameters, time and window as a
//! person would give them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use super::{Vector, own, published};

/// What the program answers, unless it is what the vector expects.
fn complaint(vector: &Vector) -> Option<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookswitch"));
    command.args(["verify", "--json", "--provider", &vector.preset()]);
    for secret in &vector.secrets {
        command.args(["--secret", secret]);
    }
    for (name, value) in &vector.params {
        command.args(["--param", &format!("{name}={value}")]);
    }
    command.args(["--url", &vector.url]);
    if let Some(now) = vector.now {
        command.args(["--at", &now.to_string()]);
    }
    match vector.tolerance_s {
        None => {}
        Some(None) => drop(command.args(["--tolerance", "none"])),
        Some(Some(seconds)) => drop(command.args(["--tolerance", &format!("{seconds}s")])),
    }
    let mut child = command
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(&request(vector))
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let wanted = match vector.expect.as_str() {
        "valid" => 0,
        _ => 1,
    };
    (output.status.code() != Some(wanted)).then(|| {
        format!(
            "{}: {} instead of {wanted}\n  {}{}",
            vector.id,
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        )
    })
}

/// The raw HTTP/1.1 request.
fn request(vector: &Vector) -> Vec<u8> {
    let mut raw = format!("{} {} HTTP/1.1\r\n", vector.method, vector.target());
    for (name, value) in &vector.headers {
        raw.push_str(&format!("{name}: {value}\r\n"));
    }
    raw.push_str("\r\n");
    let mut raw = raw.into_bytes();
    raw.extend(vector.body());
    raw
}

/// How many vectors of each provider gave their verdict.
fn run(vectors: &[Vector]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let mut complaints = String::new();
    for vector in vectors {
        match complaint(vector) {
            None => *counts.entry(vector.preset()).or_default() += 1,
            Some(complaint) => complaints.push_str(&complaint),
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
    counts
}

#[test]
fn published_vectors_give_their_verdict_through_the_command() {
    let counts = run(&published());
    println!("published vectors through `hookswitch verify`: {counts:?}");
    assert_eq!(counts.len(), 20);
    assert_eq!(counts.values().sum::<usize>(), 122);
}

#[test]
fn independently_signed_vectors_give_their_verdict_through_the_command() {
    let mut vectors = own();
    // The command tells of schemes that a source has to ask for, and says so.
    vectors.retain(|vector| !vector.id.ends_with("-is-off"));
    let counts = run(&vectors);
    println!("own vectors through `hookswitch verify`: {counts:?}");
    assert_eq!(counts.values().sum::<usize>(), vectors.len());
}
