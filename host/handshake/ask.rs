//! Asking: a handshake as its provider would do it, for `hookswitch send --handshake` and tests.
//!
//! The inverse of recognising: a request is made that meets all conditions of a rule, with one challenge at every
//! place that the answer sends back. It is not signed here. Pure.

use std::collections::BTreeMap;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use super::place::Place;
use super::rule::Rule;
use super::text::Part;
use crate::event::Header;

/// A request that is not signed yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// The method.
    pub method: &'static str,
    /// The query, encoded; empty if there is none.
    pub query: String,
    /// Headers, names lower-case.
    pub headers: Vec<Header>,
    /// The body; empty if there is none.
    pub body: String,
}

/// The request of a handshake. `values` are the source's parameters.
#[must_use]
pub fn ask(rule: &Rule, values: &BTreeMap<String, String>, challenge: &str) -> Ask {
    let mut asking = Asking::default();
    let echoed = rule.answer.texts().flat_map(|text| &text.0);
    let echoed = echoed.filter_map(|part| match part {
        Part::Echo(place) | Part::Mac(_, place) => Some(place),
        Part::Literal(_) | Part::Param(_) => None,
    });
    for place in rule.has.iter().chain(echoed) {
        asking.put(place, challenge.into());
    }
    if let Some(expect) = &rule.expect
        && let Some(value) = values.get(&expect.param)
    {
        let separates = |c: char| c == ',' || c.is_whitespace();
        let first = value.split(separates).find(|one| !one.is_empty());
        let value = if expect.list {
            first.unwrap_or_default()
        } else {
            value
        };
        asking.put(&expect.value, value.into());
    }
    for (name, value) in &rule.query {
        asking.put(&Place::Query(name.clone()), value.as_str().into());
    }
    for (name, value) in &rule.header {
        asking.put(
            &Place::Header(name.to_ascii_lowercase()),
            value.as_str().into(),
        );
    }
    for (pointer, value) in &rule.json {
        // `1` and `true` are what they look like, as they would be in TOML.
        let value = match serde_json::from_str(&value.0) {
            Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
            _ => value.0.as_str().into(),
        };
        asking.put(&Place::Json(pointer.clone()), value);
    }
    asking.finish(rule.method.as_str())
}

#[derive(Default)]
struct Asking {
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Map<String, Value>,
}

impl Asking {
    fn put(&mut self, place: &Place, value: Value) {
        let text = || {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        };
        match place {
            Place::Query(name) => drop(self.query.insert(name.clone(), text())),
            Place::Header(name) => drop(self.headers.insert(name.clone(), text())),
            Place::Json(pointer) => insert(&mut self.body, pointer, value),
        }
    }

    fn finish(self, method: &'static str) -> Ask {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let query: Vec<String> = self
            .query
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        let mut headers: Vec<Header> = self
            .headers
            .into_iter()
            .map(|(name, value)| Header::new(name, value))
            .collect();
        let body = if self.body.is_empty() {
            String::new()
        } else {
            headers.push(Header::new("content-type", "application/json"));
            Value::Object(self.body).to_string()
        };
        Ask {
            method,
            query: query.join("&"),
            headers,
            body,
        }
    }
}

/// Puts a value where the pointer leads to, through objects that are made on the way.
fn insert(object: &mut Map<String, Value>, pointer: &str, value: Value) {
    let path = pointer.strip_prefix('/').unwrap_or(pointer);
    let (token, rest) = match path.split_once('/') {
        Some((token, rest)) => (token, Some(rest)),
        None => (path, None),
    };
    let name = token.replace("~1", "/").replace("~0", "~");
    match rest {
        None => drop(object.insert(name, value)),
        Some(rest) => {
            let inner = object
                .entry(name)
                .or_insert_with(|| Value::Object(Map::new()));
            if !inner.is_object() {
                *inner = Value::Object(Map::new());
            }
            if let Value::Object(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}
