//! Canonical JSON, as Python's `json.dumps(x, sort_keys=True, separators=(",", ":"), ensure_ascii=False)` writes
//! it after integral floats were made integers.
//!
//! Keys are sorted by code point; integers of any size keep their digits. A key that stands twice in an object is
//! refused: Python lets the last one count and other programs the first, so the same signature would stand for two
//! documents.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::de::IgnoredAny;

use super::Rejection;

/// Nested arrays and objects that are followed; `serde_json` has the same limit.
const DEPTH_MAX: usize = 128;

/// A value, borrowed from the text.
enum Tree<'t> {
    /// A string, as it stands in the source.
    String(&'t str),
    /// A number, `true`, `false` or `null`.
    Word(&'t str),
    Array(Vec<Tree<'t>>),
    Object(BTreeMap<String, Tree<'t>>),
}

/// Rewrites `body`. Refused if it is not JSON.
pub(super) fn canonical(body: &[u8]) -> Result<Vec<u8>, Rejection> {
    let text = std::str::from_utf8(body).map_err(|_| not_json())?;
    // What follows relies on the grammar having been checked here.
    serde_json::from_str::<IgnoredAny>(text).map_err(|_| not_json())?;
    let mut reader = Reader { rest: text };
    let tree = reader.value(0).ok_or_else(not_json)?;
    let mut out = String::with_capacity(text.len());
    write(&tree, &mut out).ok_or_else(not_json)?;
    Ok(out.into_bytes())
}

fn not_json() -> Rejection {
    Rejection::malformed(
        "the body is not JSON of at most 128 levels with each key once, and its canonical form is signed",
    )
}

struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    fn value(&mut self, depth: usize) -> Option<Tree<'t>> {
        if depth > DEPTH_MAX {
            return None;
        }
        match self.peek()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string().map(Tree::String),
            _ => {
                let end = self
                    .rest
                    .find([',', '}', ']', ' ', '\t', '\n', '\r'])
                    .unwrap_or(self.rest.len());
                self.take(end).map(Tree::Word)
            }
        }
    }

    fn object(&mut self, depth: usize) -> Option<Tree<'t>> {
        let mut object = BTreeMap::new();
        self.take(1)?;
        while self.peek()? != b'}' {
            let key: String = serde_json::from_str(self.string()?).ok()?;
            self.peek()?;
            self.take(1)?;
            if object.insert(key, self.value(depth + 1)?).is_some() {
                return None;
            }
            if self.peek()? == b',' {
                self.take(1)?;
            }
        }
        self.take(1)?;
        Some(Tree::Object(object))
    }

    fn array(&mut self, depth: usize) -> Option<Tree<'t>> {
        let mut array = vec![];
        self.take(1)?;
        while self.peek()? != b']' {
            array.push(self.value(depth + 1)?);
            if self.peek()? == b',' {
                self.take(1)?;
            }
        }
        self.take(1)?;
        Some(Tree::Array(array))
    }

    /// A string with its quotes.
    fn string(&mut self) -> Option<&'t str> {
        self.peek()?;
        let mut escaped = false;
        let end = self.rest.bytes().skip(1).position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        })?;
        self.take(end + 2)
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
        self.rest.bytes().next()
    }

    fn take(&mut self, len: usize) -> Option<&'t str> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }
}

fn write(tree: &Tree<'_>, out: &mut String) -> Option<()> {
    match tree {
        Tree::String(raw) => quote(&serde_json::from_str::<String>(raw).ok()?, out)?,
        Tree::Word(word @ ("true" | "false" | "null")) => out.push_str(word),
        Tree::Word(number) => write_number(number, out)?,
        Tree::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out)?;
            }
            out.push(']');
        }
        Tree::Object(fields) => {
            out.push('{');
            for (index, (key, value)) in fields.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                quote(key, out)?;
                out.push(':');
                write(value, out)?;
            }
            out.push('}');
        }
    }
    Some(())
}

/// `serde_json` escapes just what Python does without `ensure_ascii`, in the same spelling.
fn quote(text: &str, out: &mut String) -> Option<()> {
    out.push_str(&serde_json::to_string(text).ok()?);
    Some(())
}

fn write_number(text: &str, out: &mut String) -> Option<()> {
    if !text.contains(['.', 'e', 'E']) {
        out.push_str(if text == "-0" { "0" } else { text });
        return Some(());
    }
    let number: f64 = text.parse().ok()?;
    if !number.is_finite() {
        return None;
    }
    if number.fract() == 0.0 {
        // Adding zero turns -0.0 into 0.0, as Python's `int` does.
        write!(out, "{:.0}", number + 0.0).ok()?;
    } else if number.abs() < 1e-4 {
        let scientific = format!("{number:e}");
        let (digits, exponent) = scientific.split_once("e-")?;
        write!(out, "{digits}e-{exponent:0>2}").ok()?;
    } else {
        write!(out, "{number}").ok()?;
    }
    Some(())
}
