//! A durable key-value store of the plugin's own. Needs `grants = { state = true }` in `routes.toml`.
//!
//! A write is durable when the call returns. An event may be handled more than once (retry, crash,
//! replay), and its writes happen each time: where that matters use [`compare_and_set`], or make the
//! event's id part of the key. Keys are at most 256 bytes, values at most 64 KiB.

use std::time::Duration;

#[cfg(target_arch = "wasm32")]
use crate::guest::state as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::world as host;

/// Why a call of the store failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The plugin has no grant for state.
    #[error("the plugin has no grant for state: set `grants = {{ state = true }}`")]
    Denied,
    /// A key, a value or the whole store is too large.
    #[error("too large for the state store: {0}")]
    TooLarge(String),
    /// [`increment`] of something that is not a decimal integer.
    #[error("the state value is not a decimal integer")]
    NotANumber,
    /// The store failed; the call may be tried again.
    #[error("the state store failed: {0}")]
    Unavailable(String),
}

/// The value of a key; `None` if it is not set or has expired.
///
/// # Errors
/// See [`Error`].
pub fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
    host::get(key)
}

/// Sets a key. With `ttl` it is forgotten after that time.
///
/// # Errors
/// See [`Error`].
pub fn set(key: &str, value: &[u8], ttl: Option<Duration>) -> Result<(), Error> {
    host::set(key, value, ttl.map(millis))
}

/// Removes a key; not an error if it is not set.
///
/// # Errors
/// See [`Error`].
pub fn delete(key: &str) -> Result<(), Error> {
    host::delete(key)
}

/// Adds to a decimal integer, an absent one counting as 0, and returns the sum.
///
/// # Errors
/// See [`Error`].
pub fn increment(key: &str, delta: i64, ttl: Option<Duration>) -> Result<i64, Error> {
    host::increment(key, delta, ttl.map(millis))
}

/// Sets a key only if it has the expected value (`None`: only if it is not set); true if it did.
///
/// # Errors
/// See [`Error`].
pub fn compare_and_set(
    key: &str,
    expected: Option<&[u8]>,
    value: &[u8],
    ttl: Option<Duration>,
) -> Result<bool, Error> {
    host::compare_and_set(key, expected, value, ttl.map(millis))
}

/// A duration as the contract counts it; one too long for it is as good as for ever.
fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)
}
