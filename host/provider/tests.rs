//! Every preset is whole: it parses, says where it comes from, and its sample passes its own scheme.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod flips;

use super::{EMBEDDED, Preset, SecretForm, names, parse, preset};
use crate::event::Header;
use crate::fetch::Policy;
use crate::handshake::{Given, Handshakes, Rule};
use crate::secret::Secret;
use crate::verify::{Params, Request, Scheme, Verifier, sign};

macro_rules! key {
    ($name:literal) => {
        include_str!(concat!("../../tests/fixtures/verify/keys/", $name))
    };
}
fn all() -> Vec<Preset> {
    EMBEDDED
        .iter()
        .map(|(name, text, sample)| {
            parse(name, text, sample).unwrap_or_else(|error| panic!("{name}: {error}"))
        })
        .collect()
}

/// A secret in the form that a preset's key rule wants; for public keys the private half.
fn secret(preset: &Preset) -> Secret {
    Secret::new(match (preset.secret_form, preset.name) {
        (SecretForm::Whsec, _) => "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
        (SecretForm::Base64, _) => "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
        (SecretForm::Hex, _) => "00112233445566778899aabbccddeeff",
        (SecretForm::Basic, _) => "user:password",
        (SecretForm::PublicKey, "discord") => key!("ed25519.pem"),
        (SecretForm::PublicKey, _) => key!("p256.pem"),
        (SecretForm::Certificate, _) => key!("rsa.pem"),
        (SecretForm::Text, _) => "a-sample-secret",
    })
}

/// A preset's sample, signed.
#[derive(Clone)]
struct Delivery {
    scheme: Scheme,
    secrets: Vec<Secret>,
    params: Params,
    target: String,
    headers: Vec<Header>,
    body: Vec<u8>,
}

const NOW_MS: u64 = 1_760_000_000_000;

impl Delivery {
    fn new(preset: &Preset, uuid: &str) -> Self {
        let sample = preset.sample.fill(uuid, NOW_MS);
        let mut params = Params {
            public_url: Some("https://hooks.example.test/in".to_owned()),
            ..Params::default()
        };
        if preset.name == "paypal" {
            let id = ("webhook_id".to_owned(), "hook-1".to_owned());
            params.values.extend([id]);
        }
        let secrets: Vec<_> = (preset.name != super::UNVERIFIED)
            .then(|| secret(preset))
            .into_iter()
            .collect();
        let mut headers = sample.headers;
        let request = request("/in", sample.body.as_bytes(), &headers);
        let signed = sign::sign(&preset.scheme, &secrets, &params, request, NOW_MS)
            .unwrap_or_else(|error| panic!("{}: {error:?}", preset.name));
        let new = |(name, value)| Header::new(name, value);
        headers.extend(signed.headers.into_iter().map(new));
        let query: Vec<_> = signed
            .query
            .iter()
            .map(|(n, v)| format!("{n}={v}"))
            .collect();
        Self {
            scheme: preset.scheme.clone(),
            secrets: sign::checking(&secrets),
            params,
            target: if query.is_empty() {
                "/in".to_owned()
            } else {
                format!("/in?{}", query.join("&"))
            },
            headers,
            body: signed.body.unwrap_or(sample.body).into_bytes(),
        }
    }

    fn verifier(&self) -> Verifier {
        Verifier::new(&self.scheme, &self.secrets, &self.params).unwrap()
    }

    fn request(&self) -> Request<'_> {
        request(&self.target, &self.body, &self.headers)
    }
}

fn request<'r>(target: &'r str, body: &'r [u8], headers: &'r [Header]) -> Request<'r> {
    Request {
        method: "POST",
        target,
        headers,
        body,
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
fn parameters_that_a_scheme_or_a_handshake_takes_are_explained() {
    for one in all() {
        let explained: Vec<_> = one.params.keys().cloned().collect();
        let mut taken = one.scheme.params();
        let of_handshakes = one.handshake.iter().flat_map(Rule::param_names);
        taken.extend(of_handshakes.map(str::to_owned));
        taken.sort();
        taken.dedup();
        assert_eq!(explained, taken, "{}", one.name);
    }
}

#[test]
fn every_handshake_makes_sense_and_says_when_it_comes() {
    for one in all() {
        let secrets = sign::checking(&[secret(&one)]);
        let params = Params::default();
        let values = one
            .handshake
            .iter()
            .flat_map(Rule::param_names)
            .map(|name| (name.to_owned(), "a-value".to_owned()))
            .collect();
        let fetch = Policy {
            hosts: vec![],
            allow_private: vec![],
            bytes_max: 0,
            timeout: std::time::Duration::ZERO,
        };
        let given = Given {
            scheme: &one.scheme,
            secrets: &secrets,
            params: &params,
            values: &values,
            fetch: Some(&fetch),
        };
        let (handshakes, off) = Handshakes::new(&one.handshake, given)
            .unwrap_or_else(|errors| panic!("{}: {errors:?}", one.name));
        assert_eq!(off, [], "{}", one.name);
        assert_eq!(handshakes.names().count(), one.handshake.len());
        for rule in &one.handshake {
            assert!(!rule.about.is_empty(), "{} {}", one.name, rule.name);
        }
    }
}

#[test]
fn every_sample_passes_its_own_scheme_with_a_fresh_event_id() {
    for one in all() {
        let ids = [
            "00000000-0000-4000-8000-000000000001",
            "00000000-0000-4000-8000-000000000002",
        ]
        .map(|uuid| {
            let delivery = Delivery::new(&one, uuid);
            let verified = delivery
                .verifier()
                .verify(delivery.request(), NOW_MS)
                .unwrap_or_else(|rejection| panic!("{}: {rejection}", one.name));
            assert!(!verified.event_type.is_empty(), "{} has no type", one.name);
            assert!(verified.dedupe_key().is_some(), "{} has no id", one.name);
            verified.event_id
        });
        // HubSpot numbers its events by the time.
        if one.name != "hubspot" {
            assert_ne!(ids.first(), ids.last(), "{} sends duplicates", one.name);
        }
    }
}

#[test]
fn the_reference_lists_every_handshake() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/handshakes.md");
    let page = std::fs::read_to_string(file).unwrap();
    let head = "| provider | handshake | method | signed | when |\n|---|---|---|---|---|\n";
    let (before, rest) = page.split_once(head).unwrap();
    let after = rest.find("\n\n").map_or("", |end| rest.get(end..).unwrap());
    let mut rows = vec![];
    for one in all() {
        for rule in &one.handshake {
            let signed = if rule.verify_first { "yes" } else { "no" };
            rows.push(format!(
                "| {} | `{}` | {} | {signed} | {} |",
                one.name,
                rule.name,
                rule.method.as_str(),
                rule.about
            ));
        }
    }
    let expected = format!("{before}{head}{}{after}", rows.join("\n"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(file, &expected).unwrap();
    }
    assert!(page == expected, "stale; BLESS=1 writes it anew");
}

#[test]
fn addresses_are_ranges_without_host_bits() {
    for one in all() {
        for range in &one.ips {
            assert_eq!(*range, range.trunc(), "{}", one.name);
        }
    }
}

#[test]
fn an_unknown_key_in_a_preset_is_an_error() {
    let text = include_str!("../providers/github.toml").replace("confirmed", "confirmd");
    assert!(parse("github", text.leak(), "").is_err());
}

#[test]
fn an_unknown_name_has_no_preset() {
    assert!(preset("no-such-provider").is_none());
}

#[test]
fn the_reference_page_is_what_the_presets_say() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/providers.md");
    let page = super::page::reference();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let stored = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        stored == page,
        "docs/reference/providers.md is stale: BLESS=1 writes it anew"
    );
}

#[test]
fn the_words_for_a_preset_leave_nothing_of_its_scheme_out() {
    for one in all() {
        let words = super::words::Words::of(&one);
        assert_eq!(
            words.ways.len(),
            one.scheme.any_of.len().max(1),
            "{}",
            one.name
        );
        assert!(!words.event_type.is_empty(), "{}", one.name);
        assert!(words.event_id.last().is_some(), "{}", one.name);
        for way in &words.ways {
            assert!(way.len() > 20, "{}: {way}", one.name);
            // What no sentence was written for is shown as it stands in the file.
            assert!(
                !way.contains(" = {"),
                "{}: write a sentence for {way}",
                one.name
            );
        }
    }
}

#[test]
fn a_parameter_that_a_block_needs_is_one_that_the_preset_explains() {
    for one in all() {
        let words = super::words::Words::of(&one);
        let advised = words.advised.iter().map(|(name, _)| name);
        for name in words.required.iter().chain(advised) {
            assert!(one.params.contains_key(name), "{}: {name}", one.name);
        }
    }
}
