//! Whole requests against presets of every shape: signature headers, tokens, times, forms and fields of the body.
//! Nothing panics, and nothing is authentic, since no input knows a key.
#![no_main]

use hookswitch_fuzz::verify::Request;
use hookswitch_fuzz::{NOW_MS, PRESETS, request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (target, headers, body) = request(data);
    let request = Request {
        method: "POST",
        target: &target,
        headers: &headers,
        body,
    };
    for preset in PRESETS.iter() {
        let verdict = preset.verifier.verify(request, NOW_MS);
        assert!(verdict.is_err(), "{} takes it for authentic", preset.name);
    }
});
