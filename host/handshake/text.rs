//! Texts: the values of an answer, with placeholders.
//!
//! ```text
//! {query:NAME}  {header:NAME}  {json:/pointer}      what the request has there
//! {param:NAME}                                      a parameter of the source
//! {hmac-sha256-hex:secret,PLACE}                    the MAC of what the request has there, with the source's secret
//! {hmac-sha256-base64:secret,PLACE}
//! ```
//!
//! `{{` and `}}` stand for a brace.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use sha2::Sha256;

use super::place::Place;

/// A value of an answer, as written.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Text(pub(super) Vec<Part>);

/// A piece of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Literal(String),
    Echo(Place),
    Param(String),
    Mac(Encoding, Place),
}

/// How a MAC is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Hex,
    Base64,
}

impl Encoding {
    /// The MAC of `value`.
    pub(super) fn mac(self, key: &[u8], value: &str) -> String {
        // HMAC takes keys of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
            return String::new();
        };
        mac.update(value.as_bytes());
        let tag = mac.finalize().into_bytes();
        match self {
            Self::Hex => hex::encode(tag),
            Self::Base64 => STANDARD.encode(tag),
        }
    }
}

impl TryFrom<String> for Text {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut parts = vec![];
        let mut literal = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            literal.push_str(before);
            if let Some(after) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
                literal.push_str(from.get(..1).unwrap_or_default());
                rest = after;
                continue;
            }
            let inner = from
                .strip_prefix('{')
                .and_then(|inner| inner.split_once('}'));
            let Some((inner, after)) = inner else {
                return Err(format!(
                    "`{text}` has a lone brace; write `{{{{` or `}}}}` for one that is meant"
                ));
            };
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(placeholder(inner)?);
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self(parts))
    }
}

fn placeholder(inner: &str) -> Result<Part, String> {
    let wrong = || {
        format!(
            "`{{{inner}}}` is not a placeholder; there are {{query:NAME}}, {{header:NAME}}, {{json:/POINTER}}, \
             {{param:NAME}}, {{hmac-sha256-hex:secret,PLACE}} and {{hmac-sha256-base64:secret,PLACE}}"
        )
    };
    let (word, argument) = inner.split_once(':').ok_or_else(wrong)?;
    let encoding = match word {
        "query" | "header" | "json" => return inner.parse().map(Part::Echo),
        "param" if !argument.is_empty() => return Ok(Part::Param(argument.to_owned())),
        "hmac-sha256-hex" => Encoding::Hex,
        "hmac-sha256-base64" => Encoding::Base64,
        _ => return Err(wrong()),
    };
    let place = argument.strip_prefix("secret,").ok_or_else(wrong)?;
    place.parse().map(|place| Part::Mac(encoding, place))
}
