//! A body read where it lies: a level is parsed when someone looks into it, and once.
//!
//! What no table names is only checked to be JSON and skipped, so bodies may grow, numbers may be of any
//! size, and the original goes out byte for byte. Of a repeated key the last counts.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;

use hookswitch::{Failure, JsonError};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::decision::same;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A body: a JSON object, or a form, whose fields are then the members.
pub(crate) struct Document<'a> {
    root: Node<'a>,
    body: &'a [u8],
}

/// The body as it goes into the output.
#[derive(Clone, Copy)]
pub(crate) enum Original<'a> {
    Json(&'a RawValue),
    Text(&'a str),
    /// Bytes that are no text; they have no form in JSON.
    Bytes,
}

impl<'a> Document<'a> {
    /// Reads a JSON object.
    pub(crate) fn json(body: &'a [u8]) -> Result<Self, Failure> {
        let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
        let text = std::str::from_utf8(body)
            .map_err(|_| Failure::reject("the body is not JSON: it is not UTF-8"))?;
        let broken = |error: serde_json::Error| Failure::from(JsonError::from(&error));
        if !text.trim_ascii_start().starts_with(['{', '[']) {
            serde_json::from_str::<IgnoredAny>(text).map_err(broken)?;
            return Err(Failure::reject("the body is JSON but not an object"));
        }
        match serde_json::from_str(text).map_err(broken)? {
            members @ Children::Object(_) => Ok(Self {
                root: Node::with(members),
                body,
            }),
            _ => Err(Failure::reject("the body is JSON but not an object")),
        }
    }

    /// Reads a form (`application/x-www-form-urlencoded`).
    pub(crate) fn form(body: &'a [u8]) -> Result<Self, Failure> {
        if std::str::from_utf8(body).is_err() {
            return Err(Failure::reject("the body is not a form: it is not UTF-8"));
        }
        let fields = form_urlencoded::parse(body).map(|(name, value)| (name, Node::text_of(value)));
        Ok(Self {
            root: Node::with(Children::Object(fields.collect())),
            body,
        })
    }

    /// Takes whatever the body is, without a look inside.
    pub(crate) fn any(body: &'a [u8]) -> Self {
        Self {
            root: Node::with(Children::None),
            body,
        }
    }

    pub(crate) fn root(&self) -> &Node<'a> {
        &self.root
    }

    /// The body as it goes into the output.
    pub(crate) fn original(&self) -> Original<'a> {
        match (
            serde_json::from_slice(self.body),
            std::str::from_utf8(self.body),
        ) {
            (Ok(json), _) => Original::Json(json),
            (Err(_), Ok(text)) => Original::Text(text.trim_end()),
            (Err(_), Err(_)) => Original::Bytes,
        }
    }
}

impl Serialize for Original<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Json(json) => json.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes => serializer.serialize_none(),
        }
    }
}

/// One value of a document.
pub(crate) struct Node<'a> {
    source: Source<'a>,
    children: OnceCell<Children<'a>>,
}

enum Source<'a> {
    /// The JSON text of the value.
    Json(&'a str),
    /// The value of a form field.
    Text(Cow<'a, str>),
}

enum Children<'a> {
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
    Array(Vec<Node<'a>>),
    None,
}

impl<'a> Node<'a> {
    fn new(json: &'a str) -> Self {
        Self {
            source: Source::Json(json),
            children: OnceCell::new(),
        }
    }

    fn with(children: Children<'a>) -> Self {
        Self {
            source: Source::Json(""),
            children: OnceCell::from(children),
        }
    }

    fn text_of(value: Cow<'a, str>) -> Self {
        Self {
            source: Source::Text(value),
            children: OnceCell::from(Children::None),
        }
    }

    /// The value at a path of keys, none if there is nothing or null.
    pub(crate) fn at(&self, path: &str) -> Option<&Node<'a>> {
        self.follow(path, |key, wanted| key == wanted)
    }

    /// As [`at`](Self::at), with keys compared like words, for providers that write them in several styles.
    pub(crate) fn at_any_style(&self, path: &str) -> Option<&Node<'a>> {
        self.follow(path, same)
    }

    fn follow(&self, path: &str, is: impl Fn(&str, &str) -> bool) -> Option<&Node<'a>> {
        let mut node = self;
        for wanted in path.split('/').skip(1) {
            let Children::Object(members) = node.children() else {
                return None;
            };
            node = members
                .iter()
                .rev()
                .find(|(key, _)| is(key, wanted))
                .map(|(_, node)| node)?;
        }
        (!node.is_null()).then_some(node)
    }

    /// The members of an object with their keys.
    pub(crate) fn members(&self) -> &[(Cow<'a, str>, Node<'a>)] {
        match self.children() {
            Children::Object(members) => members,
            _ => &[],
        }
    }

    /// The elements of a list.
    pub(crate) fn elements(&self) -> &[Node<'a>] {
        match self.children() {
            Children::Array(elements) => elements,
            _ => &[],
        }
    }

    /// Text, or a number or truth value as it is spelled; none for blank text and anything else.
    pub(crate) fn text(&self) -> Option<Cow<'_, str>> {
        let text = match &self.source {
            Source::Text(text) => Cow::Borrowed(text.as_ref()),
            Source::Json(json) => match json.bytes().next()? {
                b'"' => serde_json::from_str::<Text<'_>>(json).ok()?.0,
                b'{' | b'[' | b'n' => return None,
                _ => Cow::Borrowed(*json),
            },
        };
        (!text.trim().is_empty()).then_some(text)
    }

    /// Whether a key of this name can be anywhere inside. A quick look that spares parsing large values;
    /// it may say yes for nothing.
    pub(crate) fn may_hold(&self, key: &str) -> bool {
        match &self.source {
            // An escape could spell the key.
            Source::Json(json) => json.contains(key) || json.contains("\\u"),
            Source::Text(_) => false,
        }
    }

    /// Whether it is `true`, or text that says so.
    pub(crate) fn is_true(&self) -> bool {
        self.text().is_some_and(|text| same(&text, "true"))
    }

    /// The JSON inside a text value, which some forms carry.
    pub(crate) fn embedded(&self) -> Option<Document<'_>> {
        match &self.source {
            Source::Text(text) => Document::json(text.as_bytes()).ok(),
            Source::Json(_) => None,
        }
    }

    fn is_null(&self) -> bool {
        matches!(self.source, Source::Json("null"))
    }

    fn children(&self) -> &Children<'a> {
        self.children.get_or_init(|| match &self.source {
            Source::Json(json) if json.starts_with(['{', '[']) => {
                serde_json::from_str(json).unwrap_or(Children::None)
            }
            _ => Children::None,
        })
    }
}

/// One level of an object or list, its values left as text.
impl<'de> Deserialize<'de> for Children<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Level;
        impl<'de> Visitor<'de> for Level {
            type Value = Children<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object or a list")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Text(key), value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    members.push((key, Node::new(value.get())));
                }
                Ok(Children::Object(members))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while let Some(value) = list.next_element::<&'de RawValue>()? {
                    elements.push(Node::new(value.get()));
                }
                Ok(Children::Array(elements))
            }
        }
        deserializer.deserialize_any(Level)
    }
}

/// A string, borrowed where it has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Either)
    }
}

#[cfg(test)]
mod tests;
