//! Plugins: sandboxed WebAssembly components that transform and route events, or verify requests.
//!
//! Each call gets a fresh instance, a deadline, a memory cap and a budget for everything it can ask of
//! the host. What a plugin returns is checked before anybody sees it. Invariant: nothing that a guest
//! does, a trap included, touches another call. The only module that knows wasmtime.

mod bindings;
pub mod cache;
mod call;
pub mod compile;
mod config;
mod deadline;
pub mod engine;
mod host;
pub mod inspect;
pub mod limits;
pub mod loader;
mod log;
pub mod output;
mod ticker;
mod transform;
pub mod verifier;
mod wasi;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::event::Message;

pub use config::PluginConfig;
pub use engine::{Engine, EngineError};
pub use loader::{AnyPlugin, LoadError, Plugin, Verifier};

/// A plugin as configured.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginSpec {
    /// Name in `routes.toml`.
    pub name: Arc<str>,
    /// Path of the component, absolute or relative to the config file's folder (resolved already).
    pub component: PathBuf,
    /// What it is handed as its configuration.
    pub config: PluginConfig,
    /// Bounds of a call.
    pub limits: Limits,
    /// What it may use.
    pub grants: Grants,
    /// What becomes of the event when the plugin fails.
    pub on_error: OnError,
}

/// Bounds of one call. Each has a default, and a ceiling that config cannot pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time that the guest of a call may run, instantiation included. Default 50 ms, at most 30 s. Waiting
    /// (for its turn on a busy machine, for the state, for a timer) is not counted, but the call as a
    /// whole is ended after ten times this.
    pub time: Duration,
    /// Linear memory of an instance in bytes. Default 32 MiB, at most 128 MiB.
    pub memory_bytes: usize,
    /// Bodies, headers and attributes of all messages together, in bytes. Default 1 MiB, at most 64 MiB.
    pub output_bytes: usize,
    /// Messages of one call. Default 16, at most 1024.
    pub messages: usize,
    /// Lines logged by one call. Default 64, at most 4096; further ones are counted, not kept.
    pub log_lines: usize,
    /// Calls of host functions, `log` included. Default 4096, at most 1 048 576; then a trap.
    pub host_calls: u64,
}

/// What a plugin may use beyond its event, its config, the log and the frozen clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// The durable key-value store.
    pub state: bool,
}

/// `on_error`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// The event goes to the dead letters.
    #[default]
    DeadLetter,
    /// The event goes on as if the plugin had left it unchanged.
    Pass,
    /// The event is dropped, with the error as the reason.
    Drop,
}

impl OnError {
    /// The word for it in `routes.toml`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DeadLetter => "dead_letter",
            Self::Pass => "pass",
            Self::Drop => "drop",
        }
    }
}

/// What a plugin decided.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The event goes on as it is.
    Unchanged,
    /// These messages go on instead; none is a drop without a reason.
    Forward(Vec<Message>),
    /// The event ends here, for this reason.
    Drop(String),
}

/// Why a plugin gave no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PluginError {
    /// The plugin refused the event: dead letter, whatever `on_error` says.
    #[error("{0}")]
    Reject(String),
    /// The plugin asks to be called again with the same event.
    #[error("{reason}")]
    Retry {
        /// Not before this time.
        after: Option<Duration>,
        /// In the plugin's words.
        reason: String,
    },
    /// The call failed; `on_error` decides.
    #[error("{detail} ({code})")]
    Failed {
        /// Stable code: `plugin_error`, `plugin_trap`, `plugin_timeout`, `plugin_memory`, `plugin_output`,
        /// `plugin_host_calls`.
        code: &'static str,
        /// What happened, for a person.
        detail: String,
    },
}

/// Why the key-value store did not do as told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The plugin's store is over its size. (Keys and values were checked before.)
    #[error("{0}")]
    TooLarge(String),
    /// `increment` of something that is not a decimal integer, or whose sum does not fit one.
    #[error("the value is not a decimal integer")]
    NotANumber,
    /// The store failed; the call may be tried again.
    #[error("{0}")]
    Unavailable(String),
}

/// The durable key-value store as plugins see it; every plugin has a namespace of its own.
#[async_trait]
pub trait State: Send + Sync + 'static {
    /// The value of `key`, if it is set and has not expired.
    async fn get(&self, plugin: &str, key: &str) -> Result<Option<Vec<u8>>, StateError>;
    /// Sets `key`, until deleted or for `ttl`.
    async fn set(
        &self,
        plugin: &str,
        key: &str,
        value: Vec<u8>,
        ttl: Option<Duration>,
    ) -> Result<(), StateError>;
    /// Removes `key`.
    async fn delete(&self, plugin: &str, key: &str) -> Result<(), StateError>;
    /// Adds `delta` to the decimal integer at `key` (absent counts as 0) and returns the sum.
    async fn increment(
        &self,
        plugin: &str,
        key: &str,
        delta: i64,
        ttl: Option<Duration>,
    ) -> Result<i64, StateError>;
    /// Sets `key` to `new` if it has the value `expected` (`None`: is absent); true if it did.
    async fn compare_and_set(
        &self,
        plugin: &str,
        key: &str,
        expected: Option<Vec<u8>>,
        new: Vec<u8>,
        ttl: Option<Duration>,
    ) -> Result<bool, StateError>;
}
