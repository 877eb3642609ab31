//! Secrets on the command line: literal, from a variable, or from a file.
//!
//! A literal can be seen in the process list and the shell's history; the help texts show the other forms first.

use crate::secret::Secret;

use super::args::Usage;

/// Bytes of a secret's file that are read. The longest secrets in use are certificates of some kilobytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Reads all of them, in order.
pub(crate) fn read_all(texts: &[String]) -> Result<Vec<Secret>, Usage> {
    texts.iter().map(|text| read(text)).collect()
}

fn read(text: &str) -> Result<Secret, Usage> {
    if let Some(name) = text.strip_prefix("env:") {
        return std::env::var(name)
            .map(|value| Secret::new(&value))
            .map_err(|_| {
                Usage::new(format!("the variable `{name}` is not set, or is not text"))
                    .hint("export it in the shell that runs this command")
            });
    }
    if let Some(path) = text.strip_prefix("file:") {
        return read_file(path).map_err(|error| {
            Usage::new(format!("cannot read the secret's file `{path}`: {error}"))
        });
    }
    Ok(Secret::new(text))
}

fn read_file(path: &str) -> std::io::Result<Secret> {
    use std::io::Read;

    let mut text = String::new();
    std::fs::File::open(path)?
        .take(FILE_BYTES_MAX)
        .read_to_string(&mut text)?;
    Ok(Secret::new(&text))
}
