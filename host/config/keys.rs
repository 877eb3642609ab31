//! Every key that `routes.toml` knows, with its type, default, limits and meaning.
//!
//! Written once, used three times: the reader takes types, defaults and limits from here, unknown keys
//! are found by it, and `docs/reference/routes.md` is printed from it. Invariant: the loader asks for no
//! key that is not listed here (a test holds it).

mod routes;
mod server;
mod sinks;
mod sources;

use std::fmt::Write as _;

pub use routes::{GRANTS, LIMITS, PLUGIN, ROUTE};
pub use server::{SERVER, STORAGE, TLS, TOP};
pub use sinks::{BREAKER, FILE, HTTP, KAFKA, RABBITMQ, RETRY, SIGN};
pub use sources::{FETCH, SOURCE};

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// One of these strings.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Bool,
    /// A whole number from the first to the second.
    Integer(u64, u64),
    /// A string such as `"5m"`, from the first to the second.
    Duration(&'static str, &'static str),
    /// A string such as `"10MiB"`, from the first to the second.
    Size(&'static str, &'static str),
    /// A string such as `"200/s"`: so many in a second (`s`), minute (`m`) or hour (`h`).
    Rate,
    /// A list of strings.
    Texts,
    /// A list of strings, or this one word.
    TextsOr(&'static str),
    /// `"env:NAME"` or `"file:PATH"`.
    Secret,
    /// One secret, or a list of them.
    Secrets,
    /// A table of strings, of which each may be a secret.
    TextMap,
    /// A table of secrets, and of tables of them.
    SecretTree,
    /// A string with `{placeholders}`.
    Template,
    /// A CEL expression.
    Filter,
    /// The table of that section.
    Table(&'static str),
    /// One table per name, of that section.
    Tables(&'static str),
    /// A list of tables, of that section.
    TableList(&'static str),
    /// Any table.
    AnyTable,
    /// A list of any tables.
    AnyTables,
}

impl Kind {
    /// As the reference says it.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Text => "string".to_owned(),
            Self::Choice(of) => {
                let of: Vec<String> = of.iter().map(|one| format!("`\"{one}\"`")).collect();
                of.join(", ")
            }
            Self::Bool => "boolean".to_owned(),
            Self::Integer(min, max) => format!("integer, {min} to {max}"),
            Self::Duration(min, max) => format!("duration, `\"{min}\"` to `\"{max}\"`"),
            Self::Size(min, max) => format!("size, `\"{min}\"` to `\"{max}\"`"),
            Self::Rate => "rate, such as `\"200/s\"` or `\"30/m\"`".to_owned(),
            Self::Texts => "list of strings".to_owned(),
            Self::TextsOr(word) => format!("list of strings, or `\"{word}\"`"),
            Self::Secret => "secret".to_owned(),
            Self::Secrets => "secret, or list of secrets".to_owned(),
            Self::TextMap => "table of strings or secrets".to_owned(),
            Self::SecretTree => "table of secrets, or of tables of them".to_owned(),
            Self::Template => "template".to_owned(),
            Self::Filter => "CEL expression".to_owned(),
            Self::Table(section) => format!("table, see [`{section}`](#{})", anchor(section)),
            Self::Tables(section) => {
                format!(
                    "one table per name, see [`{section}`](#{})",
                    anchor(section)
                )
            }
            Self::TableList(section) => {
                format!("list of tables, see [`{section}`](#{})", anchor(section))
            }
            Self::AnyTable => "table".to_owned(),
            Self::AnyTables => "list of tables".to_owned(),
        }
    }
}

/// What holds where a key is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It must be there.
    Required,
    /// This holds, written as in the file (without quotes for strings).
    Default(&'static str),
    /// What the words say.
    Optional(&'static str),
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds without it.
    pub presence: Presence,
    /// What it means, in Markdown.
    pub about: &'static str,
}

/// A key that must be there.
const fn required(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key {
        name,
        kind,
        presence: Presence::Required,
        about,
    }
}

/// A key with a default.
const fn default(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    about: &'static str,
) -> Key {
    Key {
        name,
        kind,
        presence: Presence::Default(default),
        about,
    }
}

/// A key whose absence means something of its own.
const fn optional(
    name: &'static str,
    kind: Kind,
    without: &'static str,
    about: &'static str,
) -> Key {
    Key {
        name,
        kind,
        presence: Presence::Optional(without),
        about,
    }
}

/// One kind of table.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// Its header in the file, with `NAME` for what the user chooses.
    pub header: &'static str,
    /// What it is for, in Markdown.
    pub about: &'static str,
    /// Its keys, in the order of the reference. Several lists, so that sections can share some.
    pub keys: &'static [&'static [Key]],
}

impl Section {
    /// Its keys.
    pub fn keys(&self) -> impl Iterator<Item = &'static Key> + use<> {
        self.keys.iter().flat_map(|keys| keys.iter())
    }

    /// The key called `name`.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys().find(|key| key.name == name)
    }
}

/// Every section, in the order of the reference.
pub const SECTIONS: [&Section; 17] = [
    &TOP, &SERVER, &TLS, &STORAGE, &SOURCE, &FETCH, &PLUGIN, &LIMITS, &GRANTS, &KAFKA, &RABBITMQ,
    &HTTP, &SIGN, &FILE, &RETRY, &BREAKER, &ROUTE,
];

/// GitHub's anchor of a heading.
fn anchor(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        })
        .collect()
}

/// The reference page, generated.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(include_str!("keys/preface.md"));
    for section in SECTIONS {
        let _ = write!(page, "\n## `{}`\n\n{}\n\n", section.header, section.about);
        page.push_str("| key | type | default | meaning |\n|---|---|---|---|\n");
        for key in section.keys() {
            let without = match key.presence {
                Presence::Required => "**required**".to_owned(),
                Presence::Default("") => "`\"\"`".to_owned(),
                Presence::Default(value) => match key.kind {
                    Kind::Bool | Kind::Integer(..) => format!("`{value}`"),
                    Kind::Texts => format!("`[{value}]`"),
                    _ => format!("`\"{value}\"`"),
                },
                Presence::Optional(words) => words.to_owned(),
            };
            let kind = key.kind.describe();
            let _ = writeln!(
                page,
                "| `{}` | {kind} | {without} | {} |",
                key.name, key.about
            );
        }
    }
    page.push_str(include_str!("keys/annex.md"));
    page.push_str("\n## Codes\n\nOf `hookswitch check`, in `error[code]` and in `--json`.\n\n");
    page.push_str("| code | means |\n|---|---|\n");
    for (code, meaning) in super::codes::CODES {
        let _ = writeln!(page, "| `{code}` | {meaning} |");
    }
    page
}

#[cfg(test)]
mod tests;
