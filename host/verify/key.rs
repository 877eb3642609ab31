//! Keys: from a secret's text to bytes, and what is said of a text that does not fit.
//!
//! Providers differ here more than in anything else (`whsec_` is part of Stripe's key and not of Svix's), which is
//! why it is a preset's business and not the user's.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::secret::Secret;

use super::scheme::{KeyEncoding, KeyRule};
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
    Short { bytes: usize, bytes_min: usize },
    NoUser,
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
        }
    }
}

/// The key that a secret's text stands for.
pub(super) fn key_bytes(rule: &KeyRule, secret: &Secret) -> Result<Vec<u8>, Unusable> {
    let text = secret.expose();
    let text = text
        .strip_prefix(rule.strip_prefix.as_bytes())
        .unwrap_or(text);
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

/// An empty secret is never good: anybody has it.
pub(super) fn empty(number: usize) -> SetupError {
    SetupError::new("empty_secret", format!("secret {number} is empty"))
        .hint("anybody could sign with it; give the one that the provider shows")
}
