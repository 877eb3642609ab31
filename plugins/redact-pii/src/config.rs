//! The plugin's config, as `routes.toml` gives it, and all that can be wrong with it.

use std::collections::BTreeMap;
use std::fmt;

use hookswitch::ConfigError;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};

use crate::pointer::Pointer;
use crate::redaction::{Hasher, Redaction};
use crate::rules::Rules;

/// As RFC 2104 section 3 has it, a short key weakens the hash; 16 bytes is what a random one has at least.
const KEY_BYTES_MIN: usize = 16;
/// Each pointer costs time in every call.
const POINTERS_MAX: usize = 1000;

/// The `config` table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Values that are taken out, with their key.
    #[serde(default)]
    drop: Vec<String>,
    /// Values that are replaced by `***`.
    #[serde(default)]
    mask: Vec<Mask>,
    /// Values that are replaced by a keyed hash.
    hash: Option<Hash>,
    /// What becomes of a body that is not JSON.
    #[serde(default)]
    pub(crate) on_not_json: OnNotJson,
}

/// `on_not_json`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnNotJson {
    /// The event goes to the dead letters: what cannot be read cannot be redacted.
    #[default]
    Reject,
    /// The event goes on unchanged.
    Pass,
}

/// A pointer, or a pointer and how much of the end stays.
struct Mask {
    pointer: String,
    keep_last: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartialMask {
    pointer: String,
    keep_last: Option<usize>,
}

/// `hash`; without `Debug`, because of the key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hash {
    pointers: Vec<String>,
    key: String,
    #[serde(default)]
    prefix: String,
}

impl Config {
    /// The rules, or all that is wrong.
    pub(crate) fn rules(self) -> Result<Rules, ConfigError> {
        let mut problems = ConfigError::default();
        let hashed = self.hash.as_ref().map_or(0, |hash| hash.pointers.len());
        match self.drop.len() + self.mask.len() + hashed {
            0 => problems.add("nothing to do: give pointers in `drop`, `mask` or `hash`"),
            count if count > POINTERS_MAX => problems.add(format!(
                "{count} pointers are too many, at most {POINTERS_MAX}: use `*` for lists"
            )),
            _ => {}
        }
        let hasher = self.hash.as_ref().map(|hash| {
            if hash.key.len() < KEY_BYTES_MIN {
                problems.add(format!(
                    "`hash.key`: has {} bytes, must have at least {KEY_BYTES_MIN}",
                    hash.key.len()
                ));
            }
            if hash.pointers.is_empty() {
                problems.add("`hash.pointers`: is empty, give one pointer or leave `hash` out");
            }
            Hasher::new(hash.key.as_bytes(), &hash.prefix)
        });
        for (index, mask) in self.mask.iter().enumerate() {
            if mask.keep_last == Some(0) {
                problems.add(format!(
                    "`mask[{index}].keep_last`: must be at least 1; to keep nothing, leave it out"
                ));
            }
        }
        let drop = self.drop.iter().map(|pointer| (pointer, Redaction::Drop));
        let mask = self.mask.iter().map(|mask| {
            let redaction = match mask.keep_last {
                Some(count) => Redaction::MaskBut(count),
                None => Redaction::Mask,
            };
            (&mask.pointer, redaction)
        });
        let hash = self.hash.iter().flat_map(|hash| &hash.pointers);
        let named = (drop
            .enumerate()
            .map(|(i, rule)| (format!("drop[{i}]"), rule)))
        .chain(
            mask.enumerate()
                .map(|(i, rule)| (format!("mask[{i}]"), rule)),
        )
        .chain(
            hash.enumerate()
                .map(|(i, pointer)| (format!("hash.pointers[{i}]"), (pointer, Redaction::Hash))),
        );
        let mut rules = Rules::new(hasher);
        let mut known: BTreeMap<Pointer, String> = BTreeMap::new();
        for (place, (text, redaction)) in named {
            match Pointer::parse(text) {
                Err(problem) => problems.add(format!("`{place}`: {problem}")),
                Ok(pointer) => match known.get(&pointer) {
                    Some(first) => problems.add(format!(
                        "`{place}`: `{text}` is in `{first}` already; keep one of the two"
                    )),
                    None => {
                        rules.add(&pointer, redaction);
                        known.insert(pointer, place);
                    }
                },
            }
        }
        problems.check(rules)
    }
}

/// By hand, because the errors of untagged enums do not say what is wrong.
impl<'de> Deserialize<'de> for Mask {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Mask;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a pointer, or a table of `pointer` and `keep_last`")
            }

            fn visit_str<E>(self, pointer: &str) -> Result<Mask, E> {
                Ok(Mask {
                    pointer: pointer.to_owned(),
                    keep_last: None,
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Mask, A::Error> {
                let mask = PartialMask::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Mask {
                    pointer: mask.pointer,
                    keep_last: mask.keep_last,
                })
            }
        }
        deserializer.deserialize_any(Either)
    }
}
