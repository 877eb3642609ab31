//! Reading the request's headers, strictly: a header that a verdict rests on stands there once.

use super::{Rejection, Request};

/// The value of a header; `None` if it is not there. Two of a kind, or one that is not text, are refused: the
/// next program to read the request might take the other one.
pub(super) fn optional<'r>(request: Request<'r>, name: &str) -> Result<Option<&'r str>, Rejection> {
    let mut values = request.headers.iter().filter(|header| header.name == name);
    let Some(first) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Rejection::malformed(format!(
            "header `{name}` stands there more than once"
        )));
    }
    std::str::from_utf8(&first.value)
        .map(Some)
        .map_err(|_| Rejection::malformed(format!("header `{name}` is not text")))
}

/// The value of a header that must be there.
pub(super) fn required<'r>(request: Request<'r>, name: &str) -> Result<&'r str, Rejection> {
    optional(request, name)?.ok_or_else(|| Rejection::missing_header(name))
}
