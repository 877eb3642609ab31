//! Report: a request for the log of rejected ones, cut to size and with its credentials masked.
//!
//! What proves a sender is masked by three rules, because a request may be wrong in any way: headers that
//! carry credentials whatever the scheme, headers and parameters of this source's own scheme, and names that
//! sound like either. Of a signature the long runs are masked, so that the times and versions beside them
//! stay readable. Pure.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;

use super::client::Client;
use super::headers;
use crate::config::Source;
use crate::metrics::NO_SOURCE;
use crate::rejected::Rejected;
use crate::secret::Secret;
use crate::verify::Verifier;

/// Bytes of one header's value, of all headers, of a path and of a query.
const VALUE_BYTES_MAX: usize = 1024;
const HEADERS_BYTES_MAX: usize = 8 * 1024;
const TARGET_BYTES_MAX: usize = 1024;
/// Bytes of a reason. Reasons are sentences; some quote what came.
const DETAIL_BYTES_MAX: usize = 1024;

/// Shortest run in a signature's header that is masked: 16 characters are 12 bytes in Base64. Times are
/// shorter.
const RUN_CHARS_MIN: usize = 16;

/// Parts of names whose value is a credential.
const CREDENTIAL_WORDS: [&str; 8] = [
    "auth",
    "cookie",
    "token",
    "secret",
    "passw",
    "api-key",
    "apikey",
    "credential",
];
/// Parts of names whose value is a signature.
const SIGNATURE_WORDS: [&str; 4] = ["sign", "hmac", "digest", "verif"];

/// Why and how a request was not taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reason<'r> {
    pub(super) code: &'r str,
    pub(super) detail: &'r str,
    pub(super) status: u16,
    /// False if it was let through.
    pub(super) enforced: bool,
    /// True if nothing is wrong with the request. Its body says nothing then, and comes again.
    pub(super) is_ours: bool,
}

/// The request as the log keeps it. `body` is what was read of it, `None` if nothing was.
pub(super) fn report(
    reason: Reason<'_>,
    source: Option<&Source>,
    (peer, client): (IpAddr, Client),
    head: Option<&Parts>,
    body: Option<Bytes>,
    now_ms: u64,
) -> Rejected {
    let verifier = source.and_then(|source| source.proof.verifier());
    let (headers, headers_cut) = head.map_or_else(Default::default, |head| shown(head, verifier));
    let uri = head.map(|head| &head.uri);
    let query = uri.and_then(|uri| uri.query()).unwrap_or_default();
    Rejected {
        number: 0,
        at_ms: now_ms,
        source: source.map_or_else(|| NO_SOURCE.into(), |source| Arc::clone(&source.name)),
        code: reason.code.to_owned(),
        detail: cut(reason.detail, DETAIL_BYTES_MAX).into_owned(),
        status: reason.status,
        enforced: reason.enforced,
        client: client.address,
        client_is_known: client.is_known,
        peer,
        method: head.map_or_else(String::new, |head| {
            cut(head.method.as_str(), 32).into_owned()
        }),
        path: uri.map_or_else(String::new, |uri| {
            cut(uri.path(), TARGET_BYTES_MAX).into_owned()
        }),
        query: cut(&masked_query(query, verifier), TARGET_BYTES_MAX).into_owned(),
        headers,
        headers_cut,
        body_bytes: body.as_ref().map(|body| body.len() as u64),
        body: body.filter(|_| !reason.is_ours).unwrap_or_default(),
    }
}

/// Headers for the eye, and whether some are missing or cut.
fn shown(head: &Parts, verifier: Option<&Verifier>) -> (Vec<(String, String)>, bool) {
    let mut shown = Vec::with_capacity(head.headers.len());
    let mut left = HEADERS_BYTES_MAX;
    for (name, value) in &head.headers {
        let name = name.as_str();
        let text = String::from_utf8_lossy(value.as_bytes());
        let value = match kind(name, verifier) {
            Kind::Credential => masked_credential(&text),
            Kind::Signature => masked_runs(&text),
            Kind::Plain => text.into_owned(),
        };
        let value = cut(&value, VALUE_BYTES_MAX);
        let bytes = name.len() + value.len();
        if bytes > left {
            return (shown, true);
        }
        left -= bytes;
        shown.push((name.to_owned(), value.into_owned()));
    }
    let is_cut = shown.iter().any(|(_, value)| value.ends_with(CUT));
    (shown, is_cut)
}

/// What stands where text was cut off.
const CUT: char = '\u{2026}';

fn cut(text: &str, bytes_max: usize) -> Cow<'_, str> {
    if text.len() <= bytes_max {
        return Cow::Borrowed(text);
    }
    let mut cut = String::with_capacity(bytes_max + CUT.len_utf8());
    for c in text.chars() {
        if cut.len() + c.len_utf8() > bytes_max {
            break;
        }
        cut.push(c);
    }
    cut.push(CUT);
    Cow::Owned(cut)
}

enum Kind {
    Plain,
    Credential,
    Signature,
}

/// What a header or parameter carries; `name` in any case.
fn kind(name: &str, verifier: Option<&Verifier>) -> Kind {
    let lower = name.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let of_scheme = |verifier: &Verifier| {
        verifier.credential_headers().any(|own| own == lower)
            || verifier.credential_parameters().any(|own| own == name)
    };
    if headers::is_credential(&lower) || verifier.is_some_and(of_scheme) {
        Kind::Credential
    } else if verifier.is_some_and(|verifier| verifier.is_signature_header(&lower))
        || has(&SIGNATURE_WORDS)
    {
        Kind::Signature
    } else if has(&CREDENTIAL_WORDS) {
        Kind::Credential
    } else {
        Kind::Plain
    }
}

/// The one mask that this program has.
fn masked(text: &str) -> String {
    Secret::new(text).to_string()
}

/// `Bearer ****a1b2`. Of Basic nothing is shown: its end is the end of a password.
fn masked_credential(text: &str) -> String {
    match text.split_once(' ') {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("basic") => format!("{scheme} ****"),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => {
            format!("{scheme} {}", masked(rest))
        }
        _ => masked(text),
    }
}

/// `t=1700000000,v1=****a1b2`: each long run of the characters of hexadecimal and Base64.
fn masked_runs(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut run = String::new();
    let flush = |run: &mut String, shown: &mut String| {
        if run.chars().count() < RUN_CHARS_MIN {
            shown.push_str(run);
        } else {
            shown.push_str(&masked(run));
        }
        run.clear();
    };
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '_' | '-') {
            run.push(c);
        } else {
            flush(&mut run, &mut shown);
            shown.push(c);
        }
    }
    flush(&mut run, &mut shown);
    shown
}

fn masked_query(query: &str, verifier: Option<&Verifier>) -> String {
    let pairs = query.split('&').map(|pair| {
        let Some((name, value)) = pair.split_once('=') else {
            return pair.to_owned();
        };
        let decoded = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
        match kind(&decoded, verifier) {
            Kind::Plain => pair.to_owned(),
            Kind::Credential | Kind::Signature => format!("{name}={}", masked(value)),
        }
    });
    pairs.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::verify::{Params, Scheme};

    fn verifier(scheme: &str) -> Verifier {
        let scheme: Scheme = toml::from_str(scheme).unwrap();
        let secrets = [Secret::new("a-long-enough-secret")];
        Verifier::new(&scheme, &secrets, &Params::default()).unwrap()
    }

    fn header(name: &str, value: &str, verifier: Option<&Verifier>) -> String {
        let request = http::Request::post("/")
            .header(name, value)
            .body(())
            .unwrap();
        let (headers, _) = shown(&request.into_parts().0, verifier);
        headers.into_iter().next().unwrap().1
    }

    #[test]
    fn credentials_and_signatures_are_masked_and_times_are_not() {
        for (name, value, expected) in [
            (
                "authorization",
                "Basic dXNlcjpodW50ZXIyaHVudGVyMg==",
                "Basic ****",
            ),
            (
                "authorization",
                "Bearer 0123456789abcdef",
                "Bearer ****cdef",
            ),
            ("authorization", "0123456789abcdef", "****cdef"),
            ("proxy-authorization", "hunter2", "****"),
            ("cookie", "session=0123456789abcdef", "****cdef"),
            ("x-gitlab-token", "0123456789abcdef", "****cdef"),
            ("X-Api-Key", "hunter2", "****"),
            (
                "x-auth-client",
                "6a5b9f52-6a0c-4f2b-8f1d-0c5f7b1e2d33",
                "****2d33",
            ),
            (
                "x-signature",
                "0123456789abcdef0123456789abcdef",
                "****cdef",
            ),
            (
                "x-hub-signature-256",
                "sha256=0123456789abcdef0123456789ABCDEF",
                "sha256=****CDEF",
            ),
            (
                "stripe-signature",
                "t=1700000000,v1=0123456789abcdef,v0=fedcba9876543210",
                "t=1700000000,v1=****cdef,v0=****3210",
            ),
            (
                "webhook-signature",
                "v1,MDEyMzQ1Njc4OWFiY2RlZg== v1,eHl6",
                "v1,****RlZg== v1,eHl6",
            ),
            (
                "plaid-verification",
                "eyJhbGciOiJFUzI1NiJ9.eyJpYXQiOjE3MDAwMDAwMDB9.c2lnbmF0dXJlc2lnbmF0dXJl",
                "****NiJ9.****MDB9.****dXJl",
            ),
            ("x-signature-timestamp", "1700000000", "1700000000"),
            (
                "user-agent",
                "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
                "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            ),
            ("content-type", "application/json", "application/json"),
        ] {
            let got = header(name, value, None);
            assert_eq!(got, expected, "{name}");
        }
    }

    #[test]
    fn the_headers_of_the_sources_own_scheme_are_masked_whatever_their_names() {
        let mac = verifier(
            "kind = 'mac'\nalg = 'hmac-sha256'\nsigned = ['{body}']\n\
             signature = { header = 'X-Seal', encoding = 'hex' }",
        );
        let long = "0123456789abcdef";
        assert_eq!(header("x-seal", long, Some(&mac)), "****cdef");
        assert_eq!(header("x-seal", long, None), long);
        let numbered = verifier(
            "kind = 'mac'\nalg = 'hmac-sha256'\nsigned = ['{body}']\n\
             signature = { header = 'X-Seal', encoding = 'hex', form = 'numbered' }",
        );
        assert_eq!(header("x-seal-7", long, Some(&numbered)), "****cdef");
        let own = verifier("kind = 'static'\ncredential = { in = 'header', name = 'X-Door' }");
        assert_eq!(header("x-door", "hunter2", Some(&own)), "****");
        let query = verifier("kind = 'static'\ncredential = { in = 'query', name = 'door' }");
        let masked = masked_query("a=1&d%6for=hunter2&door=hunter2&door", Some(&query));
        assert_eq!(masked, "a=1&d%6for=****&door=****&door");
        assert_eq!(
            masked_query("access_token=0123456789abcdef&state=1", None),
            "access_token=****cdef&state=1"
        );
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters_and_says_so() {
        let long = "\u{e4}".repeat(1000);
        let shown = cut(&long, 1023);
        assert_eq!(shown.len(), 1022 + CUT.len_utf8());
        assert!(shown.ends_with(CUT));
        assert_eq!(cut("abc", 3), "abc");
        let mut request = http::Request::post("/");
        for number in 0..64 {
            request = request.header(format!("x-{number}"), "a".repeat(500));
        }
        let (headers, is_cut) = super::shown(&request.body(()).unwrap().into_parts().0, None);
        let bytes: usize = headers.iter().map(|(n, v)| n.len() + v.len()).sum();
        assert!(is_cut && bytes <= HEADERS_BYTES_MAX && headers.len() > 10);
    }
}
