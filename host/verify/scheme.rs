//! A scheme: how a provider proves that a request is its own, as data.
//!
//! Presets (`host/providers/*.toml`) and `scheme = { ... }` in `routes.toml` are read into this one type.
//! It only says what stands in the file: [`super::Verifier::new`] checks that it makes sense together with
//! the secrets. New families are new [`Kind`]s and new placeholders of [`Part`], never code per provider.

use std::collections::BTreeMap;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;

use crate::fetch::HostRule;

use super::Coverage;
use super::part::{Extract, Part, Source};

/// How requests are judged, and where their event's id and type stand.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scheme {
    /// What is checked. Absent only where `any_of` says it.
    pub kind: Option<Kind>,
    /// The algorithm. With `alg_from`, the one to use where the sender names none.
    pub alg: Option<Algorithm>,
    /// The sender names the algorithm, out of this list and no other.
    pub alg_from: Option<AlgorithmName>,
    /// How the text of a secret becomes the key's bytes.
    pub key: KeyRule,
    /// JSON Pointer to a list in the body, each item of which has to pass by itself; the pointers of signature,
    /// signed parts and credential are then relative to the item. An empty or absent list is refused.
    pub each: Option<String>,
    /// What is signed: the parts' bytes, one after the other.
    pub signed: Vec<Part>,
    /// Query parameter that holds the body's SHA-256 in hexadecimal, where the URL is signed and the body is not.
    pub body_hash: Option<String>,
    /// When the request was signed.
    pub timestamp: Option<Timestamp>,
    /// A second time that stands in the body, checked after the signature.
    pub body_timestamp: Option<BodyTimestamp>,
    /// Where the signature stands.
    pub signature: Option<Signature>,
    /// `jwt`: where the token stands.
    pub token: Option<Token>,
    /// `jwt`: claims that must have this value. Of a claim that is a list, one item must have it.
    pub claims: BTreeMap<String, Part>,
    /// `static`: where the credential stands.
    pub credential: Option<Credential>,
    /// `signature`, `jwt`: where the sender publishes its keys, for sources that allow `fetch_keys`.
    pub key_source: Option<KeySource>,
    /// Headers that must have this value.
    pub require: BTreeMap<String, String>,
    /// Places with the name of a parameter: where the source gives that, the request must have its value there.
    pub bind: BTreeMap<Source, String>,
    /// Headers that must not be there, because another scheme is to judge a request that has them.
    pub unless: Vec<String>,
    /// Only the secret of this place (1 is the first) is good here, for providers that bind each of two
    /// signature headers to a key of its own. Absent: any of them.
    pub secret: Option<usize>,
    /// This scheme is off unless the source sets this parameter to `true`.
    pub opt_in: Option<String>,
    /// This scheme is off unless the source gives this parameter, whatever its value.
    pub if_param: Option<String>,
    /// How much of the request the signature covers. Absent: `full` if the body is a signed part, else `none`.
    pub coverage: Option<Coverage>,
    /// Where the event's id stands: the first that is there.
    pub event_id: Vec<Extract>,
    /// Where the event's type stands: the first that is there.
    pub event_type: Vec<Extract>,
    /// What the delivery is deduplicated by, where that is not its event's id: a value that the provider uses
    /// once, if it stands under the signature and the id does not.
    pub dedupe_by: Vec<Extract>,
    /// Several schemes, one of which must accept the request. They take `event_id`, `event_type`, `dedupe_by` and
    /// `body_timestamp` from here where they have none.
    pub any_of: Vec<Scheme>,
    /// Schemes that must accept the request as well, each with secrets and parameters of its own choice.
    pub also: Vec<Scheme>,
}

/// The families of schemes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A keyed MAC over `signed`.
    Mac,
    /// A plain hash over `signed`, one part of which is `{secret}`.
    KeyedHash,
    /// A public-key signature over `signed`. The secrets are the sender's public keys or certificates.
    Signature,
    /// A JSON Web Token (RFC 7519) whose `claims` speak of the request. The secrets are the sender's public keys.
    Jwt,
    /// A credential that the request carries; nothing is signed.
    Static,
    /// Everything is let through, marked as not covered. Has to be written out.
    Unverified,
}

/// MAC, hash and signature algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Algorithm {
    /// HMAC (RFC 2104) with SHA-1: old, but unbroken as a MAC.
    #[serde(rename = "hmac-sha1")]
    HmacSha1,
    /// HMAC with SHA-256.
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    /// HMAC with SHA-512.
    #[serde(rename = "hmac-sha512")]
    HmacSha512,
    /// Plain SHA-256, for `keyed_hash`.
    #[serde(rename = "sha256")]
    Sha256,
    /// Ed25519 (RFC 8032).
    #[serde(rename = "ed25519")]
    Ed25519,
    /// ECDSA on P-256 with SHA-256, the signature in DER.
    #[serde(rename = "ecdsa-p256-sha256")]
    EcdsaP256Sha256,
    /// The same, the signature as two numbers of 32 bytes: `ES256` of JSON Web Tokens.
    #[serde(rename = "ecdsa-p256-sha256-fixed")]
    EcdsaP256Sha256Fixed,
    /// RSA PKCS#1 v1.5 with SHA-1. Broken for new uses; Amazon SNS still signs with it unless told otherwise.
    #[serde(rename = "rsa-sha1")]
    RsaSha1,
    /// RSA PKCS#1 v1.5 with SHA-256: `RS256` of JSON Web Tokens.
    #[serde(rename = "rsa-sha256")]
    RsaSha256,
}

impl Algorithm {
    /// The family that it belongs to; tokens take some of the signatures.
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::HmacSha1 | Self::HmacSha256 | Self::HmacSha512 => Kind::Mac,
            Self::Sha256 => Kind::KeyedHash,
            Self::Ed25519
            | Self::EcdsaP256Sha256
            | Self::EcdsaP256Sha256Fixed
            | Self::RsaSha1
            | Self::RsaSha256 => Kind::Signature,
        }
    }

    /// Its name in the header of a JSON Web Token (RFC 7518, RFC 8037).
    pub(super) fn jwt_name(self) -> Option<&'static str> {
        match self {
            Self::Ed25519 => Some("EdDSA"),
            Self::EcdsaP256Sha256Fixed => Some("ES256"),
            Self::RsaSha256 => Some("RS256"),
            _ => None,
        }
    }
}

/// Where the sender names the algorithm.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlgorithmName {
    /// The place, such as `header:X-Alg` or `json:/SignatureVersion`.
    pub at: Source,
    /// What may stand there. Anything else is refused.
    pub map: BTreeMap<String, Algorithm>,
}

/// From a secret's text to the key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyRule {
    /// The text's encoding. Public keys say it themselves.
    pub decode: KeyEncoding,
    /// Taken off the text first, if it is there.
    pub strip_prefix: String,
    /// A text without `strip_prefix` is no key of this scheme.
    pub prefix_required: bool,
    /// A text that begins so is no key of this scheme.
    pub refuse_prefix: Option<String>,
    /// Fewest bytes of a key that is worth the name; 0 is read as 1.
    pub bytes_min: usize,
}

/// How the text of a secret stands for bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyEncoding {
    /// The text's own bytes.
    #[default]
    Utf8,
    /// Standard Base64, padding optional.
    Base64,
    /// Hexadecimal.
    Hex,
}

/// When the request was signed, as the signature itself has it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timestamp {
    /// The header that holds it. Without any place, `time_key` of the signature's `k=v` list does.
    pub header: Option<String>,
    /// Any other place that holds it, such as `json:/signature/timestamp`.
    pub at: Option<Source>,
    /// `jwt`: the claim that holds it.
    pub claim: Option<String>,
    /// How it is written.
    #[serde(default)]
    pub unit: TimeUnit,
    /// Greatest age.
    #[serde(default)]
    pub past: Window,
    /// Greatest advance on our clock.
    #[serde(default)]
    pub future: Window,
}

/// A time in the body that does not take part in the signature's own text. A body without it is accepted.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BodyTimestamp {
    /// JSON Pointer to it.
    pub json: String,
    /// How it is written.
    #[serde(default)]
    pub unit: TimeUnit,
    /// Greatest age.
    #[serde(default)]
    pub past: Window,
    /// Greatest advance on our clock.
    #[serde(default)]
    pub future: Window,
}

/// How a time is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum TimeUnit {
    /// Seconds since the Unix epoch.
    #[default]
    #[serde(rename = "s")]
    Seconds,
    /// Milliseconds since the Unix epoch.
    #[serde(rename = "ms")]
    Milliseconds,
    /// RFC 3339 text.
    #[serde(rename = "rfc3339")]
    Rfc3339,
}

/// A tolerance: a duration such as `5m`, or `none` for no limit. Five minutes where nothing is said, as the
/// Standard Webhooks specification and most providers have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Window(pub Option<Duration>);

impl Default for Window {
    fn default() -> Self {
        Self(Some(Duration::from_mins(5)))
    }
}

impl TryFrom<String> for Window {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl std::str::FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            return Ok(Self(None));
        }
        humantime::parse_duration(text)
            .map(|duration| Self(Some(duration)))
            .map_err(|error| {
                format!("`{text}` is neither a duration such as `5m` nor `none`: {error}")
            })
    }
}

/// Where a signature stands and how it is written.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// The header. For `numbered` it is the name without `-1`.
    #[serde(default)]
    pub header: Option<String>,
    /// Any other place, such as `json:/Signature` or `form:signature`.
    #[serde(default)]
    pub at: Option<Source>,
    /// Fixed text before the signature. A signature without it does not count.
    #[serde(default)]
    pub prefix: String,
    /// How the bytes are written.
    pub encoding: SignatureEncoding,
    /// How several signatures share the place.
    #[serde(default)]
    pub form: SignatureForm,
    /// `pairs`, `pair_sets`: what separates the pairs. A comma where nothing is said.
    #[serde(default = "comma")]
    pub delimiter: char,
    /// `pairs`, `pair_sets`: the key of a signature; it may stand there several times.
    #[serde(default)]
    pub key: String,
    /// `pairs`, `pair_sets`: the key of the time.
    #[serde(default)]
    pub time_key: String,
}

fn comma() -> char {
    ','
}

/// How a signature's bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignatureEncoding {
    /// Hexadecimal, either case.
    Hex,
    /// Standard Base64 with padding.
    Base64,
    /// Base64 with the alphabet for URLs, padding optional.
    Base64Url,
}

/// How several signatures share a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignatureForm {
    /// There is one.
    #[default]
    Single,
    /// Separated by spaces. Those without `prefix` are of another version and are skipped.
    SpaceList,
    /// `t=1,v1=aa,v1=bb`: pairs with one time. Unknown keys are skipped.
    Pairs,
    /// `t=1,v1=aa t=2,v1=bb`: sets of pairs, each with its own time, separated by spaces.
    PairSets,
    /// Separated by commas, white space around them left out.
    CommaList,
    /// `NAME-1`, `NAME-2` ...: one header per key.
    Numbered,
}

/// Where a JSON Web Token stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The place, such as `header:Plaid-Verification`.
    pub at: Source,
    /// Fixed text before the token. One without it does not count.
    #[serde(default)]
    pub prefix: String,
}

/// Where a sender publishes its keys. A URL that a request names is held against `hosts` and `path_suffix` in any
/// case, also where the key is configured.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySource {
    /// Where the request names the URL: the first place that is there.
    #[serde(default)]
    pub at: Vec<Source>,
    /// The URL, where the request does not name it. `{param:NAME}` stands for a parameter of the source.
    pub url: Option<String>,
    /// What is posted to the URL, as JSON; without it the URL is fetched with GET. `{param:NAME}` stands for a
    /// parameter of the source and `{kid}` for the key's name in the token, both written as JSON strings.
    pub post: Option<String>,
    /// Hosts that may be asked.
    pub hosts: Vec<HostRule>,
    /// Networks that may be asked although they are not public, for senders of your own.
    #[serde(default)]
    pub allow_private: Vec<IpNet>,
    /// How the path of the URL has to end.
    #[serde(default)]
    pub path_suffix: String,
    /// What comes back.
    pub format: KeyFormat,
    /// JSON Pointer to the key in what comes back.
    #[serde(default)]
    pub pointer: String,
    /// Names one of which a fetched certificate must be made out to; none is any.
    #[serde(default)]
    pub names: Vec<HostRule>,
    /// Name of the parameter that holds certificates, in PEM, one of which must have issued a fetched one.
    pub ca_param: Option<String>,
    /// How long a fetched key is used before it is fetched again.
    #[serde(default)]
    pub keep: Keep,
}

/// How long a fetched key is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Keep(pub Duration);

impl Default for Keep {
    fn default() -> Self {
        Self(Duration::from_hours(1))
    }
}

impl TryFrom<String> for Keep {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        humantime::parse_duration(&text)
            .map(Self)
            .map_err(|error| format!("`{text}` is not a duration such as `1h`: {error}"))
    }
}

/// What a key is fetched as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyFormat {
    /// A certificate in PEM, its issuers behind it.
    Certificate,
    /// A JWK or a JWK set (RFC 7517).
    Jwks,
}

/// Where a static credential stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// The place.
    #[serde(rename = "in")]
    pub place: Place,
    /// Name of the header or parameter, or the JSON Pointer. `{param:NAME}` takes it from the source's
    /// parameters; without that parameter the scheme is off.
    #[serde(default)]
    pub name: String,
}

/// Places of a static credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// `Authorization: Basic` (RFC 7617). The secret is `user:password`, or the password alone if the source
    /// gives the parameter `username`.
    Basic,
    /// `Authorization: Bearer` (RFC 6750).
    Bearer,
    /// A header's whole value.
    Header,
    /// A query parameter.
    Query,
    /// A field of the body, by its JSON Pointer. It stays in the stored body.
    Json,
}
