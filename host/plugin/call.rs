//! A call: a fresh instance, one function, and whatever became of it as an outcome or an error.
//!
//! The deadline is set before the instance is made, because start functions are guest code too (see
//! [`super::deadline`]). Afterwards the store is dropped with all that the guest had. Invariant: nothing of one call is seen by another.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::sync::SemaphorePermit;
use wasmtime::{Store, Trap};
use wasmtime_wasi::I32Exit;

use super::bindings::since_v0_1_0::exports::hookswitch::plugin::transform as wit;
use super::bindings::since_v0_1_0::hookswitch::plugin::types as wit_types;
use super::deadline;
use super::host::Call;
use super::limits::{self, Expired, HostCallsSpent, Late};
use super::loader::{Loaded, Plugin};
use super::log::one_line;
use super::{Outcome, PluginError, output};
use crate::clock::unix_ms;
use crate::event::{Event, EventId, Header, Message};

impl Plugin {
    /// Hands `event` to the plugin; `attempt` is 1 for the first time. Waits while too many calls run.
    ///
    /// # Errors
    /// See [`PluginError`]. A failure, a panic of the host included, ends this call only.
    pub async fn handle(&self, event: &Event, attempt: u32) -> Result<Outcome, PluginError> {
        guarded(self.0.handle(event, attempt)).await
    }

    /// Calls `lifecycle.validate` with the config: the plugin's refusal is the inner error.
    pub(super) async fn validate(&self) -> Result<Result<(), String>, PluginError> {
        guarded(self.0.validate()).await
    }
}

/// A panic in a host function is a bug, and costs the one call.
async fn guarded<T>(call: impl Future<Output = Result<T, PluginError>>) -> Result<T, PluginError> {
    AssertUnwindSafe(call)
        .catch_unwind()
        .await
        .unwrap_or_else(|_| {
            Err(failed(
                "plugin_trap",
                "the host panicked while it served the plugin; this is a bug in hookswitch",
            ))
        })
}

impl Loaded {
    async fn handle(&self, event: &Event, attempt: u32) -> Result<Outcome, PluginError> {
        let _slots = self.slots().await;
        let _running = self.engine.ticker().run();
        let limits = &self.spec.limits;
        let mut store = self.store(Some(event.id), event.received_at_ms, limits.time);
        store.set_hostcall_fuel(limits::HOST_CALL_BYTES + event.body.len() + limits.output_bytes);
        let answer = tokio::time::timeout(deadline::overall(limits.time), async {
            let instance = self.pre.instantiate_async(&mut store).await?;
            let lowered = Lowered::new(event);
            instance
                .hookswitch_plugin_transform()
                .call_handle(&mut store, lowered.event(event, attempt))
                .await
        })
        .await
        .unwrap_or_else(|_| Err(Late.into()));
        store.data_mut().log_output();
        match answer {
            Ok(Ok(outcome)) => self.outcome(outcome),
            Ok(Err(failure)) => Err(self.failure(failure)),
            Err(error) => Err(self.error_of(&error, store.data(), limits.time)),
        }
    }

    async fn validate(&self) -> Result<Result<(), String>, PluginError> {
        let _slots = self.slots().await;
        let _running = self.engine.ticker().run();
        let time = limits::VALIDATE_TIME;
        // No event belongs to this call, so its clock stands at the time of loading.
        let mut store = self.store(None, unix_ms(), time);
        store.set_hostcall_fuel(limits::HOST_CALL_BYTES);
        let answer = tokio::time::timeout(deadline::overall(time), async {
            let instance = self.pre.instantiate_async(&mut store).await?;
            instance
                .hookswitch_plugin_lifecycle()
                .call_validate(&mut store, self.spec.config.expose())
                .await
        })
        .await
        .unwrap_or_else(|_| Err(Late.into()));
        store.data_mut().log_output();
        match answer {
            Ok(verdict) => Ok(verdict.map_err(|words| self.words(&words))),
            Err(error) => Err(self.error_of(&error, store.data(), time)),
        }
    }

    /// The right to run, first among this plugin's calls and then among all.
    async fn slots(&self) -> [Option<SemaphorePermit<'_>>; 2] {
        let own = self.slots.acquire().await;
        let all = self.engine.slots().acquire().await;
        // The semaphores are never closed; if they were, the pool itself would be the bound.
        [own.ok(), all.ok()]
    }

    fn store(&self, event: Option<EventId>, now_ms: u64, time: Duration) -> Store<Call> {
        let call = Call::new(&self.spec, &self.state, event, now_ms);
        let mut store = Store::new(self.engine.wasm(), call);
        store.limiter(|call| &mut call.growth);
        store.set_max_component_handles(limits::HANDLES_MAX);
        store.set_epoch_deadline(1);
        let mut tick = deadline::watch(time);
        store.epoch_deadline_callback(move |_| tick());
        store
    }

    /// The plugin's own words, as one line without its secrets.
    fn words(&self, words: &str) -> String {
        one_line(&self.spec.config.hide_in(words), limits::REASON_BYTES)
    }

    fn failure(&self, failure: wit::Failure) -> PluginError {
        match failure {
            wit::Failure::Reject(reason) => PluginError::Reject(self.words(&reason)),
            wit::Failure::Retry(hint) => PluginError::Retry {
                after: (hint.after_ms > 0)
                    .then(|| Duration::from_millis(hint.after_ms).min(limits::RETRY_AFTER_MAX)),
                reason: self.words(&hint.reason),
            },
            wit::Failure::Other(reason) => failed("plugin_error", &self.words(&reason)),
        }
    }

    fn outcome(&self, outcome: wit::Outcome) -> Result<Outcome, PluginError> {
        match outcome {
            wit::Outcome::Unchanged => Ok(Outcome::Unchanged),
            wit::Outcome::Drop(reason) => Ok(Outcome::Drop(self.words(&reason))),
            wit::Outcome::Forward(messages) => {
                let messages: Vec<Message> = messages.into_iter().map(lifted).collect();
                match output::check(&messages, &self.spec.limits) {
                    Ok(()) => Ok(Outcome::Forward(messages)),
                    Err(problem) => Err(failed("plugin_output", &problem)),
                }
            }
        }
    }

    /// What the end of a call by wasmtime means.
    fn error_of(&self, error: &wasmtime::Error, call: &Call, time: Duration) -> PluginError {
        // With the names of guest functions, for the plugin's author; the event keeps one line.
        tracing::debug!(target: "plugin", plugin = &*self.spec.name, error = format!("{error:?}"), "a plugin call failed");
        let trap = error.downcast_ref::<Trap>();
        if error.is::<Expired>() || trap == Some(&Trap::Interrupt) {
            let ms = time.as_millis();
            return failed("plugin_timeout", &format!("ran for more than {ms} ms"));
        }
        if error.is::<Late>() {
            let ms = deadline::overall(time).as_millis();
            let detail = format!("took more than {ms} ms, waiting included");
            return failed("plugin_timeout", &detail);
        }
        if error.is::<HostCallsSpent>() {
            let most = self.spec.limits.host_calls;
            return failed(
                "plugin_host_calls",
                &format!("called the host more than {most} times"),
            );
        }
        if call.growth.refused() {
            let most = self.spec.limits.memory_bytes;
            return failed(
                "plugin_memory",
                &format!("wanted more than {most} bytes of memory or too large a table"),
            );
        }
        if let Some(I32Exit(status)) = error.downcast_ref::<I32Exit>() {
            return failed("plugin_trap", &format!("exited with status {status}"));
        }
        let cause = one_line(&error.root_cause().to_string(), 200);
        // wasmtime has no type for this one.
        if cause.contains("fuel allocated for hostcalls") {
            return failed(
                "plugin_output",
                "handed the host more bytes at once than its limits allow",
            );
        }
        failed("plugin_trap", &cause)
    }
}

/// The lists of an event, pointing into it. The strings and the body are lowered where they are.
struct Lowered<'e> {
    id: String,
    headers: Vec<wit_types::HeaderParam<'e>>,
    attributes: Vec<(&'e str, &'e str)>,
}

impl<'e> Lowered<'e> {
    fn new(event: &'e Event) -> Self {
        let headers = event.headers.iter().map(|header| wit_types::HeaderParam {
            name: &header.name,
            value: &header.value,
        });
        let attributes = event.attributes.iter();
        Self {
            id: event.id.to_string(),
            headers: headers.collect(),
            attributes: attributes
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect(),
        }
    }

    fn event<'s>(&'s self, event: &'s Event, attempt: u32) -> wit::Event<'s> {
        wit::Event {
            id: &self.id,
            source: &event.source,
            provider: &event.provider,
            provider_event_id: event.provider_event_id.as_deref(),
            event_type: &event.kind,
            received_at: event.received_at_ms,
            method: &event.method,
            path: &event.path,
            query: &event.query,
            headers: &self.headers,
            content_type: event.content_type.as_deref(),
            body: &event.body,
            attempt,
            attributes: &self.attributes,
        }
    }
}

/// The guest's message as ours. Buffers are taken over, not copied.
fn lifted(message: wit_types::Message) -> Message {
    let headers = message.headers.into_iter().map(|header| Header {
        name: header.name,
        value: Bytes::from(header.value),
    });
    Message {
        sink: message.sink,
        key: message.key,
        kind: message.event_type,
        content_type: message.content_type,
        headers: headers.collect(),
        body: Bytes::from(message.body),
        attributes: message.attributes,
    }
}

fn failed(code: &'static str, detail: &str) -> PluginError {
    PluginError::Failed {
        code,
        detail: detail.to_owned(),
    }
}
