//! Rendering: the bytes that a signature is over, as slices of the request wherever that can be.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use super::part::{Part, UrlForm};
use super::pointer::{Found, Pointers};
use super::setup::SetupError;
use super::site::Site;
use super::sns::SnsFields;
use super::{Params, Rejection, Request, View, canonical, extract, headers};

/// The signed parts, prepared.
#[derive(Debug, Default)]
pub(super) struct Template {
    pieces: Vec<Piece>,
    /// Parameter of the URL that holds the body's SHA-256 in hexadecimal.
    body_hash: Option<String>,
}

#[derive(Debug)]
enum Piece {
    Bytes(Vec<u8>),
    Body,
    BodySha256,
    BodyCrc32,
    Timestamp,
    Header(String),
    Method,
    Url(String, UrlForm),
    Site(Site),
    FormSorted,
    CanonicalJson,
    Sns(SnsFields),
    Secret,
}

/// A rendered part. What differs per signature or per secret is left open.
pub(super) enum Slice<'r> {
    Bytes(Cow<'r, [u8]>),
    Timestamp,
    Secret,
}

impl Template {
    /// Prepares `parts` with the parameters of a source. What they look up in the body goes into `pointers`.
    pub(super) fn new(
        parts: &[Part],
        body_hash: Option<&str>,
        params: &Params,
        pointers: &mut Pointers,
    ) -> Result<Self, SetupError> {
        let mut pieces = Vec::with_capacity(parts.len());
        for part in parts {
            pieces.push(match part {
                Part::Text(text) => Piece::Bytes(text.as_bytes().to_vec()),
                Part::Body => Piece::Body,
                Part::BodySha256 => Piece::BodySha256,
                Part::BodyCrc32 => Piece::BodyCrc32,
                Part::Timestamp => Piece::Timestamp,
                Part::Header(name) => Piece::Header(name.clone()),
                Part::Method => Piece::Method,
                Part::Url(UrlForm::Request) => Piece::Url(String::new(), UrlForm::Request),
                Part::Url(form) => Piece::Url(public_url(*form, params)?, *form),
                Part::Query(name) => Piece::Site(Site::Query(name.clone())),
                Part::Form(name) => Piece::Site(Site::Form(name.clone())),
                Part::FormSorted => Piece::FormSorted,
                Part::Json(pointer) => Piece::Site(Site::Json {
                    slot: pointers.add(pointer),
                    pointer: pointer.clone(),
                }),
                Part::CanonicalJson => Piece::CanonicalJson,
                Part::Sns => Piece::Sns(SnsFields::new(pointers)),
                Part::Param(name) => Piece::Bytes(params.required(name)?.as_bytes().to_vec()),
                Part::Secret => Piece::Secret,
            });
        }
        Ok(Self {
            pieces,
            body_hash: body_hash.map(str::to_owned),
        })
    }

    /// Renders the parts of one request.
    pub(super) fn render<'r>(
        &'r self,
        view: View<'r>,
        found: &Found<'r>,
    ) -> Result<Vec<Slice<'r>>, Rejection> {
        self.pieces
            .iter()
            .map(|piece| self.piece(piece, view, found))
            .collect()
    }

    fn piece<'r>(
        &'r self,
        piece: &'r Piece,
        view: View<'r>,
        found: &Found<'r>,
    ) -> Result<Slice<'r>, Rejection> {
        let request = view.request;
        let bytes = match piece {
            Piece::Timestamp => return Ok(Slice::Timestamp),
            Piece::Secret => return Ok(Slice::Secret),
            Piece::Bytes(bytes) => Cow::Borrowed(bytes.as_slice()),
            Piece::Body => Cow::Borrowed(request.body),
            Piece::BodySha256 => Cow::Owned(hex::encode(Sha256::digest(request.body)).into_bytes()),
            Piece::BodyCrc32 => Cow::Owned(crc32fast::hash(request.body).to_string().into_bytes()),
            Piece::Header(name) => Cow::Borrowed(headers::required(request, name)?.as_bytes()),
            Piece::Method => Cow::Borrowed(request.method.as_bytes()),
            Piece::Url(url, form) => {
                let url = request_url(url, *form, request)?;
                if let Some(name) = &self.body_hash {
                    check_body_hash(&url, name, request.body)?;
                }
                Cow::Owned(url.into_bytes())
            }
            Piece::Site(site) => match site.optional(view, found)? {
                None => Cow::Borrowed(&[][..]),
                Some(Cow::Borrowed(text)) => Cow::Borrowed(text.as_bytes()),
                Some(Cow::Owned(text)) => Cow::Owned(text.into_bytes()),
            },
            Piece::FormSorted => Cow::Owned(form_sorted(request)?),
            Piece::CanonicalJson => Cow::Owned(canonical::canonical(request.body)?),
            Piece::Sns(fields) => Cow::Owned(fields.lines(found)?.into_bytes()),
        };
        Ok(Slice::Bytes(bytes))
    }
}

/// All slices in one piece, for algorithms that want that.
pub(super) fn assemble(slices: &[Slice<'_>], time: Option<&str>) -> Vec<u8> {
    let mut message = Vec::new();
    for slice in slices {
        match slice {
            Slice::Bytes(bytes) => message.extend_from_slice(bytes),
            Slice::Timestamp => message.extend_from_slice(time.unwrap_or_default().as_bytes()),
            Slice::Secret => {}
        }
    }
    message
}

/// The URL of this request in the form that is signed.
fn request_url(url: &str, form: UrlForm, request: Request<'_>) -> Result<String, Rejection> {
    Ok(match form {
        UrlForm::Request => {
            format!(
                "https://{}{}",
                headers::required(request, "host")?,
                request.target
            )
        }
        UrlForm::PercentDecoded => percent_decoded(&with_query(url, request.target)),
        UrlForm::Configured | UrlForm::WithPort | UrlForm::WithoutPort => {
            with_query(url, request.target)
        }
    })
}

/// Decodes the twelve escapes that `HubSpot` lists in its documentation, in one pass, and no others.
fn percent_decoded(url: &str) -> String {
    const DECODED: [(&str, &str); 12] = [
        ("%3A", ":"),
        ("%2F", "/"),
        ("%3F", "?"),
        ("%40", "@"),
        ("%21", "!"),
        ("%24", "$"),
        ("%27", "'"),
        ("%28", "("),
        ("%29", ")"),
        ("%2A", "*"),
        ("%2C", ","),
        ("%3B", ";"),
    ];
    let mut out = String::with_capacity(url.len());
    let mut rest = url;
    while let Some(at) = rest.find('%') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let known = escape.get(..3).and_then(|three| {
            DECODED
                .iter()
                .find(|(written, _)| three.eq_ignore_ascii_case(written))
        });
        let (text, len) = known.map_or(("%", 1), |(_, decoded)| (*decoded, 3));
        out.push_str(text);
        rest = escape.get(len..).unwrap_or_default();
    }
    out.push_str(rest);
    out
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
        UrlForm::Configured | UrlForm::PercentDecoded | UrlForm::Request => {
            return Ok(url.to_owned());
        }
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
    let stated = extract::query(url, name).ok_or_else(|| Site::Query(name.to_owned()).absent())?;
    if stated.eq_ignore_ascii_case(&hex::encode(Sha256::digest(body))) {
        return Ok(());
    }
    Err(Rejection::new(
        "bad_signature",
        format!("query parameter `{name}` is not the hash of this body"),
    ))
}

/// A body that is no form would not be covered at all, so it is refused.
fn form_sorted(request: Request<'_>) -> Result<Vec<u8>, Rejection> {
    if request.body.is_empty() {
        return Ok(Vec::new());
    }
    let body = std::str::from_utf8(request.body)
        .ok()
        .filter(|_| extract::is_form(request))
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
