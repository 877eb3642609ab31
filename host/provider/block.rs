//! Block: the `[sources.NAME]` of a preset, ready for `routes.toml`. Pure.

use super::words::Words;
use super::{Preset, SecretForm, UNVERIFIED};

/// The host that stands in for the one that providers post to.
const EXAMPLE_URL: &str = "https://hooks.example.com";

/// What a source is called, and where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Block<'b> {
    /// What it is made for.
    pub preset: &'b Preset,
    /// Its name.
    pub name: &'b str,
    /// Its path.
    pub path: &'b str,
    /// Where its secrets are, as `env:NAME` or `file:PATH`; see [`references`].
    pub secrets: Vec<String>,
}

impl<'b> Block<'b> {
    /// The block that `providers show` prints: named as the preset, its secrets in variables.
    #[must_use]
    pub fn usual(preset: &'b Preset, path: &'b str) -> Self {
        Self {
            preset,
            name: preset.name,
            path,
            secrets: references(preset, preset.name),
        }
    }

    /// The text, with a line break at its end.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = format!(
            "[sources.{}]\npath = {}\nprovider = {}\n",
            key(self.name),
            quoted(self.path),
            quoted(self.preset.name)
        );
        if !self.secrets.is_empty() {
            let secrets: Vec<String> = self.secrets.iter().map(|secret| quoted(secret)).collect();
            text.push_str(&format!("secrets = [{}]\n", secrets.join(", ")));
        }
        let words = Words::of(self.preset);
        let advised = words.advised.iter().map(|(name, _)| name);
        let params: Vec<String> = words
            .required
            .iter()
            .chain(advised)
            .map(|name| {
                format!(
                    "{} = \"env:{}_{}\"",
                    key(name),
                    variable(self.name),
                    variable(name)
                )
            })
            .collect();
        if !params.is_empty() {
            text.push_str(&format!("params = {{ {} }}\n", params.join(", ")));
        }
        if words.publishes_keys && !self.secrets.is_empty() {
            text.push_str(
                "# fetch_keys = true      # instead of `secrets`: its keys are fetched\n",
            );
        }
        if self.preset.needs_public_url {
            text.push_str(&format!(
                "public_url = {}      # the URL that you give to the provider\n",
                quoted(&format!("{EXAMPLE_URL}{}", self.path))
            ));
        }
        text
    }
}

/// Where a source of this name has its secrets, if they are in variables: one, or as many as the preset binds to
/// places of their own.
#[must_use]
pub fn references(preset: &Preset, name: &str) -> Vec<String> {
    if preset.name == UNVERIFIED {
        return Vec::new();
    }
    let what = match preset.secret_form {
        SecretForm::Basic => "CREDENTIALS",
        SecretForm::PublicKey => "PUBLIC_KEY",
        SecretForm::Certificate => "CERTIFICATE",
        SecretForm::Text | SecretForm::Whsec | SecretForm::Base64 | SecretForm::Hex => "SECRET",
    };
    let one = format!("env:{}_WEBHOOK_{what}", variable(name));
    let ways = preset.scheme.any_of.iter();
    match ways.filter_map(|way| way.secret).max() {
        None | Some(0 | 1) => vec![one],
        Some(count) => (1..=count)
            .map(|number| format!("{one}_{number}"))
            .collect(),
    }
}

/// `legal-talent` as `LEGAL_TALENT`.
fn variable(name: &str) -> String {
    let upper = name.chars().map(|c| match c {
        c if c.is_ascii_alphanumeric() => c.to_ascii_uppercase(),
        _ => '_',
    });
    upper.collect()
}

/// A TOML key, quoted where it has to be.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    match !name.is_empty() && name.chars().all(bare) {
        true => name.to_owned(),
        false => quoted(name),
    }
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
