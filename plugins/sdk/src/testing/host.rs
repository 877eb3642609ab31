//! The host of one plugin, in memory.

use std::cell::RefCell;
use std::time::Duration;

use super::world::{World, within};
use crate::{ConfigError, Event, Failure, Outcome, Plugin, config};

/// A plugin loaded with a config, and the log, clock and store that it sees.
#[derive(Debug)]
pub struct Host<P> {
    plugin: P,
    world: RefCell<World>,
    elapsed: Duration,
}

impl<P: Plugin> Host<P> {
    /// Loads the plugin with the JSON text of a config, as the host does.
    ///
    /// # Errors
    /// The config is wrong; the text is what the user would read.
    pub fn new(config_json: &str) -> Result<Self, ConfigError> {
        Ok(Self {
            plugin: config::configure(config_json)?,
            world: RefCell::default(),
            elapsed: Duration::ZERO,
        })
    }

    /// Grants the store, as `grants = { state = true }` does.
    #[must_use]
    pub fn grant_state(self) -> Self {
        self.world.borrow_mut().state_granted = true;
        self
    }

    /// Lets time pass: entries of the store expire, and later events see a later clock.
    pub fn advance(&mut self, time: Duration) {
        self.elapsed += time;
    }

    /// Hands the plugin one event. The clock shows when the event was received, plus the time that
    /// [`advance`](Self::advance) let pass.
    ///
    /// # Errors
    /// What the plugin says.
    pub fn handle(&self, event: Event) -> Result<Outcome, Failure> {
        let elapsed = u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX);
        self.world.borrow_mut().now_ms = event.received_at_ms.saturating_add(elapsed);
        within(&self.world, || self.plugin.handle(event))
    }

    /// The lines logged so far, each as `level: text`.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.world.borrow().log.clone()
    }

    /// The value of a key of the store.
    #[must_use]
    pub fn state(&self, key: &str) -> Option<Vec<u8>> {
        self.world.borrow().read(key)
    }
}
