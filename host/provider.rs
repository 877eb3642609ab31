//! Presets: what is known of each provider, as data in `host/providers/*.toml`, embedded in the binary.
//!
//! A preset says how the provider signs ([`crate::verify::Scheme`]), which answers it wants, what of all this is
//! certain, and how a sample event looks. This module parses; it verifies nothing. [`words`] says it to people,
//! [`block`] makes a source of it.

pub mod block;
pub mod fresh;
pub mod page;
pub mod words;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use ipnet::IpNet;
use serde::Deserialize;

use crate::event::Header;
use crate::handshake::Rule;
use crate::verify::Scheme;

/// The preset that lets everything through, for a source that has to be open. It has to be named.
pub const UNVERIFIED: &str = "unverified";

/// What is known of one provider.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// The name in `provider = "..."`, kebab-case. Set from the file's name.
    #[serde(skip)]
    pub name: &'static str,
    /// The file's text, for [`words`].
    #[serde(skip)]
    pub text: &'static str,
    /// The provider's own name.
    pub title: String,
    /// Where the provider documents its webhooks.
    pub docs: String,
    /// What the scheme rests on.
    pub confidence: Confidence,
    /// False if part of the scheme is a guess. `hookswitch check` warns.
    pub confirmed: bool,
    /// What is not certain, for people.
    #[serde(default)]
    pub doubt: String,
    /// What the secret is and where the provider shows it, or where it is entered.
    pub secret: String,
    /// Who makes the secret up.
    #[serde(default)]
    pub secret_choice: SecretChoice,
    /// How the secret is written.
    #[serde(default)]
    pub secret_form: SecretForm,
    /// Parameters that the scheme takes, with their meaning.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// Parameters without which somebody else could be taken for the sender, with the reason. `hookswitch check`
    /// warns of a source that leaves one out.
    #[serde(default)]
    pub advice: BTreeMap<String, String>,
    /// True if the source has to know its own public URL.
    #[serde(default)]
    pub needs_public_url: bool,
    /// Address ranges that the provider publishes as its senders.
    #[serde(default)]
    pub ips: Vec<IpNet>,
    /// The answers that the provider wants.
    #[serde(default)]
    pub answer: Answer,
    /// Media types that its events come in, lower-case; empty where it is not known or anything goes.
    #[serde(default)]
    pub content_types: Vec<String>,
    /// What it asks before it sends events, and the answers.
    #[serde(default)]
    pub handshake: Vec<Rule>,
    /// How it signs.
    pub scheme: Scheme,
    /// A sample event.
    #[serde(default)]
    pub sample: Sample,
}

/// What the knowledge of a scheme rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// The provider's own library, tests or specification.
    Source,
    /// The provider's documentation.
    Documentation,
    /// Other people's integrations, several of which agree.
    ThirdParty,
    /// Nothing that could be read again.
    Memory,
}

impl Confidence {
    /// The word for it, as in the preset's file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Documentation => "documentation",
            Self::ThirdParty => "third-party",
            Self::Memory => "memory",
        }
    }

    /// What it is, for people, to follow "known from".
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Source => "the provider's own code, tests or specification",
            Self::Documentation => "the provider's documentation",
            Self::ThirdParty => "several integrations by others, which agree",
            Self::Memory => "memory: it could not be read again",
        }
    }
}

/// Who makes the secret up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretChoice {
    /// The provider does, and shows it.
    #[default]
    Provider,
    /// You do, and enter it in the provider's settings. `hookswitch sources new` can make a strong one.
    You,
}

impl SecretChoice {
    /// The word for it, as in the preset's file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::You => "you",
        }
    }
}

/// How a secret is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretForm {
    /// Text without a form of its own.
    #[default]
    Text,
    /// `whsec_` and the Base64 of 24 to 64 bytes.
    Whsec,
    /// The Base64 of the key's bytes.
    Base64,
    /// The hexadecimal digits of the key's bytes.
    Hex,
    /// `user:password`.
    Basic,
    /// The sender's public key: it is no secret, and nobody but the sender can sign with its private half.
    PublicKey,
    /// The sender's certificate, in PEM.
    Certificate,
}

impl SecretForm {
    /// The word for it, as in the preset's file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Whsec => "whsec",
            Self::Base64 => "base64",
            Self::Hex => "hex",
            Self::Basic => "basic",
            Self::PublicKey => "public_key",
            Self::Certificate => "certificate",
        }
    }
}

/// Status codes of answers, and what the provider makes of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Answer {
    /// To a stored event. 200 is the one code that every provider takes for success.
    pub ok: u16,
    /// To a request that is not authentic.
    pub reject: u16,
    /// How long the provider waits for an answer, for people; empty where it is not known.
    pub within: String,
    /// When the provider sends again after anything else, for people; empty where it is not known.
    pub retries: String,
    /// To an event that cannot be stored just now.
    pub busy: u16,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            ok: 200,
            reject: 401,
            within: String::new(),
            retries: String::new(),
            busy: 503,
        }
    }
}

/// A sample event with fictitious content. `{{uuid}}`, `{{now}}` (Unix seconds), `{{now_ms}}` and `{{now_rfc3339}}`
/// in the body and the headers are replaced when it is sent, so that no two are duplicates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sample {
    /// Headers besides those of the signature; names in the provider's spelling.
    pub headers: BTreeMap<String, String>,
    /// The body. Set from `samples/NAME.json`.
    #[serde(skip)]
    pub body: &'static str,
}

impl Sample {
    /// The sample as it is sent: placeholders replaced by `uuid` and the time.
    #[must_use]
    pub fn fill(&self, uuid: &str, now_ms: u64) -> FilledSample {
        let rfc3339 = i64::try_from(now_ms)
            .ok()
            .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
            .unwrap_or_default()
            .to_string();
        let fill = |text: &str| {
            text.replace("{{uuid}}", uuid)
                .replace("{{now}}", &(now_ms / 1000).to_string())
                .replace("{{now_ms}}", &now_ms.to_string())
                .replace("{{now_rfc3339}}", &rfc3339)
        };
        FilledSample {
            headers: self
                .headers
                .iter()
                .map(|(name, value)| Header::new(name.to_ascii_lowercase(), fill(value)))
                .collect(),
            body: fill(self.body),
        }
    }
}

/// A sample with its placeholders replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilledSample {
    /// Headers, without those of the signature.
    pub headers: Vec<Header>,
    /// The body.
    pub body: String,
}

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        &[$((
            $name,
            include_str!(concat!("providers/", $name, ".toml")),
            include_str!(concat!("providers/samples/", $name, ".json")),
        )),*]
    };
}

/// Name, preset and sample body, by name.
const EMBEDDED: &[(&str, &str, &str)] = embedded![
    "adyen",
    "alloy",
    "auth0",
    "authenteq",
    "aws-sns",
    "box",
    "calendly",
    "checkr",
    "cloudevents",
    "complycube",
    "didit",
    "discord",
    "docusign",
    "dropbox",
    "entrust",
    "generic",
    "github",
    "gitlab",
    "hubspot",
    "idwise",
    "intercom",
    "jumio",
    "k-id",
    "kyc-docs",
    "legal-talent",
    "linear",
    "mailgun",
    "meta",
    "ms-graph",
    "okta",
    "ondato",
    "onfido",
    "paddle",
    "paypal",
    "persona",
    "plaid",
    "pomelo",
    "sendgrid",
    "shopify",
    "shufti-pro",
    "slack",
    "square",
    "standard-webhooks",
    "stripe",
    "sumsub",
    "svix",
    "trulioo",
    "twilio",
    "typeform",
    "unverified",
    "veriff",
    "verifime",
    "zoom",
];

static PRESETS: LazyLock<BTreeMap<&'static str, Preset>> = LazyLock::new(|| {
    EMBEDDED
        .iter()
        // A test parses each, so that none is left out here.
        .filter_map(|(name, text, sample)| Some((*name, parse(name, text, sample).ok()?)))
        .collect()
});

fn parse(
    name: &'static str,
    text: &'static str,
    sample: &'static str,
) -> Result<Preset, toml::de::Error> {
    let mut preset: Preset = toml::from_str(text)?;
    preset.name = name;
    preset.text = text;
    preset.sample.body = sample;
    Ok(preset)
}

/// The preset of this name.
#[must_use]
pub fn preset(name: &str) -> Option<&'static Preset> {
    PRESETS.get(name)
}

/// All names, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    PRESETS.keys().copied()
}

#[cfg(test)]
mod tests;
