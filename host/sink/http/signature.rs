//! Signatures: Standard Webhooks 1.0, symmetric (`v1`), made by the HTTP sink and checked by its
//! counterpart, `hookswitch receive`.
//!
//! Signed is `id.timestamp.body`; the secret is `whsec_` and base64, padded or not. Several secrets give
//! several signatures, so that a receiver can change over at its leisure. Pure: `now` comes in.

use std::time::Duration;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::secret::Secret;

/// Base64 whose padding may be missing when decoding, as the reference libraries allow.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A signing secret, with its key schedule computed once.
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

/// A secret that is not `whsec_` and base64. Says nothing of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a signing secret is not valid: it must be `whsec_` followed by base64 of 24 to 64 random bytes"
)]
pub struct BadSecret;

/// Why a signed request is not authentic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// One of the three headers is missing.
    #[error("a webhook-id, webhook-timestamp or webhook-signature header is missing")]
    MissingHeader,
    /// The timestamp is not a number.
    #[error("webhook-timestamp is not a Unix time in seconds")]
    BadTimestamp,
    /// The timestamp is too far from now.
    #[error("webhook-timestamp is outside of the tolerance")]
    Stale,
    /// No signature matches.
    #[error("no signature matches")]
    Mismatch,
}

impl SigningKey {
    /// Decodes a secret.
    ///
    /// # Errors
    /// [`BadSecret`] if it is empty or not base64.
    pub fn new(secret: &Secret) -> Result<Self, BadSecret> {
        let text = secret.expose_str();
        let encoded = text.strip_prefix("whsec_").unwrap_or(text);
        let key = BASE64.decode(encoded).map_err(|_| BadSecret)?;
        if key.is_empty() {
            return Err(BadSecret);
        }
        Hmac::new_from_slice(&key).map(Self).map_err(|_| BadSecret)
    }

    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac
    }
}

/// The `webhook-signature` header: one `v1,...` for each key.
#[must_use]
pub fn sign(keys: &[SigningKey], id: &str, timestamp: &str, body: &[u8]) -> String {
    let mut header = String::with_capacity(keys.len() * 48);
    for key in keys {
        if !header.is_empty() {
            header.push(' ');
        }
        header.push_str("v1,");
        BASE64.encode_string(
            key.mac(id, timestamp, body).finalize().into_bytes(),
            &mut header,
        );
    }
    header
}

/// What of a request its signature covers, and the signature.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'r> {
    /// `webhook-id`
    pub id: Option<&'r str>,
    /// `webhook-timestamp`
    pub timestamp: Option<&'r str>,
    /// `webhook-signature`
    pub signature: Option<&'r str>,
    /// The body as received.
    pub body: &'r [u8],
}

/// Checks a request against any of `keys`. Compares in constant time.
///
/// # Errors
/// Why it is not authentic.
pub fn verify(
    keys: &[SigningKey],
    request: Signed<'_>,
    now_s: u64,
    tolerance: Duration,
) -> Result<(), Invalid> {
    let (Some(id), Some(timestamp), Some(signature)) =
        (request.id, request.timestamp, request.signature)
    else {
        return Err(Invalid::MissingHeader);
    };
    let sent_s: u64 = timestamp.parse().map_err(|_| Invalid::BadTimestamp)?;
    if now_s.abs_diff(sent_s) > tolerance.as_secs() {
        return Err(Invalid::Stale);
    }
    let candidates = || {
        signature
            .split(' ')
            .filter_map(|entry| entry.strip_prefix("v1,"))
            .filter_map(|encoded| BASE64.decode(encoded).ok())
    };
    let authentic = keys.iter().any(|key| {
        let mac = key.mac(id, timestamp, request.body);
        candidates().any(|candidate| mac.clone().verify_slice(&candidate).is_ok())
    });
    if authentic {
        Ok(())
    } else {
        Err(Invalid::Mismatch)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn key(secret: &str) -> SigningKey {
        SigningKey::new(&Secret::new(secret)).unwrap()
    }

    /// Published in the libraries of the Standard Webhooks project, and in the documentation of Svix.
    const PUBLISHED: [(&str, &str, &str, &str, &str); 5] = [
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            r#"{"test": 2432232314}"#,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            "1649367553",
            r#"{"email":"test@example.com","username":"test_user"}"#,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
        (
            "whsec_plJ3nmyCDGBKInavdOK15jsl",
            "msg_loFOjxBNrRLzqYUf",
            "1731705121",
            r#"{"event_type":"ping","data":{"success":true}}"#,
            "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
        ),
        (
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            r#"{"test": 2432232314}"#,
            "v1,LVOXivKoo4FWasi/IaHvzhE/u+7/cu2AME+zS/nXqzk=",
        ),
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            "",
            "v1,v48jdbgvh29KJz2Qc+ghw8G6vG3nAKnujWBg8oM/62A=",
        ),
    ];

    #[test]
    fn signatures_are_those_of_the_published_vectors() {
        for (secret, id, timestamp, body, expected) in PUBLISHED {
            let header = sign(&[key(secret)], id, timestamp, body.as_bytes());
            assert_eq!(header, expected, "{id} {body}");
        }
    }

    #[test]
    fn two_secrets_give_two_signatures_and_either_is_enough() {
        let (old, new) = (
            key("whsec_b2xkLW9sZC1vbGQtb2xkLW9sZC1vbGQ"),
            key(PUBLISHED[0].0),
        );
        let header = sign(&[old.clone(), new.clone()], "m", "100", b"{}");
        assert_eq!(header.split(' ').count(), 2);
        let request = Signed {
            id: Some("m"),
            timestamp: Some("100"),
            signature: Some(&header),
            body: b"{}",
        };
        for keys in [vec![old.clone()], vec![new.clone()], vec![new, old]] {
            assert_eq!(verify(&keys, request, 100, Duration::ZERO), Ok(()));
        }
        let stranger = key("whsec_c3RyYW5nZXItc3RyYW5nZXItc3RyYW4");
        assert_eq!(
            verify(&[stranger], request, 100, Duration::ZERO),
            Err(Invalid::Mismatch)
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let (secret, id, timestamp, body, signature) = PUBLISHED[0];
        let good = Signed {
            id: Some(id),
            timestamp: Some(timestamp),
            signature: Some(signature),
            body: body.as_bytes(),
        };
        let now = 1_614_265_330;
        for (request, now, expected) in [
            (good, now, Ok(())),
            (good, now + 300, Ok(())),
            (good, now + 301, Err(Invalid::Stale)),
            (good, now - 301, Err(Invalid::Stale)),
            (
                Signed { id: None, ..good },
                now,
                Err(Invalid::MissingHeader),
            ),
            (
                Signed {
                    timestamp: None,
                    ..good
                },
                now,
                Err(Invalid::MissingHeader),
            ),
            (
                Signed {
                    signature: None,
                    ..good
                },
                now,
                Err(Invalid::MissingHeader),
            ),
            (
                Signed {
                    timestamp: Some("hello"),
                    ..good
                },
                now,
                Err(Invalid::BadTimestamp),
            ),
            (
                Signed {
                    body: b"{}",
                    ..good
                },
                now,
                Err(Invalid::Mismatch),
            ),
            (
                Signed {
                    id: Some("other"),
                    ..good
                },
                now,
                Err(Invalid::Mismatch),
            ),
            (
                Signed {
                    signature: Some("v1,dawfeo"),
                    ..good
                },
                now,
                Err(Invalid::Mismatch),
            ),
            (
                Signed {
                    signature: Some("v2,AAAA v1"),
                    ..good
                },
                now,
                Err(Invalid::Mismatch),
            ),
        ] {
            let verdict = verify(&[key(secret)], request, now, Duration::from_secs(300));
            assert_eq!(verdict, expected, "{request:?} {now}");
        }
    }

    #[test]
    fn a_secret_that_is_not_base64_is_refused_without_being_shown() {
        for secret in ["", "whsec_", "whsec_!!!", "not base64"] {
            let error = SigningKey::new(&Secret::new(secret)).err().unwrap();
            assert!(!error.to_string().contains("!!!"));
        }
    }
}
