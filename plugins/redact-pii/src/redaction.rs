//! What happens to one value.

use std::borrow::Cow;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::value::RawValue;
use sha2::Sha256;

/// What a masked value shows; of one length, so that it does not tell the value's.
const MASK: &str = "***";

/// What happens to a value, in the order of how little is left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Redaction {
    /// It goes, with its key.
    Drop,
    /// `***` takes its place.
    Mask,
    /// Its keyed hash takes its place.
    Hash,
    /// `***` and so many of its last characters take its place.
    MaskBut(usize),
}

/// HMAC-SHA256 with the configured key.
pub(crate) struct Hasher {
    keyed: Hmac<Sha256>,
    prefix: String,
}

impl Hasher {
    pub(crate) fn new(key: &[u8], prefix: &str) -> Self {
        // HMAC takes keys of any length (RFC 2104 section 2), so the fallback is never used.
        let keyed = Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()));
        Self {
            keyed,
            prefix: prefix.to_owned(),
        }
    }

    fn hash(&self, text: &str) -> String {
        let mut mac = self.keyed.clone();
        mac.update(text.as_bytes());
        format!(
            "{}{}",
            self.prefix,
            hex::encode(mac.finalize().into_bytes())
        )
    }
}

impl Redaction {
    /// What takes the place of a value; none for null, which tells nothing, and for what is dropped.
    pub(crate) fn of(self, json: &str, hasher: Option<&Hasher>) -> Option<String> {
        if json == "null" {
            return None;
        }
        match self {
            Self::Drop => None,
            Self::Mask => Some(MASK.to_owned()),
            Self::MaskBut(count) => Some(mask_but(json, count)),
            Self::Hash => match hasher {
                Some(hasher) => Some(hasher.hash(&text(json))),
                None => Some(MASK.to_owned()),
            },
        }
    }
}

/// At most half of a value stays, or the mask of a short one would hide nothing.
fn mask_but(json: &str, count: usize) -> String {
    if json.starts_with(['{', '[']) {
        return MASK.to_owned();
    }
    let text = text(json);
    let length = text.chars().count();
    let hidden = length - count.min(length / 2);
    MASK.chars().chain(text.chars().skip(hidden)).collect()
}

/// The content of a string; anything else as it is spelled, objects and lists without white space.
fn text(json: &str) -> Cow<'_, str> {
    match json.bytes().next() {
        Some(b'"') => match serde_json::from_str(json) {
            Ok(text) => Cow::Owned(text),
            // Valid JSON, but no text: a lone surrogate escape.
            Err(_) => Cow::Borrowed(json),
        },
        Some(b'{' | b'[') => Cow::Owned(compact(json)),
        _ => Cow::Borrowed(json),
    }
}

/// JSON without the white space between its tokens.
fn compact(json: &str) -> String {
    let mut in_text = false;
    let mut escaped = false;
    json.chars()
        .filter(|letter| {
            let keep = in_text || !letter.is_ascii_whitespace();
            match letter {
                '"' if !escaped => in_text = !in_text,
                _ => {}
            }
            escaped = in_text && *letter == '\\' && !escaped;
            keep
        })
        .collect()
}

/// A JSON string of a text.
pub(crate) fn quote(text: &str) -> String {
    // Text always has a form in JSON.
    serde_json::value::to_raw_value(text).map_or_else(
        |_| "null".to_owned(),
        |raw: Box<RawValue>| raw.get().to_owned(),
    )
}
