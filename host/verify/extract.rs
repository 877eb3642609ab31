//! Extraction: an event's ids and type, and the time in its body, out of a request that is authentic.
//!
//! A delivery can hold several events. Then all their ids are found, and the delivery itself is known by the hash
//! of its body.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

use super::clock::Clock;
use super::part::{Extract, Source};
use super::pointer::{self, Found, Pointers};
use super::{Rejection, Request};

/// Longest event id, in bytes, that is kept as it is. A longer one is replaced by its hash, so that the
/// deduplication index is bounded.
pub const EVENT_ID_BYTES_MAX: usize = 256;

/// Longest event type in bytes. A longer one does not count as a type.
pub const EVENT_TYPE_BYTES_MAX: usize = 256;

/// Ids of one delivery that are kept. `HubSpot`, which says how many it sends, sends at most so many.
pub const EVENT_IDS_MAX: usize = 100;

/// The places to look at, prepared.
#[derive(Clone, Debug, Default)]
pub(super) struct Extractor {
    pointers: Pointers,
    event_id: Vec<Composite>,
    event_type: Vec<Composite>,
    dedupe_by: Vec<Composite>,
    time: Option<(usize, Clock)>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Extracted {
    pub(super) event_id: Option<String>,
    pub(super) event_ids: Vec<String>,
    pub(super) event_type: String,
    pub(super) dedupe_by: Option<String>,
}

/// Values that are joined with `:`.
#[derive(Clone, Debug)]
struct Composite {
    lookups: Vec<Lookup>,
    /// The list that it goes through: its number, and the pointers within an item.
    each: Option<(usize, Pointers)>,
}

#[derive(Clone, Debug)]
enum Lookup {
    Header(String),
    Json(usize),
    /// In an item of the list.
    Item(usize),
    Query(String),
    Form(String),
    Const(String),
    BodyHash,
}

impl Extractor {
    pub(super) fn new(
        event_id: &[Extract],
        event_type: &[Extract],
        dedupe_by: &[Extract],
        time: Option<(&str, Clock)>,
    ) -> Self {
        let mut pointers = Pointers::default();
        let mut prepare = |extracts: &[Extract]| -> Vec<Composite> {
            extracts
                .iter()
                .map(|extract| Composite::new(extract, &mut pointers))
                .collect()
        };
        let event_id = prepare(event_id);
        let event_type = prepare(event_type);
        let dedupe_by = prepare(dedupe_by);
        let time = time.map(|(pointer, clock)| (pointers.add(pointer), clock));
        Self {
            pointers,
            event_id,
            event_type,
            dedupe_by,
            time,
        }
    }

    /// The event's ids and type, if the time in its body is good.
    pub(super) fn run(&self, request: Request<'_>, now_ms: u64) -> Result<Extracted, Rejection> {
        let found = self.pointers.find(request.body);
        if let Some((slot, clock)) = &self.time
            && let Some(time) = found.text(*slot)
        {
            clock.check(&time, now_ms)?;
        }
        Ok(self.names(request, &found))
    }

    /// The event's ids and type, whatever the time in its body.
    pub(super) fn read(&self, request: Request<'_>) -> Extracted {
        self.names(request, &self.pointers.find(request.body))
    }

    fn names(&self, request: Request<'_>, found: &Found<'_>) -> Extracted {
        let ids = all(&self.event_id, request, found);
        let event_id = match ids.as_slice() {
            [_, _, ..] => Some(body_hash(request.body)),
            _ => ids.first().cloned().and_then(bounded_event_id),
        };
        let ids = ids.into_iter().take(EVENT_IDS_MAX);
        let event_type = one(&self.event_type, request, found).unwrap_or_default();
        Extracted {
            event_id,
            event_ids: ids.filter_map(bounded_event_id).collect(),
            event_type: bounded_event_type(event_type),
            dedupe_by: one(&self.dedupe_by, request, found).and_then(bounded_event_id),
        }
    }
}

/// An event id of at most [`EVENT_ID_BYTES_MAX`]; an empty one is none.
#[must_use]
pub fn bounded_event_id(id: String) -> Option<String> {
    match id.len() {
        0 => None,
        1..=EVENT_ID_BYTES_MAX => Some(id),
        _ => Some(body_hash(id.as_bytes())),
    }
}

/// An event type of at most [`EVENT_TYPE_BYTES_MAX`], or the empty one.
#[must_use]
pub fn bounded_event_type(kind: String) -> String {
    match kind.len() {
        0..=EVENT_TYPE_BYTES_MAX => kind,
        _ => String::new(),
    }
}

/// The values of the first composite that is there; several where it goes through a list.
fn all(places: &[Composite], request: Request<'_>, found: &Found<'_>) -> Vec<String> {
    places
        .iter()
        .find_map(|place| place.read(request, found))
        .unwrap_or_default()
}

/// The value of the first composite that is there and on which all items of its list agree.
fn one(places: &[Composite], request: Request<'_>, found: &Found<'_>) -> Option<String> {
    places.iter().find_map(|place| {
        let mut values = place.read(request, found)?.into_iter();
        values.next().filter(|_| values.next().is_none())
    })
}

fn body_hash(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

impl Composite {
    fn new(Extract(sources): &Extract, pointers: &mut Pointers) -> Self {
        let mut each: Option<(usize, Pointers)> = None;
        let lookups = sources
            .iter()
            .map(|source| match source {
                Source::Header(name) => Lookup::Header(name.clone()),
                Source::Json(pointer) => Lookup::Json(pointers.add(pointer)),
                Source::Each(list, within) => {
                    let (_, items) =
                        each.get_or_insert_with(|| (pointers.add(list), Pointers::default()));
                    Lookup::Item(items.add(within))
                }
                Source::Query(name) => Lookup::Query(name.clone()),
                Source::Form(name) => Lookup::Form(name.clone()),
                Source::Const(text) => Lookup::Const(text.clone()),
                Source::BodyHash => Lookup::BodyHash,
            })
            .collect();
        Self { lookups, each }
    }

    /// `None` if a part is missing, of an item too. The values of all items, each once.
    fn read(&self, request: Request<'_>, found: &Found<'_>) -> Option<Vec<String>> {
        let Some((list, within)) = &self.each else {
            return self
                .join(request, found, &Found::default())
                .map(|one| vec![one]);
        };
        let mut values: Vec<String> = Vec::new();
        let mut whole = true;
        let is_list = pointer::visit_items(found.raw(*list)?, |item| {
            let Some(value) = self.join(request, found, &within.find(item.as_bytes())) else {
                whole = false;
                return false;
            };
            if !values.contains(&value) {
                values.push(value);
            }
            values.len() <= EVENT_IDS_MAX
        });
        (is_list && whole && !values.is_empty()).then_some(values)
    }

    fn join(&self, request: Request<'_>, found: &Found<'_>, item: &Found<'_>) -> Option<String> {
        let mut joined = String::new();
        for (index, lookup) in self.lookups.iter().enumerate() {
            let value = lookup.read(request, found, item)?;
            if value.is_empty() {
                return None;
            }
            if index > 0 {
                joined.push(':');
            }
            joined.push_str(&value);
        }
        Some(joined)
    }
}

impl Lookup {
    fn read<'v>(
        &'v self,
        request: Request<'v>,
        found: &Found<'v>,
        item: &Found<'v>,
    ) -> Option<Cow<'v, str>> {
        match self {
            Self::Header(name) => crate::event::header(request.headers, name).map(Cow::Borrowed),
            Self::Json(slot) => found.text(*slot),
            Self::Item(slot) => item.text(*slot),
            Self::Query(name) => query(request.target, name).map(Cow::Owned),
            Self::Form(name) => {
                let body = std::str::from_utf8(request.body).ok()?;
                fields(body).find_map(|(key, value)| (key == *name).then_some(Cow::Owned(value)))
            }
            Self::Const(text) => Some(Cow::Borrowed(text)),
            Self::BodyHash => Some(Cow::Owned(body_hash(request.body))),
        }
    }
}

/// Whether the body says that it is a form.
pub(super) fn is_form(request: Request<'_>) -> bool {
    crate::event::header(request.headers, "content-type").is_some_and(|kind| {
        kind.to_ascii_lowercase()
            .starts_with("application/x-www-form-urlencoded")
    })
}

/// A parameter of a target's query, decoded.
pub(super) fn query(target: &str, name: &str) -> Option<String> {
    let (_, query) = target.split_once('?')?;
    fields(query).find_map(|(key, value)| (key == name).then_some(value))
}

/// The fields of `application/x-www-form-urlencoded` text, decoded.
pub(super) fn fields(text: &str) -> impl Iterator<Item = (String, String)> + '_ {
    text.split('&')
        .filter(|field| !field.is_empty())
        .map(|field| {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            (decode(name), decode(value))
        })
}

fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}
