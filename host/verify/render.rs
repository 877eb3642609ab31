//! Rendering: the bytes that a signature is over, as slices of the request wherever that can be.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use super::part::{Part, UrlForm};
use super::pointer::Pointers;
use super::setup::SetupError;
use super::{Params, Rejection, Request, canonical, extract, headers};

/// The signed parts, prepared.
#[derive(Debug, Default)]
pub(super) struct Template {
    pieces: Vec<Piece>,
    pointers: Pointers,
    /// Parameter of the URL that holds the body's SHA-256 in hexadecimal.
    body_hash: Option<String>,
}

#[derive(Debug)]
enum Piece {
    Bytes(Vec<u8>),
    Body,
    Timestamp,
    Header(String),
    Method,
    Url(String),
    FormSorted,
    Json(usize),
    CanonicalJson,
    Secret,
}

/// A rendered part. What differs per signature or per secret is left open.
pub(super) enum Slice<'r> {
    Bytes(Cow<'r, [u8]>),
    Timestamp,
    Secret,
}

impl Template {
    /// Prepares `parts` with the parameters of a source.
    pub(super) fn new(
        parts: &[Part],
        body_hash: Option<&str>,
        params: &Params,
    ) -> Result<Self, SetupError> {
        let mut template = Self {
            body_hash: body_hash.map(str::to_owned),
            ..Self::default()
        };
        for part in parts {
            let piece = match part {
                Part::Text(text) => Piece::Bytes(text.as_bytes().to_vec()),
                Part::Body => Piece::Body,
                Part::Timestamp => Piece::Timestamp,
                Part::Header(name) => Piece::Header(name.clone()),
                Part::Method => Piece::Method,
                Part::Url(form) => Piece::Url(public_url(*form, params)?),
                Part::FormSorted => Piece::FormSorted,
                Part::Json(pointer) => Piece::Json(template.pointers.add(pointer)),
                Part::CanonicalJson => Piece::CanonicalJson,
                Part::Param(name) => Piece::Bytes(params.required(name)?.as_bytes().to_vec()),
                Part::Secret => Piece::Secret,
            };
            template.pieces.push(piece);
        }
        Ok(template)
    }

    /// Renders the parts of one request.
    pub(super) fn render<'r>(&'r self, request: Request<'r>) -> Result<Vec<Slice<'r>>, Rejection> {
        let mut found = self.pointers.find(request.body);
        self.pieces
            .iter()
            .map(|piece| {
                let bytes = match piece {
                    Piece::Timestamp => return Ok(Slice::Timestamp),
                    Piece::Secret => return Ok(Slice::Secret),
                    Piece::Bytes(bytes) => Cow::Borrowed(bytes.as_slice()),
                    Piece::Body => Cow::Borrowed(request.body),
                    Piece::Header(name) => {
                        Cow::Borrowed(headers::required(request, name)?.as_bytes())
                    }
                    Piece::Method => Cow::Borrowed(request.method.as_bytes()),
                    Piece::Url(url) => {
                        let url = with_query(url, request.target);
                        if let Some(name) = &self.body_hash {
                            check_body_hash(&url, name, request.body)?;
                        }
                        Cow::Owned(url.into_bytes())
                    }
                    Piece::FormSorted => Cow::Owned(form_sorted(request)?),
                    Piece::Json(slot) => match found.get_mut(*slot).and_then(Option::take) {
                        None => Cow::Borrowed(&[][..]),
                        Some(Cow::Borrowed(text)) => Cow::Borrowed(text.as_bytes()),
                        Some(Cow::Owned(text)) => Cow::Owned(text.into_bytes()),
                    },
                    Piece::CanonicalJson => Cow::Owned(canonical::canonical(request.body)?),
                };
                Ok(Slice::Bytes(bytes))
            })
            .collect()
    }
}

fn public_url(form: UrlForm, params: &Params) -> Result<String, SetupError> {
    let url = params.public_url.as_deref().ok_or_else(|| {
        SetupError::new(
            "missing_public_url",
            "this provider signs the URL that it posts to, and that is not known",
        )
        .hint("give the URL as the provider has it, such as `https://hooks.example.com/square`")
    })?;
    let parsed: http::Uri = url.parse().map_err(|_| bad_url(url))?;
    let (Some(scheme), Some(host)) = (parsed.scheme_str(), parsed.host()) else {
        return Err(bad_url(url));
    };
    let port = match form {
        UrlForm::Configured => return Ok(url.to_owned()),
        UrlForm::WithoutPort => String::new(),
        UrlForm::WithPort => match parsed.port_u16() {
            Some(port) => format!(":{port}"),
            None if scheme == "http" => ":80".to_owned(),
            None => ":443".to_owned(),
        },
    };
    let rest = url
        .get(scheme.len() + 3..)
        .and_then(|after| after.find(['/', '?']).and_then(|at| after.get(at..)))
        .unwrap_or_default();
    Ok(format!("{scheme}://{host}{port}{rest}"))
}

fn bad_url(url: &str) -> SetupError {
    SetupError::new("bad_public_url", format!("`{url}` is not a whole URL"))
        .hint("it begins with `https://` and a host")
}

fn with_query(url: &str, target: &str) -> String {
    match target.split_once('?') {
        Some((_, query)) if !url.contains('?') => format!("{url}?{query}"),
        _ => url.to_owned(),
    }
}

/// The URL is signed, and through its parameter the body is.
fn check_body_hash(url: &str, name: &str, body: &[u8]) -> Result<(), Rejection> {
    let stated = extract::query(url, name).ok_or_else(|| Rejection {
        code: "missing_parameter",
        detail: format!("query parameter `{name}` is missing"),
    })?;
    if stated.eq_ignore_ascii_case(&hex::encode(Sha256::digest(body))) {
        return Ok(());
    }
    Err(Rejection {
        code: "bad_signature",
        detail: format!("query parameter `{name}` is not the hash of this body"),
    })
}

/// A body that is no form would not be covered at all, so it is refused.
fn form_sorted(request: Request<'_>) -> Result<Vec<u8>, Rejection> {
    if request.body.is_empty() {
        return Ok(Vec::new());
    }
    let is_form = crate::event::header(request.headers, "content-type").is_some_and(|kind| {
        kind.to_ascii_lowercase()
            .starts_with("application/x-www-form-urlencoded")
    });
    let body = std::str::from_utf8(request.body)
        .ok()
        .filter(|_| is_form)
        .ok_or_else(|| Rejection::malformed("the body is not a form, and its fields are signed"))?;
    let mut fields: Vec<_> = extract::fields(body).collect();
    fields.sort_unstable();
    fields.dedup();
    let mut joined = Vec::with_capacity(body.len());
    for (name, value) in fields {
        joined.extend_from_slice(name.as_bytes());
        joined.extend_from_slice(value.as_bytes());
    }
    Ok(joined)
}
