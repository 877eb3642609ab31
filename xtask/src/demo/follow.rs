//! Follows an event through the admin API to its end, and tells its way in a line.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde_json::Value;

use super::setting::Setting;
use crate::http;

/// All sinks of the demonstration are on this machine; what takes longer does not arrive.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a forged event is given to appear after all.
const PATIENCE_FORGED: Duration = Duration::from_millis(300);
const POLL: Duration = Duration::from_millis(50);

/// The way of one event, in words.
pub(super) struct Way {
    source: String,
    kind: String,
    verdict: String,
    plugins: String,
    sinks: String,
    /// True if it went as it should.
    pub(super) as_it_should: bool,
}

impl Way {
    pub(super) fn name(&self) -> &str {
        &self.source
    }
}

/// The ids of all events that the host lists.
pub(super) fn known_events(admin: &str) -> Result<BTreeSet<String>> {
    Ok(events(admin)?.iter().filter_map(id).collect())
}

/// Follows the event of `source` that is not in `seen` until it is finished.
pub(super) fn follow(
    setting: &Setting,
    folder: &Path,
    source: &str,
    code: Option<i32>,
    said: &str,
    seen: &mut BTreeSet<String>,
) -> Result<Way> {
    let accepted = code == Some(0);
    let mut way = Way {
        source: source.to_owned(),
        kind: "?".to_owned(),
        verdict: if accepted {
            "authentic, stored".to_owned()
        } else {
            format!("refused: {}", last_line(said))
        },
        plugins: "-".to_owned(),
        sinks: "-".to_owned(),
        as_it_should: false,
    };
    if !accepted {
        return Ok(way);
    }
    let deadline = Instant::now() + PATIENCE;
    let event = loop {
        let found = new_event(&setting.admin, source, seen)?;
        match found {
            Some(event) if event.get("finished") == Some(&Value::Bool(true)) => break event,
            Some(event) if Instant::now() >= deadline => break event,
            None if Instant::now() >= deadline => {
                way.verdict = "accepted, but not in the journal".to_owned();
                return Ok(way);
            }
            _ => std::thread::sleep(POLL),
        }
    };
    let id = id(&event).unwrap_or_default();
    // The listing may leave out what only the single event tells.
    let event = match http::page(&setting.admin, &format!("/events/{id}")) {
        Ok(text) => serde_json::from_str(&text).unwrap_or(event),
        Err(_) => event,
    };
    let event = event
        .get("event")
        .filter(|inner| inner.get("deliveries").is_some())
        .unwrap_or(&event);
    seen.insert(id.clone());

    let deliveries = event
        .get("deliveries")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    way.kind = text(event, "type");
    way.plugins = plugins(&deliveries, decision(setting, folder, &id));
    let told: Vec<String> = deliveries.iter().map(delivery).collect();
    way.sinks = if told.is_empty() {
        "none".to_owned()
    } else {
        told.join(", ")
    };
    way.as_it_should = !deliveries.is_empty()
        && deliveries
            .iter()
            .all(|delivery| text(delivery, "state") == "delivered");
    Ok(way)
}

/// Makes sure that a forged event was refused and is nowhere.
pub(super) fn refused(
    setting: &Setting,
    source: &str,
    code: Option<i32>,
    said: &str,
    seen: &BTreeSet<String>,
) -> Result<Way> {
    std::thread::sleep(PATIENCE_FORGED);
    let stored = new_event(&setting.admin, source, seen)?.is_some();
    let refused = code != Some(0);
    Ok(Way {
        source: format!("{source} (forged)"),
        kind: "-".to_owned(),
        verdict: if refused {
            format!("refused: {}", last_line(said))
        } else {
            "ACCEPTED".to_owned()
        },
        plugins: "not called".to_owned(),
        sinks: if stored {
            "STORED".to_owned()
        } else {
            "nothing stored, nothing sent".to_owned()
        },
        as_it_should: refused && !stored,
    })
}

/// The ways under one another.
pub(super) fn table(ways: &[Way]) -> String {
    let mut rows = vec![["EVENT OF", "TYPE", "VERDICT", "PLUGINS", "SINKS", ""].map(str::to_owned)];
    rows.extend(ways.iter().map(|way| {
        let mark = if way.as_it_should {
            "ok"
        } else {
            "NOT AS IT SHOULD BE"
        };
        [
            &way.source,
            &way.kind,
            &way.verdict,
            &way.plugins,
            &way.sinks,
            mark,
        ]
        .map(|cell: &str| cell.to_owned())
    }));
    crate::table::aligned(&rows)
}

fn events(admin: &str) -> Result<Vec<Value>> {
    let page = http::page(admin, "/events?limit=1000")?;
    let page: Value = serde_json::from_str(&page).context("GET /events gave no JSON")?;
    Ok(page
        .get("events")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default())
}

fn new_event(admin: &str, source: &str, seen: &BTreeSet<String>) -> Result<Option<Value>> {
    let is_new = |event: &Value| {
        text(event, "source") == source && id(event).is_some_and(|id| !seen.contains(&id))
    };
    Ok(events(admin)?.into_iter().find(is_new))
}

fn id(event: &Value) -> Option<String> {
    event.get("id").and_then(Value::as_str).map(str::to_owned)
}

fn text(value: &Value, key: &str) -> String {
    value
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// `audit delivered`, or `crm dead: http_400 (...)`.
fn delivery(delivery: &Value) -> String {
    let (sink, state, code) = (
        text(delivery, "sink"),
        text(delivery, "state"),
        text(delivery, "code"),
    );
    let sink = if sink.is_empty() {
        "no sink".to_owned()
    } else {
        sink
    };
    if state == "delivered" {
        // A file has no answer of its own worth a word.
        let is_answer = code.chars().all(|letter| letter.is_ascii_digit()) && !code.is_empty();
        if is_answer {
            format!("{sink} ({code})")
        } else {
            sink
        }
    } else {
        format!("{sink} {state}: {code} {}", text(delivery, "detail"))
            .trim_end()
            .to_owned()
    }
}

/// The plugins that had a part in it, without their hashes, and the decision they came to.
fn plugins(deliveries: &[Value], decision: Option<String>) -> String {
    let mut names: Vec<String> = Vec::new();
    for delivery in deliveries {
        let told = match delivery.get("plugins") {
            Some(Value::Array(list)) => list
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            Some(Value::String(list)) => list.split([' ', ',']).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        for name in told {
            let name = name.split('@').next().unwrap_or_default().to_owned();
            if !name.is_empty() && !names.contains(&name) {
                names.push(name);
            }
        }
    }
    let chain = if names.is_empty() {
        "-".to_owned()
    } else {
        names.join(" > ")
    };
    match decision {
        Some(decision) => format!("{chain}: {decision}"),
        None => chain,
    }
}

/// What the plugins made of it, read where any consumer would: in the file sink's last line about this event.
fn decision(setting: &Setting, folder: &Path, id: &str) -> Option<String> {
    let lines = fs::read_to_string(folder.join(setting.file.as_ref()?)).ok()?;
    let line = lines.lines().rev().find(|line| line.contains(id))?;
    find_text(&serde_json::from_str(line).ok()?, "decision")
}

/// The first text under `key`, at any depth, also inside a text that is JSON itself.
fn find_text(value: &Value, key: &str) -> Option<String> {
    match value {
        Value::Object(map) => match map.get(key) {
            Some(Value::String(found)) => Some(found.clone()),
            _ => map.values().find_map(|value| find_text(value, key)),
        },
        Value::Array(list) => list.iter().find_map(|value| find_text(value, key)),
        Value::String(inner) if inner.starts_with('{') => {
            find_text(&serde_json::from_str(inner).ok()?, key)
        }
        _ => None,
    }
}

fn last_line(said: &str) -> String {
    said.lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("no word")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_delivery_is_told_in_a_few_words() {
        let cases = [
            (
                json!({"sink": "audit", "state": "delivered", "code": "written"}),
                "audit",
            ),
            (
                json!({"sink": "crm", "state": "delivered", "code": "204"}),
                "crm (204)",
            ),
            (
                json!({"sink": "", "state": "dropped", "detail": "test event"}),
                "no sink dropped:  test event",
            ),
            (
                json!({"sink": "crm", "state": "dead", "code": "http_400"}),
                "crm dead: http_400",
            ),
        ];
        for (value, told) in cases {
            assert_eq!(delivery(&value), told);
        }
    }

    #[test]
    fn the_decision_is_found_in_nested_json() {
        let line = json!({"id": "1", "data": "{\"a\": [{\"decision\": \"approved\"}]}"});
        assert_eq!(find_text(&line, "decision").as_deref(), Some("approved"));
        assert_eq!(find_text(&json!({"decision": {"x": 1}}), "decision"), None);
    }
}
