//! Golden cases as files: an event, and what becomes of it.
//!
//! `NAME.event.json` is an object: `source`, and if wanted `provider`, `event_type`,
//! `provider_event_id`, `content_type`, `headers` and `attributes` (objects of text), `received_at_ms`,
//! `config` (for this case alone), and the body, as `body` (any JSON, given to the plugin byte for byte as
//! it stands in the file) or as `body_text`. `NAME.expected.json` beside it is `"unchanged"`,
//! `{"forward": [...]}`, `{"drop": "reason"}`, `{"reject": "reason"}`, `{"retry": "reason"}` or
//! `{"other": "reason"}`; the body of a forwarded message is `body`, or `body_text` if it is not JSON.
//! Bodies are compared as text without the white space, so that the order of keys and the spelling of
//! numbers count.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Host, event};
use crate::{Event, Failure, Message, Outcome, Plugin};

/// Why golden cases do not hold.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// A file cannot be read or written, or is not a case.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// There is not one case in the folder.
    #[error("{}: no *{} in it or below", .0.display(), .1)]
    Empty(PathBuf, &'static str),
    /// Outcomes differ from what the files expect.
    #[error("{}", .0.join("\n\n"))]
    Differ(Vec<String>),
}

/// Runs every case in a folder and the folders below it, and returns how many there were. `config` is the
/// plugin's for cases that bring none. With `BLESS=1` in the environment the expectations are rewritten
/// instead of compared; read the difference before you commit it.
///
/// # Errors
/// All cases that do not hold, each with what was expected and what came.
pub fn cases<P: Plugin>(folder: impl AsRef<Path>, config: &str) -> Result<usize, CaseError> {
    let bless = std::env::var_os("BLESS").is_some_and(|value| value == "1");
    check::<P>(folder.as_ref(), config, bless)
}

/// Compares, or rewrites.
pub(super) fn check<P: Plugin>(
    folder: &Path,
    config: &str,
    bless: bool,
) -> Result<usize, CaseError> {
    check_files(folder, ".event.json", bless, |file| run::<P>(file, config))
}

/// Runs every file with this ending, and compares what it told with, or writes it to, the expectation beside it.
pub(super) fn check_files<T: Serialize + DeserializeOwned>(
    folder: &Path,
    ending: &'static str,
    bless: bool,
    run: impl Fn(&Path) -> Result<T, CaseError>,
) -> Result<usize, CaseError> {
    let mut files = Vec::new();
    find(folder, ending, &mut files)?;
    files.sort();
    if files.is_empty() {
        return Err(CaseError::Empty(folder.to_owned(), ending));
    }
    let mut differences = Vec::new();
    for file in &files {
        let got = run(file)?;
        let expectation = PathBuf::from(file.to_string_lossy().replace(ending, ".expected.json"));
        let got = laid_out(&got, &expectation)?;
        if bless {
            fs::write(&expectation, got).map_err(|error| problem(&expectation, &error))?;
            continue;
        }
        let expected: T = serde_json::from_str(&text(&expectation)?)
            .map_err(|error| problem(&expectation, &error))?;
        let expected = laid_out(&expected, &expectation)?;
        if expected != got {
            differences.push(format!("{}\nexpected {expected}got {got}", file.display()));
        }
    }
    if differences.is_empty() {
        Ok(files.len())
    } else {
        Err(CaseError::Differ(differences))
    }
}

/// `NAME.event.json`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    source: String,
    provider: Option<String>,
    event_type: Option<String>,
    provider_event_id: Option<String>,
    content_type: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    received_at_ms: Option<u64>,
    config: Option<Box<RawValue>>,
    body: Option<Box<RawValue>>,
    body_text: Option<String>,
    /// What the case is about, for its reader.
    #[serde(default, rename = "why")]
    _why: String,
}

impl Case {
    fn event(self) -> Event {
        let mut event = event(self.source);
        if let Some(provider) = self.provider {
            event.provider = provider;
        }
        event.event_type = self.event_type.unwrap_or_default();
        event.provider_event_id = self.provider_event_id;
        event.received_at_ms = self.received_at_ms.unwrap_or(event.received_at_ms);
        event.attributes = self.attributes.into_iter().collect();
        if let Some(body) = &self.body {
            event = event.with_body("application/json", body.get());
        }
        if let Some(body) = self.body_text {
            event.body = body.into_bytes();
        }
        for (name, value) in self.headers {
            event = event.with_header(name, value);
        }
        event.content_type = self.content_type.or(event.content_type);
        event
    }
}

fn run<P: Plugin>(file: &Path, config: &str) -> Result<Told, CaseError> {
    let case: Case = serde_json::from_str(&text(file)?).map_err(|error| problem(file, &error))?;
    let config = case.config.as_ref().map_or(config, |own| own.get());
    let host = Host::<P>::new(config).map_err(|error| problem(file, &error))?;
    Ok(Told::from(host.grant_state().handle(case.event())))
}

/// `NAME.expected.json`
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Told {
    Unchanged,
    Forward(Vec<ToldMessage>),
    Drop(String),
    Reject(String),
    Retry(String),
    Other(String),
}

/// A message without the fields that say nothing.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ToldMessage {
    event_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sink: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_text: Option<String>,
}

impl From<Result<Outcome, Failure>> for Told {
    fn from(outcome: Result<Outcome, Failure>) -> Self {
        match outcome {
            Ok(Outcome::Unchanged) => Self::Unchanged,
            Ok(Outcome::Forward(messages)) => {
                Self::Forward(messages.into_iter().map(ToldMessage::from).collect())
            }
            Ok(Outcome::Drop(reason)) => Self::Drop(reason),
            Err(Failure::Reject(reason)) => Self::Reject(reason),
            Err(Failure::Retry { reason, .. }) => Self::Retry(reason),
            Err(Failure::Other(reason)) => Self::Other(reason),
        }
    }
}

impl From<Message> for ToldMessage {
    fn from(message: Message) -> Self {
        let body: Option<Box<RawValue>> = serde_json::from_slice(&message.body).ok();
        let body_text = match body {
            Some(_) => None,
            None => Some(String::from_utf8_lossy(&message.body).into_owned()),
        };
        let headers = message.headers.into_iter().map(|header| {
            let value = String::from_utf8_lossy(&header.value).into_owned();
            (header.name, value)
        });
        Self {
            event_type: message.event_type,
            sink: message.sink,
            key: message.key,
            content_type: message.content_type,
            headers: headers.collect(),
            attributes: message.attributes.into_iter().collect(),
            body,
            body_text,
        }
    }
}

/// The text of an expectation, one value a line, whatever white space it had.
fn laid_out<T: Serialize>(told: &T, path: &Path) -> Result<String, CaseError> {
    let json = serde_json::to_string(told).map_err(|error| problem(path, &error))?;
    let mut text = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut letters = json.chars().peekable();
    while let Some(letter) = letters.next() {
        if in_string {
            text.push(letter);
            in_string = letter != '"' || escaped;
            escaped = letter == '\\' && !escaped;
            continue;
        }
        match letter {
            '{' | '[' => {
                text.push(letter);
                while letters.next_if(char::is_ascii_whitespace).is_some() {}
                match letters.next_if(|next| matches!(next, '}' | ']')) {
                    Some(end) => text.push(end),
                    None => {
                        depth += 1;
                        new_line(&mut text, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut text, depth);
                text.push(letter);
            }
            ',' => {
                text.push(letter);
                new_line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            '"' => {
                text.push(letter);
                in_string = true;
            }
            _ if letter.is_ascii_whitespace() => {}
            _ => text.push(letter),
        }
    }
    text.push('\n');
    Ok(text)
}

fn new_line(text: &mut String, depth: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", depth));
}

fn find(folder: &Path, ending: &str, files: &mut Vec<PathBuf>) -> Result<(), CaseError> {
    for entry in fs::read_dir(folder).map_err(|error| problem(folder, &error))? {
        let path = entry.map_err(|error| problem(folder, &error))?.path();
        if path.is_dir() {
            find(&path, ending, files)?;
        } else if path.to_string_lossy().ends_with(ending) {
            files.push(path);
        }
    }
    Ok(())
}

pub(super) fn text(path: &Path) -> Result<String, CaseError> {
    fs::read_to_string(path).map_err(|error| problem(path, &error))
}

pub(super) fn problem(path: &Path, problem: &dyn std::fmt::Display) -> CaseError {
    CaseError::File {
        path: path.to_owned(),
        problem: problem.to_string(),
    }
}
