//! A call: what every one has around the guest's function, whichever that is. The right to run, a fresh
//! store with its bounds, and what wasmtime's answer means.
//!
//! The deadline is set before the instance is made, because start functions are guest code too (see
//! [`super::deadline`]). Afterwards the store is dropped with all that the guest had. Invariant: nothing
//! of one call is seen by another. The functions are called in [`super::transform`] and [`super::verifier`].

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::SemaphorePermit;
use wasmtime::{Store, Trap};
use wasmtime_wasi::I32Exit;

use super::host::Call;
use super::limits::{self, Expired, HostCallsSpent, Late};
use super::loader::Loaded;
use super::log::one_line;
use super::ticker::Running;
use super::{PluginError, deadline};
use crate::clock::unix_ms;
use crate::event::EventId;

/// A call that gave no answer.
#[derive(Debug)]
pub(super) struct Failure {
    /// As of [`PluginError::Failed`].
    pub(super) code: &'static str,
    /// For a person.
    pub(super) detail: String,
}

impl Failure {
    pub(super) fn new(code: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { code, detail }
    }
}

impl From<Failure> for PluginError {
    fn from(failure: Failure) -> Self {
        Self::Failed {
            code: failure.code,
            detail: failure.detail,
        }
    }
}

/// A panic in a host function is a bug, and costs the one call.
pub(super) async fn guarded<T>(
    call: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    AssertUnwindSafe(call)
        .catch_unwind()
        .await
        .unwrap_or_else(|_| {
            Err(Failure::new(
                "plugin_trap",
                "the host panicked while it served the plugin; this is a bug in hookswitch",
            ))
        })
}

/// The right to run; the epoch advances as long as it lives.
pub(super) struct Turn<'l> {
    _slots: [Option<SemaphorePermit<'l>>; 2],
    _running: Running<'l>,
}

impl Loaded {
    /// The right to run, first among this plugin's calls and then among all of its role.
    pub(super) async fn turn(&self) -> Turn<'_> {
        let own = self.slots.acquire().await;
        let all = self.engine.slots(self.role).acquire().await;
        Turn {
            // The semaphores are never closed; if they were, the pool itself would be the bound.
            _slots: [own.ok(), all.ok()],
            _running: self.engine.ticker().run(),
        }
    }

    /// The right to run for a call while the plugin is loaded. One that runs already may have a long queue
    /// before it, which a reload must not stand in.
    pub(super) async fn loading_turn(&self) -> Turn<'_> {
        let all = self.engine.slots(self.role).acquire().await;
        Turn {
            _slots: [None, all.ok()],
            _running: self.engine.ticker().run(),
        }
    }

    /// Calls `lifecycle.validate` with the config: the plugin's refusal is the inner error.
    pub(super) async fn validate(&self) -> Result<Result<(), String>, Failure> {
        let call = async {
            let _turn = self.loading_turn().await;
            let mut store = self.loading_store();
            let answer = deadline::within(limits::VALIDATE_TIME, async {
                let instance = self.pre.instantiate_async(&mut store).await?;
                self.lifecycle
                    .load(&mut store, &instance)?
                    .call_validate(&mut store, self.spec.config.expose())
                    .await
            });
            let answer = answer.await;
            self.ended(answer, &mut store, limits::VALIDATE_TIME)
        };
        Ok(guarded(call).await?.map_err(|words| self.words(&words)))
    }

    /// The plugin's own words, as one line without its secrets.
    pub(super) fn words(&self, words: &str) -> String {
        reason(&self.spec.config.hide_in(words))
    }

    /// A store whose guest may run for `time`. Make it when the call begins.
    pub(super) fn store(&self, event: Option<EventId>, now_ms: u64, time: Duration) -> Store<Call> {
        let call = Call::new(&self.spec, &self.state, event, now_ms);
        let mut store = Store::new(self.engine.wasm(), call);
        store.limiter(|call| &mut call.growth);
        store.set_max_component_handles(limits::HANDLES_MAX);
        store.set_epoch_deadline(1);
        let mut tick = deadline::watch(time);
        store.epoch_deadline_callback(move |_| tick());
        store
    }

    /// A store for a call while the plugin is loaded: no event belongs to it, and its clock stands at now.
    pub(super) fn loading_store(&self) -> Store<Call> {
        let mut store = self.store(None, unix_ms(), limits::VALIDATE_TIME);
        store.set_hostcall_fuel(limits::HOST_CALL_BYTES);
        store
    }

    /// Logs what the guest printed, and says what an answer of wasmtime means.
    pub(super) fn ended<T>(
        &self,
        answer: wasmtime::Result<T>,
        store: &mut Store<Call>,
        time: Duration,
    ) -> Result<T, Failure> {
        store.data_mut().log_output();
        answer.map_err(|error| self.failure(&error, store.data(), time))
    }

    /// What the end of a call by wasmtime means.
    fn failure(&self, error: &wasmtime::Error, call: &Call, time: Duration) -> Failure {
        // With the names of guest functions, for the plugin's author; the event keeps one line.
        tracing::debug!(target: "plugin", plugin = &*self.spec.name, error = format!("{error:?}"), "a plugin call failed");
        let trap = error.downcast_ref::<Trap>();
        if error.is::<Expired>() || trap == Some(&Trap::Interrupt) {
            let ms = time.as_millis();
            return Failure::new("plugin_timeout", format!("ran for more than {ms} ms"));
        }
        if error.is::<Late>() {
            let ms = deadline::overall(time).as_millis();
            let detail = format!("took more than {ms} ms, waiting included");
            return Failure::new("plugin_timeout", detail);
        }
        if error.is::<HostCallsSpent>() {
            let most = self.spec.limits.host_calls;
            let detail = format!("called the host more than {most} times");
            return Failure::new("plugin_host_calls", detail);
        }
        if call.growth.refused() {
            let most = self.spec.limits.memory_bytes;
            let detail = format!("wanted more than {most} bytes of memory or too large a table");
            return Failure::new("plugin_memory", detail);
        }
        if let Some(I32Exit(status)) = error.downcast_ref::<I32Exit>() {
            return Failure::new("plugin_trap", format!("exited with status {status}"));
        }
        let cause = one_line(&error.root_cause().to_string(), 200);
        // wasmtime has no type for this one.
        if cause.contains("fuel allocated for hostcalls") {
            let detail = "handed the host more bytes at once than its limits allow";
            return Failure::new("plugin_output", detail);
        }
        Failure::new("plugin_trap", cause)
    }
}

/// A guest's reason as one line of bounded length.
pub(super) fn reason(words: &str) -> String {
    one_line(words, limits::REASON_BYTES)
}
