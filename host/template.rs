//! Templates: text with `{placeholders}` filled from an event or message.
//!
//! `{type} {source} {provider} {id} {key} {json:/pointer} {header:name} {attr:name}`; `{{` and `}}` stand
//! for braces. `{id}` is Hookswitch's own event id, `{json:...}` a JSON Pointer (RFC 6901) into the
//! message's body, `{header:...}` and `{attr:...}` a header or attribute of the message. A template is
//! checked when it is parsed; rendering cannot fail, it can only find no value.

mod json;
mod parse;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use crate::event::{Message, header};
use crate::sink::Origin;

pub use parse::TemplateError;

/// What placeholders are filled from.
#[derive(Clone, Copy, Debug)]
pub struct Context<'c> {
    /// The event's.
    pub origin: &'c Origin,
    /// The message.
    pub message: &'c Message,
    /// The delivery's key, for `{key}`.
    pub key: Option<&'c str>,
}

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
    /// True if a part looks into the body.
    reads_body: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Type,
    Source,
    Provider,
    Id,
    Key,
    /// The pointer's tokens, unescaped.
    Json(Vec<String>),
    /// Lower-case.
    Header(String),
    Attribute(String),
}

impl Template {
    /// Parses a template that may use the placeholders in `allowed`, by the word before their colon:
    /// `type`, `source`, `provider`, `id`, `key`, `json`, `header`, `attr`.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn parse(text: &str, allowed: &[&str]) -> Result<Self, TemplateError> {
        parse::template(text, allowed)
    }

    /// The text. `None` if a placeholder has no value: the body is no JSON or lacks the pointer, what it
    /// points at is null, an object or a list, a header or attribute is not there, there is no key. A
    /// number is written as in the body, so `10.0` stays `10.0`; an empty string is a value.
    #[must_use]
    pub fn render(&self, context: Context<'_>) -> Option<String> {
        // The usual routing key or topic is a constant or a type.
        if let [Part::Text(text)] = self.parts.as_slice() {
            return Some(text.clone());
        }
        let mut values = if self.reads_body {
            json::find(&context.message.body, &self.pointers()).into_iter()
        } else {
            Vec::new().into_iter()
        };
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(fixed) => text.push_str(fixed),
                Part::Type => text.push_str(&context.message.kind),
                Part::Source => text.push_str(&context.origin.source),
                Part::Provider => text.push_str(&context.origin.provider),
                // Writing to a string cannot fail.
                Part::Id => _ = write!(text, "{}", context.origin.event_id),
                Part::Key => text.push_str(context.key?),
                // In the order of the parts, as the pointers were.
                Part::Json(_) => json::push_scalar(values.next()??, &mut text)?,
                Part::Header(name) => text.push_str(header(&context.message.headers, name)?),
                Part::Attribute(name) => {
                    let attributes = &context.message.attributes;
                    let (_, value) = attributes.iter().find(|(known, _)| known == name)?;
                    text.push_str(value);
                }
            }
        }
        Some(text)
    }

    fn pointers(&self) -> Vec<&[String]> {
        let pointers = self.parts.iter().filter_map(|part| match part {
            Part::Json(pointer) => Some(pointer.as_slice()),
            _ => None,
        });
        pointers.collect()
    }
}
