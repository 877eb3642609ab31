//! Extraction: an event's id and type, and the time in its body, out of a request that is authentic.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

use super::clock::Clock;
use super::part::{Extract, Source};
use super::pointer::{Found, Pointers};
use super::{Rejection, Request};

/// Longest event id, in bytes, that is kept as it is. A longer one is replaced by its hash, so that the
/// deduplication index is bounded.
pub const EVENT_ID_BYTES_MAX: usize = 256;

/// Longest event type in bytes. A longer one does not count as a type.
pub const EVENT_TYPE_BYTES_MAX: usize = 256;

/// The places to look at, prepared.
#[derive(Clone, Debug, Default)]
pub(super) struct Extractor {
    pointers: Pointers,
    event_id: Vec<Vec<Lookup>>,
    event_type: Vec<Vec<Lookup>>,
    time: Option<(usize, Clock)>,
}

#[derive(Clone, Debug)]
enum Lookup {
    Header(String),
    Json(usize),
    Query(String),
    Form(String),
    Const(String),
    BodyHash,
}

impl Extractor {
    pub(super) fn new(
        event_id: &[Extract],
        event_type: &[Extract],
        time: Option<(&str, Clock)>,
    ) -> Self {
        let mut pointers = Pointers::default();
        let mut prepare = |extracts: &[Extract]| -> Vec<Vec<Lookup>> {
            extracts
                .iter()
                .map(|Extract(sources)| {
                    sources
                        .iter()
                        .map(|source| Lookup::new(source, &mut pointers))
                        .collect()
                })
                .collect()
        };
        let event_id = prepare(event_id);
        let event_type = prepare(event_type);
        let time = time.map(|(pointer, clock)| (pointers.add(pointer), clock));
        Self {
            pointers,
            event_id,
            event_type,
            time,
        }
    }

    /// The event's id and type, if the time in its body is good.
    pub(super) fn run(
        &self,
        request: Request<'_>,
        now_ms: u64,
    ) -> Result<(Option<String>, String), Rejection> {
        let found = self.pointers.find(request.body);
        if let Some((slot, clock)) = &self.time
            && let Some(Some(time)) = found.get(*slot)
        {
            clock.check(time, now_ms)?;
        }
        Ok(self.names(request, &found))
    }

    /// The event's id and type, whatever the time in its body.
    pub(super) fn read(&self, request: Request<'_>) -> (Option<String>, String) {
        self.names(request, &self.pointers.find(request.body))
    }

    fn names(&self, request: Request<'_>, found: &Found<'_>) -> (Option<String>, String) {
        let event_id = first(&self.event_id, request, found).and_then(bounded_event_id);
        let event_type = first(&self.event_type, request, found).unwrap_or_default();
        (event_id, bounded_event_type(event_type))
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

fn first(places: &[Vec<Lookup>], request: Request<'_>, found: &Found<'_>) -> Option<String> {
    places.iter().find_map(|composite| {
        let mut joined = String::new();
        for (index, lookup) in composite.iter().enumerate() {
            let value = lookup.read(request, found)?;
            if value.is_empty() {
                return None;
            }
            if index > 0 {
                joined.push(':');
            }
            joined.push_str(&value);
        }
        Some(joined)
    })
}

fn body_hash(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

impl Lookup {
    fn new(source: &Source, pointers: &mut Pointers) -> Self {
        match source {
            Source::Header(name) => Self::Header(name.clone()),
            Source::Json(pointer) => Self::Json(pointers.add(pointer)),
            Source::Query(name) => Self::Query(name.clone()),
            Source::Form(name) => Self::Form(name.clone()),
            Source::Const(text) => Self::Const(text.clone()),
            Source::BodyHash => Self::BodyHash,
        }
    }

    fn read<'v>(&'v self, request: Request<'v>, found: &'v Found<'_>) -> Option<Cow<'v, str>> {
        match self {
            Self::Header(name) => crate::event::header(request.headers, name).map(Cow::Borrowed),
            Self::Json(slot) => found.get(*slot)?.as_deref().map(Cow::Borrowed),
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
