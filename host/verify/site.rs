//! Sites: where a signature, a time or the name of a key stands. Read strictly: what a verdict rests on stands there
//! once or not at all, since the next program to read the request might take the other one.

use std::borrow::Cow;

use super::part::Source;
use super::pointer::{Found, Pointers};
use super::{Rejection, Request, View, extract, headers};

/// A place, prepared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Site {
    /// Lower-case name.
    Header(String),
    Query(String),
    Form(String),
    Json {
        slot: usize,
        pointer: String,
    },
}

impl Site {
    /// True for the header (lower-case) that it is.
    pub(super) fn is_header(&self, name: &str) -> bool {
        matches!(self, Self::Header(own) if own == name)
    }

    /// `None` for sources that are no place a sender could write to.
    pub(super) fn new(source: &Source, pointers: &mut Pointers) -> Option<Self> {
        match source {
            Source::Header(name) => Some(Self::Header(name.clone())),
            Source::Query(name) => Some(Self::Query(name.clone())),
            Source::Form(name) => Some(Self::Form(name.clone())),
            Source::Json(pointer) => Some(Self::Json {
                slot: pointers.add(pointer),
                pointer: pointer.clone(),
            }),
            Source::Each(..) | Source::Const(_) | Source::BodyHash => None,
        }
    }

    /// What stands there; `None` if nothing does.
    pub(super) fn optional<'r>(
        &self,
        view: View<'r>,
        found: &Found<'r>,
    ) -> Result<Option<Cow<'r, str>>, Rejection> {
        match self {
            Self::Header(name) => {
                headers::optional(view.request, name).map(|value| value.map(Cow::Borrowed))
            }
            Self::Query(name) => {
                let query = view.request.target.split_once('?').map(|(_, query)| query);
                self.once(query.unwrap_or_default(), name)
            }
            Self::Form(name) => self.once(form(view.request), name),
            Self::Json { slot, .. } => Ok(found.text(*slot)),
        }
    }

    /// What has to stand there.
    pub(super) fn required<'r>(
        &self,
        view: View<'r>,
        found: &Found<'r>,
    ) -> Result<Cow<'r, str>, Rejection> {
        self.optional(view, found)?.ok_or_else(|| self.absent())
    }

    fn once<'r>(&self, fields: &str, name: &str) -> Result<Option<Cow<'r, str>>, Rejection> {
        let mut values = extract::fields(fields).filter(|(key, _)| key == name);
        let first = values.next();
        if values.next().is_some() {
            return Err(Rejection::malformed(format!(
                "{self} stands there more than once"
            )));
        }
        Ok(first.map(|(_, value)| Cow::Owned(value)))
    }

    pub(super) fn absent(&self) -> Rejection {
        let code = match self {
            Self::Header(_) => "missing_header",
            Self::Query(_) => "missing_parameter",
            Self::Form(_) | Self::Json { .. } => "missing_field",
        };
        Rejection::new(code, format!("{self} is missing"))
    }
}

impl std::fmt::Display for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header `{name}`"),
            Self::Query(name) => write!(f, "query parameter `{name}`"),
            Self::Form(name) => write!(f, "form field `{name}`"),
            Self::Json { pointer, .. } => write!(f, "field `{pointer}` of the body"),
        }
    }
}

/// The body as form text; nothing if it is none.
pub(super) fn form(request: Request<'_>) -> &str {
    if extract::is_form(request) {
        std::str::from_utf8(request.body).unwrap_or_default()
    } else {
        ""
    }
}
