//! The scheme language against small cases, and properties that hold for every scheme. Published and independently
//! signed vectors are in `tests/it/verify.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use bytes::Bytes;
use proptest::prelude::*;

use super::pointer::Pointers;
use super::{
    Coverage, Params, Rejection, Request, Scheme, Verified, Verifier, Window, canonical, sign,
};
use crate::event::Header;
use crate::secret::Secret;

const NOW_MS: u64 = 1_760_000_000_000;

/// Time, a header and the body are covered.
const TEMPLATE: &str = r#"
kind = "mac"
alg = "hmac-sha256"
signed = ["{header:X-Id}", ".", "{timestamp}", ".", "{body}"]
timestamp = { header = "X-Time", unit = "s" }
signature = { header = "X-Sig", encoding = "base64" }
event_id = ["header:X-Id"]
event_type = ["json:/type"]
"#;

fn scheme(text: &str) -> Scheme {
    toml::from_str(text).unwrap_or_else(|error| panic!("{error}"))
}

fn verifier(text: &str, secrets: &[&str]) -> Verifier {
    let secrets: Vec<_> = secrets.iter().map(|text| Secret::new(text)).collect();
    Verifier::new(&scheme(text), &secrets, &Params::default())
        .unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn request<'r>(headers: &'r [Header], body: &'r [u8]) -> Request<'r> {
    Request {
        method: "POST",
        target: "/in",
        headers,
        body,
    }
}

/// Headers of a request that is signed with the first secret.
fn signed(text: &str, secret: &str, given: &[(&str, &str)], body: &[u8]) -> Vec<Header> {
    let mut headers: Vec<_> = given
        .iter()
        .map(|(name, value)| Header::new(*name, *value))
        .collect();
    let signed = sign::sign(
        &scheme(text),
        &[Secret::new(secret)],
        &Params::default(),
        request(&headers, body),
        NOW_MS,
    )
    .unwrap();
    headers.extend(
        signed
            .headers
            .into_iter()
            .map(|(name, value)| Header::new(name, value)),
    );
    headers
}

fn judged(headers: &[Header], body: &[u8], now_ms: u64) -> Result<Verified, Rejection> {
    verifier(TEMPLATE, &["secret"]).verify(request(headers, body), now_ms)
}

#[test]
fn what_is_authentic_brings_its_id_type_and_coverage() {
    let body = br#"{"type":"t"}"#;
    let headers = signed(TEMPLATE, "secret", &[("x-id", "1")], body);
    assert_eq!(
        judged(&headers, body, NOW_MS).unwrap(),
        Verified {
            coverage: Coverage::Full,
            event_id: Some("1".to_owned()),
            event_ids: vec!["1".to_owned()],
            dedupe_by: None,
            event_type: "t".to_owned(),
        }
    );
}

#[test]
fn a_header_that_is_there_twice_is_refused() {
    let mut headers = signed(TEMPLATE, "secret", &[("x-id", "1")], b"{}");
    headers.push(Header::new("x-time", "1"));
    assert_eq!(
        judged(&headers, b"{}", NOW_MS).unwrap_err().code,
        "malformed"
    );
}

#[test]
fn no_rejection_holds_the_secret_or_the_expected_signature() {
    let headers = signed(TEMPLATE, "the-secret-text", &[("x-id", "1")], b"{}");
    let expected = std::str::from_utf8(&headers[2].value).unwrap().to_owned();
    let verifier = verifier(TEMPLATE, &["the-secret-text"]);
    let rejection = verifier
        .verify(request(&headers, b"{} "), NOW_MS)
        .unwrap_err();
    let said = format!("{rejection} {rejection:?} {verifier:?}");
    assert!(
        !said.contains("the-secret-text") && !said.contains(&expected),
        "{said}"
    );
}

#[test]
fn a_long_event_id_is_replaced_by_its_hash_and_a_long_type_by_nothing() {
    let long = "x".repeat(1000);
    let body = format!(r#"{{"type":"{long}"}}"#);
    let headers = signed(TEMPLATE, "secret", &[("x-id", &long)], body.as_bytes());
    let verified = judged(&headers, body.as_bytes(), NOW_MS).unwrap();
    assert!(verified.event_id.unwrap().starts_with("sha256:"));
    assert_eq!(verified.event_type, "");
}

#[test]
fn a_tolerance_replaces_both_ends_of_a_window_but_adds_none() {
    let cases = [
        ("", Some(60), (60, 60)),
        (r#"future = "none""#, Some(60), (60, u64::MAX)),
        (r#"past = "1s""#, Some(60), (60, 60)),
        (r#"past = "1s", future = "2s""#, None, (1, 2)),
    ];
    for (window, tolerance, (past, future)) in cases {
        let text = TEMPLATE.replace(
            r#"unit = "s""#,
            &format!(r#"unit = "s", {window}"#).replace(", }", " }"),
        );
        let params = Params {
            tolerance: tolerance.map(|s| Window(Some(std::time::Duration::from_secs(s)))),
            ..Params::default()
        };
        let verifier = Verifier::new(&scheme(&text), &[Secret::new("secret")], &params).unwrap();
        let headers = signed(TEMPLATE, "secret", &[("x-id", "1")], b"{}");
        let code = |now_ms| {
            verifier
                .verify(request(&headers, b"{}"), now_ms)
                .err()
                .map(|rejection| rejection.code)
        };
        assert_eq!(code(NOW_MS + past * 1000), None, "{window}");
        assert_eq!(code(NOW_MS + past * 1000 + 1000), Some("stale"), "{window}");
        if future == u64::MAX {
            assert_eq!(code(0), None, "{window}");
        } else {
            assert_eq!(code(NOW_MS - future * 1000), None, "{window}");
            assert_eq!(
                code(NOW_MS - future * 1000 - 1000),
                Some("future"),
                "{window}"
            );
        }
    }
}

#[test]
fn what_does_not_make_a_verifier_is_said_all_at_once() {
    let hex = r#"key = { decode = "hex", bytes_min = 4 }"#;
    let mac = |more: &str| {
        format!(
            "kind = \"mac\"\nalg = \"hmac-sha256\"\nsigned = [\"{{body}}\"]\n\
             signature = {{ header = \"X-Sig\", encoding = \"hex\" }}\n{more}"
        )
    };
    let any = "[[any_of]]\nkind = \"static\"\ncredential = { in = \"basic\" }\n";
    let cases: &[(String, &[&str], &[&str])] = &[
        (mac(""), &[], &["no_secret"]),
        (mac(""), &["", "x", "  "], &["empty_secret", "empty_secret"]),
        (mac(hex), &["zz"], &["bad_secret_encoding"]),
        (mac(hex), &["0011"], &["short_secret"]),
        (
            mac(hex),
            &["zz", "00112233", "0011"],
            &["bad_secret_encoding", "short_secret"],
        ),
        (any.to_owned(), &["password"], &["no_user"]),
        (
            "kind = \"unverified\"".to_owned(),
            &["x"],
            &["unused_secret"],
        ),
        (
            "event_id = [\"hash:body\"]".to_owned(),
            &["x"],
            &["no_kind"],
        ),
        ("kind = \"mac\"".to_owned(), &["x"], &["no_signature"]),
        ("kind = \"static\"".to_owned(), &["x"], &["no_credential"]),
        (
            format!("kind = \"static\"\n{any}"),
            &["a:b"],
            &["kind_and_any_of"],
        ),
        (
            mac("").replace("{body}", "{timestamp}"),
            &["x"],
            &["no_timestamp"],
        ),
        (
            mac("").replace("{body}", "{url}"),
            &["x"],
            &["missing_public_url"],
        ),
        (
            mac("").replace("{body}", "{param:p}"),
            &["x"],
            &["missing_param"],
        ),
        (
            mac("").replace("{body}", "{secret}"),
            &["x"],
            &["secret_part"],
        ),
        (
            mac("").replace("hmac-sha256", "sha256"),
            &["x"],
            &["wrong_algorithm"],
        ),
    ];
    for (text, secrets, wanted) in cases {
        let secrets: Vec<_> = secrets.iter().map(|text| Secret::new(text)).collect();
        let errors = Verifier::new(&scheme(text), &secrets, &Params::default()).unwrap_err();
        let codes: Vec<_> = errors.iter().map(|error| error.code).collect();
        assert_eq!(codes, *wanted, "{text}");
    }
}

#[test]
fn a_parameter_that_nothing_takes_is_an_error() {
    let params = Params {
        values: [("user".to_owned(), "x".to_owned())].into(),
        ..Params::default()
    };
    let scheme = scheme("kind = \"static\"\ncredential = { in = \"basic\" }");
    let errors = Verifier::new(&scheme, &[Secret::new("p")], &params).unwrap_err();
    assert_eq!(errors[0].message, "this scheme takes no parameter `user`");
    assert_eq!(errors[0].hint.as_deref(), Some("it takes username"));
}

#[test]
fn words_that_the_scheme_language_does_not_have_are_refused() {
    let cases = [
        r#"kind = "macs""#,
        r#"alg = "hmac-md5""#,
        r#"signed = ["{bod}"]"#,
        r#"signed = ["v0:{timestamp}"]"#,
        r#"event_id = ["json:id"]"#,
        r#"event_id = ["cookie:id"]"#,
        r#"timestamp = { past = "5 parsecs" }"#,
        r#"signature = { header = "X", encoding = "hex", colour = "red" }"#,
        r#"secrets = ["x"]"#,
    ];
    for text in cases {
        assert!(toml::from_str::<Scheme>(text).is_err(), "{text}");
    }
}

#[test]
fn credentials_are_named_so_that_they_are_not_stored() {
    let verifier = verifier(
        "[[any_of]]\nkind = \"static\"\ncredential = { in = \"header\", name = \"X-Key\" }\n\
         [[any_of]]\nkind = \"static\"\ncredential = { in = \"bearer\" }\n\
         [[any_of]]\nkind = \"static\"\ncredential = { in = \"query\", name = \"Token\" }\n",
        &["s"],
    );
    let headers: Vec<_> = verifier.credential_headers().collect();
    assert_eq!(headers, ["x-key", "authorization"]);
    assert_eq!(
        verifier.credential_parameters().collect::<Vec<_>>(),
        ["Token"]
    );
}

#[test]
fn pointers_find_scalars_in_one_pass() {
    let mut pointers = Pointers::default();
    let paths = ["/a", "/a/b", "/l/1", "/x~1y/~0", "/n", "/a/b", "/deep/1/k"];
    let slots: Vec<_> = paths.iter().map(|path| pointers.add(path)).collect();
    assert_eq!(slots[1], slots[5]);
    let look = |text: &str| -> Vec<Option<String>> {
        let found = pointers.find(text.as_bytes());
        slots
            .iter()
            .map(|slot| found.text(*slot).map(|value| value.into_owned()))
            .collect()
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        look(
            r#"{"a":{"b":"q\"\u00fc"},"l":[0,1.50],"x/y":{"~":true},"n":null,"deep":[[],{"k":1e999}]}"#
        ),
        [
            None,
            some("q\"ü"),
            some("1.50"),
            some("true"),
            None,
            some("q\"ü"),
            some("1e999")
        ]
    );
    // Of duplicate keys the last counts, with all that is below it.
    assert_eq!(look(r#"{"a":{"b":1},"a":2}"#)[..2], [some("2"), None]);
    for broken in [
        "",
        "{",
        r#"{"a":1"#,
        r#"{"a":1} x"#,
        "[",
        "nul",
        r#"{"a":1,}"#,
    ] {
        assert!(look(broken).iter().all(Option::is_none), "{broken}");
    }
}

#[test]
fn canonical_json_of_what_is_no_json_is_refused() {
    let deep = "[".repeat(200) + &"]".repeat(200);
    for text in [
        "",
        "{",
        "{}x",
        "[1,]",
        "01",
        "\"\\ud800\"",
        "[1e999]",
        deep.as_str(),
    ] {
        assert!(canonical::canonical(text.as_bytes()).is_err(), "{text}");
    }
    assert!(canonical::canonical(b"\"\xff\"").is_err());
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let bit = bit % (bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

proptest! {
    #[test]
    fn one_changed_bit_of_the_body_makes_it_invalid(
        body in proptest::collection::vec(any::<u8>(), 1..300), bit in any::<usize>()
    ) {
        let headers = signed(TEMPLATE, "secret", &[("x-id", "1")], &body);
        prop_assert!(judged(&headers, &body, NOW_MS).is_ok());
        prop_assert!(judged(&headers, &flipped(&body, bit), NOW_MS).is_err());
    }

    #[test]
    fn one_changed_bit_of_a_covered_header_makes_it_invalid(which in 0_usize..3, bit in any::<usize>()) {
        let mut headers = signed(TEMPLATE, "secret", &[("x-id", "message 1")], b"{}");
        headers[which].value = Bytes::from(flipped(&headers[which].value, bit));
        let verdict = judged(&headers, b"{}", NOW_MS);
        prop_assert!(verdict.is_err());
    }

    #[test]
    fn one_changed_bit_of_the_secret_makes_it_invalid(bit in 0_usize..56) {
        let text = TEMPLATE.replace("kind", "key = { decode = \"hex\" }\nkind");
        let headers = signed(&text, "00112233445566", &[("x-id", "1")], b"{}");
        let other = hex::encode(flipped(&hex::decode("00112233445566").unwrap(), bit));
        let verdict = verifier(&text, &[&other]).verify(request(&headers, b"{}"), NOW_MS);
        prop_assert_eq!(verdict.unwrap_err().code, "bad_signature");
    }

    #[test]
    fn one_changed_bit_of_a_static_credential_makes_it_invalid(bit in any::<usize>()) {
        let text = "kind = \"static\"\ncredential = { in = \"header\", name = \"X-Key\" }";
        let headers = [Header { name: "x-key".to_owned(), value: Bytes::from(flipped(b"secret", bit)) }];
        prop_assert!(verifier(text, &["secret"]).verify(request(&headers, b""), NOW_MS).is_err());
    }

    #[test]
    fn no_request_panics_any_preset(
        values in proptest::collection::vec(prop_oneof![
            "[ -~]{0,40}",
            "(t|ts|v1|h1|v0|sha256|v1,)?[=,;: ]?[0-9a-f=,;]{0,70}",
            Just("1760000000".to_owned()),
        ], 8),
        body in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..100),
            "[\\[\\]{}\",:0-9a-z\\\\ .eE+-]{0,60}".prop_map(String::into_bytes),
        ],
        now_ms in any::<u64>(),
        target in "/[ -~]{0,20}(\\?[ -~]{0,30})?",
    ) {
        let names = [
            "x-signature-v2", "x-timestamp", "stripe-signature", "authorization", "persona-signature",
            "box-delivery-timestamp", "paddle-signature", "x-hub-signature-256",
        ];
        let headers: Vec<_> = names
            .iter()
            .zip(&values)
            .map(|(name, value)| Header::new(*name, value.clone()))
            .collect();
        let request = Request { method: "POST", target: &target, headers: &headers, body: &body };
        for name in ["didit", "stripe", "idwise", "persona", "box", "paddle", "github", "cloudevents", "unverified"] {
            let preset = crate::provider::preset(name).unwrap();
            let secrets = if name == "unverified" { vec![] } else { vec![Secret::new("user:secret")] };
            let verdict = Verifier::new(&preset.scheme, &secrets, &Params::default()).unwrap().verify(request, now_ms);
            prop_assert!(verdict.is_err() || name == "unverified", "{}", name);
        }
    }
}
