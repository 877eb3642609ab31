//! Journal part: state.

use std::time::Duration;

/// Why a call of the store failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Placeholder.
    #[error("not built yet")]
    Closed,
}

/// A handle of the store; cheap to clone.
#[derive(Clone, Debug)]
pub struct StateStore;

impl StateStore {
    /// The value of `key`, if it is set and has not expired.
    pub async fn get(&self, _plugin: &str, _key: &str) -> Result<Option<Vec<u8>>, StateError> {
        Err(StateError::Closed)
    }
    /// Sets `key`, until deleted or for `ttl`.
    pub async fn set(&self, _plugin: &str, _key: &str, _value: Vec<u8>, _ttl: Option<Duration>) -> Result<(), StateError> {
        Err(StateError::Closed)
    }
    /// Removes `key`.
    pub async fn delete(&self, _plugin: &str, _key: &str) -> Result<(), StateError> {
        Err(StateError::Closed)
    }
    /// Adds `delta` to the decimal integer at `key` (absent counts as 0) and returns the sum.
    pub async fn increment(&self, _plugin: &str, _key: &str, _delta: i64, _ttl: Option<Duration>) -> Result<i64, StateError> {
        Err(StateError::Closed)
    }
    /// Sets `key` to `new` if it has the value `expected` (`None`: is absent); true if it did.
    pub async fn compare_and_set(&self, _plugin: &str, _key: &str, _expected: Option<Vec<u8>>, _new: Vec<u8>, _ttl: Option<Duration>) -> Result<bool, StateError> {
        Err(StateError::Closed)
    }
}
