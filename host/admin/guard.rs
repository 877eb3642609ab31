//! Guard: keeps web pages in a browser away from the admin listener.
//!
//! The listener trusts whoever reaches its port, and a browser on the same machine reaches it for any page
//! that it shows. Two ways are closed: requests across origins carry `Origin`, which is refused; and
//! DNS rebinding (a public name that suddenly means 127.0.0.1) shows in `Host`, which must be an address
//! or a name that nobody can register: without a dot, or under a private top-level domain.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::{HOST, ORIGIN};

/// Top-level names that public DNS does not hand out (RFC 6761, RFC 6762, RFC 8375 and ICANN's
/// `internal`), or that clusters use.
const PRIVATE_SUFFIXES: [&str; 7] = [
    ".localhost",
    ".local",
    ".internal",
    ".home.arpa",
    ".svc",
    ".test",
    ".lan",
];

/// True if the request may be answered.
#[must_use]
pub fn admits(headers: &HeaderMap) -> bool {
    if headers.contains_key(ORIGIN) {
        return false;
    }
    // HTTP/1.0 clients may leave it out; browsers never do.
    let Some(host) = headers.get(HOST) else {
        return true;
    };
    host.to_str().is_ok_and(is_private)
}

fn is_private(host: &str) -> bool {
    let name = without_port(host);
    let address = name.trim_start_matches('[').trim_end_matches(']');
    if address.parse::<IpAddr>().is_ok() {
        return true;
    }
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    !name.contains('.') || PRIVATE_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_names_nobody_can_register_are_hosts() {
        for (host, expected) in [
            ("127.0.0.1:9180", true),
            ("[::1]:9180", true),
            ("10.1.2.3", true),
            ("localhost:9180", true),
            ("LOCALHOST", true),
            ("hookswitch:9180", true),
            ("hookswitch.prod.svc:9180", true),
            ("hookswitch.prod.svc.cluster.local", true),
            ("attacker.example.com:9180", false),
            ("127.0.0.1.nip.io", false),
            ("localhost.example.com", false),
        ] {
            assert_eq!(is_private(host), expected, "{host}");
        }
    }

    #[test]
    fn a_page_of_another_origin_is_refused() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, http::HeaderValue::from_static("127.0.0.1:9180"));
        assert!(admits(&headers));
        headers.insert(
            ORIGIN,
            http::HeaderValue::from_static("https://example.com"),
        );
        assert!(!admits(&headers));
    }
}
