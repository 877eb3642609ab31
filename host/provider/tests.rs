//! Every preset is whole: it parses, says where it comes from, and its sample passes its own scheme.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use super::{EMBEDDED, Preset, SecretForm, names, parse, preset};
use crate::event::Header;
use crate::secret::Secret;
use crate::verify::{Params, Request, Verifier, sign};

fn all() -> Vec<Preset> {
    EMBEDDED
        .iter()
        .map(|(name, text, sample)| {
            parse(name, text, sample).unwrap_or_else(|error| panic!("{name}: {error}"))
        })
        .collect()
}

/// A secret in the form that a preset's key rule wants.
fn secret(preset: &Preset) -> Secret {
    Secret::new(match preset.secret_form {
        SecretForm::Whsec => "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
        SecretForm::Base64 => "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
        SecretForm::Hex => "00112233445566778899aabbccddeeff",
        SecretForm::Basic => "user:password",
        SecretForm::Text | SecretForm::PublicKey | SecretForm::Certificate => "a-sample-secret",
    })
}

fn request<'r>(body: &'r str, headers: &'r [Header]) -> Request<'r> {
    Request {
        method: "POST",
        target: "/in",
        headers,
        body: body.as_bytes(),
    }
}

#[test]
fn every_preset_parses_and_is_listed_in_order() {
    let parsed: Vec<_> = all().iter().map(|one| one.name).collect();
    assert_eq!(parsed, names().collect::<Vec<_>>());
    assert!(parsed.is_sorted());
}

#[test]
fn every_file_in_the_folder_is_embedded() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("host/providers");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter_map(|file| file.strip_suffix(".toml").map(str::to_owned))
        .collect();
    files.sort();
    assert_eq!(files, names().collect::<Vec<_>>());
}

#[test]
fn what_is_not_confirmed_says_why() {
    for one in all() {
        assert!(one.confirmed || !one.doubt.is_empty(), "{}", one.name);
        assert!(!one.secret.is_empty(), "{}", one.name);
    }
}

#[test]
fn answers_are_what_a_sender_can_take() {
    for one in all() {
        assert!((200..300).contains(&one.answer.ok), "{}", one.name);
        assert!((400..500).contains(&one.answer.reject), "{}", one.name);
    }
}

#[test]
fn parameters_that_a_scheme_takes_are_explained() {
    for one in all() {
        let explained: Vec<_> = one.params.keys().cloned().collect();
        assert_eq!(explained, one.scheme.params(), "{}", one.name);
    }
}

#[test]
fn every_sample_passes_its_own_scheme_with_a_fresh_event_id() {
    let now_ms = 1_760_000_000_000;
    for one in all() {
        let mut ids = vec![];
        for uuid in [
            "00000000-0000-4000-8000-000000000001",
            "00000000-0000-4000-8000-000000000002",
        ] {
            let sample = one.sample.fill(uuid, now_ms);
            let mut headers = sample.headers;
            let params = Params {
                public_url: Some("https://hooks.example.test/in".to_owned()),
                ..Params::default()
            };
            let secrets: Vec<_> = (one.name != super::UNVERIFIED)
                .then(|| secret(&one))
                .into_iter()
                .collect();
            let signed = sign::sign(
                &one.scheme,
                &secrets,
                &params,
                request(&sample.body, &headers),
                now_ms,
            )
            .unwrap_or_else(|error| panic!("{}: {error:?}", one.name));
            headers.extend(
                signed
                    .headers
                    .into_iter()
                    .map(|(name, value)| Header::new(name, value)),
            );
            let verified = Verifier::new(&one.scheme, &secrets, &params)
                .unwrap_or_else(|errors| panic!("{}: {errors:?}", one.name))
                .verify(request(&sample.body, &headers), now_ms)
                .unwrap_or_else(|rejection| panic!("{}: {rejection}", one.name));
            assert!(!verified.event_type.is_empty(), "{} has no type", one.name);
            ids.push(verified.event_id);
        }
        if !matches!(one.name, "hubspot") {
            assert_ne!(ids.first(), ids.last(), "{} sends duplicates", one.name);
        }
    }
}

#[test]
fn an_unknown_key_in_a_preset_is_an_error() {
    let text = include_str!("../providers/github.toml").replace("confirmed", "confirmd");
    assert!(parse("github", &text, "").is_err());
}

#[test]
fn an_unknown_name_has_no_preset() {
    assert!(preset("no-such-provider").is_none());
}
