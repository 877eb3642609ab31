//! Chain: one event through the plugins of one route.
//!
//! Each output message of a plugin is the next one's event. All or nothing: if a plugin refuses one of
//! several messages, the whole pass of this route ends there, so no part of it is delivered twice after
//! a replay.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::event::{Event, Message};
use crate::metrics::Metrics;
use crate::plugin::{OnError, Outcome, Plugin, PluginError};

/// Messages that one event may become on one route, over all its plugins.
pub const MESSAGES_MAX: usize = 1024;

/// What a chain needs of a plugin.
#[async_trait]
pub trait Transform: Send + Sync {
    /// Name in `routes.toml`.
    fn name(&self) -> &str;
    /// `name@` and the start of the component's SHA-256.
    fn label(&self) -> &str;
    /// What a failure means for the event.
    fn on_error(&self) -> OnError;
    /// Handles one event.
    async fn handle(&self, event: &Event, attempt: u32) -> Result<Outcome, PluginError>;
}

#[async_trait]
impl Transform for Plugin {
    fn name(&self) -> &str {
        &self.spec().name
    }

    fn label(&self) -> &str {
        Plugin::label(self)
    }

    fn on_error(&self) -> OnError {
        self.spec().on_error
    }

    async fn handle(&self, event: &Event, attempt: u32) -> Result<Outcome, PluginError> {
        Plugin::handle(self, event, attempt).await
    }
}

/// How a pass ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    /// With messages to deliver, at least one.
    Messages(Vec<Message>),
    /// Without, for this reason.
    Dropped(String),
    /// As a dead letter.
    Dead {
        /// Stable code.
        code: &'static str,
        /// Cause, for a person.
        detail: String,
    },
    /// A plugin asks to be called again.
    Retry {
        /// Not before this time.
        after: Option<Duration>,
        /// In the plugin's words.
        reason: String,
    },
}

/// A pass of one event through one route's plugins.
#[derive(Clone, Debug, PartialEq)]
pub struct Passed {
    /// How it ended.
    pub ended: Ended,
    /// Labels of the plugins that were called, space separated.
    pub plugins: String,
}

/// Runs `event` through `plugins`. `attempt` counts from 1.
pub async fn run<T: Transform + ?Sized>(
    plugins: &[Arc<T>],
    event: &Arc<Event>,
    attempt: u32,
    metrics: &Metrics,
) -> Passed {
    let mut labels = String::new();
    let mut messages = vec![Message::of(event)];
    for (position, plugin) in plugins.iter().enumerate() {
        if !labels.is_empty() {
            labels.push(' ');
        }
        labels.push_str(plugin.label());
        match step(plugin.as_ref(), position, event, messages, attempt, metrics).await {
            Ok(next) => messages = next,
            Err(ended) => {
                return Passed {
                    ended,
                    plugins: labels,
                };
            }
        }
    }
    Passed {
        ended: Ended::Messages(messages),
        plugins: labels,
    }
}

/// One plugin over all messages so far.
async fn step<T: Transform + ?Sized>(
    plugin: &T,
    position: usize,
    event: &Arc<Event>,
    messages: Vec<Message>,
    attempt: u32,
    metrics: &Metrics,
) -> Result<Vec<Message>, Ended> {
    let mut next = Vec::with_capacity(messages.len());
    let mut reason = String::new();
    for message in messages {
        // The first plugin sees the event itself, with nothing copied.
        let seen = match position {
            0 => None,
            _ => Some(event.with_message(&message)),
        };
        let started = Instant::now();
        let result = plugin.handle(seen.as_ref().unwrap_or(event), attempt).await;
        metrics.plugin_call(
            plugin.name(),
            word(&result),
            started.elapsed().as_secs_f64(),
        );
        match settle(plugin, result)? {
            Outcome::Unchanged => next.push(message),
            Outcome::Forward(outputs) => next.extend(outputs.into_iter().map(|mut output| {
                // What an earlier plugin chose holds until a later one chooses anew.
                output.sink = output.sink.or_else(|| message.sink.clone());
                output.key = output.key.or_else(|| message.key.clone());
                let mut attributes = message.attributes.clone();
                for (name, value) in output.attributes {
                    attributes.retain(|(known, _)| *known != name);
                    attributes.push((name, value));
                }
                output.attributes = attributes;
                output
            })),
            Outcome::Drop(why) => reason = format!("{}: {why}", plugin.name()),
        }
        if next.len() > MESSAGES_MAX {
            return Err(Ended::Dead {
                code: "plugin_output",
                detail: format!(
                    "the chain made more than {MESSAGES_MAX} messages of one event, at plugin `{}`",
                    plugin.name()
                ),
            });
        }
    }
    if next.is_empty() {
        return Err(Ended::Dropped(reason));
    }
    Ok(next)
}

/// Applies `on_error`.
fn settle<T: Transform + ?Sized>(
    plugin: &T,
    result: Result<Outcome, PluginError>,
) -> Result<Outcome, Ended> {
    let name = plugin.name();
    match result {
        Ok(outcome) => Ok(outcome),
        Err(PluginError::Reject(reason)) => Err(Ended::Dead {
            code: "plugin_reject",
            detail: format!("{name}: {reason}"),
        }),
        Err(PluginError::Retry { after, reason }) => Err(Ended::Retry {
            after,
            reason: format!("{name}: {reason}"),
        }),
        Err(PluginError::Failed { code, detail }) => match plugin.on_error() {
            OnError::DeadLetter => Err(Ended::Dead {
                code,
                detail: format!("{name}: {detail}"),
            }),
            OnError::Pass => Ok(Outcome::Unchanged),
            OnError::Drop => Ok(Outcome::Drop(format!("{detail} ({code})"))),
        },
    }
}

/// The metric's word for a result.
fn word(result: &Result<Outcome, PluginError>) -> &'static str {
    match result {
        Ok(Outcome::Unchanged) => "unchanged",
        Ok(Outcome::Forward(_)) => "forward",
        Ok(Outcome::Drop(_)) => "drop",
        Err(PluginError::Reject(_)) => "reject",
        Err(PluginError::Retry { .. }) => "retry",
        Err(PluginError::Failed { code, .. }) => code,
    }
}

#[cfg(test)]
mod tests;
