//! Words: what a preset says, for people. Pure.
//!
//! Works on the preset's own text, and not on what it is parsed to: the scheme language reads well as it is, and a
//! key that is new here is shown as it stands instead of being left out.

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
    /// Parameters without which the scheme, or a handshake, cannot work.
    pub required: Vec<String>,
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
            family: family(&ways),
            coverage: String::new(),
            ways: ways.iter().map(|way| sentence(way)).collect(),
            tolerance,
            event_id: or_ways("event_id"),
            event_type: or_ways("event_type"),
            required,
            handshakes: shakes
                .iter()
                .map(|shake| Handshake {
                    name: text(shake, "name").to_owned(),
                    about: text(shake, "about").to_owned(),
                    how: exchange(shake),
                })
                .collect(),
        }
    }
}

/// The families of the first way that is not off by default, and of others that differ.
fn family(ways: &[&Table]) -> String {
    let mut families: Vec<&str> = Vec::new();
    for way in ways.iter().filter(|way| !way.contains_key("opt_in")) {
        let family = family_of(way);
        if !families.contains(&family) {
            families.push(family);
        }
    }
    // Several spellings of one signature are one family; two families are what the first one is called.
    (*families.first().unwrap_or(&"none")).to_owned()
}

fn family_of(way: &Table) -> &'static str {
    let signed = texts(way, "signed");
    let signs = |word: &str| signed.iter().any(|part| part.starts_with(word));
    let form = table(way, "signature").map(|signature| text(signature, "form"));
    match text(way, "kind") {
        "static" => "credential",
        "unverified" => "none",
        "keyed_hash" => "keyed hash",
        "mac" if signs("{url") || signs("{form") || signs("{method") => "MAC request",
        "mac" if matches!(form, Some("pairs" | "pair_sets")) => "MAC k=v list",
        "mac" if signs("{body}") && (signs("{timestamp}") || signs("{header:")) => "MAC body+time",
        "mac" if signs("{body}") => "MAC body",
        "mac" => "MAC fields",
        "jwt" => "JWT",
        "certificate" | "cert" => "certificate",
        _ => "public key",
    }
}

/// One way to sign.
fn sentence(way: &Table) -> String {
    let mut said: Vec<&str> = vec![
        "kind",
        "timestamp",
        "body_timestamp",
        "event_id",
        "event_type",
    ];
    let mut sentence = match text(way, "kind") {
        "static" => {
            said.push("credential");
            credential(way)
        }
        "unverified" => "nothing is checked: everything is let through".to_owned(),
        kind => {
            said.extend(["alg", "alg_from", "signed", "signature", "key", "body_hash"]);
            signed(kind, way)
        }
    };
    said.extend(["secret", "opt_in", "coverage", "require"]);
    if let Some(header) = table(way, "timestamp").map(|time| text(time, "header"))
        && !header.is_empty()
    {
        sentence.push_str(&format!("; the time is in `{header}`"));
    }
    for (name, value) in table(way, "require").into_iter().flatten() {
        sentence.push_str(&format!("; `{name}` must be `{}`", plain(value)));
    }
    if let Some(number) = way.get("secret").and_then(Value::as_integer) {
        sentence.push_str(&format!("; only secret {number} counts"));
    }
    match text(way, "coverage") {
        "" => {}
        coverage => sentence.push_str(&format!("; coverage {coverage}")),
    }
    match text(way, "opt_in") {
        "" => {}
        name => sentence.push_str(&format!(
            "; off unless `{name} = \"true\"` is among the parameters"
        )),
    }
    for (key, value) in way.iter().filter(|(key, _)| !said.contains(&key.as_str())) {
        sentence.push_str(&format!("; `{key} = {}`", plain(value)));
    }
    sentence
}

fn credential(way: &Table) -> String {
    let empty = Table::new();
    let credential = table(way, "credential").unwrap_or(&empty);
    let name = text(credential, "name");
    let name = match name
        .strip_prefix("{param:")
        .and_then(|name| name.strip_suffix('}'))
    {
        Some(param) => format!("whose name is the parameter `{param}`"),
        None => format!("`{name}`"),
    };
    match text(credential, "in") {
        "basic" => "the secret is `user:password` in `Authorization: Basic`".to_owned(),
        "bearer" => "the secret is the token in `Authorization: Bearer`".to_owned(),
        "query" => format!("the secret is the query parameter {name}"),
        "header" => format!("the secret is the value of the header {name}"),
        other => format!("the secret is in {other} {name}"),
    }
}

fn signed(kind: &str, way: &Table) -> String {
    let parts = texts(way, "signed").concat();
    let algorithm = match text(way, "alg") {
        "" => kind.replace('_', " "),
        alg => alg.to_uppercase(),
    };
    let mut sentence = match parts.as_str() {
        "" => algorithm,
        parts => format!("{algorithm} of `{parts}`"),
    };
    if let Some(key) = table(way, "key") {
        let mut rule = match text(key, "decode") {
            "" | "utf8" => "its text".to_owned(),
            decode => format!("decoded from {}", spelled(decode)),
        };
        match text(key, "strip_prefix") {
            "" => {}
            prefix => rule.push_str(&format!(" after `{prefix}`")),
        }
        sentence.push_str(&format!(", the key is the secret {rule}"));
    }
    match text(way, "body_hash") {
        "" => {}
        name => sentence.push_str(&format!(", where `{name}` is the hash of the body")),
    }
    if let Some(choice) = table(way, "alg_from") {
        let names: Vec<&str> = table(choice, "map")
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect();
        sentence.push_str(&format!(
            ", or the algorithm that `{}` names ({})",
            text(choice, "at"),
            names.join(", ")
        ));
    }
    if let Some(signature) = table(way, "signature") {
        sentence.push_str(&format!(", {}", place(signature)));
    }
    sentence
}

/// What a handshake's request has, and what is answered.
fn exchange(shake: &Table) -> String {
    let method = match text(shake, "method") {
        "" => "POST",
        method => method,
    };
    let mut conditions: Vec<String> = Vec::new();
    for (key, what) in [
        ("query", "parameter"),
        ("header", "header"),
        ("json", "field"),
    ] {
        for (name, value) in table(shake, key).into_iter().flatten() {
            conditions.push(format!("the {what} `{name}` is `{}`", plain(value)));
        }
    }
    conditions.extend(
        texts(shake, "has")
            .iter()
            .map(|place| format!("`{place}` is there")),
    );
    conditions.extend(
        texts(shake, "lacks")
            .iter()
            .map(|place| format!("`{place}` is not")),
    );
    let mut sentence = method.to_owned();
    if !conditions.is_empty() {
        sentence.push_str(&format!(" where {}", conditions.join(" and ")));
    }
    sentence.push_str(match shake.get("verify_first").and_then(Value::as_bool) {
        Some(true) => ", signed as events are",
        _ => ", not signed",
    });
    if let Some(expect) = table(shake, "expect") {
        sentence.push_str(&format!(
            ", `{}` must be the parameter `{}`",
            text(expect, "value"),
            text(expect, "param")
        ));
        if expect.get("optional").and_then(Value::as_bool) == Some(true) {
            sentence.push_str(" if that is given");
        }
    }
    let empty = Table::new();
    let answer = table(shake, "answer").unwrap_or(&empty);
    let with = match (
        text(answer, "text"),
        table(answer, "json"),
        table(answer, "headers"),
    ) {
        ("", None, None) => "an empty answer".to_owned(),
        ("", None, Some(headers)) => {
            let names: Vec<String> = headers.keys().map(|name| format!("`{name}`")).collect();
            format!("the headers {}", names.join(", "))
        }
        ("", Some(json), _) => {
            let names: Vec<String> = json
                .iter()
                .map(|(name, value)| format!("`{name}`: `{}`", plain(value)))
                .collect();
            format!("JSON of {}", names.join(", "))
        }
        (text, _, _) => format!("`{text}`"),
    };
    sentence.push_str(&format!("; answered with {with}"));
    if let Some(confirm) = table(shake, "confirm") {
        sentence.push_str(&format!(
            "; `confirm = true` then fetches `{}`",
            text(confirm, "url")
        ));
    }
    sentence
}

/// Where a signature stands.
fn place(signature: &Table) -> String {
    let header = text(signature, "header");
    let key = text(signature, "key");
    let prefix = match text(signature, "prefix") {
        "" => String::new(),
        prefix => format!(" after `{prefix}`"),
    };
    let place = match text(signature, "form") {
        "pairs" => format!("as `{key}=` in the list `{header}`"),
        "pair_sets" => format!("as `{key}=` in the lists `{header}`, each with its own time"),
        "space_list" => format!("in `{header}`, separated by spaces, those{prefix}"),
        "numbered" => format!("in `{header}-1`, `{header}-2` and so on, one for each key"),
        _ if header.is_empty() => signature
            .iter()
            .filter(|(key, _)| *key != "encoding")
            .map(|(key, value)| format!("{key} `{}`", plain(value)))
            .collect::<Vec<_>>()
            .join(", "),
        _ => format!("in `{header}`{prefix}"),
    };
    match text(signature, "encoding") {
        "" => place,
        encoding => format!("{place}, in {}", spelled(encoding)),
    }
}

fn spelled(encoding: &str) -> &str {
    match encoding {
        "hex" => "hexadecimal",
        "base64" => "Base64",
        "base64url" => "Base64 for URLs",
        other => other,
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
