//! The transformer's functions: an event goes in, an outcome or a failure comes out.

use std::time::Duration;

use bytes::Bytes;

use super::bindings::since_v0_1_0::exports::hookswitch::plugin::transform as wit;
use super::bindings::since_v0_1_0::hookswitch::plugin::types as wit_types;
use super::call::{Failure, guarded};
use super::loader::Plugin;
use super::{Outcome, PluginError, deadline, limits, output};
use crate::event::{Event, Header, Message};

impl Plugin {
    /// Hands `event` to the plugin; `attempt` is 1 for the first time. Waits while too many calls run.
    ///
    /// # Errors
    /// See [`PluginError`]. A failure, a panic of the host included, ends this call only.
    pub async fn handle(&self, event: &Event, attempt: u32) -> Result<Outcome, PluginError> {
        match guarded(self.call(event, attempt)).await? {
            Ok(outcome) => Ok(self.outcome(outcome)?),
            Err(failure) => Err(self.failure_of(failure)),
        }
    }

    async fn call(
        &self,
        event: &Event,
        attempt: u32,
    ) -> Result<Result<wit::Outcome, wit::Failure>, Failure> {
        let loaded = &*self.loaded;
        let _turn = loaded.turn().await;
        let limits = &loaded.spec.limits;
        let mut store = loaded.store(Some(event.id), event.received_at_ms, limits.time);
        store.set_hostcall_fuel(limits::HOST_CALL_BYTES + event.body.len() + limits.output_bytes);
        let answer = deadline::within(limits.time, async {
            let instance = loaded.pre.instantiate_async(&mut store).await?;
            let lowered = Lowered::new(event);
            self.transform
                .load(&mut store, &instance)?
                .call_handle(&mut store, lowered.event(event, attempt))
                .await
        });
        let answer = answer.await;
        loaded.ended(answer, &mut store, limits.time)
    }

    fn outcome(&self, outcome: wit::Outcome) -> Result<Outcome, Failure> {
        match outcome {
            wit::Outcome::Unchanged => Ok(Outcome::Unchanged),
            wit::Outcome::Drop(why) => Ok(Outcome::Drop(self.loaded.words(&why))),
            wit::Outcome::Forward(messages) => {
                let messages: Vec<Message> = messages.into_iter().map(lifted).collect();
                match output::check(&messages, &self.loaded.spec.limits) {
                    Ok(()) => Ok(Outcome::Forward(messages)),
                    Err(problem) => Err(Failure::new("plugin_output", problem)),
                }
            }
        }
    }

    fn failure_of(&self, failure: wit::Failure) -> PluginError {
        let words = |why: &str| self.loaded.words(why);
        match failure {
            wit::Failure::Reject(why) => PluginError::Reject(words(&why)),
            wit::Failure::Retry(hint) => PluginError::Retry {
                after: (hint.after_ms > 0)
                    .then(|| Duration::from_millis(hint.after_ms).min(limits::RETRY_AFTER_MAX)),
                reason: words(&hint.reason),
            },
            wit::Failure::Other(why) => Failure::new("plugin_error", words(&why)).into(),
        }
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
