//! Resolving: text to [`Config`](super::Config).
//!
//! [`load`] goes through the file once, section by section, and collects every problem. Names are
//! checked last, when all of them are known. Nothing but the file, the environment, the files that
//! it names and, for certificates, the clock is looked at.

mod admission;
mod advice;
mod handshakes;
mod http;
mod plugins;
mod routes;
mod server;
mod sinks;
mod sources;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::diagnostic::{Diagnostic, Diagnostics};
use super::keys;
use super::mask::mask;
use super::read::{Problems, Table, Text};
use super::secrets::{Environment, Lookup, Vault, from_folder, io_reason};
use super::{Config, Plugin, Server, Sink, Source};

/// A config may have this many bytes: 10 000 routes take about 2 MB.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Names of sources, plugins and sinks go into metrics, headers and the journal.
const NAME_BYTES_MAX: usize = 64;

/// Reads a config. The second value holds warnings only.
///
/// # Errors
/// Every error and warning found; [`Diagnostics::render`] prints them.
pub fn load(file: &Path) -> Result<(Config, Diagnostics), Diagnostics> {
    load_with(file, &Environment)
}

/// As [`load`], with another environment.
///
/// # Errors
/// As [`load`].
pub fn load_with(
    file: &Path,
    environment: &dyn Lookup,
) -> Result<(Config, Diagnostics), Diagnostics> {
    let source = read_file(file)?;
    examine_with(file, &source, environment)
}

/// As [`load`], of a text that is not in `file` yet.
///
/// # Errors
/// As [`load`].
pub fn examine(file: &Path, source: &str) -> Result<(Config, Diagnostics), Diagnostics> {
    examine_with(file, source, &Environment)
}

fn examine_with(
    file: &Path,
    source: &str,
    environment: &dyn Lookup,
) -> Result<(Config, Diagnostics), Diagnostics> {
    let mut diagnostics = Diagnostics::new(file, mask(source));
    let (root, syntax) = DeTable::parse_recoverable(source);
    // After a syntax error the tree may lack anything, and complaints about that would be noise. A key that
    // stands twice leaves the rest whole.
    let whole = syntax
        .iter()
        .all(|error| error.message().starts_with("duplicate key"));
    diagnostics.extend(syntax.iter().map(syntax_error));
    if !whole {
        return Err(diagnostics);
    }
    let folder = match file.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let problems = Problems::new(source);
    let reading = Reading {
        problems: &problems,
        vault: Vault {
            folder,
            variable: environment,
            files: RefCell::default(),
        },
    };
    let config = reading.config(file, root.get_ref());
    diagnostics.extend(problems.into_list());
    match config {
        Some(config) if !diagnostics.has_errors() => Ok((config, diagnostics)),
        _ => Err(diagnostics),
    }
}

fn read_file(file: &Path) -> Result<String, Diagnostics> {
    let unreadable = |why: &str| {
        let mut diagnostics = Diagnostics::new(file, "");
        let message = format!("the config `{}` {why}", file.display());
        diagnostics.push(
            Diagnostic::error("file_unreadable", message).hint("name another one with `--config`"),
        );
        diagnostics
    };
    let size = std::fs::metadata(file)
        .map_err(|error| unreadable(&io_reason(&error)))?
        .len();
    if size > FILE_BYTES_MAX {
        return Err(unreadable(&format!("has more than {FILE_BYTES_MAX} bytes")));
    }
    let bytes = std::fs::read(file).map_err(|error| unreadable(&io_reason(&error)))?;
    String::from_utf8(bytes).map_err(|_| unreadable("is not UTF-8"))
}

fn syntax_error(error: &toml::de::Error) -> Diagnostic {
    let message = error.message();
    let (code, message) = if message.starts_with("duplicate key") {
        (
            "duplicate_key",
            "this key stands here a second time".to_owned(),
        )
    } else {
        ("syntax", message.to_owned())
    };
    let diagnostic = Diagnostic::error(code, message);
    match error.span() {
        Some(span) => diagnostic.at(span),
        None => diagnostic,
    }
}

/// What reading a file needs everywhere.
#[derive(Debug)]
struct Reading<'r> {
    problems: &'r Problems<'r>,
    vault: Vault<'r>,
}

/// What a source, plugin or sink was declared as, for whoever names it.
struct Declared<T> {
    name: Text,
    /// `None` if it has errors; its name is known all the same.
    value: Option<T>,
}

impl<'r> Reading<'r> {
    fn config(&self, file: &Path, root: &'r DeTable<'r>) -> Option<Config> {
        let top = Table::open(self.problems, &keys::TOP, root, 0..0);
        let server = self.server(&top);
        let storage = self.storage(&top);
        let has_client_ca = server.as_ref().is_none_or(Server::has_client_ca);
        let (sources, verifiers) = self.sources(&top, has_client_ca);
        let plugins = self.plugins(&top, &verifiers);
        let sinks = self.sinks(&top);
        let routes = self.routes(&top, &sources, &plugins, &verifiers, &sinks);
        Some(Config {
            file: file.to_owned(),
            secret_files: self.vault.files.take(),
            server: server?,
            storage: storage?,
            sources: values::<Source>(sources)?,
            plugins: values::<Plugin>(plugins)?,
            sinks: values::<Sink>(sinks)?,
            routes: routes?,
        })
    }

    fn push(&self, diagnostic: Diagnostic) {
        self.problems.push(diagnostic);
    }

    /// A path of the file, from the file's folder on.
    fn path(&self, table: &Table<'_>, key: &str) -> Option<PathBuf> {
        let text = table.text(key)?;
        if text.value.is_empty() {
            self.push(
                Diagnostic::error("bad_path", format!("`{key}` is empty"))
                    .at(text.span)
                    .hint("relative paths begin at the config's folder"),
            );
            return None;
        }
        Some(from_folder(&self.vault.folder, &text.value))
    }

    /// Records a name that cannot be a metric label or a header value.
    fn check_name(&self, name: &Text) {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.value.is_empty()
            || name.value.len() > NAME_BYTES_MAX
            || !name.value.chars().all(fits)
        {
            let message = format!("`{}` cannot be a name", name.value.escape_debug());
            self.push(Diagnostic::error("bad_name", message).at(name.span.clone()).hint(format!(
                "names have 1 to {NAME_BYTES_MAX} ASCII letters, digits, hyphens, underscores and full stops"
            )));
        }
    }
}

fn values<T>(declared: Vec<Declared<T>>) -> Option<Vec<T>> {
    declared
        .into_iter()
        .map(|declared| declared.value)
        .collect()
}
