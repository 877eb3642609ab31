//! What a test run left out, and why: one list for all test programs of a run.

use std::{env, fs::OpenOptions, io::Write};

/// The variable with the file that [`record`] appends to; `cargo xtask test` sets it and reads the file.
pub const LIST: &str = "HOOKSWITCH_SKIPPED";

/// Says that tests of `what` were left out because of `reason`.
pub fn record(what: &str, reason: &str) {
    let reason = reason.replace(['\n', '\t'], " ");
    eprintln!("skipped: {what} ({reason})");
    if let Some(path) = env::var_os(LIST)
        && let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path)
    {
        // One write, so that lines of several programs do not mix.
        file.write_all(format!("{what}\t{reason}\n").as_bytes())
            .ok();
    }
}
