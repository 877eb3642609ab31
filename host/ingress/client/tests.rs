//! Tests of the client's address: tables in, addresses out.
#![allow(clippy::unwrap_used, reason = "tests")]

use http::HeaderValue;

use super::*;

const PROXY: &str = "10.0.0.1";

/// Trusts 10.0.0.0/8 and 2001:db8:ffff::/48. `X:` and `F:` stand for the two headers.
fn client(peer: &str, fields: &[&str]) -> String {
    let trusted = ["10.0.0.0/8", "2001:db8:ffff::/48"].map(|net| net.parse().unwrap());
    let mut headers = HeaderMap::new();
    for field in fields {
        let (name, value) = field.split_once(' ').unwrap();
        let name = if name == "X" {
            X_FORWARDED_FOR
        } else {
            "forwarded"
        };
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    Client::of(peer.parse().unwrap(), &headers, &trusted).to_string()
}

#[test]
fn a_peer_that_is_not_trusted_is_the_client_whatever_it_says() {
    for fields in [
        &[][..],
        &["X 192.0.2.1"],
        &["F for=192.0.2.1"],
        &["X 10.0.0.2", "F for=10.0.0.3"],
        &["X garbage,,"],
    ] {
        assert_eq!(client("203.0.113.9", fields), "203.0.113.9", "{fields:?}");
    }
    assert_eq!(client("::ffff:203.0.113.9", &[]), "203.0.113.9");
}

#[test]
fn the_client_is_the_last_address_that_is_no_trusted_proxy() {
    for (fields, expected) in [
        // Nothing is said: the proxy itself asks, as for its health checks.
        (&[][..], "10.0.0.1"),
        (&["X 203.0.113.9"], "203.0.113.9"),
        (&["X 203.0.113.9, 10.0.0.7"], "203.0.113.9"),
        (&["X 203.0.113.9,10.0.0.7,10.1.2.3"], "203.0.113.9"),
        // The left is the client's own word.
        (&["X 192.0.2.1, 203.0.113.9"], "203.0.113.9"),
        (&["X 10.0.0.9, 203.0.113.9"], "203.0.113.9"),
        (
            &["X unknown, ;drop table, 203.0.113.9, 10.0.0.7"],
            "203.0.113.9",
        ),
        // Several fields are one list.
        (
            &["X 192.0.2.1", "X 203.0.113.9", "X 10.0.0.7"],
            "203.0.113.9",
        ),
        // Proxies all the way.
        (&["X 10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        // Ports, IPv6, and IPv4 within IPv6.
        (&["X 203.0.113.9:4711"], "203.0.113.9"),
        (&["X 2001:db8::9"], "2001:db8::9"),
        (&["X [2001:db8::9]"], "2001:db8::9"),
        (&["X [2001:db8::9]:4711, 2001:db8:ffff::1"], "2001:db8::9"),
        (&["X ::ffff:203.0.113.9"], "203.0.113.9"),
        (&["X 192.0.2.1, ::ffff:10.0.0.3"], "192.0.2.1"),
        (&["F for=203.0.113.9"], "203.0.113.9"),
        (
            &["F For=203.0.113.9;Proto=https;BY=10.0.0.1"],
            "203.0.113.9",
        ),
        (
            &["F proto=http ; for=203.0.113.9 , for=10.0.0.7"],
            "203.0.113.9",
        ),
        (&["F for=\"203.0.113.9:4711\""], "203.0.113.9"),
        (&["F for=203.0.113.9:4711"], "203.0.113.9"),
        (&["F for=\"[2001:db8::9]:4711\""], "2001:db8::9"),
        (&["F for=\"[2001:db8::9]:_port\""], "2001:db8::9"),
        (&["F for=[2001:db8::9]"], "2001:db8::9"),
        (&["F for=\"203.0.113.\\9\""], "203.0.113.9"),
        (&["F for=192.0.2.1, for=203.0.113.9"], "203.0.113.9"),
        (
            &["F for=192.0.2.1;host=\"a,b;for=9.9.9.9\", for=203.0.113.9"],
            "203.0.113.9",
        ),
        // What the client left open ends with its own field.
        (
            &["F for=192.0.2.1;a=\"", "F for=203.0.113.9"],
            "203.0.113.9",
        ),
        (&["F ;;for=203.0.113.9;"], "203.0.113.9"),
        // Both, and they agree.
        (
            &["X 203.0.113.9", "F for=203.0.113.9;proto=https"],
            "203.0.113.9",
        ),
        (
            &["X 192.0.2.1, 203.0.113.9", "F for=203.0.113.9"],
            "203.0.113.9",
        ),
    ] {
        assert_eq!(client(PROXY, fields), expected, "{fields:?}");
    }
}

#[test]
fn where_a_trusted_proxy_names_no_address_the_client_is_not_known() {
    for (fields, behind) in [
        (&["X unknown"][..], "10.0.0.1"),
        (&["X "], "10.0.0.1"),
        (&["X 203.0.113.9,"], "10.0.0.1"),
        (&["X 203.0.113.9, unknown, 10.0.0.7"], "10.0.0.7"),
        (&["X 203.0.113.9.1"], "10.0.0.1"),
        (&["X 203.0.113.9:"], "10.0.0.1"),
        (&["X 203.0.113.9:47 11"], "10.0.0.1"),
        (&["X [203.0.113.9]"], "10.0.0.1"),
        (&["X [2001:db8::9"], "10.0.0.1"),
        (&["X [2001:db8::9]4711"], "10.0.0.1"),
        (&["X localhost"], "10.0.0.1"),
        (&["X 203.0.113.9\u{e9}"], "10.0.0.1"),
        (&["X 0x7f.1"], "10.0.0.1"),
        (&["F for=unknown"], "10.0.0.1"),
        (&["F for=_hidden"], "10.0.0.1"),
        (&["F for=\"_gazonk\", for=10.0.0.7"], "10.0.0.7"),
        (&["F proto=https"], "10.0.0.1"),
        (&["F "], "10.0.0.1"),
        (&["F 203.0.113.9"], "10.0.0.1"),
        (&["F for = 203.0.113.9"], "10.0.0.1"),
        (&["F for="], "10.0.0.1"),
        (&["F for=203.0.113.9;for=192.0.2.1"], "10.0.0.1"),
        (&["F for=203.0.113.9 for=192.0.2.1"], "10.0.0.1"),
        (&["F for=\"203.0.113.9\"x"], "10.0.0.1"),
        // A quote that the client left open swallows what the proxy appended: nobody is believed.
        (&["F for=192.0.2.1;a=\", for=203.0.113.9"], "10.0.0.1"),
        (&["F for=192.0.2.1;a=\", for=\"[2001:db8::9]\""], "10.0.0.1"),
        (
            &["F for=192.0.2.1;a=\"\\, for=\"[2001:db8::9]\""],
            "10.0.0.1",
        ),
        // The proxy appends to one header and passes the other one on.
        (&["X 203.0.113.9", "F for=192.0.2.1"], "10.0.0.1"),
        (&["X 192.0.2.1", "F for=203.0.113.9"], "10.0.0.1"),
        (&["X 203.0.113.9", "F for=unknown"], "10.0.0.1"),
    ] {
        let expected = format!("unknown, behind {behind}");
        assert_eq!(client(PROXY, fields), expected, "{fields:?}");
    }
}

#[test]
fn an_allow_list_takes_nobody_who_is_not_known() {
    let allowed: Vec<IpNet> = ["203.0.113.0/24", "10.0.0.0/8", "2001:db8::/32"]
        .map(|net| net.parse().unwrap())
        .into();
    let client = |address: &str, is_known| Client {
        address: address.parse().unwrap(),
        is_known,
    };
    assert!(client("203.0.113.9", true).is_allowed(&allowed));
    assert!(client("2001:db8::9", true).is_allowed(&allowed));
    assert!(!client("203.0.114.9", true).is_allowed(&allowed));
    assert!(!client("10.0.0.1", false).is_allowed(&allowed));
    assert!(client("10.0.0.1", false).is_allowed(&[]));
}

#[test]
fn no_header_makes_it_panic() {
    use proptest::prelude::*;
    let piece = prop_oneof![
        Just("for=".to_owned()),
        Just("\"".to_owned()),
        Just("\\".to_owned()),
        Just("[2001:db8::1]".to_owned()),
        Just("10.0.0.1".to_owned()),
        Just(",".to_owned()),
        Just(";".to_owned()),
        ".{0,6}",
    ];
    proptest!(|(pieces in proptest::collection::vec(piece, 0..12))| {
        let value = pieces.concat();
        let _ = forwarded(&value);
        let _ = x_forwarded_for(&value);
        // What a proxy appends in a field of its own is believed, whatever stands before it.
        let fields = [format!("F {}", value.replace(|c: char| c.is_control(), "")), "F for=203.0.113.9".to_owned()];
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        prop_assert_eq!(client(PROXY, &fields), "203.0.113.9");
    });
}
