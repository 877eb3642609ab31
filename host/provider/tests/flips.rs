//! One changed bit makes a genuine request invalid: every bit of what each preset's signature covers, of each header
//! that takes part, and of the secret. Exhaustive, not sampled.
//!
//! Left out is what spells the same thing in another way: the case of hexadecimal digits and of `Basic`, `Bearer`.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{Delivery, NOW_MS, all};
use crate::provider::Preset;
use crate::secret::Secret;
use crate::verify::part::{Part, Source};
use crate::verify::scheme::{Kind, Place};
use crate::verify::{Coverage, Scheme, Verifier};

const UUID: &str = "00000000-0000-4000-8000-000000000001";

/// Parts of the sample's body that take part in the proof, where that is not all or nothing.
fn covered_texts(name: &str) -> Option<&'static [&'static str]> {
    match name {
        "adyen" => Some(&[
            UUID,
            "SampleMerchant",
            "order-1004",
            "1000",
            "EUR",
            "AUTHORISATION",
            "\"true\"",
        ]),
        "aws-sns" => Some(&[
            "\"Notification\"",
            UUID,
            "arn:aws:sns",
            "hello",
            "2025-10-09",
        ]),
        "mailgun" => Some(&["1760000000", UUID]),
        "ms-graph" => Some(&["a-sample-secret"]),
        _ => None,
    }
}

fn covered_body(preset: &Preset, delivery: &Delivery, coverage: Coverage) -> BTreeSet<usize> {
    let body = std::str::from_utf8(&delivery.body).unwrap();
    match covered_texts(preset.name) {
        Some(texts) => texts
            .iter()
            .flat_map(|text| {
                let at = body
                    .find(text)
                    .unwrap_or_else(|| panic!("{}: no `{text}`", preset.name));
                at..at + text.len()
            })
            .collect(),
        // A checksum finds one changed bit, though not a forgery.
        None if coverage == Coverage::Full || preset.name == "paypal" => (0..body.len()).collect(),
        None => BTreeSet::new(),
    }
}

/// The scheme and those of its alternatives that need no opting in.
fn on(scheme: &Scheme) -> impl Iterator<Item = &Scheme> {
    let all = std::iter::once(scheme).chain(&scheme.any_of);
    all.filter(|one| one.opt_in.is_none())
}

/// Lower-case names of the headers that take part.
fn covered_headers(scheme: &Scheme) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut add = |name: &str| {
        names.insert(name.to_ascii_lowercase());
    };
    for one in on(scheme) {
        if let Some(name) = one.signature.as_ref().and_then(|s| s.header.as_ref()) {
            add(name);
            // The first of numbered headers.
            add(&format!("{name}-1"));
        }
        if let Some(Source::Header(name)) = one.token.as_ref().map(|token| &token.at) {
            add(name);
        }
        if let Some(time) = &one.timestamp
            && one.signed.contains(&Part::Timestamp)
        {
            time.header.iter().for_each(|name| add(name));
        }
        for part in &one.signed {
            if let Part::Header(name) = part {
                add(name);
            }
        }
        match one
            .credential
            .as_ref()
            .map(|credential| (credential.place, &credential.name))
        {
            Some((Place::Basic | Place::Bearer, _)) => add("authorization"),
            Some((Place::Header, name)) => add(name),
            _ => {}
        }
        one.require.keys().for_each(|name| add(name));
        if let Some(Source::Header(name)) = one.alg_from.as_ref().map(|from| &from.at) {
            add(name);
        }
    }
    names
}

fn flips(bytes: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> + '_ {
    (0..bytes.len() * 8).map(|bit| {
        let mut flipped = bytes.to_vec();
        if let Some(byte) = flipped.get_mut(bit / 8) {
            *byte ^= 1 << (bit % 8);
        }
        (bit / 8, flipped)
    })
}

/// Whether only the case of a percent escape is another.
fn respelled(one: &[u8], other: &[u8], at: usize) -> bool {
    let escape = one[at.saturating_sub(2)..at].contains(&b'%');
    escape && same_but_for_case(one, other)
}

fn same_but_for_case(one: &[u8], other: &[u8]) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Whether the case of letters means something at this place of a header.
fn has_case(name: &str, value: &[u8], at: usize) -> bool {
    if name == "authorization" {
        let word = value.iter().position(|byte| *byte == b' ').unwrap_or(0);
        return at >= word;
    }
    // Signatures in hexadecimal; Base64 of this length has other letters too.
    let digits = value.iter().filter(|byte| byte.is_ascii_hexdigit()).count();
    digits + 20 < value.len()
}

#[test]
fn one_changed_bit_makes_a_genuine_request_invalid() {
    for preset in all()
        .iter()
        .filter(|one| one.name != crate::provider::UNVERIFIED)
        // Of several schemes a request is signed by one; what the others cover is not covered here.
        .filter(|one| one.scheme.any_of.is_empty())
    {
        let delivery = Delivery::new(preset, UUID);
        let verifier = delivery.verifier();
        let coverage = verifier
            .verify(delivery.request(), NOW_MS)
            .unwrap_or_else(|rejection| panic!("{}: {rejection}", preset.name))
            .coverage;
        let still_valid = |changed: &Delivery| verifier.verify(changed.request(), NOW_MS).is_ok();

        let covered = covered_body(preset, &delivery, coverage);
        for (at, body) in flips(&delivery.body) {
            if covered.contains(&at) && !respelled(&delivery.body, &body, at) {
                let changed = Delivery {
                    body,
                    ..delivery.clone()
                };
                assert!(!still_valid(&changed), "{}: body, byte {at}", preset.name);
            }
        }

        let names = covered_headers(&preset.scheme);
        let mut looked_at = 0;
        for (index, header) in delivery.headers.iter().enumerate() {
            if !names.contains(&header.name) {
                continue;
            }
            looked_at += 1;
            for (at, value) in flips(&header.value) {
                let has_case = has_case(&header.name, &header.value, at);
                if !has_case && same_but_for_case(&value, &header.value) {
                    continue;
                }
                let mut changed = delivery.clone();
                changed.headers[index].value = Bytes::from(value);
                assert!(
                    !still_valid(&changed),
                    "{}: {}, byte {at}",
                    preset.name,
                    header.name
                );
            }
        }

        if let Some((path, query)) = delivery.target.split_once('?') {
            looked_at += 1;
            for (at, query) in flips(query.as_bytes()) {
                let Ok(query) = String::from_utf8(query) else {
                    continue;
                };
                let target = format!("{path}?{query}");
                let changed = Delivery {
                    target,
                    ..delivery.clone()
                };
                assert!(!still_valid(&changed), "{}: query, byte {at}", preset.name);
            }
        }
        let proves_in_body = matches!(preset.name, "adyen" | "aws-sns" | "mailgun" | "ms-graph");
        assert!(looked_at > 0 || proves_in_body, "{}", preset.name);

        let secret = delivery.secrets[0].expose();
        // A public key's text has much that is not the key: a frame, names of algorithms, an issuer's signature. The
        // vectors have wrong keys.
        let is_public_key = preset.scheme.kind != Some(Kind::Mac) && secret.len() > 80;
        if is_public_key {
            continue;
        }
        for (at, text) in flips(secret) {
            let Ok(text) = String::from_utf8(text) else {
                continue;
            };
            let hexadecimal = secret.iter().all(u8::is_ascii_hexdigit);
            if hexadecimal && same_but_for_case(text.as_bytes(), secret) {
                continue;
            }
            let secrets = [Secret::new(&text)];
            if let Ok(other) = Verifier::new(&preset.scheme, &secrets, &delivery.params) {
                let verdict = other.verify(delivery.request(), NOW_MS);
                assert!(verdict.is_err(), "{}: secret, byte {at}", preset.name);
            }
        }
    }
}
