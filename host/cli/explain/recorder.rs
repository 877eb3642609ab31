//! Recorder: a plugin whose calls are written down.
//!
//! The chain that runs is the server's own; this only stands between it and each plugin.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::dispatch::chain::Transform;
use crate::event::Event;
use crate::plugin::{OnError, Outcome, Plugin, PluginError};

/// One call.
#[derive(Debug)]
pub(super) struct Step {
    /// `name@` and the start of the component's SHA-256.
    pub(super) plugin: String,
    /// What the plugin gave.
    pub(super) result: Result<Outcome, PluginError>,
    /// What its failure means.
    pub(super) on_error: OnError,
}

/// The calls of one chain, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Steps(Arc<Mutex<Vec<Step>>>);

impl Steps {
    /// Takes them out.
    pub(super) fn take(&self) -> Vec<Step> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// See the module's text.
pub(super) struct Recorder {
    plugin: Arc<Plugin>,
    steps: Steps,
}

impl Recorder {
    /// Records the calls of `plugin` in `steps`.
    pub(super) fn new(plugin: Arc<Plugin>, steps: &Steps) -> Self {
        Self {
            plugin,
            steps: steps.clone(),
        }
    }
}

#[async_trait]
impl Transform for Recorder {
    fn name(&self) -> &str {
        Transform::name(&*self.plugin)
    }

    fn label(&self) -> &str {
        self.plugin.label()
    }

    fn on_error(&self) -> OnError {
        Transform::on_error(&*self.plugin)
    }

    async fn handle(&self, event: &Event, attempt: u32) -> Result<Outcome, PluginError> {
        let result = self.plugin.handle(event, attempt).await;
        let step = Step {
            plugin: self.label().to_owned(),
            result: result.clone(),
            on_error: Transform::on_error(self),
        };
        let mut steps = self.steps.0.lock().unwrap_or_else(PoisonError::into_inner);
        steps.push(step);
        drop(steps);
        result
    }
}
