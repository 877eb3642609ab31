//! Parts: the words of the scheme language that point into a request.
//!
//! [`Part`] is a piece of what is signed, [`Extract`] a place to read an event's id or type from. This module
//! parses them and knows nothing of requests.

use serde::Deserialize;

/// A piece of the signed bytes: a placeholder, or literal text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Part {
    /// Literal text.
    Text(String),
    /// `{body}`: the body as received.
    Body,
    /// `{timestamp}`: the scheme's timestamp, verbatim.
    Timestamp,
    /// `{header:NAME}`: a header, verbatim. The request must have it.
    Header(String),
    /// `{method}`: the method, upper-case.
    Method,
    /// `{url}`: the source's public URL, with the request's query unless it has one itself.
    Url(UrlForm),
    /// `{form:sorted}`: name and value of each form field, names sorted, values sorted and each once.
    /// A body that is no form is refused.
    FormSorted,
    /// `{json:/pointer}`: a scalar of the body; nothing where it is absent.
    Json(String),
    /// `{json:canonical}`: the body as compact JSON with sorted keys, as Python's `json.dumps` writes it
    /// with `sort_keys`, `ensure_ascii=False` and integral floats made integers.
    CanonicalJson,
    /// `{param:NAME}`: a parameter of the source.
    Param(String),
    /// `{secret}`: the secret's bytes, for `keyed_hash`.
    Secret,
}

/// Which spelling of the public URL is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlForm {
    /// `{url}`: as configured.
    Configured,
    /// `{url:with-port}`: with the scheme's default port written out.
    WithPort,
    /// `{url:without-port}`: without a port.
    WithoutPort,
}

impl TryFrom<String> for Part {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let Some(inner) = text
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
        else {
            if text.contains(['{', '}']) {
                return Err(format!(
                    "`{text}` mixes text and a placeholder; write them as two parts of the list"
                ));
            }
            return Ok(Self::Text(text));
        };
        let (word, argument) = inner.split_once(':').unwrap_or((inner, ""));
        match (word, argument) {
            ("body", "") => Ok(Self::Body),
            ("timestamp", "") => Ok(Self::Timestamp),
            ("method", "") => Ok(Self::Method),
            ("secret", "") => Ok(Self::Secret),
            ("url", "") => Ok(Self::Url(UrlForm::Configured)),
            ("url", "with-port") => Ok(Self::Url(UrlForm::WithPort)),
            ("url", "without-port") => Ok(Self::Url(UrlForm::WithoutPort)),
            ("form", "sorted") => Ok(Self::FormSorted),
            ("json", "canonical") => Ok(Self::CanonicalJson),
            ("json", pointer) if is_pointer(pointer) => Ok(Self::Json(pointer.to_owned())),
            ("header", name) if !name.is_empty() => Ok(Self::Header(name.to_ascii_lowercase())),
            ("param", name) if !name.is_empty() => Ok(Self::Param(name.to_owned())),
            _ => Err(format!(
                "`{text}` is not a placeholder; there are {{body}}, {{timestamp}}, {{header:NAME}}, {{method}}, \
                 {{url}}, {{url:with-port}}, {{url:without-port}}, {{form:sorted}}, {{json:/POINTER}}, \
                 {{json:canonical}}, {{param:NAME}} and {{secret}}"
            )),
        }
    }
}

/// One value, or several joined with `:`. Written `json:/id`, or `json:/session_id + json:/status`; a composite
/// is there only if all of it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Extract(pub Vec<Source>);

/// A place in the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `header:NAME`
    Header(String),
    /// `json:/pointer`: a string, number or boolean of the body.
    Json(String),
    /// `query:NAME`
    Query(String),
    /// `form:NAME`: a field of a form body.
    Form(String),
    /// `const:TEXT`
    Const(String),
    /// `hash:body`: `sha256:` and the hash of the body in hexadecimal. Always there.
    BodyHash,
}

impl TryFrom<String> for Extract {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.split(" + ")
            .map(source)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn source(text: &str) -> Result<Source, String> {
    match text.trim().split_once(':') {
        Some(("header", name)) if !name.is_empty() => Ok(Source::Header(name.to_ascii_lowercase())),
        Some(("json", pointer)) if is_pointer(pointer) => Ok(Source::Json(pointer.to_owned())),
        Some(("query", name)) if !name.is_empty() => Ok(Source::Query(name.to_owned())),
        Some(("form", name)) if !name.is_empty() => Ok(Source::Form(name.to_owned())),
        Some(("const", text)) if !text.is_empty() => Ok(Source::Const(text.to_owned())),
        Some(("hash", "body")) => Ok(Source::BodyHash),
        _ => Err(format!(
            "`{text}` names no place; write header:NAME, json:/POINTER, query:NAME, form:NAME, const:TEXT or \
             hash:body, or several of them joined with ` + `"
        )),
    }
}

fn is_pointer(text: &str) -> bool {
    text.starts_with('/')
}
