//! Exchange: what a handshake's request has, and what is answered. Pure.

use toml::{Table, Value};

use super::{plain, table, text, texts};

/// The exchange in a sentence.
pub(super) fn exchange(shake: &Table) -> String {
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
