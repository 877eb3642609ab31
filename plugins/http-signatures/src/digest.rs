//! `Content-Digest` (RFC 9530): is the body the one that the header speaks of?

use hookswitch::verify::{Rejection, Request};
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

/// Compares every digest whose algorithm is good, of which there must be one.
pub(crate) fn check(request: &Request) -> Result<(), Rejection> {
    let digests = crate::dictionary(request, "content-digest")?;
    let mut compared = 0;
    for (algorithm, digest) in &digests {
        let actual: Vec<u8> = match algorithm.as_str() {
            "sha-256" => Sha256::digest(&request.body).to_vec(),
            "sha-512" => Sha512::digest(&request.body).to_vec(),
            // The others of the registry are broken (RFC 9530 section 5).
            _ => continue,
        };
        let said = crate::bytes(digest)
            .ok_or_else(|| Rejection::malformed("header `content-digest` holds no bytes"))?;
        if !bool::from(said.ct_eq(&actual)) {
            let detail = "the body is not the one that `content-digest` speaks of";
            return Err(Rejection::bad_signature(detail));
        }
        compared += 1;
    }
    match compared {
        0 => Err(Rejection::malformed(
            "header `content-digest` has neither `sha-256` nor `sha-512`",
        )),
        _ => Ok(()),
    }
}
