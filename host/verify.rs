//! Verification: is this request from whom it claims to be?
//!
//! Pure: bytes, secrets and `now` come in, a verdict comes out. Comparisons are constant-time. Nothing of
//! the request is trusted, and no verdict or message holds a secret or an expected signature.
//!
//! How a provider signs is data ([`scheme::Scheme`]); [`Verifier::new`] joins it with a source's secrets, and
//! prepares the keys so that a request costs little more than its MAC. [`sign`] is the inverse.

mod branch;
mod build;
mod canonical;
mod check;
mod clock;
mod credential;
pub mod extract;
mod headers;
mod jwt;
mod key;
pub mod keys;
mod mac;
pub mod part;
pub(crate) mod pointer;
mod public;
mod render;
pub mod scheme;
mod setup;
pub mod sign;
mod signature;
mod site;
mod sns;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use crate::event::Header;
use crate::secret::Secret;

pub use keys::{FetchedKeys, KeyError, KeyRef, Keys, NoKeys};
pub use public::BadKey;
pub use scheme::{Scheme, Window};
pub use setup::SetupError;

use branch::Branch;
use check::Check;

/// A request as verification sees it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// Upper-case method.
    pub method: &'r str,
    /// Path and query as received.
    pub target: &'r str,
    /// Headers in order, names lower-case.
    pub headers: &'r [Header],
    /// The body's bytes as received.
    pub body: &'r [u8],
}

/// How much of the request the signature covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coverage {
    /// The whole body.
    Full,
    /// Some fields of it.
    Partial,
    /// Nothing: a static credential or nothing at all.
    None,
}

impl Coverage {
    /// The word for it, as in the event's attribute `coverage`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial => "partial",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a check looks at.
#[derive(Clone, Copy)]
struct View<'r> {
    request: Request<'r>,
    /// What JSON Pointers are relative to: the body, or an item of a list in it.
    json: &'r [u8],
    now_ms: u64,
    keys: &'r dyn Keys,
}

/// A request that is authentic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How much the signature covers.
    pub coverage: Coverage,
    /// The provider's event id, or a composite or hash that serves as one. Of a delivery with several events it is
    /// the hash of the body.
    pub event_id: Option<String>,
    /// The ids of all events in the delivery, at most [`extract::EVENT_IDS_MAX`].
    pub event_ids: Vec<String>,
    /// What the delivery is deduplicated by, if not by `event_id`.
    pub dedupe_by: Option<String>,
    /// The provider's event type; empty where it names none, or several.
    pub event_type: String,
}

impl Verified {
    /// Two deliveries with the same key are one.
    #[must_use]
    pub fn dedupe_key(&self) -> Option<&str> {
        self.dedupe_by.as_deref().or(self.event_id.as_deref())
    }
}

/// Why a request is refused: a stable code, and a sentence for operators that holds no secret.
///
/// Codes: [`Rejection::CODES`], and `rejected` where a verifier plugin has one of its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Rejection {
    /// Stable name of the reason.
    pub code: &'static str,
    /// What was wrong.
    pub detail: String,
    /// The key without which nothing can be said: fetch it and ask again.
    pub needs: Option<Box<KeyRef>>,
}

impl Rejection {
    /// The codes that schemes reject with.
    pub const CODES: [&'static str; 15] = [
        "missing_header",
        "missing_parameter",
        "missing_field",
        "other_scheme",
        "bad_signature",
        "bad_credential",
        "stale",
        "future",
        "malformed",
        "wrong_header",
        "wrong_claim",
        "wrong_value",
        "foreign_key",
        "unknown_key",
        "key_out_of_date",
    ];

    /// A rejection with a code of that list.
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            needs: None,
        }
    }

    pub(crate) fn missing_header(name: &str) -> Self {
        Self::new("missing_header", format!("header `{name}` is missing"))
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new("malformed", detail)
    }

    fn needs(key: KeyRef) -> Self {
        Self {
            needs: Some(Box::new(key)),
            ..Self::new(
                "unknown_key",
                "the request names a key that is neither configured nor fetched",
            )
        }
    }

    /// How much is to be learnt from it. A scheme whose signature is not there at all says nothing of the request,
    /// and one that only lacks a key may still accept it.
    fn weight(&self) -> u8 {
        match self.code {
            _ if self.needs.is_some() => 2,
            "missing_header" | "missing_parameter" | "missing_field" | "other_scheme" => 0,
            _ => 1,
        }
    }
}

/// What a scheme needs to know of a source besides its secrets. `Debug` shows no value, as any may be secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Params {
    /// Values that the scheme asks for by name, such as `username`.
    pub values: BTreeMap<String, String>,
    /// Replaces the scheme's tolerance for age, and for advance where the scheme limits that.
    pub tolerance: Option<Window>,
    /// The URL that the provider posts to, for those that sign it.
    pub public_url: Option<String>,
    /// Keys that requests name may be fetched from the provider.
    pub fetch_keys: bool,
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.values.keys().collect();
        f.debug_struct("Params")
            .field("values", &names)
            .field("tolerance", &self.tolerance)
            .field("public_url", &self.public_url)
            .field("fetch_keys", &self.fetch_keys)
            .finish()
    }
}

impl Params {
    fn required(&self, name: &str) -> Result<&str, SetupError> {
        self.values.get(name).map(String::as_str).ok_or_else(|| {
            SetupError::new(
                "missing_param",
                format!("this scheme needs the parameter `{name}`"),
            )
        })
    }
}

/// A scheme with its secrets. Two are equal if they were made of the same.
pub struct Verifier {
    branches: Vec<Branch>,
    made_of: MadeOf,
}

/// What a verifier was made of, for telling whether a reload changes it.
#[derive(PartialEq)]
struct MadeOf {
    scheme: Scheme,
    secrets: Vec<Secret>,
    params: Params,
}

impl PartialEq for Verifier {
    fn eq(&self, other: &Self) -> bool {
        self.made_of == other.made_of
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("schemes", &self.branches.len())
            .finish_non_exhaustive()
    }
}

impl Verifier {
    /// Joins a scheme with a source's secrets, any of which may have signed, and its parameters.
    ///
    /// # Errors
    /// All that is wrong with them, in words for whoever wrote them.
    pub fn new(
        scheme: &Scheme,
        secrets: &[Secret],
        params: &Params,
    ) -> Result<Self, Vec<SetupError>> {
        let branches = build::branches(scheme, secrets, params)?;
        Ok(Self {
            branches,
            made_of: MadeOf {
                scheme: scheme.clone(),
                secrets: secrets.to_vec(),
                params: params.clone(),
            },
        })
    }

    /// The secrets, any of which may have signed.
    #[must_use]
    pub fn secrets(&self) -> &[Secret] {
        &self.made_of.secrets
    }

    /// Judges a request at `now_ms` (milliseconds since the Unix epoch) with the configured keys alone.
    ///
    /// # Errors
    /// Why the request is refused. Of several schemes, the first that found its signature gives the reason.
    pub fn verify(&self, request: Request<'_>, now_ms: u64) -> Result<Verified, Rejection> {
        self.verify_with(request, now_ms, &NoKeys)
    }

    /// Judges a request with keys that were fetched as well.
    ///
    /// # Errors
    /// As [`Verifier::verify`]; [`Rejection::needs`] names a key that has to be fetched first.
    pub fn verify_with(
        &self,
        request: Request<'_>,
        now_ms: u64,
        keys: &dyn Keys,
    ) -> Result<Verified, Rejection> {
        let mut reason: Option<Rejection> = None;
        for branch in &self.branches {
            match branch.judge(request, now_ms, keys) {
                Ok(verified) => return Ok(verified),
                Err(rejection) => {
                    if reason
                        .as_ref()
                        .is_none_or(|first| first.weight() < rejection.weight())
                    {
                        reason = Some(rejection);
                    }
                }
            }
        }
        Err(reason.unwrap_or_else(|| Rejection::malformed("there is no scheme to judge it by")))
    }

    /// What the event would be called, whether or not the request is authentic: for looking at what somebody
    /// sends. It covers nothing.
    #[must_use]
    pub fn read(&self, request: Request<'_>) -> Verified {
        let names = self.branches.first().map(|one| one.extractor.read(request));
        let names = names.unwrap_or_default();
        Verified {
            coverage: Coverage::None,
            event_id: names.event_id,
            event_ids: names.event_ids,
            dedupe_by: names.dedupe_by,
            event_type: names.event_type,
        }
    }

    /// True if requests are let through without any check.
    #[must_use]
    pub fn is_unverified(&self) -> bool {
        self.branches
            .iter()
            .flat_map(Branch::conditions)
            .any(|condition| matches!(condition.check, Check::Unverified))
    }

    /// From when and until when the configured keys are valid, of those that say so. In Unix seconds.
    pub fn key_dates(&self) -> impl Iterator<Item = (i64, i64)> {
        self.branches
            .iter()
            .flat_map(Branch::conditions)
            .flat_map(|condition| condition.check.public_keys())
            .filter_map(|key| key.validity)
            .map(|validity| (validity.from_s, validity.until_s))
    }

    /// Headers (lower-case) that carry a static credential and must not be stored with the event.
    pub fn credential_headers(&self) -> impl Iterator<Item = &str> {
        self.credentials().filter_map(|check| match check.place {
            scheme::Place::Basic | scheme::Place::Bearer => Some("authorization"),
            scheme::Place::Header => Some(check.name.as_str()),
            scheme::Place::Query | scheme::Place::Json => None,
        })
    }

    /// Query parameters that carry a static credential and must not be stored with the event.
    pub fn credential_parameters(&self) -> impl Iterator<Item = &str> {
        self.credentials()
            .filter(|check| check.place == scheme::Place::Query)
            .map(|check| check.name.as_str())
    }

    /// True for a header (lower-case) in which a signature stands, so that a log can mask it.
    #[must_use]
    pub fn is_signature_header(&self, name: &str) -> bool {
        let mut conditions = self.branches.iter().flat_map(Branch::conditions);
        conditions.any(|condition| match &condition.check {
            Check::Signed(check) => check.rule.is_header(name),
            Check::Jwt(check) => check.site.is_header(name),
            Check::Static(_) | Check::Unverified => false,
        })
    }

    fn credentials(&self) -> impl Iterator<Item = &credential::CredentialCheck> {
        self.branches
            .iter()
            .flat_map(Branch::conditions)
            .filter_map(|condition| match &condition.check {
                Check::Static(check) => Some(check),
                Check::Signed(_) | Check::Jwt(_) | Check::Unverified => None,
            })
    }
}
