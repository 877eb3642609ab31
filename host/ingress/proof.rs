//! Proof: the one step that says whether a request is authentic, whoever judges it: a scheme with its
//! secrets, at once, or a verifier plugin, which the request then waits for.
//!
//! Invariant: no verdict is no proof. A plugin that traps, runs out of time or claims what is out of bounds
//! has said nothing about the sender, so the request is neither taken nor turned away for good.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::metrics::Metrics;
use crate::plugin::Verifier as Plugin;
use crate::plugin::verifier::{self, Claim, Covers, NoClaim, Setting};
use crate::verify::extract::{bounded_event_id, bounded_event_type};
use crate::verify::{Coverage, Keys, Rejection, Request, Verified, Verifier};

/// What judges a source's requests.
pub enum Proof {
    /// A preset or a scheme of the operator's own.
    Scheme(Arc<Verifier>),
    /// A verifier plugin, with what the source gives it.
    Plugin(Plugin, Arc<Setting>),
}

/// A request that is authentic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// What the event is made of.
    pub verified: Verified,
    /// Attributes of the event beside `coverage`.
    pub attributes: Vec<(String, String)>,
    /// Headers (lower-case) and query parameters that the event must not keep, as the judge named them. A
    /// scheme's are asked of [`Proof`].
    credentials: Vec<String>,
}

/// Why a request is not proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// It is not authentic.
    Rejected(Rejection),
    /// Nobody knows: the judge failed. `code` is one of [`NoClaim::Failed`]'s.
    Unknown(Rejection),
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme(verifier) => verifier.fmt(f),
            Self::Plugin(plugin, _) => plugin.fmt(f),
        }
    }
}

impl Proof {
    /// Judges a request at `now_ms`, with keys that were fetched before.
    ///
    /// # Errors
    /// It is not authentic, or nobody knows.
    pub async fn judge(
        &self,
        request: Request<'_>,
        now_ms: u64,
        metrics: &Metrics,
        keys: &dyn Keys,
    ) -> Result<Proven, Unproven> {
        match self {
            Self::Scheme(verifier) => match verifier.verify_with(request, now_ms, keys) {
                Ok(verified) => Ok(Proven::of(verified)),
                Err(rejection) => Err(Unproven::Rejected(rejection)),
            },
            Self::Plugin(plugin, setting) => {
                let started = Instant::now();
                let verdict = plugin.verify(handed(request), setting, now_ms).await;
                let seconds = started.elapsed().as_secs_f64();
                metrics.plugin_call(&plugin.spec().name, word(&verdict), seconds);
                verdict.map(proven).map_err(unproven)
            }
        }
    }

    /// What an event of this request would be called, whoever sent it.
    #[must_use]
    pub fn read(&self, request: Request<'_>) -> Proven {
        let verified = match self {
            Self::Scheme(verifier) => verifier.read(request),
            // A plugin names only what it has proven.
            Self::Plugin(..) => Verified {
                coverage: Coverage::None,
                event_id: None,
                event_ids: Vec::new(),
                dedupe_by: None,
                event_type: String::new(),
            },
        };
        Proven::of(verified)
    }

    /// True if requests are let through without any check.
    #[must_use]
    pub fn is_unverified(&self) -> bool {
        match self {
            Self::Scheme(verifier) => verifier.is_unverified(),
            Self::Plugin(..) => false,
        }
    }

    /// True if this header (lower-case) shows a credential.
    #[must_use]
    pub fn hides_header(&self, proven: &Proven, name: &str) -> bool {
        match self {
            Self::Scheme(verifier) => verifier.credential_headers().any(|hidden| hidden == name),
            Self::Plugin(..) => proven.names(name),
        }
    }

    /// True if this query parameter shows a credential.
    #[must_use]
    pub fn hides_parameter(&self, proven: &Proven, name: &str) -> bool {
        match self {
            Self::Scheme(verifier) => verifier
                .credential_parameters()
                .any(|hidden| hidden == name),
            Self::Plugin(..) => proven.names(name),
        }
    }
}

impl Proven {
    fn of(verified: Verified) -> Self {
        Self {
            verified,
            attributes: Vec::new(),
            credentials: Vec::new(),
        }
    }

    fn names(&self, credential: &str) -> bool {
        self.credentials.iter().any(|named| named == credential)
    }
}

fn handed(request: Request<'_>) -> verifier::Request<'_> {
    verifier::Request {
        method: request.method,
        target: request.target,
        headers: request.headers,
        body: request.body,
    }
}

fn proven(claim: Claim) -> Proven {
    Proven {
        verified: Verified {
            coverage: match claim.covers {
                Covers::Full => Coverage::Full,
                Covers::Partial => Coverage::Partial,
                Covers::None => Coverage::None,
            },
            event_id: claim.event_id.and_then(bounded_event_id),
            event_ids: Vec::new(),
            dedupe_by: None,
            event_type: bounded_event_type(claim.event_type),
        },
        attributes: claim.attributes,
        credentials: claim.credentials,
    }
}

fn unproven(no_claim: NoClaim) -> Unproven {
    match no_claim {
        NoClaim::Rejected { code, detail } => Unproven::Rejected(rejection(&code, detail)),
        NoClaim::Failed { code, detail } => Unproven::Unknown(Rejection::new(code, detail)),
    }
}

/// A guest's rejection. Its code becomes a metric's label only if it is a known one: labels never come from
/// a request, and a guest may have its words from there.
fn rejection(code: &str, detail: String) -> Rejection {
    match Rejection::CODES.iter().find(|known| **known == code) {
        Some(known) => Rejection::new(known, detail),
        None => {
            let detail = match code {
                "" => detail,
                code => format!("{code}: {detail}"),
            };
            Rejection::new("rejected", detail)
        }
    }
}

/// The metric's word for a verdict.
fn word(verdict: &Result<Claim, NoClaim>) -> &'static str {
    match verdict {
        Ok(_) => "verified",
        Err(NoClaim::Rejected { .. }) => "rejected",
        Err(NoClaim::Failed { code, .. }) => code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(event_id: &str, event_type: &str) -> Claim {
        Claim {
            covers: Covers::Partial,
            event_id: Some(event_id.to_owned()),
            event_type: event_type.to_owned(),
            credentials: Vec::new(),
            attributes: Vec::new(),
        }
    }

    #[test]
    fn a_claim_is_bounded_as_what_schemes_extract() {
        let plain = proven(claim("evt_1", "order.paid")).verified;
        assert_eq!(plain.coverage, Coverage::Partial);
        assert_eq!(plain.event_id.as_deref(), Some("evt_1"));
        assert_eq!(plain.event_type, "order.paid");
        let long = proven(claim(&"i".repeat(257), &"t".repeat(257))).verified;
        let id = long.event_id.unwrap_or_default();
        assert!(id.starts_with("sha256:") && id.len() == 71, "{id}");
        assert_eq!(long.event_type, "");
        assert_eq!(proven(claim("", "")).verified.event_id, None);
    }

    #[test]
    fn an_unknown_code_is_no_label() {
        let known = rejection("bad_signature", "no key fits".to_owned());
        assert_eq!(
            (known.code, known.detail.as_str()),
            ("bad_signature", "no key fits")
        );
        let own = rejection("x-evil", "no key fits".to_owned());
        assert_eq!(
            (own.code, own.detail.as_str()),
            ("rejected", "x-evil: no key fits")
        );
        assert_eq!(rejection("", "so".to_owned()).detail, "so");
    }
}
