//! Diagnostics: what is wrong in a config, where, and what to do.
//!
//! A [`Diagnostic`] is one finding with a stable code and, where there is one, a place in the file.
//! [`Diagnostics`] is all of them with the file's text, and writes them for people (as rustc does) or
//! for programs (JSON). Invariant: the text kept here has every value that could be a secret replaced
//! by asterisks before it gets in, so no rendering can show one. This module knows no config key.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The config cannot be used.
    Error,
    /// The config can be used, but probably not as meant.
    Warning,
}

impl Severity {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code, snake_case: `unknown_key`. Never reused for another meaning.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, one line that holds no secret.
    pub message: String,
    /// The bytes of the file it is about; `None` where no place is to blame.
    pub span: Option<Range<usize>>,
    /// A word or two beside the caret.
    pub label: Option<String>,
    /// Another place that has to do with it, and how.
    pub related: Option<(Range<usize>, String)>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A finding that makes the config unusable.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message.into())
    }

    /// A finding that does not.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message.into())
    }

    fn new(severity: Severity, code: &'static str, message: String) -> Self {
        Self {
            code,
            severity,
            message,
            span: None,
            label: None,
            related: None,
            hint: None,
        }
    }

    /// Its place, in bytes of the file.
    #[must_use]
    pub fn at(mut self, span: Range<usize>) -> Self {
        self.span = Some(span);
        self
    }

    /// A word or two beside the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Another place that has to do with it, and how.
    #[must_use]
    pub fn related(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.related = Some((span, label.into()));
        self
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// All findings of one file.
#[derive(Clone, Debug)]
pub struct Diagnostics {
    file: PathBuf,
    source: Arc<str>,
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// No findings yet. `source` is the file's text with secrets already replaced; see
    /// [`super::mask`].
    pub fn new(file: &Path, source: impl Into<Arc<str>>) -> Self {
        Self {
            file: file.to_owned(),
            source: source.into(),
            list: Vec::new(),
        }
    }

    /// Adds a finding.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Adds findings.
    pub fn extend(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        self.list.extend(diagnostics);
    }

    /// Those of the findings that `wanted` picks.
    #[must_use]
    pub fn only(&self, wanted: impl Fn(&Diagnostic) -> bool) -> Self {
        let list = self.list.iter().filter(|one| wanted(one));
        Self {
            file: self.file.clone(),
            source: self.source.clone(),
            list: list.cloned().collect(),
        }
    }

    /// The findings, in the order of their places; those without a place come first.
    #[must_use]
    pub fn sorted(&self) -> Vec<&Diagnostic> {
        let mut sorted: Vec<&Diagnostic> = self.list.iter().collect();
        sorted.sort_by_key(|d| d.span.as_ref().map(|span| (span.start, span.end)));
        sorted
    }

    /// The file they are about.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// True without any finding.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// True if one of them makes the config unusable.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// How many there are of this severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.list.iter().filter(|d| d.severity == severity).count()
    }

    /// Line and column of a byte, both from 1; the column counts characters.
    #[must_use]
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let mut end = offset.min(self.source.len());
        while !self.source.is_char_boundary(end) {
            end -= 1;
        }
        let before = self.source.get(..end).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        (line, column)
    }

    /// The findings as text, each followed by an empty line. `colors` adds terminal colours.
    #[must_use]
    pub fn render(&self, colors: bool) -> String {
        let renderer = if colors {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let path = self.file.display().to_string();
        let mut text = String::new();
        for diagnostic in self.sorted() {
            text.push_str(&renderer.render(&[self.report(diagnostic, &path)]));
            text.push_str("\n\n");
        }
        text
    }

    fn report<'r>(&'r self, diagnostic: &'r Diagnostic, path: &'r str) -> Group<'r> {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(&diagnostic.message).id(diagnostic.code);
        let mut group = match &diagnostic.span {
            Some(span) => {
                let mut primary = AnnotationKind::Primary.span(self.clamp(span));
                if let Some(label) = &diagnostic.label {
                    primary = primary.label(label);
                }
                let mut snippet = Snippet::source(&*self.source)
                    .path(path)
                    .annotation(primary);
                if let Some((place, label)) = &diagnostic.related {
                    let context = AnnotationKind::Context.span(self.clamp(place)).label(label);
                    snippet = snippet.annotation(context);
                }
                title.element(snippet)
            }
            None => title.element(annotate_snippets::Origin::path(path)),
        };
        if let Some(hint) = &diagnostic.hint {
            group = group.element(Level::HELP.message(hint));
        }
        group
    }

    /// The span within the text and on character boundaries, whatever a caller passed; a span over
    /// several lines is cut to its first, which is enough to find the place.
    fn clamp(&self, span: &Range<usize>) -> Range<usize> {
        let source = &*self.source;
        let mut start = span.start.min(source.len());
        while !source.is_char_boundary(start) {
            start -= 1;
        }
        let mut end = span.end.clamp(start, source.len());
        while !source.is_char_boundary(end) {
            end += 1;
        }
        let line = source.get(start..end).unwrap_or_default();
        if let Some(newline) = line.find('\n').filter(|newline| *newline > 0) {
            end = start + newline;
        }
        start..end
    }

    /// The findings as a JSON array of objects with `code`, `severity`, `message`, `file`, `line`,
    /// `column` and `hint`; the last three are null where there is none.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let file = self.file.display().to_string();
        self.sorted()
            .into_iter()
            .map(|d| {
                let place = d.span.as_ref().map(|span| self.position(span.start));
                serde_json::json!({
                    "code": d.code,
                    "severity": d.severity.as_str(),
                    "message": d.message,
                    "file": file,
                    "line": place.map(|(line, _)| line),
                    "column": place.map(|(_, column)| column),
                    "hint": d.hint,
                })
            })
            .collect()
    }
}

impl fmt::Display for Diagnostics {
    /// As [`Diagnostics::render`] without colours, for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for Diagnostics {}

/// The known name nearest to `name`, if it is near enough to be a slip of the hand.
#[must_use]
pub fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    // Names up to three characters may differ in one, up to eight in two, longer ones in three.
    let allowed = match name.chars().count() {
        0..=3 => 1,
        4..=8 => 2,
        _ => 3,
    };
    let lower = name.to_lowercase();
    known
        .into_iter()
        .filter(|known| *known != name)
        .map(|known| (strsim::osa_distance(&lower, &known.to_lowercase()), known))
        .filter(|(distance, known)| *distance <= allowed && *distance < known.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests;
