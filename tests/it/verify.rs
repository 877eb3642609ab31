//! Every preset against test values: those that providers and their libraries publish, and our own, which an
//! independent implementation signed (`tests/fixtures/verify/make_vectors.py`). Each goes through the library and
//! through `hookswitch verify`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod command;
mod fetching;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine;
use bytes::Bytes;
use hookswitch::event::Header;
use hookswitch::provider;
use hookswitch::secret::Secret;
use hookswitch::verify::{Params, Rejection, Request, Verified, Verifier, Window};
use serde::Deserialize;

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
    event_ids: Option<Vec<String>>,
    dedupe_by: Option<String>,
    coverage: Option<String>,
    code: Option<String>,
}

fn present<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(value).map(Some)
}

impl Vector {
    fn preset(&self) -> String {
        self.provider.replace('_', "-")
    }

    fn body(&self) -> Vec<u8> {
        match (&self.body, &self.body_base64) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(text)) => base64::engine::general_purpose::STANDARD
                .decode(text)
                .unwrap(),
            (None, None) => Vec::new(),
        }
    }

    /// Path and query.
    fn target(&self) -> String {
        let rest = self.url.splitn(4, '/').nth(3);
        format!("/{}", rest.unwrap_or_default())
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
            fetch_keys: false,
        };
        let verifier = Verifier::new(&preset.scheme, &secrets, &params)
            .unwrap_or_else(|errors| panic!("{}: {errors:?}", self.id));
        let (body, target) = (self.body(), self.target());
        let headers: Vec<_> = self
            .headers
            .iter()
            .map(|(name, value)| Header {
                name: name.to_ascii_lowercase(),
                value: Bytes::from(value.clone()),
            })
            .collect();
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
                differ(
                    "deduplication",
                    self.dedupe_by.as_deref(),
                    verified.dedupe_by.as_deref(),
                );
                let ids = |ids: &Vec<String>| ids.join(" ");
                differ(
                    "list of event ids",
                    self.event_ids.as_ref().map(ids).as_deref(),
                    Some(&ids(&verified.event_ids)),
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

fn judge_all(vectors: &[Vector]) {
    let complaints: String = vectors.iter().filter_map(Vector::complaint).collect();
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn published_vectors_give_their_verdict() {
    judge_all(&published());
}

#[test]
fn independently_signed_vectors_give_their_verdict() {
    judge_all(&own());
}

#[test]
fn the_number_of_published_vectors_per_provider_is_known() {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for vector in published() {
        *counts.entry(vector.provider).or_default() += 1;
    }
    let table: Vec<String> = counts
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    assert_eq!(
        table,
        [
            "adyen 12",
            "aws_sns 8",
            "box 8",
            "didit 4",
            "discord 3",
            "generic 3",
            "github 7",
            "mailgun 3",
            "onfido 6",
            "paddle 12",
            "paypal 3",
            "plaid 3",
            "sendgrid 5",
            "shopify 3",
            "slack 5",
            "standard_webhooks 18",
            "stripe 6",
            "sumsub 3",
            "svix 3",
            "twilio 7",
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
                .any(|one| one.preset() == name && one.expect == expect)
        };
        assert!(of_preset("valid"), "{name} has no valid vector");
        let open = name == provider::UNVERIFIED;
        assert!(open || of_preset("invalid"), "{name} has no invalid vector");
    }
}
