//! Canonical JSON: nothing panics, the form is the same for the same document however it is spaced, and what has a
//! form is JSON.
#![no_main]

use std::sync::LazyLock;

use hookswitch_fuzz::secret::Secret;
use hookswitch_fuzz::verify::{Params, Scheme, sign};
use hookswitch_fuzz::{NOW_MS, bare};
use libfuzzer_sys::fuzz_target;

static SCHEME: LazyLock<Scheme> = LazyLock::new(|| {
    toml::from_str(
        "kind = 'mac'\nalg = 'hmac-sha256'\nsigned = ['{json:canonical}']\n\
         signature = { header = 'x', encoding = 'hex' }",
    )
    .expect("a scheme")
});

/// The MAC of the canonical form, if there is one.
fn tag(body: &[u8]) -> Option<String> {
    let secrets = [Secret::new("key")];
    let signed = sign::sign(&SCHEME, &secrets, &Params::default(), bare(body), NOW_MS);
    signed.ok()?.headers.pop().map(|(_, value)| value)
}

/// The same document with white space around everything that is not within a string.
fn spaced(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() * 2);
    let (mut in_string, mut escaped) = (false, false);
    for byte in body {
        let structural = !in_string && b"{}[]:,".contains(byte);
        if structural {
            out.extend_from_slice(b" \n");
        }
        out.push(*byte);
        if structural {
            out.extend_from_slice(b"\t\r");
        }
        in_string ^= *byte == b'"' && !escaped;
        escaped = in_string && *byte == b'\\' && !escaped;
    }
    out
}

fuzz_target!(|data: &[u8]| {
    let form = tag(data);
    assert_eq!(form, tag(data), "not the same twice");
    if form.is_some() {
        assert!(
            serde_json::from_slice::<serde::de::IgnoredAny>(data).is_ok(),
            "no JSON"
        );
        assert_eq!(form, tag(&spaced(data)), "spaces make a difference");
    }
});
