//! Parsing templates.

use std::ops::Range;

use super::{Part, Template};

/// A text that is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct TemplateError {
    /// What is wrong.
    pub why: String,
    /// The bytes of the text it is about.
    pub at: Range<usize>,
    /// What to do.
    pub hint: Option<String>,
}

impl TemplateError {
    fn new(why: impl Into<String>, at: Range<usize>, hint: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            at,
            hint: Some(hint.into()),
        }
    }
}

pub(super) fn template(text: &str, allowed: &[&str]) -> Result<Template, TemplateError> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let at = text.len() - rest.len();
        if let Some(after) = rest.strip_prefix("{{") {
            literal.push('{');
            rest = after;
        } else if let Some(after) = rest.strip_prefix("}}") {
            literal.push('}');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let Some(length) = after.find('}') else {
                let hint = "close it with `}`, or write `{{` for a brace";
                return Err(TemplateError::new(
                    "`{` is not closed",
                    at..text.len(),
                    hint,
                ));
            };
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            let (inside, after) = after.split_at(length);
            parts.push(placeholder(inside, at..at + length + 2, allowed)?);
            rest = after.get(1..).unwrap_or_default();
        } else if c == '}' {
            let hint = "write `}}` for a brace";
            return Err(TemplateError::new("`}` closes nothing", at..at + 1, hint));
        } else {
            literal.push(c);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    if !literal.is_empty() || parts.is_empty() {
        parts.push(Part::Text(literal));
    }
    let reads_body = parts.iter().any(|part| matches!(part, Part::Json(_)));
    Ok(Template { parts, reads_body })
}

fn placeholder(inside: &str, at: Range<usize>, allowed: &[&str]) -> Result<Part, TemplateError> {
    let (word, argument) = match inside.split_once(':') {
        Some((word, argument)) => (word, Some(argument)),
        None => (inside, None),
    };
    let list = || {
        let with_argument = |word: &&str| match *word {
            "json" => "`{json:/pointer}`".to_owned(),
            "header" => "`{header:name}`".to_owned(),
            "attr" => "`{attr:name}`".to_owned(),
            plain => format!("`{{{plain}}}`"),
        };
        let words: Vec<String> = allowed.iter().map(with_argument).collect();
        format!("there are {}", words.join(", "))
    };
    let part = match (word, argument) {
        ("type", None) => Part::Type,
        ("source", None) => Part::Source,
        ("provider", None) => Part::Provider,
        ("id", None) => Part::Id,
        ("key", None) => Part::Key,
        ("json", Some(pointer)) => Part::Json(tokens(pointer, &at)?),
        ("header", Some(name)) if !name.is_empty() => Part::Header(name.to_ascii_lowercase()),
        ("attr", Some(name)) if !name.is_empty() => Part::Attribute(name.to_owned()),
        ("json" | "header" | "attr", _) => {
            let why = format!("`{{{inside}}}` does not say which one");
            return Err(TemplateError::new(why, at, list()));
        }
        ("type" | "source" | "provider" | "id" | "key", Some(_)) => {
            let why = format!("`{word}` takes nothing after a colon");
            return Err(TemplateError::new(why, at, format!("write `{{{word}}}`")));
        }
        _ => {
            let why = format!("unknown placeholder `{{{inside}}}`");
            return Err(TemplateError::new(why, at, list()));
        }
    };
    if !allowed.contains(&word) {
        let why = format!("`{{{inside}}}` cannot be used here");
        return Err(TemplateError::new(why, at, list()));
    }
    Ok(part)
}

/// A JSON Pointer's tokens: RFC 6901 sections 3 and 4.
fn tokens(pointer: &str, at: &Range<usize>) -> Result<Vec<String>, TemplateError> {
    let error = |why: String, hint: &str| Err(TemplateError::new(why, at.clone(), hint));
    let Some(path) = pointer.strip_prefix('/') else {
        let why = format!("the JSON Pointer `{pointer}` does not begin with a slash");
        return error(why, "such as `{json:/data/id}`");
    };
    let mut tokens = Vec::new();
    for token in path.split('/') {
        if token.replace("~0", "").replace("~1", "").contains('~') {
            let why = format!("the JSON Pointer `{pointer}` has a lone `~`");
            return error(why, "write `~0` for `~` and `~1` for `/` in a name");
        }
        tokens.push(token.replace("~1", "/").replace("~0", "~"));
    }
    Ok(tokens)
}
