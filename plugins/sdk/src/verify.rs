//! Verifiers: plugins that prove requests, for schemes that no preset covers.
//!
//! ```
//! use hookswitch::verify::{Context, Coverage, Rejection, Request, Verified, Verifier};
//! use hookswitch::{ConfigError, NoConfig, testing};
//!
//! /// The sum of the body's bytes, which no provider would sign with.
//! struct Checksum;
//!
//! impl Verifier for Checksum {
//!     type Config = NoConfig;
//!
//!     fn configure(_: NoConfig) -> Result<Self, ConfigError> {
//!         Ok(Self)
//!     }
//!
//!     fn verify(&self, request: &Request, _: &Context) -> Result<Verified, Rejection> {
//!         let expected: u32 = request.body.iter().map(|&byte| u32::from(byte)).sum();
//!         if request.required("x-checksum")? != expected.to_string() {
//!             return Err(Rejection::bad_signature("`x-checksum` is not the body's"));
//!         }
//!         Ok(Verified::new(Coverage::Full).event_type("anything"))
//!     }
//! }
//!
//! hookswitch::register_verifier!(Checksum);
//!
//! let judge = testing::Judge::<Checksum>::new("{}", testing::context())?;
//! let request = testing::request("POST", "/hooks/x").with_body("text/plain", "\x01\x02");
//! assert!(judge.verify(&request.clone().with_header("x-checksum", "3")).is_ok());
//! let rejection = judge.verify(&request).unwrap_err();
//! assert_eq!(rejection.code, "missing_header");
//! # Ok::<(), ConfigError>(())
//! ```
//!
//! A verdict depends on the arguments and on nothing else. Compare signatures in constant time: the
//! `verify_slice` of a MAC does, `==` does not.

use std::borrow::Cow;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::{ConfigError, Header, JsonError, json};

/// A verifier: made from its config, then called with one request at a time, before the event is stored.
pub trait Verifier: Sized {
    /// The `config` table of `routes.toml`. Put `#[serde(deny_unknown_fields)]` on it; [`NoConfig`] is the
    /// one without any keys.
    ///
    /// [`NoConfig`]: crate::NoConfig
    type Config: DeserializeOwned;

    /// Makes the verifier, or says all that is wrong with the config. Runs when the host loads it, and again
    /// for each request; keep it quick.
    ///
    /// # Errors
    /// What the user has to change, in sentences that they can act on.
    fn configure(config: Self::Config) -> Result<Self, ConfigError>;

    /// Looks at the settings of a source that names this plugin, when they are loaded: are there secrets, and
    /// are they keys?
    ///
    /// # Errors
    /// What the user has to change; never a secret.
    fn check(&self, context: &Context) -> Result<(), ConfigError> {
        let _ = context;
        Ok(())
    }

    /// Judges one request.
    ///
    /// # Errors
    /// Why it is refused. Operators see it, senders do not.
    fn verify(&self, request: &Request, context: &Context) -> Result<Verified, Rejection>;
}

/// An unverified request. Trust nothing in it.
///
/// Tests make one with [`testing::request`](crate::testing::request).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// HTTP method, upper-case.
    pub method: String,
    /// Path and query as received.
    pub target: String,
    /// Headers in the order received, names lower-case, those with credentials included.
    pub headers: Vec<Header>,
    /// The body as received, byte for byte.
    pub body: Vec<u8>,
}

impl Request {
    /// The value of the first header of this name (in any case), if there is one and it is UTF-8.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    /// The values of all headers of this name (in any case) that are UTF-8.
    pub fn values<'r, 'n>(&'r self, name: &'n str) -> impl Iterator<Item = &'r str> + use<'r, 'n> {
        let named = move |header: &&Header| header.name.eq_ignore_ascii_case(name);
        let mut headers = self.headers.iter().filter(named);
        std::iter::from_fn(move || {
            headers.find_map(|header| std::str::from_utf8(&header.value).ok())
        })
    }

    /// As [`Request::header`].
    ///
    /// # Errors
    /// `missing_header` if it is not there.
    pub fn required(&self, name: &str) -> Result<&str, Rejection> {
        self.header(name)
            .ok_or_else(|| Rejection::missing_header(name))
    }

    /// The target's path.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The target's query without the question mark; none if there is no question mark.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// Reads the body as JSON, which is worth nothing before it is proven.
    ///
    /// # Errors
    /// [`JsonError`]; `?` turns it into a rejection as `malformed`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, JsonError> {
        json::read(&self.body)
    }
}

/// What the operator says in `routes.toml`, and the time. The sender has no hand in it.
///
/// Tests make one with [`testing::context`](crate::testing::context).
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Context {
    /// Name of the source.
    pub source: String,
    /// The time to judge timestamps by, in milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// The source's `secrets`, in the order configured; any of them may be the right one.
    pub secrets: Vec<Vec<u8>>,
    /// The source's `params`.
    pub params: Vec<(String, String)>,
    /// The source's `tolerance`; none leaves it to the plugin.
    pub tolerance: Option<Duration>,
    /// The source's `public_url`.
    pub public_url: Option<String>,
}

/// Shows no secret.
impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("source", &self.source)
            .field("now_ms", &self.now_ms)
            .field("secrets", &self.secrets.len())
            .field("params", &self.params.len())
            .field("tolerance", &self.tolerance)
            .field("public_url", &self.public_url)
            .finish()
    }
}

impl Context {
    /// The value of a parameter.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        let mut params = self.params.iter();
        params
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Judges the time at which a request says that it was signed, in Unix seconds: not older than the
    /// source's `tolerance`, or `usual` where it has none, and not further ahead of our clock than that.
    ///
    /// # Errors
    /// `stale` or `future`.
    pub fn check_age(&self, signed_at: i64, usual: Duration) -> Result<(), Rejection> {
        let tolerance = self.tolerance.unwrap_or(usual).as_secs();
        let tolerance = i64::try_from(tolerance).unwrap_or(i64::MAX);
        let now = i64::try_from(self.now_ms / 1000).unwrap_or(i64::MAX);
        let age = now.saturating_sub(signed_at);
        if age > tolerance {
            let detail = format!("signed {age} s ago, {tolerance} s are allowed");
            return Err(Rejection::new("stale", detail));
        }
        if age < tolerance.saturating_neg() {
            let ahead = age.saturating_neg();
            let detail = format!("signed {ahead} s ahead of our clock, {tolerance} s are allowed");
            return Err(Rejection::new("future", detail));
        }
        Ok(())
    }
}

/// How much of the body is proven to be the sender's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// All of it.
    Full,
    /// Some fields of it.
    Partial,
    /// Nothing of it: whoever has the credential can send anything.
    None,
}

/// An authentic request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// How much is proven; routes can ask for it.
    pub coverage: Coverage,
    /// The provider's id of the event, for deduplication.
    pub event_id: Option<String>,
    /// What happened, in the provider's words; empty if it names nothing.
    pub event_type: String,
    /// Headers and query parameters that show a credential and must not be stored.
    pub credentials: Vec<String>,
    /// Attributes of the event, for filters and plugins.
    pub attributes: Vec<(String, String)>,
}

impl Verified {
    /// Authentic, with this much proven, and without id and type.
    #[must_use]
    pub fn new(coverage: Coverage) -> Self {
        Self {
            coverage,
            event_id: None,
            event_type: String::new(),
            credentials: Vec::new(),
            attributes: Vec::new(),
        }
    }

    /// Sets the provider's id of the event.
    #[must_use]
    pub fn event_id(mut self, id: impl Into<String>) -> Self {
        self.event_id = Some(id.into());
        self
    }

    /// Sets the type.
    #[must_use]
    pub fn event_type(mut self, event_type: impl Into<String>) -> Self {
        self.event_type = event_type.into();
        self
    }

    /// Names a header or query parameter that shows a credential.
    #[must_use]
    pub fn credential(mut self, name: impl AsRef<str>) -> Self {
        self.credentials.push(name.as_ref().to_owned());
        self
    }

    /// Adds an attribute. `coverage` and `verified` are the host's.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }
}

/// Why a request is refused: a code that metrics count by, and a sentence for operators. Neither may hold a
/// secret, nor the signature that would have been right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail} ({code})")]
pub struct Rejection {
    /// `missing_header`, `missing_parameter`, `bad_signature`, `bad_credential`, `stale`, `future`,
    /// `malformed` or `wrong_header`; metrics count any other as `rejected`.
    pub code: Cow<'static, str>,
    /// What was wrong.
    pub detail: String,
}

impl Rejection {
    /// Any code.
    #[must_use]
    pub fn new(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            detail: detail.into(),
        }
    }

    /// A header that must be there is not.
    #[must_use]
    pub fn missing_header(name: &str) -> Self {
        Self::new("missing_header", format!("header `{name}` is missing"))
    }

    /// The signature is wrong.
    #[must_use]
    pub fn bad_signature(detail: impl Into<String>) -> Self {
        Self::new("bad_signature", detail)
    }

    /// The request, or what it says of its signature, cannot be read.
    #[must_use]
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new("malformed", detail)
    }
}

impl From<JsonError> for Rejection {
    fn from(error: JsonError) -> Self {
        Self::malformed(error.to_string())
    }
}
