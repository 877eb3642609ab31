//! Signatures in headers: finding and decoding them.
//!
//! Only what the sender wrote is looked at here, no key, so nothing needs constant time. What is not understood
//! (another version, an unknown pair) is skipped, as providers add such things without notice.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::mac::TAG_BYTES_MAX;
use super::scheme::{Signature, SignatureEncoding, SignatureForm};
use super::{Rejection, Request, headers};

/// Signatures that are looked at in one request. `DocuSign` documents the most: one for each of 100 keys.
const CANDIDATES_MAX: usize = 100;

/// A signature as the sender wrote it, without its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate<'r> {
    /// Still encoded.
    pub(super) text: &'r str,
    /// The time that stands beside it in the header.
    pub(super) time: Option<&'r str>,
}

/// A signature's bytes.
pub(super) struct Decoded {
    bytes: [u8; TAG_BYTES_MAX],
    len: usize,
}

impl Decoded {
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// The signatures of a request. At least one; none is an error.
pub(super) fn candidates<'r>(
    rule: &Signature,
    request: Request<'r>,
) -> Result<Vec<Candidate<'r>>, Rejection> {
    if rule.form == SignatureForm::Numbered {
        return numbered(rule, request);
    }
    let value = headers::required(request, &rule.header)?;
    let mut found = Vec::with_capacity(1);
    match rule.form {
        SignatureForm::Single => found.extend(strip(rule, value, None)),
        SignatureForm::SpaceList => {
            found.extend(value.split(' ').filter_map(|word| strip(rule, word, None)));
        }
        SignatureForm::Pairs => pairs(rule, value, &mut found)?,
        SignatureForm::PairSets => {
            for set in value.split(' ').filter(|set| !set.is_empty()) {
                pairs(rule, set, &mut found)?;
            }
        }
        SignatureForm::Numbered => {}
    }
    bounded(rule, found)
}

fn bounded<'r>(
    rule: &Signature,
    found: Vec<Candidate<'r>>,
) -> Result<Vec<Candidate<'r>>, Rejection> {
    if found.is_empty() {
        let wanted = match rule.form {
            SignatureForm::Pairs | SignatureForm::PairSets => format!("`{}=`", rule.key),
            _ => format!("`{}`", rule.prefix),
        };
        return Err(Rejection::malformed(format!(
            "header `{}` holds no signature that begins with {wanted}",
            rule.header
        )));
    }
    if found.len() > CANDIDATES_MAX {
        return Err(Rejection::malformed(format!(
            "header `{}` holds more than {CANDIDATES_MAX} signatures",
            rule.header
        )));
    }
    Ok(found)
}

fn strip<'r>(rule: &Signature, text: &'r str, time: Option<&'r str>) -> Option<Candidate<'r>> {
    let text = text.strip_prefix(rule.prefix.as_str())?;
    Some(Candidate { text, time })
}

fn pairs<'r>(
    rule: &Signature,
    value: &'r str,
    found: &mut Vec<Candidate<'r>>,
) -> Result<(), Rejection> {
    let split = || {
        value
            .split(rule.delimiter)
            .filter_map(|pair| pair.trim().split_once('='))
    };
    let mut times = split().filter(|(key, _)| *key == rule.time_key);
    let time = times.next().map(|(_, time)| time);
    // Which of two times is signed would be a guess.
    if times.next().is_some() {
        return Err(Rejection::malformed(format!(
            "header `{}` holds `{}=` more than once",
            rule.header, rule.time_key
        )));
    }
    found.extend(
        split()
            .filter(|(key, _)| *key == rule.key)
            .filter_map(|(_, text)| strip(rule, text, time)),
    );
    Ok(())
}

fn numbered<'r>(rule: &Signature, request: Request<'r>) -> Result<Vec<Candidate<'r>>, Rejection> {
    let found: Vec<_> = request
        .headers
        .iter()
        .filter(|header| {
            header
                .name
                .strip_prefix(rule.header.as_str())
                .and_then(|rest| rest.strip_prefix('-'))
                .is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
        })
        .filter_map(|header| std::str::from_utf8(&header.value).ok())
        .filter_map(|value| strip(rule, value, None))
        .collect();
    if found.is_empty() {
        return Err(Rejection::missing_header(&format!("{}-1", rule.header)));
    }
    bounded(rule, found)
}

/// Decodes a signature; `None` if it is not `len` bytes in this encoding.
pub(super) fn decode(encoding: SignatureEncoding, text: &str, len: usize) -> Option<Decoded> {
    // The Base64 decoder wants room for a whole group beyond the last byte.
    let mut buffer = [0; TAG_BYTES_MAX + 3];
    let decoded_len = match encoding {
        SignatureEncoding::Hex => {
            hex::decode_to_slice(text, buffer.get_mut(..len)?).ok()?;
            len
        }
        SignatureEncoding::Base64 => STANDARD.decode_slice(text, &mut buffer).ok()?,
    };
    if decoded_len != len {
        return None;
    }
    let mut bytes = [0; TAG_BYTES_MAX];
    for (to, from) in bytes.iter_mut().zip(buffer) {
        *to = from;
    }
    Some(Decoded { bytes, len })
}

/// Writes a signature.
pub(super) fn encode(encoding: SignatureEncoding, tag: &[u8]) -> String {
    match encoding {
        SignatureEncoding::Hex => hex::encode(tag),
        SignatureEncoding::Base64 => STANDARD.encode(tag),
    }
}
