//! Where an event's id or type stands.

use hookswitch::verify::Request;
use serde::Deserialize;
use serde_json::Value;

/// `header:NAME` or `json:/POINTER`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Place {
    /// A header, by its lower-case name.
    Header(String),
    /// A value of the body, by its JSON Pointer (RFC 6901).
    Json(String),
}

impl TryFrom<String> for Place {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("header", name)) if !name.is_empty() => {
                Ok(Self::Header(name.to_ascii_lowercase()))
            }
            Some(("json", pointer)) if pointer.starts_with('/') => {
                Ok(Self::Json(pointer.to_owned()))
            }
            _ => Err("write `header:NAME` or `json:/POINTER`".to_owned()),
        }
    }
}

impl Place {
    /// The component that must be covered for it to be proven.
    pub(crate) fn component(&self) -> &str {
        match self {
            Self::Header(name) => name,
            Self::Json(_) => "content-digest",
        }
    }

    /// What stands there, if it is text or a number and not empty.
    pub(crate) fn read(&self, request: &Request) -> Option<String> {
        let found = match self {
            Self::Header(name) => request.header(name)?.trim().to_owned(),
            Self::Json(pointer) => match request.json::<Value>().ok()?.pointer(pointer)? {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => return None,
            },
        };
        (!found.is_empty()).then_some(found)
    }
}
