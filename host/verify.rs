//! Verification: is this request from whom it claims to be?
//!
//! Pure: bytes, secrets and `now` come in, a verdict comes out. Comparisons are constant-time. Nothing of
//! the request is trusted, and no verdict or message holds a secret or an expected signature.

use crate::event::Header;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// The whole body.
    Full,
    /// Some fields of it.
    Partial,
    /// Nothing: a static credential or nothing at all.
    None,
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
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Rejection {
    pub code: &'static str,
    pub detail: String,
}

/// A scheme with its secrets.
#[derive(Debug)]
pub struct Verifier;

impl Verifier {
    /// Judges a request at `now_ms` (milliseconds since the Unix epoch).
    pub fn verify(&self, _request: Request<'_>, _now_ms: u64) -> Result<Verified, Rejection> {
        Err(Rejection { code: "stub", detail: String::new() })
    }
}
