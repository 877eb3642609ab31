//! What one call has and what its guest may ask of the host: log, config, clock, state.
//!
//! Invariants: every function of ours counts against the call's budget; nothing that a guest hands over
//! is kept beyond its limit; the clock shows the event's time and nothing else. WASI is in
//! [`super::wasi`].

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime_wasi::WasiCtx;

use super::bindings::since_v0_1_0::hookswitch::plugin::{clock, config, log, state, types};
use super::limits::{self, Growth, HostCallsSpent};
use super::log::Lines;
use super::{PluginSpec, State, StateError, wasi};
use crate::event::EventId;

/// The data of a store: one call, from instantiation to the end.
pub(super) struct Call {
    pub(super) spec: Arc<PluginSpec>,
    state: Arc<dyn State>,
    pub(super) now_ms: u64,
    host_calls_left: u64,
    pub(super) growth: Growth,
    pub(super) lines: Lines,
    pub(super) table: ResourceTable,
    // Made when the guest first calls WASI: most never do, and it costs 1 us.
    pub(super) wasi: Option<WasiCtx>,
    pub(super) output: wasi::Output,
}

impl Call {
    /// A call for `event` (none while the plugin is loaded).
    pub(super) fn new(
        spec: &Arc<PluginSpec>,
        state: &Arc<dyn State>,
        event: Option<EventId>,
        now_ms: u64,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits::HANDLES_MAX);
        Self {
            state: Arc::clone(state),
            now_ms,
            host_calls_left: spec.limits.host_calls,
            growth: Growth::new(spec.limits.memory_bytes),
            lines: Lines::new(spec, event),
            table,
            wasi: None,
            output: wasi::Output::default(),
            spec: Arc::clone(spec),
        }
    }

    /// Counts a call of a host function.
    fn count(&mut self) -> wasmtime::Result<()> {
        match self.host_calls_left.checked_sub(1) {
            Some(left) => {
                self.host_calls_left = left;
                Ok(())
            }
            None => Err(HostCallsSpent.into()),
        }
    }

    /// The key-value store, if the plugin may use it and the key is not too long.
    fn state(&mut self, key: &str) -> wasmtime::Result<Result<Arc<dyn State>, state::Error>> {
        self.count()?;
        if !self.spec.grants.state {
            return Ok(Err(state::Error::Denied));
        }
        if key.len() > limits::STATE_KEY_BYTES {
            let most = limits::STATE_KEY_BYTES;
            return Ok(Err(state::Error::TooLarge(format!(
                "a key has at most {most} bytes, this one {}",
                key.len()
            ))));
        }
        Ok(Ok(Arc::clone(&self.state)))
    }
}

/// A linker with all that plugins are given.
pub(super) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<Call>> {
    let mut linker = Linker::new(engine);
    types::add_to_linker::<_, HasSelf<_>>(&mut linker, |call| call)?;
    log::add_to_linker::<_, HasSelf<_>>(&mut linker, |call| call)?;
    config::add_to_linker::<_, HasSelf<_>>(&mut linker, |call| call)?;
    clock::add_to_linker::<_, HasSelf<_>>(&mut linker, |call| call)?;
    state::add_to_linker::<_, HasSelf<_>>(&mut linker, |call| call)?;
    wasi::add_to_linker(&mut linker)?;
    Ok(linker)
}

impl types::Host for Call {}

impl log::Host for Call {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        self.count()?;
        let level = match level {
            log::Level::Debug => tracing::Level::DEBUG,
            log::Level::Info => tracing::Level::INFO,
            log::Level::Warn => tracing::Level::WARN,
            log::Level::Error => tracing::Level::ERROR,
        };
        self.lines.write(level, &message);
        Ok(())
    }
}

impl config::Host for Call {
    fn get(&mut self) -> wasmtime::Result<String> {
        self.count()?;
        Ok(self.spec.config.expose().to_owned())
    }
}

impl clock::Host for Call {
    fn now_ms(&mut self) -> wasmtime::Result<u64> {
        self.count()?;
        Ok(self.now_ms)
    }
}

impl state::Host for Call {
    async fn get(
        &mut self,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, state::Error>> {
        let state = match self.state(&key)? {
            Ok(state) => state,
            Err(error) => return Ok(Err(error)),
        };
        let value = state.get(&self.spec.name, &key).await;
        Ok(value.map_err(state::Error::from))
    }

    async fn set(
        &mut self,
        key: String,
        value: Vec<u8>,
        ttl_ms: Option<u64>,
    ) -> wasmtime::Result<Result<(), state::Error>> {
        let state = match self
            .state(&key)?
            .and_then(|state| fits(&value).map(|()| state))
        {
            Ok(state) => state,
            Err(error) => return Ok(Err(error)),
        };
        let done = state.set(&self.spec.name, &key, value, ttl(ttl_ms)).await;
        Ok(done.map_err(state::Error::from))
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<Result<(), state::Error>> {
        let state = match self.state(&key)? {
            Ok(state) => state,
            Err(error) => return Ok(Err(error)),
        };
        let done = state.delete(&self.spec.name, &key).await;
        Ok(done.map_err(state::Error::from))
    }

    async fn increment(
        &mut self,
        key: String,
        delta: i64,
        ttl_ms: Option<u64>,
    ) -> wasmtime::Result<Result<i64, state::Error>> {
        let state = match self.state(&key)? {
            Ok(state) => state,
            Err(error) => return Ok(Err(error)),
        };
        let sum = state
            .increment(&self.spec.name, &key, delta, ttl(ttl_ms))
            .await;
        Ok(sum.map_err(state::Error::from))
    }

    async fn compare_and_set(
        &mut self,
        key: String,
        expected: Option<Vec<u8>>,
        value: Vec<u8>,
        ttl_ms: Option<u64>,
    ) -> wasmtime::Result<Result<bool, state::Error>> {
        let state = match self
            .state(&key)?
            .and_then(|state| fits(&value).map(|()| state))
        {
            Ok(state) => state,
            Err(error) => return Ok(Err(error)),
        };
        let done = state
            .compare_and_set(&self.spec.name, &key, expected, value, ttl(ttl_ms))
            .await;
        Ok(done.map_err(state::Error::from))
    }
}

fn fits(value: &[u8]) -> Result<(), state::Error> {
    let most = limits::STATE_VALUE_BYTES;
    if value.len() <= most {
        return Ok(());
    }
    Err(state::Error::TooLarge(format!(
        "a value has at most {most} bytes, this one {}",
        value.len()
    )))
}

fn ttl(ms: Option<u64>) -> Option<Duration> {
    ms.map(Duration::from_millis)
}

impl From<StateError> for state::Error {
    fn from(error: StateError) -> Self {
        match error {
            StateError::TooLarge(what) => Self::TooLarge(what),
            StateError::NotANumber => Self::NotANumber,
            StateError::Unavailable(why) => Self::Unavailable(why),
        }
    }
}
