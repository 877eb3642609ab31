//! Values out of a JSON body by pointer, in one pass and without building a tree: objects on the way are
//! scanned, and what is not asked for is skipped.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// What is looked for below some place: the pointer's number, and its tokens from there on.
#[derive(Clone, Copy)]
struct Wanted<'p> {
    number: usize,
    tokens: &'p [String],
}

/// The values at these pointers, as they are written in the body; `None` for those that it lacks, and for
/// all if it is no JSON.
pub(super) fn find<'b>(body: &'b [u8], pointers: &[&[String]]) -> Vec<Option<&'b RawValue>> {
    let wanted: Vec<Wanted<'_>> = pointers
        .iter()
        .enumerate()
        .map(|(number, tokens)| Wanted { number, tokens })
        .collect();
    let mut found = vec![None; pointers.len()];
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let place = Place {
        wanted: &wanted,
        found: &mut found,
    };
    let parsed = place
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end());
    if parsed.is_err() {
        found.fill(None);
    }
    found
}

/// Appends a scalar as text; `None` for null, objects and lists.
pub(super) fn push_scalar(value: &RawValue, text: &mut String) -> Option<()> {
    let raw = value.get();
    match raw.as_bytes().first()? {
        b'"' => match raw.get(1..raw.len() - 1)? {
            plain if !plain.contains('\\') => text.push_str(plain),
            _ => text.push_str(&serde_json::from_str::<String>(raw).ok()?),
        },
        b'{' | b'[' | b'n' => return None,
        _ => text.push_str(raw),
    }
    Some(())
}

/// A value of the body below which something is looked for.
struct Place<'p, 'f, 'de> {
    wanted: &'f [Wanted<'p>],
    found: &'f mut Vec<Option<&'de RawValue>>,
}

impl<'p, 'de> Place<'p, '_, 'de> {
    /// What is looked for below the member or element of this name.
    fn below(&mut self, is: impl Fn(&str) -> bool) -> Vec<Wanted<'p>> {
        let mut below = Vec::new();
        for wanted in self.wanted {
            if let Some((token, tokens)) = wanted.tokens.split_first()
                && is(token)
            {
                // Of names that stand several times the last one counts, as in most parsers.
                if let Some(slot) = self.found.get_mut(wanted.number) {
                    *slot = None;
                }
                below.push(Wanted {
                    number: wanted.number,
                    tokens,
                });
            }
        }
        below
    }
}

impl<'de> DeserializeSeed<'de> for Place<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.wanted.iter().all(|wanted| !wanted.tokens.is_empty()) {
            return deserializer.deserialize_any(self);
        }
        let raw: &'de RawValue = serde::Deserialize::deserialize(deserializer)?;
        let (here, deeper): (Vec<Wanted<'_>>, Vec<Wanted<'_>>) = self
            .wanted
            .iter()
            .copied()
            .partition(|w| w.tokens.is_empty());
        for wanted in here {
            if let Some(slot) = self.found.get_mut(wanted.number) {
                *slot = Some(raw);
            }
        }
        if !deeper.is_empty() {
            let mut deserializer = serde_json::Deserializer::from_str(raw.get());
            let place = Place {
                wanted: &deeper,
                found: self.found,
            };
            // It parsed once already.
            let _ = place.deserialize(&mut deserializer);
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for Place<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(wanted) = map.next_key_seed(Name(&mut self))? {
            if wanted.is_empty() {
                map.next_value::<IgnoredAny>()?;
            } else {
                map.next_value_seed(Place {
                    wanted: &wanted,
                    found: &mut *self.found,
                })?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let mut index = 0_usize;
        loop {
            let wanted = self.below(|token| is_index(token, index));
            let more = if wanted.is_empty() {
                seq.next_element::<IgnoredAny>()?.is_some()
            } else {
                let place = Place {
                    wanted: &wanted,
                    found: &mut *self.found,
                };
                seq.next_element_seed(place)?.is_some()
            };
            if !more {
                return Ok(());
            }
            index += 1;
        }
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

/// RFC 6901 section 4: digits without a leading zero.
fn is_index(token: &str, index: usize) -> bool {
    let plain = token == "0" || !token.starts_with('0');
    plain && token.bytes().all(|b| b.is_ascii_digit()) && token.parse() == Ok(index)
}

/// A member's name: says what is looked for below it, and does not copy it.
struct Name<'n, 'p, 'f, 'de>(&'n mut Place<'p, 'f, 'de>);

impl<'p, 'de> DeserializeSeed<'de> for Name<'_, 'p, '_, 'de> {
    type Value = Vec<Wanted<'p>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'p, 'de> Visitor<'de> for Name<'_, 'p, '_, 'de> {
    type Value = Vec<Wanted<'p>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.below(|token| token == name))
    }
}
