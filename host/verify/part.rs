//! Parts: the words of the scheme language that point into a request.
//!
//! [`Part`] is a piece of what is signed, [`Source`] a place that holds a value, [`Extract`] where an event's id or
//! type is read from. This module parses them and knows nothing of requests.

use serde::Deserialize;

/// A piece of the signed bytes: a placeholder, or literal text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Part {
    /// Literal text.
    Text(String),
    /// `{body}`: the body as received.
    Body,
    /// `{body:sha256}`: the SHA-256 of the body, in lower-case hexadecimal.
    BodySha256,
    /// `{body:crc32}`: the CRC-32 of the body, in decimal. Whoever wants to can find another body that has it.
    BodyCrc32,
    /// `{timestamp}`: the scheme's timestamp, verbatim.
    Timestamp,
    /// `{header:NAME}`: a header, verbatim. The request must have it.
    Header(String),
    /// `{method}`: the method, upper-case.
    Method,
    /// `{url}`: the source's public URL, with the request's query unless it has one itself.
    Url(UrlForm),
    /// `{query:NAME}`: a parameter of the query, decoded; nothing where it is absent.
    Query(String),
    /// `{form:NAME}`: a field of a form body, decoded; nothing where it is absent.
    Form(String),
    /// `{form:sorted}`: name and value of each form field, names sorted, values sorted and each once.
    /// A body that is no form is refused.
    FormSorted,
    /// `{json:/pointer}`: a scalar of the body; nothing where it is absent.
    Json(String),
    /// `{json:canonical}`: the body as compact JSON with sorted keys, as Python's `json.dumps` writes it
    /// with `sort_keys`, `ensure_ascii=False` and integral floats made integers.
    CanonicalJson,
    /// `{sns}`: the lines that Amazon SNS signs, `Key\nValue\n` for a list of keys that depends on `Type`.
    Sns,
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
    /// `{url:percent-decoded}`: with those escapes decoded that `HubSpot` decodes: `: / ? @ ! $ ' ( ) * , ;`.
    PercentDecoded,
    /// `{url:request}`: `https://`, the `host` header and the target, as received. It needs no `public_url`, and
    /// lets through what was signed under the same secret for another host.
    Request,
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
            ("body", "sha256") => Ok(Self::BodySha256),
            ("body", "crc32") => Ok(Self::BodyCrc32),
            ("timestamp", "") => Ok(Self::Timestamp),
            ("method", "") => Ok(Self::Method),
            ("secret", "") => Ok(Self::Secret),
            ("url", "") => Ok(Self::Url(UrlForm::Configured)),
            ("url", "with-port") => Ok(Self::Url(UrlForm::WithPort)),
            ("url", "without-port") => Ok(Self::Url(UrlForm::WithoutPort)),
            ("url", "percent-decoded") => Ok(Self::Url(UrlForm::PercentDecoded)),
            ("url", "request") => Ok(Self::Url(UrlForm::Request)),
            ("query", name) if !name.is_empty() => Ok(Self::Query(name.to_owned())),
            ("form", "sorted") => Ok(Self::FormSorted),
            ("form", name) if !name.is_empty() => Ok(Self::Form(name.to_owned())),
            ("sns", "") => Ok(Self::Sns),
            ("json", "canonical") => Ok(Self::CanonicalJson),
            ("json", pointer) if is_pointer(pointer) => Ok(Self::Json(pointer.to_owned())),
            ("header", name) if !name.is_empty() => Ok(Self::Header(name.to_ascii_lowercase())),
            ("param", name) if !name.is_empty() => Ok(Self::Param(name.to_owned())),
            _ => Err(format!(
                "`{text}` is not a placeholder; there are {{body}}, {{body:sha256}}, {{body:crc32}}, \
                 {{timestamp}}, {{header:NAME}}, {{method}}, {{url}}, {{url:with-port}}, {{url:without-port}}, \
                 {{url:percent-decoded}}, {{url:request}}, {{query:NAME}}, {{form:sorted}}, {{form:NAME}}, \
                 {{json:/POINTER}}, {{json:canonical}}, {{sns}}, {{param:NAME}} and {{secret}}"
            )),
        }
    }
}

/// One value, or several joined with `:`. Written `json:/id`, or `json:/session_id + json:/status`; a composite
/// is there only if all of it is.
///
/// A pointer with `*` for an index (`json:/items/*/id`) goes to each item of a list and gives one value for each;
/// all such pointers of a composite go through the same list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Extract(pub Vec<Source>);

/// A place in the request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub enum Source {
    /// `header:NAME`
    Header(String),
    /// `json:/pointer`: a string, number or boolean of the body; `json:` is all of it.
    Json(String),
    /// `json:/list/*/pointer`: in each item of a list. The list's pointer, and the rest within an item.
    Each(String, String),
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
        let sources: Vec<Source> = text.split(" + ").map(source).collect::<Result<_, _>>()?;
        let mut lists = sources.iter().filter_map(|source| match source {
            Source::Each(list, _) => Some(list),
            _ => None,
        });
        if let Some(list) = lists.next()
            && lists.any(|other| other != list)
        {
            return Err(format!(
                "`{text}` goes through two lists; each value needs one item"
            ));
        }
        Ok(Self(sources))
    }
}

impl TryFrom<String> for Source {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        source(&text)
    }
}

fn source(text: &str) -> Result<Source, String> {
    match text.trim().split_once(':') {
        Some(("header", name)) if !name.is_empty() => Ok(Source::Header(name.to_ascii_lowercase())),
        Some(("json", "")) => Ok(Source::Json(String::new())),
        Some(("json", pointer)) if is_pointer(pointer) => match pointer.split_once("/*") {
            None => Ok(Source::Json(pointer.to_owned())),
            Some((list, rest)) if (rest.is_empty() || is_pointer(rest)) && !rest.contains("/*") => {
                Ok(Source::Each(list.to_owned(), rest.to_owned()))
            }
            Some(_) => Err(format!(
                "`{text}` has more than one `*`, or one beside other text"
            )),
        },
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
