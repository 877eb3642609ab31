//! The plugins' store: the journal's key-value store as plugins see it.

use std::time::Duration;

use async_trait::async_trait;

use crate::journal::state::StateStore;
use crate::plugin::State;

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
    async fn get(&self, plugin: &str, key: &str) -> Result<Option<Vec<u8>>, String> {
        self.0.get(plugin, key).await.map_err(text)
    }

    async fn set(
        &self,
        plugin: &str,
        key: &str,
        value: Vec<u8>,
        ttl: Option<Duration>,
    ) -> Result<(), String> {
        self.0.set(plugin, key, value, ttl).await.map_err(text)
    }

    async fn delete(&self, plugin: &str, key: &str) -> Result<(), String> {
        self.0.delete(plugin, key).await.map_err(text)
    }

    async fn increment(
        &self,
        plugin: &str,
        key: &str,
        delta: i64,
        ttl: Option<Duration>,
    ) -> Result<i64, String> {
        self.0
            .increment(plugin, key, delta, ttl)
            .await
            .map_err(text)
    }

    async fn compare_and_set(
        &self,
        plugin: &str,
        key: &str,
        expected: Option<Vec<u8>>,
        new: Vec<u8>,
        ttl: Option<Duration>,
    ) -> Result<bool, String> {
        self.0
            .compare_and_set(plugin, key, expected, new, ttl)
            .await
            .map_err(text)
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// The store of a program that only checks: plugins validate their config without one.
pub(super) struct NoState;

const CHECKING: &str = "there is no store while the configuration is checked";

#[async_trait]
impl State for NoState {
    async fn get(&self, _: &str, _: &str) -> Result<Option<Vec<u8>>, String> {
        Err(CHECKING.to_owned())
    }

    async fn set(&self, _: &str, _: &str, _: Vec<u8>, _: Option<Duration>) -> Result<(), String> {
        Err(CHECKING.to_owned())
    }

    async fn delete(&self, _: &str, _: &str) -> Result<(), String> {
        Err(CHECKING.to_owned())
    }

    async fn increment(
        &self,
        _: &str,
        _: &str,
        _: i64,
        _: Option<Duration>,
    ) -> Result<i64, String> {
        Err(CHECKING.to_owned())
    }

    async fn compare_and_set(
        &self,
        _: &str,
        _: &str,
        _: Option<Vec<u8>>,
        _: Vec<u8>,
        _: Option<Duration>,
    ) -> Result<bool, String> {
        Err(CHECKING.to_owned())
    }
}
