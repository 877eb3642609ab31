//! Plugin part: loader.
use super::{Engine, Outcome, PluginError, PluginSpec, State};
use crate::event::Event;
use std::sync::Arc;
#[derive(Debug, thiserror::Error)]
#[error("stub")]
pub struct LoadError;
pub struct Plugin;
impl Plugin {
    pub async fn load(_engine: &Engine, _spec: PluginSpec, _state: Arc<dyn State>) -> Result<Self, LoadError> {
        Err(LoadError)
    }
    pub fn spec(&self) -> &PluginSpec {
        unimplemented!()
    }
    /// `name@` and the first 12 hex digits of the component's SHA-256.
    pub fn label(&self) -> &str {
        ""
    }
    pub async fn handle(&self, _event: &Event, _attempt: u32) -> Result<Outcome, PluginError> {
        Ok(Outcome::Unchanged)
    }
}
