//! Key ring: the senders' public keys that verification asked for, fetched and kept.
//!
//! Requests that nobody has verified yet make this program fetch something, so all of it is bounded: a key is
//! fetched once at a time, however many requests wait for it; what failed is not tried again for a while; each
//! source has a budget of fetches, which a flood of made-up keys uses up without holding up other sources; and the
//! ring holds a fixed number of keys. Where the keys may be, and what is taken for one, was decided by
//! [`crate::verify`] before and is decided there again afterwards.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use crate::fetch::{FetchError, Fetcher, Policy};
use crate::verify::{FetchedKeys, KeyError, KeyRef, Keys};

/// Keys that are kept, failures included. A provider has one or two at a time.
const KEYS_MAX: usize = 256;

/// Bytes of a certificate chain or a key set. Microsoft's set, the largest, has some 15 KB.
const BYTES_MAX: usize = 128 * 1024;

/// Time for one fetch. Less than any provider waits for its answer, Discord and Zoom with 3 s apart.
const TIMEOUT: Duration = Duration::from_secs(4);

/// Fetches of one source in a row; then one each [`FETCH_EVERY_MS`].
const FETCHES_BURST: u64 = 10;

/// A source's budget grows by one fetch in this time.
const FETCH_EVERY_MS: u64 = 6_000;

/// How long a key that could not be had is not asked for again.
const FAILED_MS: u64 = 30_000;

/// A key set in which a key was missing is fetched again no sooner than this.
const AGAIN_MS: u64 = 60_000;

/// The keys of a listener.
#[derive(Debug, Default)]
pub struct KeyRing(Mutex<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    entries: HashMap<[u8; 32], Entry>,
    /// Fetches spent by source: how many are left, and as of when.
    budgets: HashMap<Arc<str>, (u64, u64)>,
}

#[derive(Debug, Default)]
struct Entry {
    /// Held while the key is fetched.
    gate: Arc<tokio::sync::Mutex<()>>,
    /// When it was last tried.
    tried_ms: u64,
    kept: Option<Kept>,
    failed: Option<NoKey>,
}

#[derive(Debug)]
struct Kept {
    keys: Arc<FetchedKeys>,
    until_ms: u64,
}

/// Why a key could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// The source's budget is spent. The request may be genuine.
    #[error("this source has fetched too many keys in the last minute")]
    Busy,
    /// It could not be fetched now. The request may be genuine.
    #[error("the key could not be fetched: {0}")]
    Unavailable(String),
    /// There is no such key, or what is there is none of the provider's. The request is not genuine.
    #[error("there is no such key: {0}")]
    Refused(String),
}

impl NoKey {
    fn of_fetch(error: &FetchError) -> Self {
        let text = chain(error);
        match error {
            FetchError::Status(400..=407 | 409..=424 | 426..=428 | 430..=499) => {
                Self::Refused(text)
            }
            _ => Self::Unavailable(text),
        }
    }

    fn of_key(error: &KeyError) -> Self {
        Self::Refused(error.to_string())
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// The ring as it is at one moment.
#[derive(Debug)]
pub struct At<'k> {
    ring: &'k KeyRing,
    now_ms: u64,
}

impl Keys for At<'_> {
    fn get(&self, wanted: &KeyRef) -> Option<Arc<FetchedKeys>> {
        let shelf = self.ring.shelf();
        let kept = shelf.entries.get(&wanted.id())?.kept.as_ref()?;
        (self.now_ms < kept.until_ms).then(|| Arc::clone(&kept.keys))
    }
}

impl KeyRing {
    /// The keys that are good at `now_ms`.
    #[must_use]
    pub fn at(&self, now_ms: u64) -> At<'_> {
        At { ring: self, now_ms }
    }

    /// Fetches a key, or waits for whoever fetches it already. After `Ok` the ring has whatever there is.
    ///
    /// # Errors
    /// See [`NoKey`].
    pub async fn obtain(
        &self,
        source: &Arc<str>,
        wanted: &KeyRef,
        fetcher: &Fetcher,
        now_ms: u64,
    ) -> Result<(), NoKey> {
        let policy = Policy {
            hosts: wanted.hosts().to_vec(),
            allow_private: wanted.allow_private().to_vec(),
            bytes_max: BYTES_MAX,
            timeout: TIMEOUT,
        };
        let fetch = async || match wanted.post() {
            None => fetcher.get(wanted.url(), &policy).await,
            Some(question) => {
                let question = Bytes::copy_from_slice(question.as_bytes());
                fetcher.post_json(wanted.url(), question, &policy).await
            }
        };
        self.obtain_with(source, wanted, now_ms, fetch).await
    }

    async fn obtain_with(
        &self,
        source: &Arc<str>,
        wanted: &KeyRef,
        now_ms: u64,
        fetch: impl AsyncFnOnce() -> Result<Bytes, FetchError>,
    ) -> Result<(), NoKey> {
        let gate = self.shelf().gate(wanted, now_ms);
        let _sole = gate.lock().await;
        if let Some(known) = self.shelf().known(wanted, now_ms) {
            return known;
        }
        if !self.shelf().spend(source, now_ms) {
            return Err(NoKey::Busy);
        }
        let outcome = match fetch().await {
            Ok(bytes) => wanted
                .admit(&bytes, now_ms)
                .map_err(|error| NoKey::of_key(&error)),
            Err(error) => Err(NoKey::of_fetch(&error)),
        };
        self.shelf().put(wanted, outcome, now_ms)
    }

    /// Nothing is left half done when the lock is dropped, so a panic elsewhere does not matter.
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn gate(&mut self, wanted: &KeyRef, now_ms: u64) -> Arc<tokio::sync::Mutex<()>> {
        if self.entries.len() >= KEYS_MAX && !self.entries.contains_key(&wanted.id()) {
            self.make_room(now_ms);
        }
        Arc::clone(&self.entries.entry(wanted.id()).or_default().gate)
    }

    /// Takes out what is of no use any more, or else what would be first. What is being fetched stays.
    fn make_room(&mut self, now_ms: u64) {
        let idle = |entry: &Entry| Arc::strong_count(&entry.gate) == 1;
        let until = |entry: &Entry| entry.kept.as_ref().map_or(0, |kept| kept.until_ms);
        self.entries
            .retain(|_, entry| !idle(entry) || until(entry) > now_ms);
        if self.entries.len() >= KEYS_MAX
            && let Some((&id, _)) = self
                .entries
                .iter()
                .filter(|(_, entry)| idle(entry))
                .min_by_key(|(_, entry)| until(entry))
        {
            self.entries.remove(&id);
        }
    }

    /// What is known of a key without fetching it.
    fn known(&self, wanted: &KeyRef, now_ms: u64) -> Option<Result<(), NoKey>> {
        let entry = self.entries.get(&wanted.id())?;
        let since_ms = now_ms.saturating_sub(entry.tried_ms);
        match (&entry.failed, &entry.kept) {
            (Some(why), _) if since_ms < FAILED_MS => Some(Err(why.clone())),
            (None, Some(kept)) if now_ms < kept.until_ms && since_ms < AGAIN_MS => Some(Ok(())),
            _ => None,
        }
    }

    fn spend(&mut self, source: &Arc<str>, now_ms: u64) -> bool {
        let (left, as_of_ms) = self
            .budgets
            .entry(Arc::clone(source))
            .or_insert((FETCHES_BURST, now_ms));
        let grown = now_ms.saturating_sub(*as_of_ms) / FETCH_EVERY_MS;
        *left = left.saturating_add(grown).min(FETCHES_BURST);
        *as_of_ms = as_of_ms.saturating_add(grown.saturating_mul(FETCH_EVERY_MS));
        if *left == 0 {
            return false;
        }
        *left -= 1;
        true
    }

    fn put(
        &mut self,
        wanted: &KeyRef,
        outcome: Result<FetchedKeys, NoKey>,
        now_ms: u64,
    ) -> Result<(), NoKey> {
        let entry = self.entries.entry(wanted.id()).or_default();
        entry.tried_ms = now_ms;
        match outcome {
            Ok(keys) => {
                let keep_ms = u64::try_from(wanted.keep().as_millis()).unwrap_or(u64::MAX);
                entry.failed = None;
                entry.kept = Some(Kept {
                    keys: Arc::new(keys),
                    until_ms: now_ms.saturating_add(keep_ms),
                });
                Ok(())
            }
            // A key that is still good stays.
            Err(why) => {
                entry.failed = Some(why.clone());
                Err(why)
            }
        }
    }
}

#[cfg(test)]
mod tests;
