//! Words: what a preset says, for people. Pure.
//!
//! Works on the preset's own text, and not on what it is parsed to: the scheme language reads well as it is, and a
//! key that is new here is shown as it stands instead of being left out.

mod exchange;
mod way;

use toml::{Table, Value};

use super::Preset;
use crate::verify::Coverage;

/// How a preset's provider signs, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// The kind of scheme in a word or two.
    pub family: String,
    /// How much of the body a signature covers: `full`, `partial`, `none`, or `full/none` where it depends on the
    /// secret.
    pub coverage: String,
    /// Each way that is accepted, a sentence without full stop.
    pub ways: Vec<String>,
    /// The largest differences in time, empty where no time is looked at.
    pub tolerance: Vec<String>,
    /// Where the event's id stands, best first.
    pub event_id: Vec<String>,
    /// Where its type stands, best first.
    pub event_type: Vec<String>,
    /// What a delivery is recognised by where that is not its event's id.
    pub dedupe_by: Vec<String>,
    /// Parameters without which the scheme, or a handshake, cannot work.
    pub required: Vec<String>,
    /// Parameters that a source should have, and why.
    pub advised: Vec<(String, String)>,
    /// True if the sender publishes its keys, so that a source can do without a secret.
    pub publishes_keys: bool,
    /// What the provider asks before it sends events.
    pub handshakes: Vec<Handshake>,
}

/// A question that the provider asks, and that a source answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// Its name.
    pub name: String,
    /// When it is asked.
    pub about: String,
    /// How it is asked and answered.
    pub how: String,
}

impl Words {
    /// Those of a preset.
    #[must_use]
    pub fn of(preset: &Preset) -> Self {
        let coverages = preset.scheme.coverages();
        let coverages: Vec<&str> = coverages.into_iter().map(Coverage::as_str).collect();
        Self {
            coverage: coverages.join("/"),
            ..Self::read(preset.text)
        }
    }

    /// Whether a source must give the parameter: `required`, `advised` or `optional`.
    #[must_use]
    pub fn need_of(&self, param: &str) -> &'static str {
        if self.required.iter().any(|name| name == param) {
            "required"
        } else if self.advised.iter().any(|(name, _)| name == param) {
            "advised"
        } else {
            "optional"
        }
    }

    /// Reads them out of a preset's text. A text that is no TOML says nothing.
    fn read(preset: &str) -> Self {
        let preset: Table = preset.parse().unwrap_or_default();
        let scheme = preset.get("scheme").and_then(Value::as_table);
        let empty = Table::new();
        let whole = scheme.unwrap_or(&empty);
        let ways: Vec<&Table> = match whole.get("any_of").and_then(Value::as_array) {
            Some(ways) => ways.iter().filter_map(Value::as_table).collect(),
            None => vec![whole],
        };
        let mut tolerance: Vec<String> = Vec::new();
        for time in ways.iter().filter_map(|way| table(way, "timestamp")) {
            let words = window(time);
            if !tolerance.contains(&words) {
                tolerance.push(words);
            }
        }
        for way in ways.iter().copied().chain([whole]) {
            if let Some(time) = table(way, "body_timestamp") {
                let words = format!("`{}` of the body: {}", text(time, "json"), window(time));
                if !tolerance.contains(&words) {
                    tolerance.push(words);
                }
            }
        }
        let mut required: Vec<String> = ways
            .iter()
            .flat_map(|way| texts(way, "signed"))
            .filter_map(|part| {
                let name = part.strip_prefix("{param:")?.strip_suffix('}')?;
                Some(name.to_owned())
            })
            .collect();
        let shakes = preset.get("handshake").and_then(Value::as_array);
        let shakes: Vec<&Table> = shakes
            .into_iter()
            .flatten()
            .filter_map(Value::as_table)
            .collect();
        required.extend(shakes.iter().filter_map(|shake| {
            let expect = table(shake, "expect")?;
            let optional = expect.get("optional").and_then(Value::as_bool);
            let name = text(expect, "param");
            // What is confirmed is so only where the source asks for it.
            let off = optional == Some(true) || shake.contains_key("confirm") || name.is_empty();
            (!off).then(|| name.to_owned())
        }));
        required.sort();
        required.dedup();
        let or_ways = |key: &str| {
            let own = texts(whole, key);
            match own.is_empty() {
                true => ways.iter().flat_map(|way| texts(way, key)).collect(),
                false => own,
            }
        };
        Self {
            family: family(&ways).to_owned(),
            coverage: String::new(),
            ways: ways.iter().map(|way| way::sentence(way)).collect(),
            tolerance,
            event_id: or_ways("event_id"),
            event_type: or_ways("event_type"),
            dedupe_by: or_ways("dedupe_by"),
            required,
            advised: table(&preset, "advice")
                .into_iter()
                .flatten()
                .map(|(name, reason)| (name.clone(), plain(reason)))
                .collect(),
            publishes_keys: ways.iter().any(|way| way.contains_key("key_source")),
            handshakes: shakes
                .iter()
                .map(|shake| Handshake {
                    name: text(shake, "name").to_owned(),
                    about: text(shake, "about").to_owned(),
                    how: exchange::exchange(shake),
                })
                .collect(),
        }
    }
}

/// The family of the first way that is not off by default.
fn family(ways: &[&Table]) -> &'static str {
    let default = ways.iter().find(|way| !way.contains_key("opt_in"));
    let Some(way) = default.or(ways.first()) else {
        return "none";
    };
    let signed = texts(way, "signed");
    let signs = |word: &str| signed.iter().any(|part| part.starts_with(word));
    let form = table(way, "signature").map(|signature| text(signature, "form"));
    let keys = table(way, "key_source").map(|source| text(source, "format"));
    match text(way, "kind") {
        "static" => "credential",
        "unverified" => "none",
        "keyed_hash" => "keyed hash",
        "jwt" => "JWT",
        "mac" if signs("{url") || signs("{form") || signs("{method") => "MAC request",
        "mac" if matches!(form, Some("pairs" | "pair_sets")) => "MAC k=v list",
        "mac" if signs("{body}") && (signs("{timestamp}") || signs("{header:")) => "MAC body+time",
        "mac" if signs("{body}") => "MAC body",
        "mac" => "MAC fields",
        _ if keys == Some("certificate") => "certificate",
        _ => "public key",
    }
}

/// The tolerance of a time, and how it is written.
fn window(time: &Table) -> String {
    let or_default = |key| match text(time, key) {
        "" => "5m",
        text => text,
    };
    let unit = match text(time, "unit") {
        "ms" => "Unix milliseconds",
        "rfc3339" => "RFC 3339",
        _ => "Unix seconds",
    };
    let side = |limit: &str, word: &str| match limit {
        "none" => format!("any time {word}"),
        limit => format!("{limit} {word}"),
    };
    let past = side(or_default("past"), "old");
    let future = side(or_default("future"), "ahead");
    format!("at most {past}, {future} ({unit})")
}

fn table<'t>(table: &'t Table, key: &str) -> Option<&'t Table> {
    table.get(key).and_then(Value::as_table)
}

fn text<'t>(table: &'t Table, key: &str) -> &'t str {
    table.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn texts(table: &Table, key: &str) -> Vec<String> {
    let list = table.get(key).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|value| value.as_str().map(str::to_owned))
        .collect()
}

/// A value as it would stand in the file, without quotes around a string.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
