//! The plugins' stores: the journal's, as plugins see it, and two for programs that keep nothing.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::journal::state::{self, StateStore};
use crate::plugin::{State, StateError};

/// Puts [`StateStore`] behind [`State`], so that plugins and journal need not know each other.
pub struct PluginState(StateStore);

impl PluginState {
    /// Of this store.
    #[must_use]
    pub fn new(store: StateStore) -> Self {
        Self(store)
    }
}

#[async_trait]
impl State for PluginState {
    async fn get(&self, plugin: &str, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        self.0.get(plugin, key).await.map_err(told)
    }

    async fn set(
        &self,
        plugin: &str,
        key: &str,
        value: Vec<u8>,
        ttl: Option<Duration>,
    ) -> Result<(), StateError> {
        self.0.set(plugin, key, value, ttl).await.map_err(told)
    }

    async fn delete(&self, plugin: &str, key: &str) -> Result<(), StateError> {
        self.0.delete(plugin, key).await.map_err(told)
    }

    async fn increment(
        &self,
        plugin: &str,
        key: &str,
        delta: i64,
        ttl: Option<Duration>,
    ) -> Result<i64, StateError> {
        self.0
            .increment(plugin, key, delta, ttl)
            .await
            .map_err(told)
    }

    async fn compare_and_set(
        &self,
        plugin: &str,
        key: &str,
        expected: Option<Vec<u8>>,
        new: Vec<u8>,
        ttl: Option<Duration>,
    ) -> Result<bool, StateError> {
        self.0
            .compare_and_set(plugin, key, expected, new, ttl)
            .await
            .map_err(told)
    }
}

/// The store's errors as plugins tell them apart.
fn told(error: state::StateError) -> StateError {
    use state::StateError as Stored;
    match error {
        Stored::NotANumber => StateError::NotANumber,
        Stored::Key(_) | Stored::Value(_) | Stored::Quota => {
            StateError::TooLarge(error.to_string())
        }
        Stored::Unavailable | Stored::Closed | Stored::Storage(_) => {
            StateError::Unavailable(error.to_string())
        }
    }
}

/// The store of a program that only checks: plugins validate their config without one.
pub(crate) struct NoState;

fn checking() -> StateError {
    StateError::Unavailable("there is no store while the configuration is checked".to_owned())
}

#[async_trait]
impl State for NoState {
    async fn get(&self, _: &str, _: &str) -> Result<Option<Vec<u8>>, StateError> {
        Err(checking())
    }

    async fn set(
        &self,
        _: &str,
        _: &str,
        _: Vec<u8>,
        _: Option<Duration>,
    ) -> Result<(), StateError> {
        Err(checking())
    }

    async fn delete(&self, _: &str, _: &str) -> Result<(), StateError> {
        Err(checking())
    }

    async fn increment(
        &self,
        _: &str,
        _: &str,
        _: i64,
        _: Option<Duration>,
    ) -> Result<i64, StateError> {
        Err(checking())
    }

    async fn compare_and_set(
        &self,
        _: &str,
        _: &str,
        _: Option<Vec<u8>>,
        _: Vec<u8>,
        _: Option<Duration>,
    ) -> Result<bool, StateError> {
        Err(checking())
    }
}

/// The store of one rehearsal: empty at its beginning, forgotten at its end. Nothing expires meanwhile.
#[derive(Default)]
pub(super) struct Scratch(Mutex<HashMap<(String, String), Vec<u8>>>);

impl Scratch {
    /// Replaces the value of a key by what `change` makes of it; `None` removes it.
    fn change<T>(
        &self,
        plugin: &str,
        key: &str,
        change: impl FnOnce(Option<&Vec<u8>>) -> (Option<Vec<u8>>, T),
    ) -> T {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (plugin.to_owned(), key.to_owned());
        let (next, answer) = change(values.get(&place));
        match next {
            Some(value) => drop(values.insert(place, value)),
            None => drop(values.remove(&place)),
        }
        answer
    }
}

#[async_trait]
impl State for Scratch {
    async fn get(&self, plugin: &str, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.change(plugin, key, |value| (value.cloned(), value.cloned())))
    }

    async fn set(
        &self,
        plugin: &str,
        key: &str,
        value: Vec<u8>,
        _: Option<Duration>,
    ) -> Result<(), StateError> {
        self.change(plugin, key, |_| (Some(value), ()));
        Ok(())
    }

    async fn delete(&self, plugin: &str, key: &str) -> Result<(), StateError> {
        self.change(plugin, key, |_| (None, ()));
        Ok(())
    }

    async fn increment(
        &self,
        plugin: &str,
        key: &str,
        delta: i64,
        _: Option<Duration>,
    ) -> Result<i64, StateError> {
        self.change(plugin, key, |value| {
            let number = value.map_or(Some(0), |value| {
                std::str::from_utf8(value).ok()?.parse::<i64>().ok()
            });
            match number.and_then(|number| number.checked_add(delta)) {
                Some(sum) => (Some(sum.to_string().into_bytes()), Ok(sum)),
                None => (value.cloned(), Err(StateError::NotANumber)),
            }
        })
    }

    async fn compare_and_set(
        &self,
        plugin: &str,
        key: &str,
        expected: Option<Vec<u8>>,
        new: Vec<u8>,
        _: Option<Duration>,
    ) -> Result<bool, StateError> {
        Ok(
            self.change(plugin, key, |value| match value == expected.as_ref() {
                true => (Some(new), true),
                false => (value.cloned(), false),
            }),
        )
    }
}
