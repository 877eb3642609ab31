//! JSON Pointers (RFC 6901), several at once, in one pass over the text and without building its tree.
//!
//! Of duplicate keys the last counts, as for `serde_json::Value` and so for plugins. Numbers keep the spelling of
//! the source. A text that is not JSON has nothing at any pointer.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

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

/// What stood at the pointers, by number. Only strings, numbers and booleans count.
pub(crate) type Found<'b> = Vec<Option<Cow<'b, str>>>;

impl Pointers {
    /// Adds a pointer, or finds the number that it has.
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
        let mut found = vec![None; self.count];
        if self.count == 0 {
            return found;
        }
        let mut json = serde_json::Deserializer::from_slice(text);
        let walk = Walk {
            node: &self.root,
            found: &mut found,
        };
        // Half a document must not give half of its fields.
        if walk
            .deserialize(&mut json)
            .and_then(|()| json.end())
            .is_err()
        {
            found.fill(None);
        }
        found
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
}

impl<'b> DeserializeSeed<'b> for Walk<'_, '_, 'b> {
    type Value = ();

    fn deserialize<D: Deserializer<'b>>(self, json: D) -> Result<(), D::Error> {
        let Some(slot) = self.node.slot else {
            return json.deserialize_any(self);
        };
        let raw: &'b RawValue = serde::Deserialize::deserialize(json)?;
        if let Some(place) = self.found.get_mut(slot) {
            *place = scalar(raw.get());
        }
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
        while let Some(child) = map.next_key_seed(Key(&self.node.children))? {
            match child {
                None => drop(map.next_value::<IgnoredAny>()?),
                Some(node) => {
                    clear(node, self.found);
                    map.next_value_seed(Walk {
                        node,
                        found: self.found,
                    })?;
                }
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
        if let Some(place) = found.get_mut(*slot) {
            *place = None;
        }
    }
}

/// Reads a key as the child that it names, without a copy.
struct Key<'n>(&'n [(String, Node)]);

impl<'b, 'n> DeserializeSeed<'b> for Key<'n> {
    type Value = Option<&'n Node>;

    fn deserialize<D: Deserializer<'b>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'n> Visitor<'_> for Key<'n> {
    type Value = Option<&'n Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self
            .0
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, node)| node))
    }
}
