//! Headers: from hyper's map to the event's list, copied once, and what of them an event keeps.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use crate::event::Header;

/// Fields of a head; more are 431. hyper's own bound for HTTP/1.1 is the same.
pub const FIELDS_MAX: usize = 100;

/// Names that carry credentials, whatever the scheme. They are shown to verification and then left out.
const CREDENTIALS: [&str; 5] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-api-key",
    "x-auth-token",
];

/// True for a name (lower-case) that carries a credential whatever the scheme.
#[must_use]
pub fn is_credential(name: &str) -> bool {
    CREDENTIALS.contains(&name)
}

/// Bytes of a head as HTTP/1.1 would send it: `name: value\r\n` per field.
#[must_use]
pub fn bytes_in(map: &HeaderMap) -> usize {
    map.iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum()
}

/// All fields in order. Values share one buffer.
#[must_use]
pub fn copy(map: &HeaderMap) -> Vec<Header> {
    let mut buffer = BytesMut::with_capacity(map.values().map(http::HeaderValue::len).sum());
    for value in map.values() {
        buffer.extend_from_slice(value.as_bytes());
    }
    let mut values: Bytes = buffer.freeze();
    map.iter()
        .map(|(name, value)| Header {
            name: name.as_str().to_owned(),
            value: values.split_to(value.len()),
        })
        .collect()
}

/// Removes what an event must not keep: credentials in general, and the fields in which this source's
/// sender shows one, which `hidden` knows.
pub fn strip_credentials(headers: &mut Vec<Header>, hidden: impl Fn(&str) -> bool) {
    headers.retain(|header| !is_credential(&header.name) && !hidden(&header.name));
}

/// The query without the parameters in which this source's sender shows a credential, which `hidden`
/// knows. What stays is as received.
#[must_use]
pub fn strip_query(query: &str, hidden: impl Fn(&str) -> bool) -> String {
    let secret = |pair: &&str| {
        let name = pair.split_once('=').map_or(*pair, |(name, _)| name);
        hidden(&percent_encoding::percent_decode_str(name).decode_utf8_lossy())
    };
    let kept: Vec<&str> = query.split('&').filter(|pair| !secret(pair)).collect();
    kept.join("&")
}

/// The media type of a `content-type` value, without parameters and surrounding space.
#[must_use]
pub fn media_type(value: &str) -> &str {
    value.split(';').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(*name, http::HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn all_fields_are_copied_in_order_with_repeated_names_kept() {
        let copied = copy(&map(&[("x-a", "1"), ("x-b", ""), ("x-a", "22")]));
        let mut seen: Vec<_> = copied
            .iter()
            .map(|h| {
                (
                    h.name.as_str(),
                    std::str::from_utf8(&h.value).unwrap_or_default(),
                )
            })
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, [("x-a", "1"), ("x-a", "22"), ("x-b", "")]);
    }

    #[test]
    fn credentials_do_not_stay_in_an_event() {
        let mut headers = copy(&map(&[
            ("authorization", "Bearer s"),
            ("cookie", "s"),
            ("x-hook-token", "s"),
            ("x-signature", "abc"),
        ]));
        strip_credentials(&mut headers, |name| name == "x-hook-token");
        let names: Vec<_> = headers.iter().map(|h| h.name.as_str()).collect();
        assert_eq!(names, ["x-signature"]);
        assert_eq!(strip_query("token=s&a=1", |_| false), "token=s&a=1");
    }

    #[test]
    fn a_credential_in_the_query_does_not_stay_and_the_rest_does_as_it_was() {
        for (query, expected) in [
            ("token=s", ""),
            ("a=%20&token=s&b", "a=%20&b"),
            ("%74oken=s&tokens=1", "tokens=1"),
            ("", ""),
        ] {
            assert_eq!(strip_query(query, |name| name == "token"), expected);
        }
    }

    #[test]
    fn a_media_type_is_what_stands_before_the_parameters() {
        for (value, expected) in [
            ("application/json", "application/json"),
            ("application/json; charset=utf-8", "application/json"),
            (" text/plain ;q=1", "text/plain"),
            ("", ""),
        ] {
            assert_eq!(media_type(value), expected);
        }
    }
}
