//! Applies rules to a body. Only the objects and lists on the way to a redacted value are looked into;
//! everything else is copied as it stands, so numbers of any size, key order, repeated keys and escapes stay
//! as they were sent. White space between the members of an edited object goes.

use std::borrow::Cow;
use std::fmt;

use hookswitch::JsonError;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::redaction::{Hasher, Redaction, quote};
use crate::rules::{Place, Rules};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The edited body; none if no rule met anything.
pub(crate) fn body(body: &[u8], rules: &Rules) -> Result<Option<Vec<u8>>, JsonError> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    let json: &RawValue = serde_json::from_slice(body).map_err(|error| JsonError::from(&error))?;
    let mut editor = Editor {
        out: String::with_capacity(body.len()),
        edited: false,
        hasher: rules.hasher(),
    };
    editor.value(json.get(), &rules.root())?;
    Ok(editor.edited.then(|| editor.out.into_bytes()))
}

struct Editor<'r> {
    out: String,
    edited: bool,
    hasher: Option<&'r Hasher>,
}

impl<'r> Editor<'r> {
    /// Writes a value as it is to be at a place.
    fn value(&mut self, json: &str, place: &Place<'r>) -> Result<(), JsonError> {
        if let Some(redaction) = place.redaction() {
            let replacement = redaction.of(json, self.hasher).map(|text| quote(&text));
            self.edited |= replacement.as_deref().is_some_and(|text| text != json);
            self.out.push_str(replacement.as_deref().unwrap_or(json));
        } else if place.is_idle() || !json.starts_with(['{', '[']) {
            self.out.push_str(json);
        } else {
            let mut reader = serde_json::Deserializer::from_str(json);
            Level {
                editor: self,
                place,
            }
            .deserialize(&mut reader)
            .map_err(|error| JsonError::from(&error))?;
        }
        Ok(())
    }

    /// Whether the value at a place is to go.
    fn drops(&mut self, place: &Place<'r>) -> bool {
        let drops = place.redaction() == Some(Redaction::Drop);
        self.edited |= drops;
        drops
    }

    fn separate(&mut self, first: &mut bool) {
        if !std::mem::take(first) {
            self.out.push(',');
        }
    }
}

/// One object or list, written while it is read.
struct Level<'e, 'r> {
    editor: &'e mut Editor<'r>,
    place: &'e Place<'r>,
}

impl<'de> DeserializeSeed<'de> for Level<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { editor, place } = self;
        let mut first = true;
        editor.out.push('{');
        while let Some((key, value)) = map.next_entry::<&'de RawValue, &'de RawValue>()? {
            let below = place.member(&name(key.get()));
            if editor.drops(&below) {
                continue;
            }
            editor.separate(&mut first);
            editor.out.push_str(key.get());
            editor.out.push(':');
            editor
                .value(value.get(), &below)
                .map_err(serde::de::Error::custom)?;
        }
        editor.out.push('}');
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { editor, place } = self;
        let (mut first, mut index) = (true, 0);
        editor.out.push('[');
        while let Some(value) = list.next_element::<&'de RawValue>()? {
            let below = place.element(index);
            index += 1;
            if editor.drops(&below) {
                continue;
            }
            editor.separate(&mut first);
            editor
                .value(value.get(), &below)
                .map_err(serde::de::Error::custom)?;
        }
        editor.out.push(']');
        Ok(())
    }
}

/// The key that its JSON text spells.
fn name(json: &str) -> Cow<'_, str> {
    match json
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    {
        Some(plain) if !plain.contains('\\') => Cow::Borrowed(plain),
        _ => serde_json::from_str(json).map_or(Cow::Borrowed(json), Cow::Owned),
    }
}
