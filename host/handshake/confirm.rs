//! Confirmation: fetching the URL that a handshake names, after its answer.
//!
//! The one step of a handshake that reaches out. It is off unless the source asks for it; the request was
//! authentic and named something that the source expects, and the URL's host is one of the rule's.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::fetch::{FetchError, Fetcher, Policy};

/// Waits between tries. Senders do not ask again once they were answered, so that a passing fault must not be the
/// end of it.
const WAITS: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(15)];

/// A URL that is to be fetched.
#[derive(Clone)]
pub struct Confirmation {
    pub(super) url: String,
    pub(super) policy: Arc<Policy>,
}

impl fmt::Debug for Confirmation {
    /// The URL holds a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Confirmation").finish_non_exhaustive()
    }
}

impl Confirmation {
    /// Fetches the URL; a passing fault is tried again, unless the program is `leaving`. What is answered does not
    /// matter, if it is a 2xx.
    ///
    /// # Errors
    /// Why the last try failed.
    pub async fn run(
        &self,
        fetcher: &Fetcher,
        leaving: &CancellationToken,
    ) -> Result<(), FetchError> {
        let mut waits = WAITS.into_iter();
        loop {
            let error = match fetcher.get(&self.url, &self.policy).await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            let wait = waits.next().filter(|_| error.is_transient());
            let waited = match wait {
                Some(wait) => leaving.run_until_cancelled(tokio::time::sleep(wait)).await,
                None => None,
            };
            if waited.is_none() {
                return Err(error);
            }
        }
    }
}
