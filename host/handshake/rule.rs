//! Rules: what a provider asks and wants to hear, as data.
//!
//! `[[handshake]]` in a preset (`host/providers/*.toml`) and `handshakes` of a source are read into this one type.
//! It only says what stands in the file: [`super::Handshakes::new`] checks that it makes sense.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use super::place::Place;
use super::text::Text;
use crate::fetch::HostRule;

/// One handshake. All its conditions must hold.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, unique within the source: letters, digits, hyphens and underscores.
    pub name: String,
    /// When the provider does it, for people.
    #[serde(default)]
    pub about: String,
    /// The request's method.
    #[serde(default)]
    pub method: Method,
    /// Query parameters that must have this value.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// Headers that must have this value.
    #[serde(default)]
    pub header: BTreeMap<String, String>,
    /// JSON Pointers into the body, where there must be this string, number or boolean.
    #[serde(default)]
    pub json: BTreeMap<String, Scalar>,
    /// Places where there must be something.
    #[serde(default)]
    pub has: Vec<Place>,
    /// Places where there must be nothing.
    #[serde(default)]
    pub lacks: Vec<Place>,
    /// Whether the request has to be authentic, as an event has to be. Has to be said.
    pub verify_first: bool,
    /// A value that the source knows, and that the request must have.
    #[serde(default)]
    pub expect: Option<Expect>,
    /// Parameters that hold where the source gives no others.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// What is answered.
    #[serde(default)]
    pub answer: AnswerRule,
    /// A URL that is fetched after the answer, if the source asks for it.
    #[serde(default)]
    pub confirm: Option<ConfirmRule>,
}

impl Rule {
    /// Names of the source's parameters that this handshake asks for, or can take.
    pub fn param_names(&self) -> impl Iterator<Item = &str> {
        let expected = self.expect.iter().map(|expect| expect.param.as_str());
        expected.chain(self.answer.params())
    }
}

/// Methods that a handshake may come with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Method {
    /// `GET`
    #[serde(rename = "GET")]
    Get,
    /// `HEAD`
    #[serde(rename = "HEAD")]
    Head,
    /// `OPTIONS`
    #[serde(rename = "OPTIONS")]
    Options,
    /// `POST`, as for events.
    #[default]
    #[serde(rename = "POST")]
    Post,
}

impl Method {
    /// As HTTP writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Post => "POST",
        }
    }
}

/// A value that the source knows, and that the request must have: a verify token, an origin, a topic.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Where it stands in the request.
    pub value: Place,
    /// The source's parameter that it must equal.
    pub param: String,
    /// Whether the parameter holds several, separated by spaces or commas, any of which will do.
    #[serde(default)]
    pub list: bool,
    /// Whether anything will do where the source does not give the parameter. If not, the handshake is off then.
    #[serde(default)]
    pub optional: bool,
    /// What is answered to another value.
    #[serde(default)]
    pub refuse: Refuse,
}

/// What is answered to a value that is not the expected one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refuse {
    /// 403.
    #[default]
    Forbidden,
    /// 405, as CloudEvents wants it.
    MethodNotAllowed,
}

/// What is answered. Content types are never those of a page: a browser that is led here must not run anything.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnswerRule {
    /// Status, 200 to 299.
    pub status: u16,
    /// The body's type. Absent: `text/plain` for a text, `application/json` for JSON.
    pub content_type: Option<ContentType>,
    /// Further headers.
    pub headers: BTreeMap<String, Text>,
    /// The body as text.
    pub text: Option<Text>,
    /// The body as a JSON object. Strings may have placeholders; quoting is done here.
    pub json: Option<BTreeMap<String, JsonValue>>,
}

impl Default for AnswerRule {
    fn default() -> Self {
        Self {
            status: 200,
            content_type: None,
            headers: BTreeMap::new(),
            text: None,
            json: None,
        }
    }
}

impl AnswerRule {
    /// All values with placeholders.
    pub(super) fn texts(&self) -> impl Iterator<Item = &Text> {
        let json = self.json.iter().flat_map(BTreeMap::values);
        let in_json = json.filter_map(|value| match value {
            JsonValue::Text(text) => Some(text),
            JsonValue::Fixed(_) => None,
        });
        self.headers.values().chain(&self.text).chain(in_json)
    }

    fn params(&self) -> impl Iterator<Item = &str> {
        self.texts()
            .flat_map(|text| &text.0)
            .filter_map(|part| match part {
                super::text::Part::Param(name) => Some(name.as_str()),
                _ => None,
            })
    }
}

/// Types of an answer's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum ContentType {
    /// `text/plain`
    #[serde(rename = "text/plain")]
    Text,
    /// `application/json`
    #[serde(rename = "application/json")]
    Json,
    /// `application/x-www-form-urlencoded`
    #[serde(rename = "application/x-www-form-urlencoded")]
    Form,
}

impl ContentType {
    /// As HTTP writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text/plain",
            Self::Json => "application/json",
            Self::Form => "application/x-www-form-urlencoded",
        }
    }
}

/// A URL that is fetched.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfirmRule {
    /// Where the URL stands in the request.
    pub url: Place,
    /// Hosts that it may lead to.
    pub hosts: Vec<HostRule>,
}

/// A string, number or boolean, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar(pub String);

/// A value in a JSON answer.
#[derive(Clone, Debug, PartialEq)]
pub enum JsonValue {
    /// A string with placeholders.
    Text(Text),
    /// A number or boolean.
    Fixed(serde_json::Value),
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(ScalarVisitor)
            .map(|value| match value {
                serde_json::Value::String(text) => Self(text),
                other => Self(other.to_string()),
            })
    }
}

impl<'de> Deserialize<'de> for JsonValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(ScalarVisitor)? {
            serde_json::Value::String(text) => Text::try_from(text)
                .map(Self::Text)
                .map_err(D::Error::custom),
            other => Ok(Self::Fixed(other)),
        }
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = serde_json::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, whole number or boolean")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(text.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(number.into())
    }

    fn visit_bool<E>(self, is: bool) -> Result<Self::Value, E> {
        Ok(is.into())
    }
}
