//! Page: `docs/reference/providers.md`, made from the presets. Pure.

use std::fmt::Write as _;

use super::block::Block;
use super::words::Words;
use super::{Preset, SecretChoice, names, preset};

const PREFACE: &str = include_str!("page/preface.md");

/// The page.
#[must_use]
pub fn reference() -> String {
    let presets: Vec<&Preset> = names().filter_map(preset).collect();
    let mut page = String::from(PREFACE);
    page.push_str(
        "\n| preset | provider | signs | coverage | confirmed |\n|---|---|---|---|---|\n",
    );
    for preset in &presets {
        let _ = writeln!(
            page,
            "| [`{name}`](#{name}) | {} | {} | {} | {} |",
            preset.title,
            Words::of(preset).family,
            Words::of(preset).coverage,
            if preset.confirmed { "yes" } else { "**no**" },
            name = preset.name,
        );
    }
    for preset in presets {
        section(&mut page, preset);
    }
    page
}

fn section(page: &mut String, preset: &Preset) {
    let words = Words::of(preset);
    let _ = write!(page, "\n## {}\n\n**{}**", preset.name, preset.title);
    if !preset.docs.is_empty() {
        let _ = write!(page, ", [documentation]({})", preset.docs);
    }
    let _ = writeln!(page, ". Known from {}.\n", preset.confidence.describe());
    if !preset.doubt.is_empty() {
        let _ = writeln!(page, "> Not certain: {}\n", preset.doubt);
    }
    page.push_str("| | |\n|---|---|\n");
    let mut row = |label: &str, value: &str| {
        let _ = writeln!(page, "| {label} | {} |", value.replace('|', "\\|"));
    };
    row("secret", &preset.secret);
    row(
        "chosen by",
        match preset.secret_choice {
            SecretChoice::You => "you",
            SecretChoice::Provider => "the provider",
        },
    );
    for (name, meaning) in &preset.params {
        let need = words.need_of(name);
        row(&format!("parameter `{name}`, {need}"), meaning);
    }
    if preset.needs_public_url {
        row("`public_url`", "required: it is signed");
    }
    row("signs", &words.ways.join("<br>or: "));
    for window in &words.tolerance {
        row("tolerance", window);
    }
    row("coverage", &words.coverage);
    row("event id", &code_list(&words.event_id, ", else "));
    if !words.dedupe_by.is_empty() {
        let places = code_list(&words.dedupe_by, ", else ");
        row("recognised by", &places);
    }
    row("event type", &code_list(&words.event_type, ", else "));
    row(
        "answers",
        &format!(
            "`{}` stored, `{}` not authentic",
            preset.answer.ok, preset.answer.reject
        ),
    );
    if !preset.answer.within.is_empty() {
        row("waits", &preset.answer.within);
    }
    if !preset.answer.retries.is_empty() {
        row("retries", &preset.answer.retries);
    }
    if !preset.content_types.is_empty() {
        row("bodies", &code_list(&preset.content_types, ", "));
    }
    if !preset.ips.is_empty() {
        let ips: Vec<String> = preset.ips.iter().map(ToString::to_string).collect();
        row("addresses", &code_list(&ips, ", "));
    }
    for shake in &words.handshakes {
        let label = format!("handshake `{}`", shake.name);
        row(&label, &format!("{} {}", shake.about, shake.how));
    }
    let path = format!("/hooks/{}", preset.name);
    let _ = write!(
        page,
        "\n```toml\n{}```\n",
        Block::usual(preset, &path).render()
    );
}

fn code_list(texts: &[String], between: &str) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| format!("`{text}`")).collect();
    quoted.join(between)
}
