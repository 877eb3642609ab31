//! Keys: from a secret's text to bytes, and what is said of a text that does not fit.
//!
//! Providers differ here more than in anything else (`whsec_` is part of Stripe's key and not of Svix's), which is
//! why it is a preset's business and not the user's.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::secret::Secret;

use super::public::{self, BadKey};
use super::scheme::{Algorithm, KeyEncoding, KeyRule};
use super::setup::SetupError;

/// Secrets are handed out without padding, and cut so that bits are left over; both are harmless in a key.
const KEY_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Why a scheme cannot use a secret.
pub(super) enum Unusable {
    Empty,
    Encoding(KeyEncoding),
    Short {
        bytes: usize,
        bytes_min: usize,
    },
    NoUser,
    /// It has a prefix that the scheme refuses, or lacks the one that it wants.
    Prefix,
    Public(BadKey),
    /// A public key of a kind that this scheme's algorithm does not use.
    Kind,
}

impl Unusable {
    pub(super) fn explain(&self, number: usize) -> SetupError {
        match self {
            Self::Empty => empty(number),
            Self::Encoding(encoding) => {
                let name = match encoding {
                    KeyEncoding::Hex => "hexadecimal",
                    KeyEncoding::Utf8 | KeyEncoding::Base64 => "Base64",
                };
                SetupError::new(
                    "bad_secret_encoding",
                    format!("secret {number} is not {name}, as this provider's are"),
                )
                .hint("copy it whole, as the provider shows it")
            }
            Self::Short { bytes, bytes_min } => SetupError::new(
                "short_secret",
                format!(
                    "secret {number} has {bytes} bytes; this provider's have at least {bytes_min}"
                ),
            )
            .hint("copy it whole, as the provider shows it"),
            Self::NoUser => SetupError::new(
                "no_user",
                format!("secret {number} is no `user:password`, as Basic credentials are"),
            )
            .hint("write it so, or give the user as the parameter `username`"),
            Self::Prefix => SetupError::new(
                "bad_secret_prefix",
                format!("secret {number} does not begin as this provider's do"),
            )
            .hint("copy it whole, as the provider shows it"),
            Self::Public(BadKey::Private) => SetupError::new(
                "private_key",
                format!("secret {number} is a private key, which belongs to the sender alone"),
            )
            .hint("give the public key or the certificate, and let nobody keep a copy of the private one"),
            Self::Public(why) => {
                SetupError::new("bad_public_key", format!("secret {number} is {why}"))
                    .hint("give the sender's public key or certificate, as the provider shows it")
            }
            Self::Kind => SetupError::new(
                "wrong_public_key",
                format!("secret {number} is a public key of another kind than this provider's"),
            )
            .hint("is it the key of this provider, and of its webhooks?"),
        }
    }
}

/// The key that a secret's text stands for.
pub(super) fn key_bytes(rule: &KeyRule, secret: &Secret) -> Result<Vec<u8>, Unusable> {
    let text = stripped(rule, secret.expose_str())?.as_bytes();
    let bytes = match rule.decode {
        KeyEncoding::Utf8 => text.to_vec(),
        KeyEncoding::Base64 => KEY_BASE64
            .decode(text)
            .map_err(|_| Unusable::Encoding(rule.decode))?,
        KeyEncoding::Hex => hex::decode(text).map_err(|_| Unusable::Encoding(rule.decode))?,
    };
    if bytes.is_empty() {
        return Err(Unusable::Empty);
    }
    if bytes.len() < rule.bytes_min {
        return Err(Unusable::Short {
            bytes: bytes.len(),
            bytes_min: rule.bytes_min,
        });
    }
    Ok(bytes)
}

fn stripped<'s>(rule: &KeyRule, text: &'s str) -> Result<&'s str, Unusable> {
    let refused = rule.refuse_prefix.as_ref();
    if refused.is_some_and(|prefix| text.starts_with(prefix.as_str())) {
        return Err(Unusable::Prefix);
    }
    match text.strip_prefix(rule.strip_prefix.as_str()) {
        Some(rest) => Ok(rest),
        None if rule.prefix_required => Err(Unusable::Prefix),
        None => Ok(text),
    }
}

/// The public keys that a secret's text stands for, those that sign with one of `algorithms`.
pub(super) fn public_keys(
    rule: &KeyRule,
    algorithms: &[Algorithm],
    secret: &Secret,
) -> Result<Vec<public::Key>, Unusable> {
    let text = stripped(rule, secret.expose_str())?;
    if text.is_empty() {
        return Err(Unusable::Empty);
    }
    let mut keys = public::parse(text).map_err(Unusable::Public)?;
    keys.retain(|key| algorithms.iter().any(|algorithm| key.fits(*algorithm)));
    if keys.is_empty() {
        return Err(Unusable::Kind);
    }
    Ok(keys)
}

/// An empty secret is never good: anybody has it.
pub(super) fn empty(number: usize) -> SetupError {
    SetupError::new("empty_secret", format!("secret {number} is empty"))
        .hint("anybody could sign with it; give the one that the provider shows")
}
