//! Facts: what a filter can see of an event, made when it is looked at.

use std::sync::OnceLock;
use std::time::Instant;

use cel::common::types::{CelBool, CelInt, CelMap, CelString};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;

use super::budget::{Budget, FUEL};
use super::value::{self, Value};
use crate::event::Event;

/// The fields of `event`.
pub(super) const FIELDS: [&str; 12] = [
    "id",
    "type",
    "source",
    "provider",
    "provider_event_id",
    "method",
    "path",
    "query",
    "headers",
    "content_type",
    "attributes",
    "received_at",
];

/// An event, as filters see it. Shared by all filters of one event, so that the body is parsed once.
pub(super) struct Facts<'e> {
    event: &'e Event,
    headers: OnceLock<CelMap<'e>>,
    attributes: OnceLock<CelMap<'e>>,
    body: OnceLock<Value<'e>>,
    whole: OnceLock<CelMap<'e>>,
}

impl<'e> Facts<'e> {
    pub(super) fn of(event: &'e Event) -> Self {
        Self {
            event,
            headers: OnceLock::new(),
            attributes: OnceLock::new(),
            body: OnceLock::new(),
            whole: OnceLock::new(),
        }
    }

    /// True once a filter looked into the body.
    #[cfg(test)]
    pub(super) fn has_parsed_body(&self) -> bool {
        self.body.get().is_some()
    }

    fn headers(&self) -> &CelMap<'e> {
        self.headers.get_or_init(|| {
            let pairs = self.event.headers.iter().map(|header| {
                let value = match String::from_utf8_lossy(&header.value) {
                    std::borrow::Cow::Borrowed(text) => CelString::from(text),
                    std::borrow::Cow::Owned(text) => CelString::from(text),
                };
                (header.name.as_str(), value)
            });
            // RFC 9110 section 5.3: fields of one name are one list.
            value::of_pairs(pairs, |earlier, later| format!("{earlier}, {later}"))
        })
    }

    fn attributes(&self) -> &CelMap<'e> {
        self.attributes.get_or_init(|| {
            let attributes = self.event.attributes.iter();
            let pairs =
                attributes.map(|(name, value)| (name.as_str(), CelString::from(value.as_str())));
            value::of_pairs(pairs, |_, later| later.to_owned())
        })
    }

    fn body(&self) -> &(dyn Val + 'e) {
        &**self.body.get_or_init(|| value::of_json(&self.event.body))
    }

    /// `event` as a value of its own, for filters that do not just name a field of it.
    fn whole(&self) -> &CelMap<'e> {
        self.whole.get_or_init(|| {
            let entries = FIELDS.iter().filter_map(|field| {
                let value: Value<'e> = match *field {
                    "headers" => Box::new(self.headers().clone()),
                    "attributes" => Box::new(self.attributes().clone()),
                    "received_at" => Box::new(self.received_at()),
                    _ => Box::new(self.text(field)?),
                };
                Some((
                    cel::common::types::CelMapKey::String(CelString::from(*field)),
                    value,
                ))
            });
            CelMap::from(entries.collect::<std::collections::HashMap<_, _>>())
        })
    }

    fn received_at(&self) -> CelInt {
        CelInt::from(i64::try_from(self.event.received_at_ms).unwrap_or(i64::MAX))
    }

    /// A field that is a string.
    fn text(&self, field: &str) -> Option<CelString<'e>> {
        let event = self.event;
        Some(CelString::from(match field {
            "id" => return Some(CelString::from(event.id.to_string())),
            "type" => event.kind.as_str(),
            "source" => &event.source,
            "provider" => &event.provider,
            "provider_event_id" => event.provider_event_id.as_deref().unwrap_or_default(),
            "method" => &event.method,
            "path" => &event.path,
            "query" => &event.query,
            "content_type" => event.content_type.as_deref().unwrap_or_default(),
            _ => return None,
        }))
    }
}

/// One evaluation: the facts, and what is left to spend.
pub(super) struct Evaluation<'f, 'e> {
    facts: &'f Facts<'e>,
    budget: Budget,
}

impl<'f, 'e> Evaluation<'f, 'e> {
    pub(super) fn of(facts: &'f Facts<'e>) -> Self {
        Self {
            facts,
            budget: Budget::full(Instant::now),
        }
    }

    pub(super) fn budget(&self) -> &Budget {
        &self.budget
    }
}

impl VariableResolver for Evaluation<'_, '_> {
    /// Names come with their fields, longest first: `event.type` before `event`.
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let facts = self.facts;
        match variable {
            FUEL => return Some(CowVal::owned(CelBool::from(self.budget.spend()))),
            "body" => return Some(CowVal::Borrowed(facts.body())),
            "event" => return Some(CowVal::Borrowed(facts.whole())),
            _ => {}
        }
        match variable.strip_prefix("event.")? {
            "headers" => Some(CowVal::Borrowed(facts.headers())),
            "attributes" => Some(CowVal::Borrowed(facts.attributes())),
            "received_at" => Some(CowVal::owned(facts.received_at())),
            field => facts.text(field).map(CowVal::owned),
        }
    }
}
