//! Show: one provider on one page. Pure.

use serde_json::{Value, json};

use crate::provider::block::{Block, references};
use crate::provider::words::Words;
use crate::provider::{Preset, SecretChoice, UNVERIFIED};

/// Columns of the labels.
const LABEL: usize = 12;
/// Columns of a line.
const WIDTH: usize = 80;

/// The page for people.
pub(super) fn text(preset: &Preset) -> String {
    let words = Words::of(preset);
    let mut page = format!("{} ({})\n", preset.title, preset.name);
    let mut field = |label: &str, value: &str| page.push_str(&wrapped(label, value));

    field("", "");
    field("secret", &preset.secret);
    if preset.name != UNVERIFIED {
        field("", who_chooses(preset));
    }
    for (name, meaning) in &preset.params {
        let need = words.need_of(name);
        field("param", &format!("`{name}` ({need}): {meaning}"));
    }
    for (name, reason) in &words.advised {
        field("", &format!("Give `{name}`: {reason}."));
    }
    if preset.needs_public_url {
        field(
            "public_url",
            "needed: the provider signs the URL that you give it",
        );
    }
    field("", "");
    for (number, way) in (1..).zip(&words.ways) {
        let label = if number == 1 { "signs" } else { "or" };
        field(label, way);
    }
    for window in &words.tolerance {
        field("tolerance", window);
    }
    field("coverage", &coverage(&words));
    field("event id", &words.event_id.join(", else "));
    if !words.dedupe_by.is_empty() {
        field(
            "recognised",
            &format!("by {}", words.dedupe_by.join(", else ")),
        );
    }
    field("event type", &words.event_type.join(", else "));
    field("", "");
    field("answers", &answers(preset));
    if !preset.answer.within.is_empty() {
        field("waits", &preset.answer.within);
    }
    if !preset.answer.retries.is_empty() {
        field("retries", &preset.answer.retries);
    }
    if !preset.content_types.is_empty() {
        field("bodies", &preset.content_types.join(", "));
    }
    if !preset.ips.is_empty() {
        let ips: Vec<String> = preset.ips.iter().map(ToString::to_string).collect();
        field("addresses", &ips.join(", "));
    }
    for shake in &words.handshakes {
        let told = format!("{}: {} {}", shake.name, shake.about, shake.how);
        field("handshake", &told);
    }
    field("", "");
    if preset.name != UNVERIFIED {
        field("known from", &known_from(preset));
    }
    if !preset.doubt.is_empty() {
        field("not certain", &preset.doubt);
    }
    if !preset.docs.is_empty() {
        field("docs", &preset.docs);
    }
    let path = format!("/hooks/{}", preset.name);
    page.push_str(&format!(
        "\nFor routes.toml:\n\n{}",
        Block::usual(preset, &path).render()
    ));
    page
}

/// The page for programs.
pub(super) fn json(preset: &Preset) -> Value {
    let words = Words::of(preset);
    let path = format!("/hooks/{}", preset.name);
    let params: Vec<Value> = preset
        .params
        .iter()
        .map(|(name, meaning)| {
            json!({ "name": name, "need": words.need_of(name), "about": meaning })
        })
        .collect();
    json!({
        "name": preset.name,
        "title": preset.title,
        "docs": preset.docs,
        "confidence": preset.confidence.as_str(),
        "confirmed": preset.confirmed,
        "doubt": preset.doubt,
        "secret": preset.secret,
        "secret_choice": preset.secret_choice.as_str(),
        "secret_form": preset.secret_form.as_str(),
        "secrets": references(preset, preset.name).len(),
        "params": params,
        "needs_public_url": preset.needs_public_url,
        "family": words.family,
        "signs": words.ways,
        "tolerance": words.tolerance,
        "coverage": words.coverage,
        "event_id": words.event_id,
        "event_type": words.event_type,
        "answer": {
            "ok": preset.answer.ok,
            "reject": preset.answer.reject,
            "within": preset.answer.within,
            "retries": preset.answer.retries,
        },
        "content_types": preset.content_types,
        "ips": preset.ips.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "handshake": words.handshakes.iter().map(|shake| {
            json!({ "name": shake.name, "about": shake.about, "how": shake.how })
        }).collect::<Vec<_>>(),
        "block": Block::usual(preset, &path).render(),
    })
}

fn who_chooses(preset: &Preset) -> &'static str {
    match preset.secret_choice {
        SecretChoice::You => "You choose it: `hookswitch sources new` makes a strong one.",
        SecretChoice::Provider => "The provider chooses it.",
    }
}

fn coverage(words: &Words) -> String {
    let what = match words.coverage.as_str() {
        "full" => "the signature covers the whole body",
        "partial" => "the signature covers only some of the body",
        "none" => "nothing protects the body against change",
        _ => "it depends on the kind of secret; each event says it",
    };
    format!("{}: {what}", words.coverage)
}

fn answers(preset: &Preset) -> String {
    format!(
        "{} to a stored event, {} to one that is not authentic",
        preset.answer.ok, preset.answer.reject
    )
}

fn known_from(preset: &Preset) -> String {
    let from = preset.confidence.describe();
    match preset.confirmed {
        true => from.to_owned(),
        false => format!("{from}; part of it is a guess"),
    }
}

/// A label and its value, in lines that fit; an empty line for neither.
fn wrapped(label: &str, value: &str) -> String {
    if label.is_empty() && value.is_empty() {
        return "\n".to_owned();
    }
    let mut text = format!("{label:<LABEL$}");
    let mut column = LABEL;
    for word in value.split_whitespace() {
        let length = word.chars().count();
        if column > LABEL && column + 1 + length > WIDTH {
            text.push('\n');
            text.extend(std::iter::repeat_n(' ', LABEL));
            column = LABEL;
        }
        if column > LABEL {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_wrapped_beside_their_label() {
        let value = "word ".repeat(20);
        let text = wrapped("label", &value);
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
        assert_eq!(text.matches("word").count(), 20);
        assert!(
            text.lines()
                .skip(1)
                .all(|line| line.starts_with("            word"))
        );
    }
}
