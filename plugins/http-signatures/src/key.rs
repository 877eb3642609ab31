//! A source's secrets as keys.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ed25519_dalek::VerifyingKey as Ed25519;
use hmac::{Hmac, KeyInit, Mac};
use hookswitch::ConfigError;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature as P256Signature, VerifyingKey as P256};
use sha2::Sha256;

use crate::config::{Algorithm, Encoding};

/// Standard Base64, padding optional.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// What stands before the 32 bytes of an Ed25519 key in its SubjectPublicKeyInfo (RFC 8410 section 4).
const ED25519_SPKI: &[u8] = &[
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
/// What stands before the uncompressed point of a P-256 key in its SubjectPublicKeyInfo (RFC 5480 section 2).
const P256_SPKI: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A key that can say whether a signature is its own.
pub(crate) enum Key {
    Hmac(Box<Hmac<Sha256>>),
    Ed25519(Box<Ed25519>),
    P256(Box<P256>),
}

/// The keys, or all that is wrong with the secrets, which are numbered and never quoted.
pub(crate) fn keys(
    algorithm: Algorithm,
    encoding: Encoding,
    secrets: &[Vec<u8>],
) -> Result<Vec<Key>, ConfigError> {
    if secrets.is_empty() {
        return Err("`secrets` names no key".into());
    }
    let mut problems = ConfigError::default();
    let mut keys = Vec::with_capacity(secrets.len());
    for (number, secret) in (1..).zip(secrets) {
        match key(algorithm, encoding, secret) {
            Ok(key) => keys.push(key),
            Err(what) => problems.add(format!("secret {number} is {what}")),
        }
    }
    problems.check(keys)
}

fn key(algorithm: Algorithm, encoding: Encoding, secret: &[u8]) -> Result<Key, &'static str> {
    match algorithm {
        Algorithm::HmacSha256 => {
            let bytes = match encoding {
                Encoding::Text => secret.to_vec(),
                Encoding::Base64 => BASE64.decode(secret).map_err(|_| "no Base64")?,
            };
            if bytes.is_empty() {
                return Err("empty");
            }
            // Keys of any length are good for HMAC.
            let mac = Hmac::new_from_slice(&bytes).map_err(|_| "no key for HMAC")?;
            Ok(Key::Hmac(Box::new(mac)))
        }
        Algorithm::Ed25519 => {
            let what = "no Ed25519 public key, neither in PEM nor as 32 bytes in Base64";
            let bytes = public(secret, ED25519_SPKI).ok_or(what)?;
            let bytes = bytes.as_slice().try_into().map_err(|_| what)?;
            let key = Ed25519::from_bytes(bytes).map_err(|_| what)?;
            Ok(Key::Ed25519(Box::new(key)))
        }
        Algorithm::EcdsaP256Sha256 => {
            let what = "no P-256 public key, neither in PEM nor as a point in Base64";
            let bytes = public(secret, P256_SPKI).ok_or(what)?;
            let key = P256::from_sec1_bytes(&bytes).map_err(|_| what)?;
            Ok(Key::P256(Box::new(key)))
        }
    }
}

/// The bytes of a public key: PEM, or Base64 of the key itself or of its SubjectPublicKeyInfo.
fn public(secret: &[u8], spki: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(secret).ok()?;
    let inner = match text.split_once("-----BEGIN PUBLIC KEY-----") {
        Some((_, rest)) => rest.split_once("-----END PUBLIC KEY-----")?.0,
        None => text,
    };
    let inner: String = inner.split_whitespace().collect();
    let bytes = BASE64.decode(inner).ok()?;
    Some(match bytes.strip_prefix(spki) {
        Some(key) => key.to_vec(),
        None => bytes,
    })
}

impl Key {
    /// True if this key made the signature of `base`.
    pub(crate) fn verifies(&self, base: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Hmac(mac) => {
                let mut mac = mac.clone();
                mac.update(base);
                mac.verify_slice(signature).is_ok()
            }
            Self::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(base, &signature).is_ok()),
            // r and s, 32 bytes each: RFC 9421 section 3.3.4.
            Self::P256(key) => P256Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(base, &signature).is_ok()),
        }
    }
}
