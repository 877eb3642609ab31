//! The published vectors of RFC 9421, signatures made by another implementation, and every bit changed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed assumption is a failed test"
)]

use hookswitch::testing::{self, Judge};
use hookswitch::verify::{Context, Coverage, Request};

use super::HttpSignatures;

#[test]
fn every_golden_case_holds() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/cases");
    let count = testing::verifier_cases::<HttpSignatures>(folder, "{}")
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(count >= 35, "{count}");
}

/// RFC 9421 appendix B.2: the request.
fn published() -> Request {
    let digest = "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";
    testing::request("POST", "/foo?param=Value&Pet=dog")
        .with_header("Host", "example.com")
        .with_header("Date", "Tue, 20 Apr 2021 02:07:55 GMT")
        .with_header("Content-Digest", digest)
        .with_header("Content-Length", "18")
        .with_body("application/json", r#"{"hello": "world"}"#)
}

/// At the time of the published signatures.
fn published_context(secret: &str) -> Context {
    testing::context().at(1_618_884_475_000).with_secret(secret)
}

/// Appendix B.1.5 and B.2.5.
#[test]
fn the_published_hmac_vector_is_authentic() {
    let key =
        "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
    let config = r#"{"algorithm":"hmac-sha256","secret":"base64","covered":["date"]}"#;
    let judge = Judge::<HttpSignatures>::new(config, published_context(key)).unwrap();
    let request = published()
        .with_header(
            "Signature-Input",
            r#"sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret""#,
        )
        .with_header("Signature", "sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:");
    let verified = judge.verify(&request).unwrap();
    assert_eq!(verified.coverage, Coverage::None, "the body is not covered");
    let key_id = ("key_id".to_owned(), "test-shared-secret".to_owned());
    assert_eq!(verified.attributes, [key_id]);
}

/// Appendix B.1.4 and B.2.6.
#[test]
fn the_published_ed25519_vector_is_authentic() {
    let key = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=\n-----END PUBLIC KEY-----";
    let config = r#"{"algorithm":"ed25519","covered":["@method","@path"]}"#;
    let judge = Judge::<HttpSignatures>::new(config, published_context(key)).unwrap();
    let request = published()
        .with_header(
            "Signature-Input",
            r#"sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#,
        )
        .with_header(
            "Signature",
            "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:",
        );
    assert!(judge.verify(&request).is_ok());
    let mut other = request.clone();
    other.method = "PUT".to_owned();
    assert_eq!(judge.verify(&other).unwrap_err().code, "bad_signature");
}

/// A body-covering signature: no changed bit of what it covers, or of itself, is accepted.
#[test]
fn no_changed_bit_is_authentic() {
    let case: serde_json::Value =
        serde_json::from_str(include_str!("../cases/hmac.request.json")).unwrap();
    let mut request = testing::request("POST", case["target"].as_str().unwrap());
    for pair in case["headers"].as_array().unwrap() {
        request = request.with_header(pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
    }
    request.body = case["body_text"].as_str().unwrap().into();
    let context = testing::context()
        .at(case["now_ms"].as_u64().unwrap())
        .with_secret(case["secrets"][0].as_str().unwrap());
    let config = case["config"].to_string();
    let judge = Judge::<HttpSignatures>::new(&config, context).unwrap();
    assert!(judge.verify(&request).is_ok());

    let refused = |changed: &Request, what: &str| {
        assert!(judge.verify(changed).is_err(), "{what}");
    };
    for index in 0..request.body.len() {
        let mut changed = request.clone();
        changed.body[index] ^= 1;
        refused(&changed, "body");
    }
    let signature = request
        .headers
        .iter()
        .position(|header| header.name == "signature")
        .unwrap();
    let value = request.headers[signature].value.clone();
    // Within the Base64, but for its last letters, whose lowest bits mean nothing.
    for index in "sig1=:".len()..value.len() - 3 {
        let mut changed = request.clone();
        let letter = &mut changed.headers[signature].value[index];
        *letter = if *letter == b'A' { b'B' } else { b'A' };
        refused(&changed, "signature");
    }
    for (method, target) in [("PUT", "/hooks/partner"), ("POST", "/hooks/partnes")] {
        let mut changed = request.clone();
        changed.method = method.to_owned();
        changed.target = target.to_owned();
        refused(&changed, "target");
    }
}

#[test]
fn of_several_signatures_one_good_one_is_enough_and_only_so_many_are_looked_at() {
    let key = "a secret of more than 16 bytes";
    let config = r#"{"algorithm":"hmac-sha256","covered":[]}"#;
    let judge = Judge::<HttpSignatures>::new(config, published_context(key)).unwrap();
    let many: Vec<String> = (0..100)
        .map(|number| format!(r#"s{number}=("@method");created=1618884473"#))
        .collect();
    let bytes: Vec<String> = (0..100).map(|number| format!("s{number}=:AAAA:")).collect();
    let request = published()
        .with_header("signature-input", many.join(", "))
        .with_header("signature", bytes.join(", "));
    assert_eq!(judge.verify(&request).unwrap_err().code, "bad_signature");
}
