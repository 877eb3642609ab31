//! Masking: replaces what could be a secret in a config's text, before anything quotes it.
//!
//! Secrets belong into variables and files, but people write them into `routes.toml` all the same, and
//! then a diagnostic about that line, or about another value on it, must not print them. Works on lines
//! and not on the parsed tree, so that it also covers text that does not parse. Keeps every byte offset.

use std::ops::Range;

/// A key that has one of these words in its name holds a secret. `url` is here for `amqp://user:password@`.
const WORDS: [&str; 8] = [
    "secret",
    "password",
    "passwd",
    "token",
    "authorization",
    "credential",
    "api_key",
    "api-key",
];

/// Tables whose every value may be a secret.
const TABLES: [&str; 5] = ["headers", "options", "params", "config", "secrets"];

/// The text with every character of a possible secret replaced by asterisks, as many as it has bytes.
/// `env:` and `file:` references stay, as they are names.
#[must_use]
pub(super) fn mask(source: &str) -> String {
    let mut masked = String::with_capacity(source.len());
    let mut hot = Hot::default();
    for line in source.split_inclusive('\n') {
        if hot.within_block(line) {
            for c in line.chars() {
                masked.extend(std::iter::repeat_n(
                    if c == '\n' { c } else { '*' },
                    c.len_utf8(),
                ));
            }
            continue;
        }
        hot.line(line);
        let mut at = 0;
        for value in strings(line) {
            masked.push_str(line.get(at..value.start).unwrap_or_default());
            let text = line.get(value.clone()).unwrap_or_default();
            let key = line.get(..value.start).unwrap_or_default();
            let after = line.get(value.end + 1..).unwrap_or_default().trim_start();
            let is_key = after.starts_with(['=', '.']);
            if hot.covers(key) && !is_key && !is_reference(text) {
                masked.extend(std::iter::repeat_n('*', text.len()));
            } else {
                push_without_userinfo(&mut masked, text);
            }
            at = value.end;
        }
        masked.push_str(line.get(at..).unwrap_or_default());
    }
    masked
}

/// Which lines hold secrets, by what stood above them.
#[derive(Default)]
struct Hot {
    /// Within `[... headers]` and the like.
    table: bool,
    /// Within a list or inline table of several lines that began at such a key.
    depth: usize,
    /// Within a string of several lines; the quotes that end it.
    block: Option<&'static str>,
}

impl Hot {
    /// True if the line belongs to a string of several lines that began at such a key.
    fn within_block(&mut self, line: &str) -> bool {
        let Some(quotes) = self.block else {
            return false;
        };
        if line.contains(quotes) {
            self.block = None;
        }
        true
    }

    fn line(&mut self, line: &str) {
        let line = line.trim_start();
        if line.starts_with('[') && self.depth == 0 {
            let header = line.trim_end().trim_matches(['[', ']']);
            let mut parts = header.split('.').skip(2);
            self.table = parts.any(|part| TABLES.contains(&part.trim().trim_matches('"')));
            return;
        }
        for quotes in ["\"\"\"", "\'\'\'"] {
            if line.matches(quotes).count() == 1 && (self.table || names_secret(line)) {
                self.block = Some(quotes);
            }
        }
        let code = outside_strings(line);
        if self.depth > 0 || names_secret(&code) {
            let opened = code.matches(['[', '{']).count();
            let closed = code.matches([']', '}']).count();
            self.depth = (self.depth + opened).saturating_sub(closed);
        }
    }

    /// True if a string after `before`, on the same line, may be a secret.
    fn covers(&self, before: &str) -> bool {
        self.table || self.depth > 0 || names_secret(before)
    }
}

fn names_secret(text: &str) -> bool {
    let lower = text.to_lowercase();
    WORDS.iter().any(|word| lower.contains(word))
        || TABLES.iter().any(|table| {
            lower
                .find(table)
                .and_then(|at| lower.get(at + table.len()..))
                .is_some_and(|rest| rest.trim_start().starts_with(['=', '.']))
        })
}

fn is_reference(text: &str) -> bool {
    let plain = |name: &str| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_alphanumeric() || "_-./:".contains(c))
    };
    ["env:", "file:"]
        .iter()
        .any(|scheme| text.strip_prefix(scheme).is_some_and(plain))
}

/// `scheme://user:password@host` without `user:password`.
fn push_without_userinfo(masked: &mut String, text: &str) {
    let userinfo = text.find("://").and_then(|at| {
        let begin = at + 3;
        let rest = text.get(begin..)?;
        let authority = rest
            .find('/')
            .map_or(rest, |slash| rest.get(..slash).unwrap_or(rest));
        Some(begin..begin + authority.rfind('@').or_else(|| rest.rfind('@'))?)
    });
    match userinfo {
        Some(range) => {
            masked.push_str(text.get(..range.start).unwrap_or_default());
            masked.extend(std::iter::repeat_n('*', range.len()));
            masked.push_str(text.get(range.end..).unwrap_or_default());
        }
        None => masked.push_str(text),
    }
}

/// The contents of the line's strings, without quotes. One that is not closed goes to the line's end.
fn strings(line: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut begin: Option<(char, usize)> = None;
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        match begin {
            None if c == '#' => return found,
            None if c == '"' || c == '\'' => begin = Some((c, at + 1)),
            None => {}
            Some(_) if escaped => escaped = false,
            Some(('"', _)) if c == '\\' => escaped = true,
            Some((quote, start)) if c == quote => {
                found.push(start..at);
                begin = None;
            }
            Some(_) => {}
        }
    }
    if let Some((_, start)) = begin {
        found.push(start..line.trim_end().len().max(start));
    }
    found
}

fn outside_strings(line: &str) -> String {
    let mut code = String::new();
    let mut at = 0;
    for string in strings(line) {
        code.push_str(line.get(at..string.start).unwrap_or_default());
        at = string.end;
    }
    code.push_str(line.get(at..).unwrap_or_default());
    code.split('#').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_written_into_the_file_are_masked_and_offsets_stay() {
        for (text, expected) in [
            ("secrets = [\"hunter2\"]", "secrets = [\"*******\"]"),
            (
                "secrets = [\"env:DIDIT_SECRET\", \"hunter2\"]",
                "secrets = [\"env:DIDIT_SECRET\", \"*******\"]",
            ),
            (
                "secrets = [\n  \"hunter2\",\n]\npath = \"/a\"",
                "secrets = [\n  \"*******\",\n]\npath = \"/a\"",
            ),
            ("secrets = [\"hunter2]", "secrets = [\"********"),
            (
                "sign = { secret = 'whsec_abc' }",
                "sign = { secret = '*********' }",
            ),
            (
                "url = \"amqp://user:pass@host:1/v\"",
                "url = \"amqp://*********@host:1/v\"",
            ),
            (
                "url = \"amqp://user:p/ss@host\"",
                "url = \"amqp://*********@host\"",
            ),
            (
                "headers = { x-api = \"abc\" }",
                "headers = { x-api = \"***\" }",
            ),
            (
                "[sinks.crm.headers]\nx = \"abc\"\n[sinks.b]\nx = \"abc\"",
                "[sinks.crm.headers]\nx = \"***\"\n[sinks.b]\nx = \"abc\"",
            ),
            (
                "headers = { \"x-a\" = \"b\" }",
                "headers = { \"x-a\" = \"*\" }",
            ),
            (
                "options = { a = \"b\" }\ntopic = \"t\"",
                "options = { a = \"*\" }\ntopic = \"t\"",
            ),
            ("config.hash_key = \"abc\"", "config.hash_key = \"***\""),
            (
                "[plugins.p.secrets]\nhash.key = \"abc\"\n[plugins.p.secrets.hash]\nkey = \"abc\"",
                "[plugins.p.secrets]\nhash.key = \"***\"\n[plugins.p.secrets.hash]\nkey = \"***\"",
            ),
            (
                "secret = \"\"\"\nhunter2\n\"\"\"\na = 1",
                "secret = \"\"\"\n*******\n***\na = 1",
            ),
            ("secret = \"héé\"", "secret = \"*****\""),
            (
                "path = \"/hooks/secret\" # secret",
                "path = \"/hooks/secret\" # secret",
            ),
        ] {
            let masked = mask(text);
            assert_eq!(masked, expected);
            assert_eq!(masked.len(), text.len());
        }
    }
}
