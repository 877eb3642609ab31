//! What the fuzz targets share: the host's verification, compiled from the host's own files, and its presets.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "a part of the host is taken out of its context"
)]

#[path = "../../host"]
mod host {
    pub mod event;
    pub mod secret;
    pub mod verify;
}
pub use host::{event, secret, verify};

pub mod fetch;

use std::sync::LazyLock;

use event::Header;
use secret::Secret;
use verify::{Params, Request, Scheme, Verifier};

/// When all of it happens, in milliseconds since the Unix epoch: the vectors' time.
pub const NOW_MS: u64 = 1_760_000_000_000;

/// A preset's name, scheme and verifier.
pub struct Preset {
    /// As in `provider = "..."`.
    pub name: &'static str,
    /// How it signs.
    pub scheme: Scheme,
    /// With a secret that no input knows, and with keys to be fetched.
    pub verifier: Verifier,
}

const KEYS: [&str; 8] = [
    "user:a secret that the fuzzer does not know",
    "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
    "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=",
    "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
    "00112233445566778899aabbccddeeff",
    include_str!("../../tests/fixtures/verify/keys/ed25519.pub.pem"),
    include_str!("../../tests/fixtures/verify/keys/p256.pub.pem"),
    include_str!("../../tests/fixtures/verify/keys/sns.crt"),
];

macro_rules! presets {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../host/providers/", $name, ".toml")))),*]
    };
}

const TEXTS: &[(&str, &str)] = presets![
    "adyen", "aws-sns", "box", "cloudevents", "didit", "discord", "docusign", "github", "gitlab", "hubspot",
    "idwise", "jumio", "legal-talent", "linear", "mailgun", "ms-graph", "paddle", "paypal", "persona", "plaid",
    "pomelo", "sendgrid", "shufti-pro", "slack", "square", "standard-webhooks", "stripe", "sumsub", "svix",
    "twilio", "typeform", "zoom",
];

/// One preset of each shape.
pub static PRESETS: LazyLock<Vec<Preset>> = LazyLock::new(|| {
    TEXTS
        .iter()
        .map(|(name, text)| {
            let mut table: toml::Table = toml::from_str(text).expect("a preset");
            let scheme: Scheme = table
                .remove("scheme")
                .expect("a scheme")
                .try_into()
                .expect("a scheme");
            let mut params = Params {
                public_url: Some("https://hooks.example.test/in".to_owned()),
                ..Params::default()
            };
            for name in scheme.params() {
                let value = match name.as_str() {
                    "simple" | "legacy" => "true",
                    "ca" | "username" | "api_key" | "topic_arn" => continue,
                    "header" => "X-My-Key",
                    "environment" => "production",
                    _ => "value",
                };
                params.values.insert(name, value.to_owned());
            }
            // The first secret that the preset takes, alone and with keys to be fetched.
            let verifier = [true, false]
                .into_iter()
                .flat_map(|fetch_keys| KEYS.iter().map(move |key| (fetch_keys, key)))
                .find_map(|(fetch_keys, key)| {
                    let params = Params {
                        fetch_keys,
                        ..params.clone()
                    };
                    Verifier::new(&scheme, &[Secret::new(key)], &params).ok()
                })
                .unwrap_or_else(|| panic!("{name}: no secret fits"));
            Preset {
                name,
                scheme,
                verifier,
            }
        })
        .collect()
});

/// Reads an input as a request: lines of `name: value` up to an empty line, then the body. The first line is the
/// target.
pub fn request(data: &[u8]) -> (String, Vec<Header>, &[u8]) {
    let (head, body) = data
        .windows(2)
        .position(|two| two == b"\n\n")
        .map_or((data, &[][..]), |at| (&data[..at], &data[at + 2..]));
    let mut lines = head.split(|byte| *byte == b'\n');
    let target = lines.next().unwrap_or_default();
    let headers = lines
        .filter_map(|line| {
            let at = line.iter().position(|byte| *byte == b':')?;
            let value = line[at + 1..].strip_prefix(b" ").unwrap_or(&line[at + 1..]);
            Some(Header {
                name: String::from_utf8_lossy(&line[..at]).to_ascii_lowercase(),
                value: bytes::Bytes::copy_from_slice(value),
            })
        })
        .take(100)
        .collect();
    (String::from_utf8_lossy(target).into_owned(), headers, body)
}

/// A request without a head.
pub fn bare(body: &[u8]) -> Request<'_> {
    Request {
        method: "POST",
        target: "/in",
        headers: &[],
        body,
    }
}
