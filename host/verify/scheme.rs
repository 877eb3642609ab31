//! A scheme: how a provider proves that a request is its own, as data.
//!
//! Presets (`host/providers/*.toml`) and `scheme = { ... }` in `routes.toml` are read into this one type.
//! It only says what stands in the file: [`super::Verifier::new`] checks that it makes sense together with
//! the secrets. New families are new [`Kind`]s and new placeholders of [`Part`], never code per provider.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::Coverage;
use super::part::{Extract, Part};

/// How requests are judged, and where their event's id and type stand.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scheme {
    /// What is checked. Absent only where `any_of` says it.
    pub kind: Option<Kind>,
    /// `mac`, `keyed_hash`: the algorithm. With `alg_from`, the one to use where the header is absent.
    pub alg: Option<Algorithm>,
    /// The sender names the algorithm, out of this list and no other.
    pub alg_from: Option<AlgorithmHeader>,
    /// How the text of a secret becomes the key's bytes.
    pub key: KeyRule,
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
    /// `static`: where the credential stands.
    pub credential: Option<Credential>,
    /// Headers that must have this value.
    pub require: BTreeMap<String, String>,
    /// Only the secret of this place (1 is the first) is good here, for providers that bind each of two
    /// signature headers to a key of its own. Absent: any of them.
    pub secret: Option<usize>,
    /// This scheme is off unless the source gives this parameter.
    pub opt_in: Option<String>,
    /// How much of the request the signature covers. Absent: `full` if the body is a signed part, else `none`.
    pub coverage: Option<Coverage>,
    /// Where the event's id stands: the first that is there.
    pub event_id: Vec<Extract>,
    /// Where the event's type stands: the first that is there.
    pub event_type: Vec<Extract>,
    /// Several schemes, one of which must accept the request. They take `event_id` and `event_type` from here
    /// where they have none.
    pub any_of: Vec<Scheme>,
}

/// The families of schemes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A keyed MAC over `signed`.
    Mac,
    /// A plain hash over `signed`, one part of which is `{secret}`.
    KeyedHash,
    /// A credential that the request carries; nothing is signed.
    Static,
    /// Everything is let through, marked as not covered. Has to be written out.
    Unverified,
}

/// MAC and hash algorithms.
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
}

/// A header that names the algorithm.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlgorithmHeader {
    /// The header.
    pub header: String,
    /// Its possible values. Others are refused.
    pub map: BTreeMap<String, Algorithm>,
}

/// From a secret's text to the key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyRule {
    /// The text's encoding.
    pub decode: KeyEncoding,
    /// Taken off the text first, if it is there.
    pub strip_prefix: String,
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

/// A time outside of the body.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timestamp {
    /// The header that holds it. Absent: `time_key` of the signature's `k=v` list does.
    pub header: Option<String>,
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

/// A time in the body. A body without it is accepted.
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
    pub header: String,
    /// Fixed text before the signature. A signature without it does not count.
    #[serde(default)]
    pub prefix: String,
    /// How the bytes are written.
    pub encoding: SignatureEncoding,
    /// How several signatures share the header.
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
}

/// How several signatures share a header.
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
    /// `NAME-1`, `NAME-2` ...: one header per key.
    Numbered,
}

/// Where a static credential stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// The place.
    #[serde(rename = "in")]
    pub place: Place,
    /// Name of the header or parameter. `{param:NAME}` takes it from the source's parameters; without that
    /// parameter the scheme is off.
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
}
