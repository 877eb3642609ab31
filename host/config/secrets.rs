//! Secrets of a config: `env:NAME` and `file:PATH` references to values.
//!
//! A value is read here and goes nowhere but into a [`Secret`]; messages name the reference only.

use std::cell::RefCell;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::diagnostic::Diagnostic;
use super::read::{Problems, Text};
use crate::secret::Secret;

/// A secret's file may be this large; keys and tokens are far smaller.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// A secret below this many bytes can be guessed: 16 bytes are the 128 bits of the usual advice.
const SHORT_BYTES: usize = 16;

/// Where references lead.
#[derive(Debug)]
pub struct Vault<'v> {
    /// Relative `file:` paths begin here.
    pub folder: PathBuf,
    /// Looks a variable up, so that tests need no environment.
    pub variable: &'v dyn Lookup,
    /// The files that `file:` references led to, in the order met.
    pub files: RefCell<Vec<PathBuf>>,
}

/// The environment, or a test's.
pub trait Lookup: std::fmt::Debug {
    /// The variable's value.
    fn variable(&self, name: &str) -> Option<OsString>;
}

/// The process's environment.
#[derive(Debug)]
pub struct Environment;

impl Lookup for Environment {
    fn variable(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }
}

impl Vault<'_> {
    /// The value of a reference; `None` if it is no reference, or has no good value, which is recorded.
    #[must_use]
    pub fn secret(&self, problems: &Problems<'_>, reference: &Text) -> Option<Secret> {
        match self.resolve(&reference.value) {
            Some(Ok(secret)) => Some(secret),
            Some(Err(diagnostic)) => {
                problems.push(diagnostic.at(reference.span.clone()));
                None
            }
            None => {
                problems.push(
                    Diagnostic::error("secret_inline", "a secret must not stand in this file")
                        .at(reference.span.clone())
                        .label("neither `env:NAME` nor `file:PATH`")
                        .hint("put it into a variable or a file and write `\"env:NAME\"` or `\"file:PATH\"`"),
                );
                None
            }
        }
    }

    /// As [`Vault::secret`], and a value that is easily guessed is warned of.
    #[must_use]
    pub fn signing_secret(&self, problems: &Problems<'_>, reference: &Text) -> Option<Secret> {
        let secret = self.secret(problems, reference)?;
        let bytes = secret.expose().len();
        if bytes < SHORT_BYTES {
            problems.push(
                Diagnostic::warning(
                    "secret_short",
                    format!("the secret `{}` has only {bytes} bytes", reference.value),
                )
                .at(reference.span.clone())
                .hint(format!("use at least {SHORT_BYTES} random bytes")),
            );
        }
        Some(secret)
    }

    /// The value of a reference, or the text itself where it is none.
    #[must_use]
    pub fn secret_or_text(&self, problems: &Problems<'_>, text: &Text) -> Option<Secret> {
        match self.resolve(&text.value) {
            Some(Ok(secret)) => Some(secret),
            Some(Err(diagnostic)) => {
                problems.push(diagnostic.at(text.span.clone()));
                None
            }
            None => Some(Secret::new(&text.value)),
        }
    }

    fn resolve(&self, reference: &str) -> Option<Result<Secret, Box<Diagnostic>>> {
        let value = if let Some(name) = reference.strip_prefix("env:") {
            self.in_variable(name)
        } else if let Some(path) = reference.strip_prefix("file:") {
            self.in_file(path)
        } else {
            return None;
        };
        Some(value.and_then(|value| {
            let secret = Secret::new(&value);
            if secret.is_empty() {
                let message = format!("the secret `{reference}` is empty");
                let hint = "an empty secret would let anybody in";
                return Err(Box::new(
                    Diagnostic::error("secret_empty", message).hint(hint),
                ));
            }
            Ok(secret)
        }))
    }

    fn in_variable(&self, name: &str) -> Result<String, Box<Diagnostic>> {
        let missing = |why: &str| {
            Diagnostic::error(
                "secret_missing",
                format!("the environment variable `{name}` {why}"),
            )
        };
        let value = self.variable.variable(name).ok_or_else(|| {
            let hint = format!("set it, for example with `export {name}=...`");
            Box::new(missing("is not set").hint(hint))
        })?;
        value
            .into_string()
            .map_err(|_| Box::new(missing("is not UTF-8")))
    }

    fn in_file(&self, path: &str) -> Result<String, Box<Diagnostic>> {
        let full = self.folder.join(path);
        self.files.borrow_mut().push(full.clone());
        let unreadable = |why: &str| {
            let message = format!("the secret's file `{path}` {why}");
            let hint = format!("it is looked for at {}", full.display());
            Box::new(Diagnostic::error("secret_missing", message).hint(hint))
        };
        let size = std::fs::metadata(&full)
            .map_err(|error| unreadable(&io_reason(&error)))?
            .len();
        if size > FILE_BYTES_MAX {
            return Err(unreadable(&format!("has more than {FILE_BYTES_MAX} bytes")));
        }
        let bytes = std::fs::read(&full).map_err(|error| unreadable(&io_reason(&error)))?;
        String::from_utf8(bytes).map_err(|_| unreadable("is not UTF-8"))
    }
}

/// Why a file could not be read, to follow its name.
pub fn io_reason(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound => "does not exist".to_owned(),
        ErrorKind::PermissionDenied => "may not be read by this user".to_owned(),
        ErrorKind::IsADirectory => "is a folder".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

/// `path` from `folder` on, unless it is absolute.
pub fn from_folder(folder: &Path, path: &str) -> PathBuf {
    folder.join(path)
}
