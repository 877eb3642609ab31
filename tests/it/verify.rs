//! Every preset against test values: those that providers and their libraries publish, and our own, which an
//! independent implementation signed (`tests/fixtures/verify/make_vectors.py`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine;
use bytes::Bytes;
use hookswitch::event::Header;
use hookswitch::provider;
use hookswitch::secret::Secret;
use hookswitch::verify::{Params, Rejection, Request, Verified, Verifier, Window};
use serde::Deserialize;

/// Published vectors that no preset can judge yet, by the beginning of their id.
const UNSUPPORTED: &[(&str, &str)] = &[
    (
        "adyen-00",
        "the signature stands in the body, over eight fields",
    ),
    (
        "adyen-010",
        "the signature stands in the body, over eight fields",
    ),
    (
        "adyen-011",
        "the signature stands in the body, over eight fields",
    ),
    (
        "adyen-012",
        "the signature stands in the body, over eight fields",
    ),
    ("aws_sns-", "certificate"),
    ("discord-", "Ed25519"),
    ("mailgun-", "the signature stands in the body"),
    ("paypal-", "certificate"),
    ("plaid-", "JWT"),
    ("sendgrid-", "ECDSA"),
    ("standard_webhooks-021", "Ed25519"),
    ("standard_webhooks-022", "Ed25519"),
    ("standard_webhooks-023", "Ed25519"),
    ("standard_webhooks-024", "Ed25519"),
    ("standard_webhooks-025", "Ed25519"),
];

/// Published vectors of which some provider's scheme is off unless a parameter is given.
const OPT_IN: &[(&str, &str)] = &[("didit-001", "simple"), ("didit-002", "simple")];

#[derive(Debug, Deserialize)]
struct Vector {
    id: String,
    provider: String,
    secrets: Vec<String>,
    #[serde(default)]
    params: BTreeMap<String, String>,
    method: String,
    url: String,
    headers: BTreeMap<String, String>,
    body: Option<String>,
    body_base64: Option<String>,
    now: Option<u64>,
    /// Absent: the preset's. Null: none.
    #[serde(default, deserialize_with = "present")]
    tolerance_s: Option<Option<u64>>,
    expect: String,
    /// What our own vectors also expect.
    event_id: Option<String>,
    event_type: Option<String>,
    coverage: Option<String>,
    code: Option<String>,
}

fn present<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(value).map(Some)
}

impl Vector {
    fn preset(&self) -> String {
        if self.id.starts_with("adyen-") && self.provider == "adyen" {
            return "adyen-platform".to_owned();
        }
        self.provider.replace('_', "-")
    }

    fn judge(&self) -> Result<Verified, Rejection> {
        let preset = provider::preset(&self.preset())
            .unwrap_or_else(|| panic!("{}: there is no such preset", self.id));
        let secrets: Vec<_> = self.secrets.iter().map(|text| Secret::new(text)).collect();
        let mut values = self.params.clone();
        if let Some((_, name)) = OPT_IN.iter().find(|(id, _)| *id == self.id) {
            values.insert((*name).to_owned(), "true".to_owned());
        }
        let params = Params {
            values,
            tolerance: self
                .tolerance_s
                .map(|limit| Window(limit.map(std::time::Duration::from_secs))),
            public_url: Some(self.url.clone()),
        };
        let verifier = Verifier::new(&preset.scheme, &secrets, &params)
            .unwrap_or_else(|errors| panic!("{}: {errors:?}", self.id));
        let body = match (&self.body, &self.body_base64) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(text)) => base64::engine::general_purpose::STANDARD
                .decode(text)
                .unwrap(),
            (None, None) => Vec::new(),
        };
        let headers: Vec<_> = self
            .headers
            .iter()
            .map(|(name, value)| Header {
                name: name.to_ascii_lowercase(),
                value: Bytes::from(value.clone()),
            })
            .collect();
        let target = self
            .url
            .splitn(4, '/')
            .nth(3)
            .map_or_else(|| "/".to_owned(), |rest| format!("/{rest}"));
        let request = Request {
            method: &self.method,
            target: &target,
            headers: &headers,
            body: &body,
        };
        verifier.verify(request, self.now.unwrap_or_default() * 1000)
    }

    /// What is wrong with the verdict, if anything is.
    fn complaint(&self) -> Option<String> {
        let verdict = self.judge();
        let mut wrong = String::new();
        let mut differ = |what: &str, wanted: Option<&str>, got: Option<&str>| {
            if let Some(wanted) = wanted
                && got != Some(wanted)
            {
                let _ = writeln!(wrong, "{}: {what} is {got:?}, not {wanted:?}", self.id);
            }
        };
        let word = if verdict.is_ok() { "valid" } else { "invalid" };
        differ("verdict", Some(&self.expect), Some(word));
        match &verdict {
            Ok(verified) => {
                differ(
                    "event id",
                    self.event_id.as_deref(),
                    verified.event_id.as_deref(),
                );
                differ(
                    "event type",
                    self.event_type.as_deref(),
                    Some(&verified.event_type),
                );
                differ(
                    "coverage",
                    self.coverage.as_deref(),
                    Some(verified.coverage.as_str()),
                );
            }
            Err(rejection) => differ("code", self.code.as_deref(), Some(rejection.code)),
        }
        if let (false, Err(rejection)) = (wrong.is_empty(), &verdict) {
            let _ = writeln!(wrong, "  {rejection}");
        }
        (!wrong.is_empty()).then_some(wrong)
    }
}

fn published() -> Vec<Vector> {
    serde_json::from_str(include_str!("../fixtures/verify/published.json")).unwrap()
}

fn own() -> Vec<Vector> {
    serde_json::from_str(include_str!("../fixtures/verify/own.json")).unwrap()
}

fn unsupported(vector: &Vector) -> bool {
    UNSUPPORTED.iter().any(|(id, _)| vector.id.starts_with(id))
}

fn judge_all(vectors: &[Vector]) {
    let complaints: String = vectors.iter().filter_map(Vector::complaint).collect();
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn published_vectors_give_their_verdict() {
    let (_, supported): (Vec<_>, Vec<_>) = published().into_iter().partition(unsupported);
    judge_all(&supported);
}

#[test]
fn independently_signed_vectors_give_their_verdict() {
    judge_all(&own());
}

#[test]
fn the_number_of_vectors_per_provider_is_known() {
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for vector in published() {
        let (judged, left) = counts.entry(vector.provider.clone()).or_default();
        if unsupported(&vector) {
            *left += 1;
        } else {
            *judged += 1;
        }
    }
    let table: Vec<String> = counts
        .iter()
        .map(|(name, (judged, left))| format!("{name} {judged} {left}"))
        .collect();
    // Provider, vectors judged, vectors of schemes that are not supported yet.
    assert_eq!(
        table,
        [
            "adyen 3 9",
            "aws_sns 0 8",
            "box 8 0",
            "didit 4 0",
            "discord 0 3",
            "generic 3 0",
            "github 7 0",
            "mailgun 0 3",
            "onfido 6 0",
            "paddle 12 0",
            "paypal 0 3",
            "plaid 0 3",
            "sendgrid 0 5",
            "shopify 3 0",
            "slack 5 0",
            "standard_webhooks 15 3",
            "stripe 6 0",
            "sumsub 3 0",
            "svix 3 0",
            "twilio 7 0",
        ]
    );
}

#[test]
fn every_preset_has_a_vector_that_is_valid_and_one_that_is_not() {
    let vectors: Vec<_> = published().into_iter().chain(own()).collect();
    for name in provider::names() {
        let of_preset = |expect: &str| {
            vectors
                .iter()
                .any(|one| one.preset() == name && one.expect == expect && !unsupported(one))
        };
        assert!(of_preset("valid"), "{name} has no valid vector");
        let open = name == provider::UNVERIFIED;
        assert!(open || of_preset("invalid"), "{name} has no invalid vector");
    }
}
