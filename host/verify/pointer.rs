//! JSON Pointers (RFC 6901), several at once, in one pass over the text and without building its tree.
//!
//! Of duplicate keys the last counts, as for `serde_json::Value` and so for plugins; what a signature rests on is
//! looked up with [`Pointers::find_strict`], which refuses them, since other programs let the first count. Numbers
//! keep the spelling of the source. A text that is not JSON has nothing at any pointer.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Rejection;

/// What an error of a strict search says; everything else is the text not being JSON.
const DUPLICATE: &str = "duplicate key on a signed path";

/// A set of pointers, each with the number that [`Pointers::add`] gave it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pointers {
    root: Node,
    count: usize,
}

/// A place in the document that pointers go to or through.
#[derive(Clone, Debug, Default)]
struct Node {
    /// The value here is wanted, under this number.
    slot: Option<usize>,
    children: Vec<(String, Node)>,
    /// All numbers from here down.
    below: Vec<usize>,
}

/// What stood at the pointers, by number, as it is written in the text.
#[derive(Debug, Default)]
pub(crate) struct Found<'b> {
    raw: Vec<Option<&'b str>>,
}

impl<'b> Found<'b> {
    /// The text of a string, number or boolean; other values do not count.
    pub(crate) fn text(&self, slot: usize) -> Option<Cow<'b, str>> {
        scalar(self.raw(slot)?)
    }

    /// Any value, as it is written.
    pub(crate) fn raw(&self, slot: usize) -> Option<&'b str> {
        *self.raw.get(slot)?
    }

    fn put(&mut self, slot: usize, value: Option<&'b str>) {
        if let Some(place) = self.raw.get_mut(slot) {
            *place = value;
        }
    }
}

impl Pointers {
    /// Adds a pointer, or finds the number that it has. The empty pointer is the whole document.
    pub(crate) fn add(&mut self, pointer: &str) -> usize {
        let path: Vec<String> = pointer
            .split('/')
            .skip(1)
            .map(|token| token.replace("~1", "/").replace("~0", "~"))
            .collect();
        let slot = self.root.insert(&path, self.count);
        self.count = self.count.max(slot + 1);
        slot
    }

    /// Looks all pointers up in `text`.
    pub(crate) fn find<'b>(&self, text: &'b [u8]) -> Found<'b> {
        self.walk(text, false).unwrap_or_else(|_| self.nothing())
    }

    /// As [`Pointers::find`], but a key that stands twice in an object, on the way to a pointer, is an error.
    pub(super) fn find_strict<'b>(&self, text: &'b [u8]) -> Result<Found<'b>, Rejection> {
        match self.walk(text, true) {
            Ok(found) => Ok(found),
            Err(error) if error.to_string().starts_with(DUPLICATE) => Err(Rejection::malformed(
                "a signed field of the body stands there twice",
            )),
            Err(_) => Ok(self.nothing()),
        }
    }

    /// Half a document must not give half of its fields.
    fn nothing<'b>(&self) -> Found<'b> {
        Found {
            raw: vec![None; self.count],
        }
    }

    fn walk<'b>(&self, text: &'b [u8], strict: bool) -> Result<Found<'b>, serde_json::Error> {
        let mut found = self.nothing();
        if self.count == 0 {
            return Ok(found);
        }
        let mut json = serde_json::Deserializer::from_slice(text);
        let walk = Walk {
            node: &self.root,
            found: &mut found,
            strict,
        };
        walk.deserialize(&mut json)?;
        json.end()?;
        Ok(found)
    }
}

impl Node {
    fn insert(&mut self, path: &[String], slot: usize) -> usize {
        let got = match path.split_first() {
            None => *self.slot.get_or_insert(slot),
            Some((token, rest)) => match self.children.iter_mut().find(|(name, _)| name == token) {
                Some((_, child)) => child.insert(rest, slot),
                None => {
                    let mut child = Self::default();
                    let got = child.insert(rest, slot);
                    self.children.push((token.clone(), child));
                    got
                }
            },
        };
        if got == slot {
            self.below.push(slot);
        }
        got
    }
}

/// One step of the walk.
struct Walk<'n, 'f, 'b> {
    node: &'n Node,
    found: &'f mut Found<'b>,
    strict: bool,
}

impl<'b> DeserializeSeed<'b> for Walk<'_, '_, 'b> {
    type Value = ();

    fn deserialize<D: Deserializer<'b>>(self, json: D) -> Result<(), D::Error> {
        let Some(slot) = self.node.slot else {
            return json.deserialize_any(self);
        };
        let raw: &'b RawValue = serde::Deserialize::deserialize(json)?;
        self.found.put(slot, Some(raw.get()));
        if !self.node.children.is_empty() {
            serde_json::Deserializer::from_str(raw.get())
                .deserialize_any(self)
                .map_err(serde::de::Error::custom)?;
        }
        Ok(())
    }
}

fn scalar(raw: &str) -> Option<Cow<'_, str>> {
    match raw.as_bytes().first()? {
        b'{' | b'[' | b'n' => None,
        b'"' if raw.contains('\\') => serde_json::from_str(raw).ok().map(Cow::Owned),
        b'"' => raw
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .map(Cow::Borrowed),
        _ => Some(Cow::Borrowed(raw)),
    }
}

impl<'b> Visitor<'b> for Walk<'_, '_, 'b> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'b>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen: Vec<usize> = Vec::new();
        while let Some(child) = map.next_key_seed(Key(&self.node.children))? {
            let Some(index) = child else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if !seen.contains(&index) {
                seen.push(index);
            } else if self.strict {
                return Err(serde::de::Error::custom(DUPLICATE));
            }
            if let Some((_, node)) = self.node.children.get(index) {
                clear(node, self.found);
                map.next_value_seed(Walk {
                    node,
                    found: self.found,
                    strict: self.strict,
                })?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'b>>(self, mut seq: A) -> Result<(), A::Error> {
        for index in 0_usize.. {
            let index = index.to_string();
            let child = self.node.children.iter().find(|(name, _)| *name == index);
            let more = match child {
                None => seq.next_element::<IgnoredAny>()?.is_some(),
                Some((_, node)) => seq
                    .next_element_seed(Walk {
                        node,
                        found: self.found,
                        strict: self.strict,
                    })?
                    .is_some(),
            };
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A key that is used before takes everything back that it gave.
fn clear(node: &Node, found: &mut Found<'_>) {
    for slot in &node.below {
        found.put(*slot, None);
    }
}

/// Reads a key as the place of the child that it names, without a copy.
struct Key<'n>(&'n [(String, Node)]);

impl<'b> DeserializeSeed<'b> for Key<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'b>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|(name, _)| name == key))
    }
}

/// Hands each item of a list to `visit`, as it is written, until that says no. False if `list` is no list.
pub(super) fn visit_items<'b>(list: &'b str, visit: impl FnMut(&'b str) -> bool) -> bool {
    let mut stopped = false;
    let items = Items {
        visit,
        stopped: &mut stopped,
    };
    let end = serde_json::Deserializer::from_str(list).deserialize_seq(items);
    end.is_ok() || stopped
}

/// One item at a time, so that a list takes no memory of its own.
struct Items<'s, F> {
    visit: F,
    stopped: &'s mut bool,
}

impl<'b, F: FnMut(&'b str) -> bool> Visitor<'b> for Items<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'b>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(item) = seq.next_element::<&'b RawValue>()? {
            if !(self.visit)(item.get()) {
                *self.stopped = true;
                return Err(serde::de::Error::custom("that is enough"));
            }
        }
        Ok(())
    }
}
