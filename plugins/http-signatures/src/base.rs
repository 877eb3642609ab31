//! The signature base (RFC 9421 section 2.5): the text that was signed, rebuilt from the request.
//!
//! Header values go in byte for byte. A component that this plugin cannot rebuild, or that stands twice,
//! makes the signature worthless, so it is refused and never left out.

use hookswitch::verify::{Context, Rejection, Request};
use sfv::{InnerList, Item, ItemSerializer, ListSerializer};

/// Derived components that can be rebuilt.
const DERIVED: [&str; 7] = [
    "@authority",
    "@method",
    "@path",
    "@query",
    "@request-target",
    "@scheme",
    "@target-uri",
];

/// The parts of the URL as the sender sees it.
pub(crate) struct Target {
    scheme: String,
    authority: String,
    path: String,
    query: Option<String>,
}

impl Target {
    /// From the source's `public_url` if it has one; else from the `host` header and the path as received,
    /// and `https`.
    pub(crate) fn of(request: &Request, context: &Context) -> Result<Self, Rejection> {
        let query = request.query().map(str::to_owned);
        if let Some(url) = &context.public_url {
            let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
            let rest = rest.split(['?', '#']).next().unwrap_or_default();
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            return Ok(Self::new(scheme, authority, path, query));
        }
        let host = request.required("host")?;
        Ok(Self::new("https", host, request.path(), query))
    }

    fn new(scheme: &str, authority: &str, path: &str, query: Option<String>) -> Self {
        let scheme = scheme.to_ascii_lowercase();
        let authority = authority.trim().to_ascii_lowercase();
        // The scheme's own port is left out (RFC 9421 section 2.2.3).
        let usual_port = if scheme == "http" { ":80" } else { ":443" };
        Self {
            authority: authority
                .strip_suffix(usual_port)
                .unwrap_or(&authority)
                .to_owned(),
            path: if path.is_empty() { "/" } else { path }.to_owned(),
            scheme,
            query,
        }
    }

    fn with_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }
}

/// Whether a signature can be asked to cover this.
pub(crate) fn known(name: &str) -> Result<(), String> {
    if let Some(derived) = name.strip_prefix('@') {
        return match DERIVED.contains(&name) {
            true => Ok(()),
            false => Err(format!(
                "there is no component `@{derived}` here; there are {}",
                DERIVED.join(", ")
            )),
        };
    }
    let token = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
    };
    match !name.is_empty() && name.bytes().all(token) {
        true => Ok(()),
        false => Err("components are lower-case names of headers, or begin with `@`".to_owned()),
    }
}

/// The names of what a signature covers.
pub(crate) fn covered(input: &InnerList) -> Result<Vec<&str>, Rejection> {
    let mut names = Vec::with_capacity(input.items.len());
    for item in &input.items {
        let Some(name) = item.bare_item.as_string() else {
            return Err(Rejection::malformed("a covered component is no string"));
        };
        if let Some((param, _)) = item.params.first() {
            let detail = format!("the component parameter `{param}` is not supported");
            return Err(Rejection::malformed(detail));
        }
        if names.contains(&name.as_str()) {
            return Err(Rejection::malformed("a component is covered twice"));
        }
        names.push(name.as_str());
    }
    Ok(names)
}

/// The bytes that were signed.
pub(crate) fn base(
    input: &InnerList,
    request: &Request,
    target: &Target,
) -> Result<Vec<u8>, Rejection> {
    let mut base = Vec::new();
    for item in &input.items {
        base.extend_from_slice(identifier(item).as_bytes());
        base.extend_from_slice(b": ");
        let name = item.bare_item.as_string().map(|name| name.as_str());
        append(&mut base, name.unwrap_or_default(), request, target)?;
        base.push(b'\n');
    }
    base.extend_from_slice(b"\"@signature-params\": ");
    base.extend_from_slice(parameters(input).as_bytes());
    Ok(base)
}

fn identifier(item: &Item) -> String {
    ItemSerializer::new().bare_item(&item.bare_item).finish()
}

/// The list itself, as it is written canonically.
fn parameters(input: &InnerList) -> String {
    let mut list = ListSerializer::new();
    let mut inner = list.inner_list();
    inner.items(&input.items);
    inner.finish().parameters(&input.params);
    list.finish().unwrap_or_default()
}

fn append(
    base: &mut Vec<u8>,
    name: &str,
    request: &Request,
    target: &Target,
) -> Result<(), Rejection> {
    let derived = match name {
        "@method" => request.method.clone(),
        "@scheme" => target.scheme.clone(),
        "@authority" => target.authority.clone(),
        "@path" => target.path.clone(),
        "@query" => format!("?{}", target.query.as_deref().unwrap_or_default()),
        "@request-target" => target.with_query(),
        "@target-uri" => format!(
            "{}://{}{}",
            target.scheme,
            target.authority,
            target.with_query()
        ),
        other if other.starts_with('@') => {
            let detail = format!("the component `{other}` is not supported");
            return Err(Rejection::malformed(detail));
        }
        header => return append_header(base, header, request),
    };
    base.extend_from_slice(derived.as_bytes());
    Ok(())
}

/// All values of a header, without the white space around them (RFC 9421 section 2.1).
fn append_header(base: &mut Vec<u8>, name: &str, request: &Request) -> Result<(), Rejection> {
    let mut found = false;
    for header in request.headers.iter().filter(|header| header.name == name) {
        if found {
            base.extend_from_slice(b", ");
        }
        base.extend_from_slice(header.value.trim_ascii());
        found = true;
    }
    match found {
        true => Ok(()),
        false => Err(Rejection::missing_header(name)),
    }
}
