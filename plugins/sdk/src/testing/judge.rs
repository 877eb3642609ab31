//! The host of one verifier, in memory.

use std::cell::RefCell;

use super::world::{World, within};
use crate::verify::{Context, Rejection, Request, Verified, Verifier};
use crate::{ConfigError, config};

/// A verifier loaded with a config, for a source with these settings.
#[derive(Debug)]
pub struct Judge<V> {
    verifier: V,
    context: Context,
    world: RefCell<World>,
}

impl<V: Verifier> Judge<V> {
    /// Loads the verifier with the JSON text of a config and shows it the source's settings, as the host does.
    ///
    /// # Errors
    /// The config or the settings are wrong; the text is what the user would read.
    pub fn new(config_json: &str, context: Context) -> Result<Self, ConfigError> {
        let verifier = config::configure_verifier::<V>(config_json)?;
        let world = RefCell::default();
        within(&world, || verifier.check(&context))?;
        Ok(Self {
            verifier,
            context,
            world,
        })
    }

    /// Judges a request at the context's time.
    ///
    /// # Errors
    /// What the verifier says.
    pub fn verify(&self, request: &Request) -> Result<Verified, Rejection> {
        within(&self.world, || self.verifier.verify(request, &self.context))
    }

    /// Judges later requests at this time, in milliseconds since the Unix epoch.
    pub fn set_now(&mut self, now_ms: u64) {
        self.context.now_ms = now_ms;
    }

    /// The lines logged so far, each as `level: text`.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.world.borrow().log.clone()
    }
}
