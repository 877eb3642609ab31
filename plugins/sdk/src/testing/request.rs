//! Requests and sources' settings for tests of verifiers, changed by builder methods.

use std::time::Duration;

use crate::Header;
use crate::verify::{Context, Request};

/// A request without headers and body.
#[must_use]
pub fn request(method: impl Into<String>, target: impl Into<String>) -> Request {
    Request {
        method: method.into(),
        target: target.into(),
        headers: Vec::new(),
        body: Vec::new(),
    }
}

/// The settings of a source called `test` without secrets, at 2026-01-01T00:00:00Z.
#[must_use]
pub fn context() -> Context {
    Context {
        source: "test".to_owned(),
        now_ms: 1_767_225_600_000,
        secrets: Vec::new(),
        params: Vec::new(),
        tolerance: None,
        public_url: None,
    }
}

/// Changes for tests; the host makes requests otherwise.
impl Request {
    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: impl AsRef<str>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push(Header {
            name: name.as_ref().to_ascii_lowercase(),
            value: value.into(),
        });
        self
    }

    /// Sets body and media type.
    #[must_use]
    pub fn with_body(mut self, media_type: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.with_header("content-type", media_type.into())
    }
}

/// Changes for tests; the host makes contexts otherwise.
impl Context {
    /// Adds a secret.
    #[must_use]
    pub fn with_secret(mut self, secret: impl Into<Vec<u8>>) -> Self {
        self.secrets.push(secret.into());
        self
    }

    /// Adds a parameter.
    #[must_use]
    pub fn with_param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.push((name.into(), value.into()));
        self
    }

    /// Sets the time, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn at(mut self, now_ms: u64) -> Self {
        self.now_ms = now_ms;
        self
    }

    /// Sets the source's `tolerance`.
    #[must_use]
    pub fn with_tolerance(mut self, tolerance: Duration) -> Self {
        self.tolerance = Some(tolerance);
        self
    }

    /// Sets the source's `public_url`.
    #[must_use]
    pub fn with_public_url(mut self, url: impl Into<String>) -> Self {
        self.public_url = Some(url.into());
        self
    }
}
