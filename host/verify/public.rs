//! Public keys: from a secret's text, a certificate or a key set to something that checks signatures.
//!
//! The text says itself what it is, so nobody has to: PEM (public key or certificate), a JWK or a JWK set, or the
//! hexadecimal or Base64 of a raw key or of its `SubjectPublicKeyInfo`. A private key is refused: it belongs to the
//! sender alone. Signatures are checked by `ring`.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::signature as sig;
use serde::Deserialize;
use x509_parser::oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_SIG_ED25519};
use x509_parser::prelude::{FromDer, Pem, SubjectPublicKeyInfo, X509Certificate};
use x509_parser::public_key::{PublicKey, RSAPublicKey};

use super::scheme::Algorithm;

/// Keys of one set that are looked at; Microsoft publishes about ten.
const SET_KEYS_MAX: usize = 100;

/// Bytes of an RSA modulus that `ring` takes: 2048 to 8192 bits.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

const STANDARD: GeneralPurpose = base64(&alphabet::STANDARD);
const URL_SAFE: GeneralPurpose = base64(&alphabet::URL_SAFE);

const fn base64(alphabet: &alphabet::Alphabet) -> GeneralPurpose {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(alphabet, config)
}

/// A public key, with what is said of it where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    material: Material,
    /// Its name in a key set.
    pub(super) kid: Option<String>,
    /// When it may be used.
    pub(super) validity: Option<Validity>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Material {
    Ed25519(Vec<u8>),
    /// An uncompressed point.
    P256(Vec<u8>),
    /// Modulus and exponent, big-endian, without leading zeros.
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
}

/// Unix seconds; both ends belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) from_s: i64,
    pub(super) until_s: i64,
}

impl Validity {
    pub(super) fn holds(self, now_ms: u64) -> bool {
        let now_s = i64::try_from(now_ms / 1000).unwrap_or(i64::MAX);
        (self.from_s..=self.until_s).contains(&now_s)
    }
}

/// Why a text is no public key that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// It is none of the forms.
    #[error("not a public key or certificate in PEM, JWK, hexadecimal or Base64")]
    Malformed,
    /// It is a private key.
    #[error("a private key, which belongs to the sender alone")]
    Private,
    /// It is a key of a kind that no scheme here uses.
    #[error("neither an Ed25519, a P-256 nor an RSA key of 2048 to 8192 bits")]
    Kind,
}

/// All keys that `text` stands for; at least one.
pub(super) fn parse(text: &str) -> Result<Vec<Key>, BadKey> {
    let text = text.trim();
    let keys = if text.starts_with("-----BEGIN") {
        vec![pem(text)?]
    } else if text.starts_with('{') {
        jwks(text)?
    } else {
        vec![bytes(text)?]
    };
    if keys.is_empty() {
        return Err(BadKey::Malformed);
    }
    Ok(keys)
}

/// The first section counts: the leaf of a chain.
fn pem(text: &str) -> Result<Key, BadKey> {
    let section = Pem::iter_from_buffer(text.as_bytes())
        .next()
        .and_then(Result::ok)
        .ok_or(BadKey::Malformed)?;
    match section.label.as_str() {
        "CERTIFICATE" => certificate(&section.contents),
        "PUBLIC KEY" => spki(&section.contents),
        "RSA PUBLIC KEY" => rsa(&section.contents),
        label if label.contains("PRIVATE KEY") => Err(BadKey::Private),
        _ => Err(BadKey::Malformed),
    }
}

/// The key of a certificate in DER.
pub(super) fn certificate(der: &[u8]) -> Result<Key, BadKey> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| BadKey::Malformed)?;
    let mut key = of_info(certificate.public_key())?;
    let validity = certificate.validity();
    key.validity = Some(Validity {
        from_s: validity.not_before.timestamp(),
        until_s: validity.not_after.timestamp(),
    });
    Ok(key)
}

fn bytes(text: &str) -> Result<Key, BadKey> {
    let bytes = hex::decode(text)
        .ok()
        .or_else(|| STANDARD.decode(text).ok())
        .or_else(|| URL_SAFE.decode(text).ok())
        .ok_or(BadKey::Malformed)?;
    match (bytes.len(), bytes.first()) {
        (32, _) => Ok(Material::Ed25519(bytes).into()),
        (65, Some(4)) => Ok(Material::P256(bytes).into()),
        (_, Some(0x30)) => spki(&bytes)
            .or_else(|_| rsa(&bytes))
            .or_else(|_| certificate(&bytes)),
        _ => Err(BadKey::Malformed),
    }
}

fn spki(der: &[u8]) -> Result<Key, BadKey> {
    let (_, info) = SubjectPublicKeyInfo::from_der(der).map_err(|_| BadKey::Malformed)?;
    of_info(&info)
}

fn of_info(info: &SubjectPublicKeyInfo<'_>) -> Result<Key, BadKey> {
    let algorithm = &info.algorithm;
    let bits = &info.subject_public_key.data;
    if algorithm.algorithm == OID_SIG_ED25519 && bits.len() == 32 {
        return Ok(Material::Ed25519(bits.to_vec()).into());
    }
    if algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = algorithm.parameters.as_ref().map(|any| any.as_oid());
        let is_p256 = matches!(curve, Some(Ok(oid)) if oid == OID_EC_P256);
        if is_p256 && bits.len() == 65 && bits.first() == Some(&4) {
            return Ok(Material::P256(bits.to_vec()).into());
        }
        return Err(BadKey::Kind);
    }
    match info.parsed() {
        Ok(PublicKey::RSA(key)) => rsa_parts(key.modulus, key.exponent),
        _ => Err(BadKey::Kind),
    }
}

/// `RSAPublicKey` of RFC 8017.
fn rsa(der: &[u8]) -> Result<Key, BadKey> {
    let (_, key) = RSAPublicKey::from_der(der).map_err(|_| BadKey::Malformed)?;
    rsa_parts(key.modulus, key.exponent)
}

fn rsa_parts(n: &[u8], e: &[u8]) -> Result<Key, BadKey> {
    let trim = |bytes: &[u8]| -> Vec<u8> {
        bytes
            .iter()
            .copied()
            .skip_while(|byte| *byte == 0)
            .collect()
    };
    let (n, e) = (trim(n), trim(e));
    if !MODULUS_BYTES.contains(&n.len()) || e.is_empty() {
        return Err(BadKey::Kind);
    }
    Ok(Material::Rsa { n, e }.into())
}

/// A JWK or a JWK set (RFC 7517). Unknown members are allowed; there are many.
#[derive(Deserialize)]
struct Jwk {
    #[serde(default)]
    kty: String,
    #[serde(default)]
    crv: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    /// Private part of an elliptic curve or RSA key.
    d: Option<serde::de::IgnoredAny>,
    /// Plaid's: when the key stopped being used, in Unix seconds.
    expired_at: Option<i64>,
    keys: Option<Vec<Jwk>>,
}

/// Of a set, keys of unknown kinds and for encryption are left out.
pub(super) fn jwks(text: &str) -> Result<Vec<Key>, BadKey> {
    let jwk: Jwk = serde_json::from_str(text).map_err(|_| BadKey::Malformed)?;
    match jwk.keys {
        None => Ok(vec![jwk.key()?]),
        Some(set) => Ok(set
            .iter()
            .take(SET_KEYS_MAX)
            .filter(|one| one.usage.as_deref() != Some("enc"))
            .filter_map(|one| one.key().ok())
            .collect()),
    }
}

impl Jwk {
    fn key(&self) -> Result<Key, BadKey> {
        if self.d.is_some() {
            return Err(BadKey::Private);
        }
        let part = |text: &Option<String>| -> Result<Vec<u8>, BadKey> {
            let text = text.as_deref().ok_or(BadKey::Malformed)?;
            URL_SAFE.decode(text).map_err(|_| BadKey::Malformed)
        };
        let mut key = match (self.kty.as_str(), self.crv.as_str()) {
            ("OKP", "Ed25519") => {
                let x = part(&self.x)?;
                if x.len() != 32 {
                    return Err(BadKey::Malformed);
                }
                Material::Ed25519(x).into()
            }
            ("EC", "P-256") => {
                let (x, y) = (part(&self.x)?, part(&self.y)?);
                if x.len() != 32 || y.len() != 32 {
                    return Err(BadKey::Malformed);
                }
                Material::P256([&[4], x.as_slice(), y.as_slice()].concat()).into()
            }
            ("RSA", _) => rsa_parts(&part(&self.n)?, &part(&self.e)?)?,
            _ => return Err(BadKey::Kind),
        };
        key.kid.clone_from(&self.kid);
        key.validity = self
            .expired_at
            .map(|until_s| Validity { from_s: 0, until_s });
        Ok(key)
    }
}

impl From<Material> for Key {
    fn from(material: Material) -> Self {
        Self {
            material,
            kid: None,
            validity: None,
        }
    }
}

impl Key {
    /// Whether signatures of `algorithm` are made with keys of this kind.
    pub(super) fn fits(&self, algorithm: Algorithm) -> bool {
        match self.material {
            Material::Ed25519(_) => algorithm == Algorithm::Ed25519,
            Material::P256(_) => matches!(
                algorithm,
                Algorithm::EcdsaP256Sha256 | Algorithm::EcdsaP256Sha256Fixed
            ),
            Material::Rsa { .. } => {
                matches!(algorithm, Algorithm::RsaSha1 | Algorithm::RsaSha256)
            }
        }
    }

    /// Whether `signature` over `message` was made with the private half of this key.
    pub(super) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let unparsed = |kind: &'static dyn sig::VerificationAlgorithm, key: &[u8]| {
            sig::UnparsedPublicKey::new(kind, key)
                .verify(message, signature)
                .is_ok()
        };
        match (&self.material, algorithm) {
            (Material::Ed25519(key), Algorithm::Ed25519) => unparsed(&sig::ED25519, key),
            (Material::P256(key), Algorithm::EcdsaP256Sha256) => {
                unparsed(&sig::ECDSA_P256_SHA256_ASN1, key)
            }
            (Material::P256(key), Algorithm::EcdsaP256Sha256Fixed) => {
                unparsed(&sig::ECDSA_P256_SHA256_FIXED, key)
            }
            (Material::Rsa { n, e }, Algorithm::RsaSha1 | Algorithm::RsaSha256) => {
                let parameters = match algorithm {
                    Algorithm::RsaSha1 => &sig::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
                    _ => &sig::RSA_PKCS1_2048_8192_SHA256,
                };
                sig::RsaPublicKeyComponents { n, e }
                    .verify(parameters, message, signature)
                    .is_ok()
            }
            _ => false,
        }
    }
}
