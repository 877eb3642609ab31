//! Private keys, for signing as a provider would: `hookswitch send`, the demo and tests. A source never has one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use x509_parser::prelude::Pem;

use crate::secret::Secret;

use super::super::scheme::Algorithm;

/// A key that signs.
pub(super) enum PrivateKey {
    Ed25519(Ed25519KeyPair),
    /// The document, since `ring` wants to know the signature's form when it reads it.
    P256(Vec<u8>),
    Rsa(RsaKeyPair),
}

/// A private key with the text of its public half.
pub(super) struct Pair {
    pub(super) private: PrivateKey,
    pub(super) public: Secret,
}

impl Pair {
    /// Reads `whsk_` of Standard Webhooks, or PKCS#8 in PEM. `None` for any other text.
    pub(super) fn read(secret: &Secret) -> Option<Self> {
        let text = secret.expose_str();
        if let Some(base64) = text.strip_prefix("whsk_") {
            let bytes = STANDARD.decode(base64).ok()?;
            let (seed, public) = bytes.split_at_checked(32)?;
            let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public).ok()?;
            return Some(Self {
                private: PrivateKey::Ed25519(pair),
                public: Secret::new(&format!("whpk_{}", STANDARD.encode(public))),
            });
        }
        let pem = Pem::iter_from_buffer(text.as_bytes()).next()?.ok()?;
        if pem.label != "PRIVATE KEY" {
            return None;
        }
        let der = pem.contents;
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der) {
            let public = Secret::new(&hex::encode(pair.public_key()));
            return Some(Self {
                private: PrivateKey::Ed25519(pair),
                public,
            });
        }
        if let Ok(pair) = RsaKeyPair::from_pkcs8(&der) {
            let public = Secret::new(&STANDARD.encode(pair.public_key()));
            return Some(Self {
                private: PrivateKey::Rsa(pair),
                public,
            });
        }
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der, &random).ok()?;
        Some(Self {
            public: Secret::new(&hex::encode(pair.public_key())),
            private: PrivateKey::P256(der),
        })
    }
}

impl PrivateKey {
    /// The signature; `None` if the algorithm is not one of this key's. With SHA-1 nothing is signed any more.
    pub(super) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match (self, algorithm) {
            (Self::Ed25519(pair), Algorithm::Ed25519) => Some(pair.sign(message).as_ref().to_vec()),
            (Self::P256(der), Algorithm::EcdsaP256Sha256 | Algorithm::EcdsaP256Sha256Fixed) => {
                let form = match algorithm {
                    Algorithm::EcdsaP256Sha256 => &ECDSA_P256_SHA256_ASN1_SIGNING,
                    _ => &ECDSA_P256_SHA256_FIXED_SIGNING,
                };
                let pair = EcdsaKeyPair::from_pkcs8(form, der, &random).ok()?;
                let signature = pair.sign(&random, message).ok()?;
                Some(signature.as_ref().to_vec())
            }
            (Self::Rsa(pair), Algorithm::RsaSha256) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .ok()?;
                Some(signature)
            }
            _ => None,
        }
    }
}
