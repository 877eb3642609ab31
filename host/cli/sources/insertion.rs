//! Insertion: one more source in the text of a `routes.toml`. Pure.
//!
//! The block goes in after the last source, at one place, and every other byte of the file stays as it is:
//! comments, order, spacing, line ends. What is the right place is known from the parsed file's spans.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A text with the block in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Inserted {
    /// The whole text.
    pub(super) text: String,
    /// The byte where the block begins.
    pub(super) at: usize,
    /// Bytes of the block.
    pub(super) length: usize,
}

/// Why a block cannot be put in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InsertError {
    /// The file is not TOML now.
    #[error("it is not TOML now")]
    Syntax,
    /// There is a source of this name; the line where it stands.
    #[error("there is a source of this name already, in line {0}")]
    Name(usize),
    /// There is a source with this path; its name, and the line where the path stands.
    #[error("the source `{0}` has this path already, in line {1}")]
    Path(String, usize),
    /// `sources` is written in a way that no table can be added to.
    #[error("its sources are written as an inline table")]
    Inline,
}

/// Puts the block of the source `name` with the path `path` into `text`.
pub(super) fn insert(
    text: &str,
    name: &str,
    path: &str,
    block: &str,
) -> Result<Inserted, InsertError> {
    let root = DeTable::parse(text).map_err(|_| InsertError::Syntax)?;
    let sources = root.get_ref().get("sources");
    if let Some(sources) = sources.and_then(|sources| sources.get_ref().as_table()) {
        clash(text, sources, name, path)?;
    }
    let at = match sources {
        Some(sources) => after(text, end_of(sources)),
        None => text.len(),
    };
    let (before, rest) = text.split_at_checked(at).ok_or(InsertError::Syntax)?;
    let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut whole = before.to_owned();
    if !before.is_empty() {
        if !before.ends_with('\n') {
            whole.push_str(line_end);
        }
        if !before.ends_with(&line_end.repeat(2)) {
            whole.push_str(line_end);
        }
    }
    let at = whole.len();
    whole.push_str(&block.replace('\n', line_end));
    let length = whole.len() - at;
    if !rest.is_empty() && !rest.starts_with(['\n', '\r']) {
        whole.push_str(line_end);
    }
    whole.push_str(rest);
    let is_there = DeTable::parse(&whole).is_ok_and(|root| {
        let sources = root.get_ref().get("sources");
        let sources = sources.and_then(|sources| sources.get_ref().as_table());
        sources.is_some_and(|sources| sources.contains_key(name))
    });
    match is_there {
        true => Ok(Inserted {
            text: whole,
            at,
            length,
        }),
        false => Err(InsertError::Inline),
    }
}

fn clash(text: &str, sources: &DeTable<'_>, name: &str, path: &str) -> Result<(), InsertError> {
    for (key, source) in sources.iter() {
        if key.get_ref() == name {
            return Err(InsertError::Name(line_of(text, key.span().start)));
        }
        let other = source
            .get_ref()
            .as_table()
            .and_then(|table| table.get("path"));
        if let Some(other) = other
            && other.get_ref().as_str() == Some(path)
        {
            let line = line_of(text, other.span().start);
            return Err(InsertError::Path(key.get_ref().to_string(), line));
        }
    }
    Ok(())
}

/// The line of a byte, from 1.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or(text);
    before.matches('\n').count() + 1
}

/// Where a value ends, with all that is in it: tables go on after their header.
fn end_of(value: &Spanned<DeValue<'_>>) -> usize {
    let own = value.span().end;
    match value.get_ref() {
        DeValue::Table(table) => table
            .iter()
            .map(|(key, value)| key.span().end.max(end_of(value)))
            .fold(own, usize::max),
        _ => own,
    }
}

/// The beginning of the line after `end` and after the comments that belong to what ends there: those that follow
/// at once, unless it is another table that they stand above.
fn after(text: &str, end: usize) -> usize {
    let line_end = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        rest.find('\n').map_or(text.len(), |at| from + at + 1)
    };
    let first = line_end(end);
    let mut at = first;
    loop {
        let line = text.get(at..).unwrap_or_default().lines().next();
        match line.map(str::trim) {
            Some(line) if line.starts_with('#') => at = line_end(at),
            Some("") | None => return at,
            Some(_) => return first,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use super::*;

    const BLOCK: &str = "[sources.new]\npath = \"/new\"\n";

    fn inserted(text: &str) -> String {
        match insert(text, "new", "/new", BLOCK) {
            Ok(inserted) => {
                let end = inserted.at + inserted.length;
                assert!(inserted.text[inserted.at..end].starts_with("[sources.new]"));
                inserted.text
            }
            Err(error) => panic!("{error}: {text}"),
        }
    }

    #[test]
    fn the_block_goes_in_after_the_last_source_and_its_comments() {
        for (before, after) in [
            ("", ""),
            ("# only a comment\n", ""),
            ("[server]\nlisten = \"a\"", ""),
            (
                "[sources.a]\npath = \"/a\"\n",
                "\n\n# Plugins\n\n[plugins.p]\n",
            ),
            (
                "[sources.a]\npath = \"/a\" # its path\n# dedupe = false\n",
                "\n[plugins.p]\n",
            ),
            (
                "[sources.a]\npath = \"/a\"\n",
                "# of the plugins\n[plugins.p]\n",
            ),
            ("[sources.a]\npath = \"/a\"\n", "[plugins.p]\n"),
            (
                "[sources.a]\nsecrets = [\n  \"env:A\", # one\n]\n[sources.a.params]\nx = \"y\"\n",
                "\n[[routes]]\nname = \"r\"\n",
            ),
            (
                "[sources.a]\nparams = { x = \"y\" }\n",
                "\n[[routes]]\nname = \"r\"\n",
            ),
            ("[[routes]]\nname = \"r\"\n\n[sources.a]\n", ""),
            ("[sources]\na = { path = \"/a\" }\n", "\n[plugins.p]\n"),
        ] {
            let text = inserted(&format!("{before}{after}"));
            assert!(text.starts_with(before), "{text}");
            assert!(text.ends_with(after), "{text}");
            let added = text.len() - before.len() - after.len();
            assert!(added <= BLOCK.len() + 2, "{text}");
        }
    }

    #[test]
    fn line_ends_stay_what_they_are() {
        let text = inserted("[sources.a]\r\npath = \"/a\"\r\n\r\n[plugins.p]\r\n");
        assert_eq!(
            text,
            "[sources.a]\r\npath = \"/a\"\r\n\r\n[sources.new]\r\npath = \"/new\"\r\n\r\n[plugins.p]\r\n"
        );
    }

    #[test]
    fn a_name_or_path_that_is_taken_is_refused_with_its_place() {
        let text = "# a\n[sources.new]\npath = \"/other\"\n";
        let error = insert(text, "new", "/new", BLOCK).unwrap_err();
        assert_eq!(error, InsertError::Name(2));
        let text = "# a\n[sources.b]\npath = \"/new\"\n";
        let error = insert(text, "new", "/new", BLOCK).unwrap_err();
        assert_eq!(error, InsertError::Path("b".to_owned(), 3));
    }

    #[test]
    fn a_file_that_no_table_can_be_added_to_is_left_alone() {
        for (text, wanted) in [
            ("sources = { a = { path = \"/a\" } }\n", InsertError::Inline),
            ("[sources.a\n", InsertError::Syntax),
            ("sources = 3\n", InsertError::Inline),
        ] {
            assert_eq!(
                insert(text, "new", "/new", BLOCK).unwrap_err(),
                wanted,
                "{text}"
            );
        }
    }

    /// Pieces of configs, some of which cannot follow others.
    const PIECES: [&str; 12] = [
        "# a comment\n",
        "\n",
        "   \n",
        "sources.dotted.path = \"/dotted\"\n",
        "[server]\nlisten = \"a\" # ours\n",
        "[sources]\n",
        "[sources.a]\npath = \"/a\"\n",
        "[sources.\"b.c\"]\r\nsecrets = [ # of\r\n  \"env:A\",\r\n]\r\n",
        "[sources.a.params]\nuser = \"\"\"\n[sources.x]\n\"\"\"\n",
        "[plugins.p]\nconfig = { list = [1, # one\n 2] }\n",
        "[[routes]]\nname = 'r # not a comment'\n",
        "[sources.last]",
    ];

    proptest::proptest! {
        #[test]
        fn whatever_is_in_the_file_it_gets_one_insertion_and_loses_nothing(
            choice in proptest::collection::vec(0..PIECES.len(), 0..8)
        ) {
            let text: String = choice.iter().filter_map(|at| PIECES.get(*at).copied()).collect();
            let Ok(inserted) = insert(&text, "new", "/new", BLOCK) else {
                return Ok(());
            };
            let (old, new) = (text.as_bytes(), inserted.text.as_bytes());
            let same = |pair: &(&u8, &u8)| pair.0 == pair.1;
            let before = old.iter().zip(new).take_while(same).count();
            let after = old.iter().rev().zip(new.iter().rev()).take_while(same).count();
            proptest::prop_assert!(before + after >= old.len(), "{}", inserted.text);
            let block = &inserted.text[inserted.at..inserted.at + inserted.length];
            proptest::prop_assert_eq!(block.replace("\r\n", "\n"), BLOCK);
            let added = new.len() - old.len() - inserted.length;
            proptest::prop_assert!(added <= 6, "{}", inserted.text);
        }
    }
}
