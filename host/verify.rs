//! Verification: is this request from whom it claims to be?
//!
//! Pure: bytes, secrets and `now` come in, a verdict comes out. Comparisons are constant-time. Nothing of
//! the request is trusted, and no verdict or message holds a secret or an expected signature.
//!
//! How a provider signs is data ([`scheme::Scheme`]); [`Verifier::new`] joins it with a source's secrets, and
//! prepares the keys so that a request costs little more than its MAC. [`sign`] is the inverse.

mod build;
mod canonical;
mod check;
mod clock;
mod credential;
pub mod extract;
mod headers;
mod key;
mod mac;
pub mod part;
pub(crate) mod pointer;
mod render;
pub mod scheme;
mod setup;
pub mod sign;
mod signature;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use crate::event::Header;
use crate::secret::Secret;

pub use scheme::{Scheme, Window};
pub use setup::SetupError;

use check::Check;
use extract::Extractor;

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

/// A request that is authentic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How much the signature covers.
    pub coverage: Coverage,
    /// The provider's event id, or a composite or hash that serves as one.
    pub event_id: Option<String>,
    /// The provider's event type; empty where it names none.
    pub event_type: String,
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
}

impl Rejection {
    /// The codes that schemes reject with.
    pub const CODES: [&'static str; 8] = [
        "missing_header",
        "missing_parameter",
        "bad_signature",
        "bad_credential",
        "stale",
        "future",
        "malformed",
        "wrong_header",
    ];

    pub(crate) fn missing_header(name: &str) -> Self {
        Self {
            code: "missing_header",
            detail: format!("header `{name}` is missing"),
        }
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self {
            code: "malformed",
            detail: detail.into(),
        }
    }

    /// The signature or credential is not there at all, so this scheme says nothing of the request.
    fn is_absence(&self) -> bool {
        matches!(self.code, "missing_header" | "missing_parameter")
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
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.values.keys().collect();
        f.debug_struct("Params")
            .field("values", &names)
            .field("tolerance", &self.tolerance)
            .field("public_url", &self.public_url)
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

/// One scheme of an `any_of`.
struct Branch {
    check: Check,
    require: Vec<(String, String)>,
    coverage: Coverage,
    extractor: Extractor,
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

    /// Judges a request at `now_ms` (milliseconds since the Unix epoch).
    ///
    /// # Errors
    /// Why the request is refused. Of several schemes, the first that found its signature gives the reason.
    pub fn verify(&self, request: Request<'_>, now_ms: u64) -> Result<Verified, Rejection> {
        let mut reason: Option<Rejection> = None;
        for branch in &self.branches {
            match branch.judge(request, now_ms) {
                Ok(verified) => return Ok(verified),
                Err(rejection) => {
                    if reason.as_ref().is_none_or(Rejection::is_absence)
                        && !(reason.is_some() && rejection.is_absence())
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
        let (event_id, event_type) = names.unwrap_or_default();
        Verified {
            coverage: Coverage::None,
            event_id,
            event_type,
        }
    }

    /// True if requests are let through without any check.
    #[must_use]
    pub fn is_unverified(&self) -> bool {
        self.branches
            .iter()
            .any(|branch| matches!(branch.check, Check::Unverified))
    }

    /// Headers (lower-case) that carry a static credential and must not be stored with the event.
    pub fn credential_headers(&self) -> impl Iterator<Item = &str> {
        self.credentials().filter_map(|check| match check.place {
            scheme::Place::Basic | scheme::Place::Bearer => Some("authorization"),
            scheme::Place::Header => Some(check.name.as_str()),
            scheme::Place::Query => None,
        })
    }

    /// Query parameters that carry a static credential and must not be stored with the event.
    pub fn credential_parameters(&self) -> impl Iterator<Item = &str> {
        self.credentials()
            .filter(|check| check.place == scheme::Place::Query)
            .map(|check| check.name.as_str())
    }

    fn credentials(&self) -> impl Iterator<Item = &credential::CredentialCheck> {
        self.branches
            .iter()
            .filter_map(|branch| match &branch.check {
                Check::Static(check) => Some(check),
                Check::Mac(_) | Check::Unverified => None,
            })
    }
}

impl Branch {
    fn judge(&self, request: Request<'_>, now_ms: u64) -> Result<Verified, Rejection> {
        for (name, wanted) in &self.require {
            if headers::required(request, name)? != wanted {
                return Err(Rejection {
                    code: "wrong_header",
                    detail: format!("header `{name}` is not `{wanted}`"),
                });
            }
        }
        self.check.run(request, now_ms)?;
        let (event_id, event_type) = self.extractor.run(request, now_ms)?;
        Ok(Verified {
            coverage: self.coverage,
            event_id,
            event_type,
        })
    }
}
