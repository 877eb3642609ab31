//! Places: where in a request something stands.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use serde::Deserialize;

use crate::verify::Request;
use crate::verify::pointer::{Found, Pointers};

/// A place in a request. Written `query:NAME`, `header:NAME` or `json:/pointer`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Place {
    /// A query parameter, decoded.
    Query(String),
    /// A header; lower-case.
    Header(String),
    /// A string, number or boolean of a JSON body, by JSON Pointer (RFC 6901).
    Json(String),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("query", name)) if !name.is_empty() => Ok(Self::Query(name.to_owned())),
            Some(("header", name)) if http::HeaderName::from_bytes(name.as_bytes()).is_ok() => {
                Ok(Self::Header(name.to_ascii_lowercase()))
            }
            Some(("json", pointer)) if pointer.starts_with('/') => {
                Ok(Self::Json(pointer.to_owned()))
            }
            _ => Err(format!(
                "`{text}` names no place; write query:NAME, header:NAME or json:/POINTER"
            )),
        }
    }
}

impl TryFrom<String> for Place {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query(name) => write!(f, "query parameter `{name}`"),
            Self::Header(name) => write!(f, "header `{name}`"),
            Self::Json(pointer) => write!(f, "`{pointer}` of the body"),
        }
    }
}

/// A place, ready to be read.
#[derive(Clone, Debug)]
pub(super) enum Lookup {
    Query(String),
    Header(String),
    Json(usize),
}

/// A place holds two values, and the next reader might take the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Twice;

impl Lookup {
    pub(super) fn new(place: &Place, pointers: &mut Pointers) -> Self {
        match place {
            Place::Query(name) => Self::Query(name.clone()),
            Place::Header(name) => Self::Header(name.clone()),
            Place::Json(pointer) => Self::Json(pointers.add(pointer)),
        }
    }

    /// True if it stands in the body.
    pub(super) fn is_in_body(&self) -> bool {
        matches!(self, Self::Json(_))
    }

    /// What stands there. Bytes that are no text are replaced by U+FFFD, which no echo lets pass.
    pub(super) fn read<'v>(
        &self,
        request: Request<'v>,
        found: &'v Found<'_>,
    ) -> Result<Option<Cow<'v, str>>, Twice> {
        match self {
            Self::Query(name) => {
                let query = request
                    .target
                    .split_once('?')
                    .map_or("", |(_, query)| query);
                only(query.split('&').filter_map(|field| {
                    let (key, value) = field.split_once('=').unwrap_or((field, ""));
                    (decode(key) == *name).then(|| decode(value))
                }))
            }
            Self::Header(name) => only(
                request
                    .headers
                    .iter()
                    .filter(|header| header.name == *name)
                    .map(|header| String::from_utf8_lossy(&header.value)),
            ),
            Self::Json(slot) => Ok(found.text(*slot)),
        }
    }
}

fn only<'v>(mut values: impl Iterator<Item = Cow<'v, str>>) -> Result<Option<Cow<'v, str>>, Twice> {
    let first = values.next();
    match values.next() {
        Some(_) => Err(Twice),
        None => Ok(first),
    }
}

/// A name or value of `application/x-www-form-urlencoded` text.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}
