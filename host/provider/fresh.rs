//! Fresh secrets: random bytes in the form that a preset wants. Pure; whoever calls brings the randomness.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::SecretForm;

/// The user of a Basic credential that is made.
const USER: &str = "hookswitch";

/// A secret of these bytes. `None` where the secret is not ours to make.
#[must_use]
pub fn secret(form: SecretForm, bytes: &[u8; 32]) -> Option<String> {
    match form {
        // Digits and letters alone: no shell, URL or form treats them in a way of its own.
        SecretForm::Text | SecretForm::Hex => Some(hex::encode(bytes)),
        SecretForm::Whsec => Some(format!("whsec_{}", STANDARD.encode(bytes))),
        SecretForm::Base64 => Some(STANDARD.encode(bytes)),
        SecretForm::Basic => Some(format!("{USER}:{}", hex::encode(bytes))),
        SecretForm::PublicKey | SecretForm::Certificate => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_has_its_spelling() {
        let bytes = [0xfb; 32];
        let made = |form| secret(form, &bytes).unwrap_or_default();
        assert_eq!(made(SecretForm::Text), "fb".repeat(32));
        assert_eq!(
            made(SecretForm::Whsec),
            "whsec_+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/s="
        );
        assert_eq!(made(SecretForm::Hex), "fb".repeat(32));
        assert!(made(SecretForm::Basic).starts_with("hookswitch:fbfb"));
        assert_eq!(secret(SecretForm::PublicKey, &bytes), None);
    }
}
