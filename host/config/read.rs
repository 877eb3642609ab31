//! Reading: walks the spanned TOML tree and takes values by key and type.
//!
//! Every problem is recorded with its place and reading goes on, so that one run finds all of them; a
//! value that could not be read is replaced by its default or left out, which is never seen outside,
//! since a config with an error is not used. Types, defaults and limits come from [`super::keys`]. This
//! module knows no section.

mod nested;
mod problems;

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, nearest};
use super::keys::{Key, Kind, Presence, Section};
use super::units;

pub use problems::Problems;

/// A string with its place.
#[derive(Clone, Debug)]
pub struct Text {
    /// What it says.
    pub value: String,
    /// Where it stands.
    pub span: Range<usize>,
}

/// One table of the file, of a known section.
#[derive(Clone, Debug)]
pub struct Table<'t> {
    problems: &'t Problems<'t>,
    section: &'static Section,
    entries: &'t DeTable<'t>,
    span: Range<usize>,
}

impl<'t> Table<'t> {
    /// A table whose place is `span`: its name's if it has one, else its header's. Keys that its section does not know are recorded.
    pub fn open(
        problems: &'t Problems<'t>,
        section: &'static Section,
        entries: &'t DeTable<'t>,
        span: Range<usize>,
    ) -> Self {
        let table = Self {
            problems,
            section,
            entries,
            span,
        };
        for key in entries.keys() {
            if section.key(key.get_ref()).is_none() {
                table.unknown(key);
            }
        }
        table
    }

    fn unknown(&self, key: &Spanned<std::borrow::Cow<'_, str>>) {
        let name = key.get_ref();
        let header = self.section.header;
        let known = self.section.keys().map(|key| key.name);
        let hint = match nearest(name, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let known: Vec<String> = self
                    .section
                    .keys()
                    .map(|key| format!("`{}`", key.name))
                    .collect();
                format!("known keys: {}", known.join(", "))
            }
        };
        self.problems.push(
            Diagnostic::error("unknown_key", format!("unknown key `{name}` in `{header}`"))
                .at(key.span())
                .hint(hint),
        );
    }

    /// Where problems go.
    #[must_use]
    pub fn problems(&self) -> &'t Problems<'t> {
        self.problems
    }

    /// The table's place.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The value of `name`. A key that must be there and is not is recorded.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        let found = self.entries.get(name);
        if found.is_none()
            && matches!(
                self.known(name).map(|key| key.presence),
                Some(Presence::Required)
            )
        {
            let about = self.known(name).map_or("", |key| key.about);
            let about = about.split(". ").next().unwrap_or_default();
            self.problems.push(
                Diagnostic::error(
                    "missing_key",
                    format!("`{}` needs the key `{name}`", self.section.header),
                )
                .at(self.span())
                .label(format!("`{name}` is missing"))
                .hint(format!("`{name}`: {}", about.trim_end_matches('.'))),
            );
        }
        found
    }

    /// The key `name` and its value as they stand in the file.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<(Range<usize>, &'t Spanned<DeValue<'t>>)> {
        self.entries
            .get_key_value(name)
            .map(|(key, value)| (key.span(), value))
    }

    /// True if the table has the key.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// The place of `name`'s value, or the table's.
    #[must_use]
    pub fn span_of(&self, name: &str) -> Range<usize> {
        self.entries
            .get(name)
            .map_or_else(|| self.span(), Spanned::span)
    }

    fn known(&self, name: &str) -> Option<&'static Key> {
        let key = self.section.key(name);
        debug_assert!(
            key.is_some(),
            "{}: {name} is not in keys",
            self.section.header
        );
        key
    }

    fn default_of(&self, name: &str) -> Option<&'static str> {
        match self.known(name)?.presence {
            Presence::Default(text) => Some(text),
            Presence::Required | Presence::Optional(_) => None,
        }
    }

    fn wrong_type(
        &self,
        name: &str,
        value: &Spanned<DeValue<'_>>,
        wanted: &str,
        hint: Option<String>,
    ) {
        let got = value.get_ref().type_str();
        let mut diagnostic = Diagnostic::error(
            "wrong_type",
            format!("`{name}` must be {wanted}, not {} {got}", article(got)),
        )
        .at(value.span());
        diagnostic.hint = hint;
        self.problems.push(diagnostic);
    }

    /// A string, or its default.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<Text> {
        let Some(value) = self.value(name) else {
            return self.default_of(name).map(|text| Text {
                value: text.to_owned(),
                span: self.span(),
            });
        };
        let Some(text) = value.get_ref().as_str() else {
            self.wrong_type(name, value, "a string", None);
            return None;
        };
        Some(Text {
            value: text.to_owned(),
            span: value.span(),
        })
    }

    /// A string out of a list of them, or its default.
    #[must_use]
    pub fn choice(&self, name: &str) -> Option<&'static str> {
        let text = self.text(name)?;
        let Kind::Choice(choices) = self.known(name)?.kind else {
            return None;
        };
        let found = choices.iter().find(|choice| **choice == text.value);
        if found.is_none() {
            let hint = nearest(&text.value, choices.iter().copied()).map_or_else(
                || format!("one of: {}", choices.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            let message = format!("`{name}` cannot be `{}`", text.value);
            self.problems.push(
                Diagnostic::error("unknown_value", message)
                    .at(text.span)
                    .hint(hint),
            );
        }
        found.copied()
    }

    /// True or false, or its default.
    #[must_use]
    pub fn boolean(&self, name: &str) -> Option<bool> {
        let Some(value) = self.value(name) else {
            return self.default_of(name).map(|text| text == "true");
        };
        let found = value.get_ref().as_bool();
        if found.is_none() {
            self.wrong_type(name, value, "`true` or `false`", None);
        }
        found
    }

    /// A whole number within its limits, or its default.
    #[must_use]
    pub fn integer(&self, name: &str) -> Option<u64> {
        let Some(value) = self.value(name) else {
            return self.default_of(name)?.parse().ok();
        };
        let Kind::Integer(min, max) = self.known(name)?.kind else {
            return None;
        };
        let Some(integer) = value.get_ref().as_integer() else {
            self.wrong_type(name, value, "a whole number", None);
            return None;
        };
        let parsed = i128::from_str_radix(integer.as_str(), integer.radix()).ok();
        let found = parsed
            .and_then(|number| u64::try_from(number).ok())
            .filter(|number| (min..=max).contains(number));
        if found.is_none() {
            self.out_of_range(
                name,
                &value.span(),
                &integer.to_string(),
                &min.to_string(),
                &max.to_string(),
            );
        }
        found
    }

    /// As [`Table::integer`], as `usize`.
    #[must_use]
    pub fn count(&self, name: &str) -> Option<usize> {
        self.integer(name)
            .and_then(|number| usize::try_from(number).ok())
    }

    /// A duration within its limits, or its default.
    #[must_use]
    pub fn duration(&self, name: &str) -> Option<Duration> {
        let Kind::Duration(min, max) = self.known(name)?.kind else {
            return None;
        };
        self.measure(name, ("a duration", "5m", "s"), (min, max), units::duration)
    }

    /// A size in bytes within its limits, or its default.
    #[must_use]
    pub fn size(&self, name: &str) -> Option<u64> {
        let Kind::Size(min, max) = self.known(name)?.kind else {
            return None;
        };
        self.measure(name, ("a size", "10MiB", "B"), (min, max), units::size)
    }

    /// As [`Table::size`], as `usize`.
    #[must_use]
    pub fn memory(&self, name: &str) -> Option<usize> {
        self.size(name)
            .and_then(|bytes| usize::try_from(bytes).ok())
    }

    /// How long one takes up of a rate such as `"200/s"`.
    #[must_use]
    pub fn rate(&self, name: &str) -> Option<Duration> {
        let any = ("1/h", "1000000/s");
        // Turned around, because a longer time is a lower rate.
        let parse = |text: &str| units::rate(text).map(std::cmp::Reverse);
        self.measure(name, ("a rate", "200/s", "/s"), any, parse)
            .map(|std::cmp::Reverse(period)| period)
    }

    fn measure<T: PartialOrd>(
        &self,
        name: &str,
        (what, example, base): (&str, &str, &str),
        limits: (&str, &str),
        parse: fn(&str) -> Result<T, units::Malformed>,
    ) -> Option<T> {
        let Some(value) = self.value(name) else {
            return parse(self.default_of(name)?).ok();
        };
        let wanted = format!("{what} with its unit, such as `\"{example}\"`");
        let Some(text) = value.get_ref().as_str() else {
            let hint = match value.get_ref() {
                DeValue::Integer(number) => Some(format!("write `{name} = \"{number}{base}\"`")),
                _ => None,
            };
            self.wrong_type(name, value, &wanted, hint);
            return None;
        };
        match parse(text) {
            Ok(found) => {
                let within = |limit: &str, is: fn(&T, &T) -> bool| {
                    parse(limit).is_ok_and(|limit| is(&found, &limit))
                };
                if within(limits.0, T::ge) && within(limits.1, T::le) {
                    return Some(found);
                }
                self.out_of_range(name, &value.span(), text, limits.0, limits.1);
            }
            Err(malformed) => {
                let place = self.problems.inside(&value.span(), text, malformed.at);
                self.problems.push(
                    Diagnostic::error(
                        malformed.code,
                        format!("`{name}` is not {what}: {}", malformed.why),
                    )
                    .at(place)
                    .hint(format!("`{name}` must be {wanted}")),
                );
            }
        }
        None
    }

    fn out_of_range(&self, name: &str, span: &Range<usize>, got: &str, min: &str, max: &str) {
        self.problems.push(
            Diagnostic::error("out_of_range", format!("`{name}` cannot be {got}"))
                .at(span.clone())
                .hint(format!("`{name}` may be from {min} to {max}")),
        );
    }
}

fn article(word: &str) -> &'static str {
    match word.chars().next() {
        Some('a' | 'e' | 'i' | 'o' | 'u') => "an",
        _ => "a",
    }
}
