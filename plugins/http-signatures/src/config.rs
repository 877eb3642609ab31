//! What users write in the plugin's `config`.

use hookswitch::ConfigError;
use serde::Deserialize;

use crate::base;
use crate::place::Place;

/// The plugin's `config` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What the source's secrets are keys of.
    pub algorithm: Algorithm,
    /// How a secret stands for the bytes of an HMAC key.
    #[serde(default)]
    pub secret: Encoding,
    /// Components that a signature must cover.
    #[serde(default = "usual_components")]
    pub covered: Vec<String>,
    /// The label of the one signature that counts.
    pub label: Option<String>,
    /// The `tag` that a signature must have.
    pub tag: Option<String>,
    /// Where the event's id stands.
    pub event_id: Option<Place>,
    /// Where the event's type stands.
    pub event_type: Option<Place>,
}

/// Algorithms of RFC 9421 section 3.3. RSA is left out: there is no constant-time implementation of it for
/// WebAssembly that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Algorithm {
    /// HMAC with SHA-256; the secrets are shared.
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    /// Ed25519; the secrets are the sender's public keys.
    #[serde(rename = "ed25519")]
    Ed25519,
    /// ECDSA on P-256 with SHA-256; the secrets are the sender's public keys.
    #[serde(rename = "ecdsa-p256-sha256")]
    EcdsaP256Sha256,
}

impl Algorithm {
    /// Its name in the registry of RFC 9421.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256Sha256 => "ecdsa-p256-sha256",
        }
    }
}

/// How an HMAC secret is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// The text's own bytes.
    #[default]
    Text,
    /// Standard Base64, padding optional.
    Base64,
}

/// What makes a request to one path, and no other body, authentic.
fn usual_components() -> Vec<String> {
    ["@method", "@path", "content-digest"]
        .map(str::to_owned)
        .into()
}

impl Config {
    /// Itself, if it makes sense.
    pub(crate) fn check(self) -> Result<Self, ConfigError> {
        let mut problems = ConfigError::default();
        for name in &self.covered {
            if let Err(problem) = base::known(name) {
                problems.add(format!("`covered`: {problem}"));
            }
        }
        if self.secret == Encoding::Base64 && self.algorithm != Algorithm::HmacSha256 {
            problems
                .add("`secret` is for `hmac-sha256`; public keys are read as PEM or Base64 anyway");
        }
        // Who could change them without breaking the signature could have an event taken for another.
        for (key, place) in [
            ("event_id", &self.event_id),
            ("event_type", &self.event_type),
        ] {
            let needed = place.as_ref().map(Place::component);
            if let Some(needed) = needed
                && !self.covered.iter().any(|name| *name == needed)
            {
                problems.add(format!(
                    "`{key}` is read from what `covered` must name: add `{needed}`"
                ));
            }
        }
        problems.check(self)
    }
}
