//! Golden cases of verifiers as files: a request, and the verdict.
//!
//! `NAME.request.json` is an object: `method` (`POST` without it), `target`, `headers` (an object, or a list of
//! pairs where a name comes twice), the body as `body` (any JSON, byte for byte as it stands in the file) or as
//! `body_text`; and the source's `secrets`, `params`, `tolerance_s`, `public_url`, `now_ms`, and `config`
//! (for this case alone). `NAME.expected.json` beside it is `{"verified": {...}}`, `{"rejected": {"code": ...,
//! "detail": ...}}`, or `{"refused": "..."}` where config or settings are.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::cases::{CaseError, check_files, problem, text};
use super::{Judge, context, request};
use crate::verify::{Context, Coverage, Rejection, Request, Verified, Verifier};

/// Runs every case in a folder and the folders below it, and returns how many there were. `config` is the
/// verifier's for cases that bring none. With `BLESS=1` in the environment the expectations are rewritten
/// instead of compared; read the difference before you commit it.
///
/// # Errors
/// All cases that do not hold, each with what was expected and what came.
pub fn verifier_cases<V: Verifier>(
    folder: impl AsRef<Path>,
    config: &str,
) -> Result<usize, CaseError> {
    let bless = std::env::var_os("BLESS").is_some_and(|value| value == "1");
    check_files(folder.as_ref(), ".request.json", bless, |file| {
        run::<V>(file, config)
    })
}

/// `NAME.request.json`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    method: Option<String>,
    target: String,
    #[serde(default)]
    headers: Fields,
    body: Option<Box<RawValue>>,
    body_text: Option<String>,
    #[serde(default)]
    secrets: Vec<String>,
    #[serde(default)]
    params: BTreeMap<String, String>,
    tolerance_s: Option<u64>,
    public_url: Option<String>,
    now_ms: Option<u64>,
    config: Option<Box<RawValue>>,
    /// What the case is about, for its reader.
    #[serde(default, rename = "why")]
    _why: String,
}

/// Headers, with or without repeated names.
#[derive(Deserialize)]
#[serde(untagged)]
enum Fields {
    Map(BTreeMap<String, String>),
    List(Vec<(String, String)>),
}

impl Default for Fields {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Case {
    fn request(&self) -> Request {
        let mut request = request(self.method.as_deref().unwrap_or("POST"), &*self.target);
        let fields: Vec<(&String, &String)> = match &self.headers {
            Fields::Map(map) => map.iter().collect(),
            Fields::List(list) => list.iter().map(|(name, value)| (name, value)).collect(),
        };
        for (name, value) in fields {
            request = request.with_header(name, &**value);
        }
        let json = self.body.as_ref().map(|body| body.get());
        let body = self.body_text.as_deref().or(json).unwrap_or_default();
        request.body = body.as_bytes().to_vec();
        request
    }

    fn context(&self) -> Context {
        let mut context = context();
        context.now_ms = self.now_ms.unwrap_or(context.now_ms);
        context.secrets = self
            .secrets
            .iter()
            .map(|text| text.clone().into())
            .collect();
        context.params = self.params.clone().into_iter().collect();
        context.tolerance = self.tolerance_s.map(Duration::from_secs);
        context.public_url = self.public_url.clone();
        context
    }
}

fn run<V: Verifier>(file: &Path, config: &str) -> Result<Told, CaseError> {
    let case: Case = serde_json::from_str(&text(file)?).map_err(|error| problem(file, &error))?;
    let config = case.config.as_ref().map_or(config, |own| own.get());
    Ok(match Judge::<V>::new(config, case.context()) {
        Ok(judge) => Told::from(judge.verify(&case.request())),
        Err(error) => Told::Refused(error.to_string()),
    })
}

/// `NAME.expected.json`
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Told {
    Verified(ToldVerified),
    Rejected { code: String, detail: String },
    Refused(String),
}

/// A verdict without the fields that say nothing.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ToldVerified {
    coverage: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<String>,
    event_type: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    credentials: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, String>,
}

impl From<Result<Verified, Rejection>> for Told {
    fn from(verdict: Result<Verified, Rejection>) -> Self {
        match verdict {
            Ok(verified) => Self::Verified(ToldVerified {
                coverage: match verified.coverage {
                    Coverage::Full => "full",
                    Coverage::Partial => "partial",
                    Coverage::None => "none",
                }
                .to_owned(),
                event_id: verified.event_id,
                event_type: verified.event_type,
                credentials: verified.credentials,
                attributes: verified.attributes.into_iter().collect(),
            }),
            Err(rejection) => Self::Rejected {
                code: rejection.code.into_owned(),
                detail: rejection.detail,
            },
        }
    }
}
