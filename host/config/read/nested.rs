//! Reading lists and tables within a table.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Table, Text};
use crate::config::keys::Section;

impl<'t> Table<'t> {
    /// A list of strings; empty where there is none.
    #[must_use]
    pub fn texts(&self, name: &str) -> Vec<Text> {
        let Some(value) = self.value(name) else {
            return Vec::new();
        };
        let Some(array) = value.get_ref().as_array() else {
            let hint = value
                .get_ref()
                .as_str()
                .map(|text| format!("write `{name} = [\"{text}\"]`"));
            self.wrong_type(name, value, "a list of strings", hint);
            return Vec::new();
        };
        let mut texts: Vec<Text> = Vec::new();
        for entry in array.iter() {
            let Some(text) = entry.get_ref().as_str() else {
                self.wrong_type(name, entry, "a list of strings", None);
                continue;
            };
            texts.push(Text {
                value: text.to_owned(),
                span: entry.span(),
            });
        }
        texts
    }

    /// A string or a list of strings.
    #[must_use]
    pub fn text_or_texts(&self, name: &str) -> Vec<Text> {
        match self
            .entries
            .get(name)
            .map(|value| (value.get_ref().as_str(), value.span()))
        {
            Some((Some(text), span)) => vec![Text {
                value: text.to_owned(),
                span,
            }],
            _ => self.texts(name),
        }
    }

    /// The pairs of a table of strings.
    #[must_use]
    pub fn text_map(&self, name: &str) -> Vec<(Text, Text)> {
        let Some(value) = self.value(name) else {
            return Vec::new();
        };
        let Some(table) = value.get_ref().as_table() else {
            self.wrong_type(name, value, "a table", None);
            return Vec::new();
        };
        let mut pairs = Vec::new();
        flatten(table, "", &mut pairs);
        pairs
            .into_iter()
            .filter_map(|(key, value)| {
                let text = value.get_ref().as_str();
                if text.is_none() {
                    let name = format!("{name}.{}", key.value);
                    self.wrong_type(&name, value, "a string", None);
                }
                let text = Text {
                    value: text?.to_owned(),
                    span: value.span(),
                };
                Some((key, text))
            })
            .collect()
    }

    /// A table within this one.
    #[must_use]
    pub fn table(&self, name: &str, section: &'static Section) -> Option<Table<'t>> {
        let (entries, span) = self.entries_of(name)?;
        Some(Table::open(self.problems, section, entries, span))
    }

    /// The entries of a table within this one, whatever they are, and the place of its name.
    #[must_use]
    pub fn entries_of(&self, name: &str) -> Option<(&'t DeTable<'t>, Range<usize>)> {
        let value = self.value(name)?;
        let Some(entries) = value.get_ref().as_table() else {
            self.wrong_type(name, value, "a table", None);
            return None;
        };
        self.entries
            .get_key_value(name)
            .map(|(key, _)| (entries, key.span()))
    }

    /// The tables of the list `name`.
    #[must_use]
    pub fn table_list(&self, name: &str, section: &'static Section) -> Vec<Table<'t>> {
        let Some(value) = self.value(name) else {
            return Vec::new();
        };
        let hint = Some(format!("write `[[{name}]]`"));
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(name, value, "a list of tables", hint);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for entry in array.iter() {
            match entry.get_ref().as_table() {
                Some(entries) => {
                    tables.push(Table::open(self.problems, section, entries, entry.span()))
                }
                None => self.wrong_type(name, entry, "a list of tables", hint.clone()),
            }
        }
        tables
    }

    /// The tables of the list `name`, whatever they are. `None` if it is none.
    #[must_use]
    pub fn any_tables(&self, name: &str) -> Option<Vec<&'t Spanned<DeValue<'t>>>> {
        let value = self.value(name)?;
        let hint = Some(format!("write `{name} = [{{ ... }}]`"));
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(name, value, "a list of tables", hint);
            return None;
        };
        let other = array.iter().find(|entry| !entry.get_ref().is_table());
        if let Some(other) = other {
            self.wrong_type(name, other, "a list of tables", hint);
            return None;
        }
        Some(array.iter().collect())
    }

    /// True if the value of `name` is a list.
    #[must_use]
    pub fn is_array(&self, name: &str) -> bool {
        self.entries
            .get(name)
            .is_some_and(|value| value.get_ref().is_array())
    }

    /// The tables within the table `name`, by name.
    #[must_use]
    pub fn named_tables(&self, name: &str) -> Vec<(Text, &'t DeTable<'t>)> {
        let Some((entries, _)) = self.entries_of(name) else {
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (key, value) in entries.iter() {
            let Some(table) = value.get_ref().as_table() else {
                let name = format!("{name}.{}", key.get_ref());
                self.wrong_type(&name, value, "a table", None);
                continue;
            };
            let text = Text {
                value: key.get_ref().to_string(),
                span: key.span(),
            };
            tables.push((text, table));
        }
        tables
    }
}

/// `a.b = "c"` in a table of strings is TOML for a nested table; such keys are put together again, since
/// librdkafka's names have dots.
fn flatten<'t>(
    table: &'t DeTable<'t>,
    prefix: &str,
    pairs: &mut Vec<(Text, &'t Spanned<DeValue<'t>>)>,
) {
    for (key, value) in table.iter() {
        let name = format!("{prefix}{}", key.get_ref());
        match value.get_ref() {
            DeValue::Table(nested) => flatten(nested, &format!("{name}."), pairs),
            _ => pairs.push((
                Text {
                    value: name,
                    span: key.span(),
                },
                value,
            )),
        }
    }
}
