//! JSON as CEL values, read straight from the body's bytes.
//!
//! Objects become maps, arrays lists. A whole number becomes an `int`, or a `uint` above the range of
//! `int`; any other number a `double`. CEL compares the three by value. Strings borrow the body where they
//! have no escapes.

use std::collections::HashMap;
use std::fmt;

use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt,
};
use cel::common::value::Val;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// Any value.
pub(super) type Value<'v> = Box<dyn Val + 'v>;

/// The body, or null if it is no JSON. JSON that is nested more than 128 deep counts as none.
pub(super) fn of_json(body: &[u8]) -> Value<'_> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = Json.deserialize(&mut deserializer);
    match value.and_then(|value| deserializer.end().map(|()| value)) {
        Ok(value) => value,
        Err(_) => Box::new(CelNull),
    }
}

/// A map of strings; of names that stand several times, `join` says what becomes of both values.
pub(super) fn of_pairs<'v>(
    pairs: impl IntoIterator<Item = (&'v str, CelString<'v>)>,
    join: impl Fn(&str, &str) -> String,
) -> CelMap<'v> {
    let mut map: HashMap<CelMapKey<'v>, CelString<'v>> = HashMap::new();
    for (name, value) in pairs {
        let joined = match map.get(&CelMapKey::String(CelString::from(name))) {
            Some(earlier) => CelString::from(join(earlier.inner(), value.inner())),
            None => value,
        };
        map.insert(CelMapKey::String(CelString::from(name)), joined);
    }
    let map: HashMap<CelMapKey<'v>, Value<'v>> = map
        .into_iter()
        .map(|(name, value)| (name, Box::new(value) as Value<'v>))
        .collect();
    CelMap::from(map)
}

struct Json;

impl<'de> DeserializeSeed<'de> for Json {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Json {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Box::new(CelNull))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value<'de>, E> {
        Ok(Box::new(CelBool::from(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value<'de>, E> {
        Ok(Box::new(CelInt::from(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value<'de>, E> {
        Ok(match i64::try_from(value) {
            Ok(value) => Box::new(CelInt::from(value)),
            Err(_) => Box::new(CelUInt::from(value)),
        })
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value<'de>, E> {
        Ok(Box::new(CelDouble::from(value)))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Value<'de>, E> {
        Ok(Box::new(CelString::from(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value<'de>, E> {
        Ok(Box::new(CelString::from(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = seq.next_element_seed(Json)? {
            list.push(value);
        }
        Ok(Box::new(CelList::from(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        let mut entries: HashMap<CelMapKey<'de>, Value<'de>> = HashMap::new();
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            let name = CelString::from(name.into_owned());
            entries.insert(CelMapKey::String(name), map.next_value_seed(Json)?);
        }
        Ok(Box::new(CelMap::from(entries)))
    }
}
