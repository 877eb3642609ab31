//! Fetch: what verification may get from elsewhere, over HTTPS: certificates, key sets, a subscription's URL.
//!
//! The URL comes from a request, so it is hostile until shown otherwise. Before a byte leaves:
//!
//! ```text
//! URL (length, https, no credentials) -> host and port (the caller's rules) -> a place among those under way
//!   -> names resolved -> addresses (public, or named by the operator) -> TCP to that very address -> TLS -> request
//! ```
//!
//! Invariants: the address that was checked is the one connected to, so a name that changes its mind (DNS
//! rebinding) gains nothing; redirects are errors; every answer is bounded in bytes and every fetch in time,
//! its wait for a place included; fetches under way are bounded for the whole program. Nothing is kept: who
//! wants a cache keeps the bytes. No message shows more of the URL than its host, since path and query of such
//! URLs can be as good as a password.

mod dial;
mod error;
mod exchange;
mod policy;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use rustls::ClientConfig;
use tokio::sync::{OnceCell, Semaphore};

pub use error::FetchError;
pub use policy::{BadHostRule, HostRule, Policy, check_url};

use crate::network::trust;
use policy::Target;

/// Fetches under way at a time, of the whole program; further ones wait within their own time.
const CONCURRENCY: usize = 8;

/// A bounded, host-checked HTTPS client. One for the program; see the module's text.
#[derive(Debug)]
pub struct Fetcher {
    tls: OnceCell<Arc<ClientConfig>>,
    places: Semaphore,
}

impl Default for Fetcher {
    fn default() -> Self {
        Self::new()
    }
}

impl Fetcher {
    /// A client that trusts the system's root certificates, which it reads when it is first used.
    #[must_use]
    pub fn new() -> Self {
        Self {
            tls: OnceCell::new(),
            places: Semaphore::new(CONCURRENCY),
        }
    }

    #[cfg(test)]
    fn with_tls(tls: ClientConfig, concurrency: usize) -> Self {
        Self {
            tls: OnceCell::new_with(Some(Arc::new(tls))),
            places: Semaphore::new(concurrency),
        }
    }

    /// The body of a 2xx answer to `GET url`, which may be empty.
    ///
    /// # Errors
    /// See [`FetchError`]. Nothing was sent if the URL or its host is refused.
    pub async fn get(&self, url: &str, policy: &Policy) -> Result<Bytes, FetchError> {
        self.within_time(url, None, policy).await
    }

    /// As [`Fetcher::get`], for the one that wants a question in JSON.
    ///
    /// # Errors
    /// As [`Fetcher::get`].
    pub async fn post_json(
        &self,
        url: &str,
        question: Bytes,
        policy: &Policy,
    ) -> Result<Bytes, FetchError> {
        self.within_time(url, Some(question), policy).await
    }

    async fn within_time(
        &self,
        url: &str,
        question: Option<Bytes>,
        policy: &Policy,
    ) -> Result<Bytes, FetchError> {
        let target = Target::parse(url, &policy.hosts)?;
        let fetched =
            tokio::time::timeout(policy.timeout, self.exchange(&target, question, policy));
        fetched
            .await
            .unwrap_or(Err(FetchError::Timeout(policy.timeout)))
    }

    async fn exchange(
        &self,
        target: &Target,
        question: Option<Bytes>,
        policy: &Policy,
    ) -> Result<Bytes, FetchError> {
        // The semaphore is never closed.
        let _place = self.places.acquire().await.ok();
        let tls = self.tls.get_or_try_init(read_roots).await?;
        let stream = dial::connect(target, &policy.allow_private, tls).await?;
        exchange::run(stream, target, question, policy.bytes_max).await
    }
}

async fn read_roots() -> Result<Arc<ClientConfig>, FetchError> {
    match tokio::task::spawn_blocking(trust::system).await {
        Ok(settings) => settings.map(Arc::new).map_err(FetchError::Trust),
        Err(stopped) => Err(FetchError::Connect(std::io::Error::other(stopped))),
    }
}
