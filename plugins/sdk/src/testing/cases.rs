//! Golden cases as files: an event, and what becomes of it.
//!
//! `NAME.event.json` is an object: `source`, and if wanted `provider`, `event_type`,
//! `provider_event_id`, `content_type`, `headers` and `attributes` (objects of text), `received_at_ms`,
//! `config` (for this case alone), and the body, as `body` (any JSON, given to the plugin byte for byte as
//! it stands in the file) or as `body_text`. `NAME.expected.json` beside it is `"unchanged"`,
//! `{"forward": [...]}`, `{"drop": "reason"}`, `{"reject": "reason"}`, `{"retry": "reason"}` or
//! `{"other": "reason"}`; the body of a forwarded message is JSON, or `body_text` if it is none.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

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
    #[error("{}: no *.event.json in it or below", .0.display())]
    Empty(PathBuf),
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
    let folder = folder.as_ref();
    let mut files = Vec::new();
    find(folder, &mut files)?;
    files.sort();
    if files.is_empty() {
        return Err(CaseError::Empty(folder.to_owned()));
    }
    let bless = std::env::var_os("BLESS").is_some_and(|value| value == "1");
    let mut differences = Vec::new();
    for file in &files {
        let got = run::<P>(file, config)?;
        let expectation = PathBuf::from(
            file.to_string_lossy()
                .replace(".event.json", ".expected.json"),
        );
        if bless {
            let text = format!("{got:#}\n");
            fs::write(&expectation, text).map_err(|error| problem(&expectation, &error))?;
            continue;
        }
        let expected: Value = serde_json::from_str(&text(&expectation)?)
            .map_err(|error| problem(&expectation, &error))?;
        if expected != got {
            differences.push(format!(
                "{}\nexpected {expected:#}\ngot {got:#}",
                file.display()
            ));
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

fn run<P: Plugin>(file: &Path, config: &str) -> Result<Value, CaseError> {
    let case: Case = serde_json::from_str(&text(file)?).map_err(|error| problem(file, &error))?;
    let config = case.config.as_ref().map_or(config, |own| own.get());
    let host = Host::<P>::new(config).map_err(|error| problem(file, &error))?;
    Ok(told(host.grant_state().handle(case.event())))
}

/// The outcome as the files tell it.
fn told(outcome: Result<Outcome, Failure>) -> Value {
    match outcome {
        Ok(Outcome::Unchanged) => json!("unchanged"),
        Ok(Outcome::Forward(messages)) => {
            json!({ "forward": messages.iter().map(message).collect::<Vec<_>>() })
        }
        Ok(Outcome::Drop(reason)) => json!({ "drop": reason }),
        Err(Failure::Reject(reason)) => json!({ "reject": reason }),
        Err(Failure::Retry { reason, .. }) => json!({ "retry": reason }),
        Err(Failure::Other(reason)) => json!({ "other": reason }),
    }
}

/// A message without the fields that say nothing.
fn message(message: &Message) -> Value {
    let mut told = Map::new();
    let mut tell = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            told.insert(name.to_owned(), value);
        }
    };
    let table = |pairs: Vec<(String, String)>| {
        (!pairs.is_empty()).then(|| pairs.into_iter().map(|(k, v)| (k, json!(v))).collect())
    };
    let headers = message.headers.iter().map(|header| {
        let value = String::from_utf8_lossy(&header.value).into_owned();
        (header.name.clone(), value)
    });
    tell("event_type", Some(json!(message.event_type)));
    tell("sink", message.sink.as_ref().map(|sink| json!(sink)));
    tell("key", message.key.as_ref().map(|key| json!(key)));
    tell(
        "content_type",
        message
            .content_type
            .as_ref()
            .map(|media_type| json!(media_type)),
    );
    tell("headers", table(headers.collect()));
    tell("attributes", table(message.attributes.clone()));
    match serde_json::from_slice(&message.body) {
        Ok(body) => tell("body", Some(body)),
        Err(_) => tell(
            "body_text",
            Some(json!(String::from_utf8_lossy(&message.body))),
        ),
    }
    Value::Object(told)
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), CaseError> {
    for entry in fs::read_dir(folder).map_err(|error| problem(folder, &error))? {
        let path = entry.map_err(|error| problem(folder, &error))?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path.to_string_lossy().ends_with(".event.json") {
            files.push(path);
        }
    }
    Ok(())
}

fn text(path: &Path) -> Result<String, CaseError> {
    fs::read_to_string(path).map_err(|error| problem(path, &error))
}

fn problem(path: &Path, problem: &dyn std::fmt::Display) -> CaseError {
    CaseError::File {
        path: path.to_owned(),
        problem: problem.to_string(),
    }
}
