//! Problems: what was found while reading.

use std::cell::RefCell;
use std::ops::Range;

use crate::config::diagnostic::Diagnostic;

/// Where problems are collected while the file is read.
#[derive(Debug)]
pub struct Problems<'s> {
    source: &'s str,
    list: RefCell<Vec<Diagnostic>>,
}

impl<'s> Problems<'s> {
    /// None yet, for this text of a file.
    #[must_use]
    pub fn new(source: &'s str) -> Self {
        Self {
            source,
            list: RefCell::new(Vec::new()),
        }
    }

    /// Records one.
    pub fn push(&self, diagnostic: Diagnostic) {
        self.list.borrow_mut().push(diagnostic);
    }

    /// All of them.
    #[must_use]
    pub fn into_list(self) -> Vec<Diagnostic> {
        self.list.into_inner()
    }

    /// The place of some bytes of a string value's content: exact where the file writes the string without
    /// escapes, else the whole value.
    #[must_use]
    pub fn inside(&self, value: &Range<usize>, content: &str, part: Range<usize>) -> Range<usize> {
        let raw = self.source.get(value.clone()).unwrap_or_default();
        match raw.find(content) {
            Some(at) if !content.is_empty() => {
                let begin = value.start + at;
                let end = value.end;
                (begin + part.start).min(end)..(begin + part.end).min(end)
            }
            _ => value.clone(),
        }
    }
}
