//! The SDK for plugins of Hookswitch: one trait, one macro, and a stand-in host for tests.
//!
#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
//!
//! # How this crate is laid out
//! The types of the contract (`event`, `message`, `outcome`, and `verify` for verifiers), what the host
//! offers (`log`, `state`, `clock`), the reading of configs, and `testing`, which stands in for the host
//! outside of WebAssembly.
//! Only `guest` knows the generated bindings, and only it is compiled for WebAssembly alone.

pub mod clock;
mod config;
mod event;
#[cfg(target_arch = "wasm32")]
mod guest;
mod json;
pub mod log;
mod message;
mod outcome;
pub mod state;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod verify;

use serde::de::DeserializeOwned;

pub use config::{ConfigError, NoConfig};
pub use event::{Event, Header};
pub use json::JsonError;
pub use message::Message;
pub use outcome::{Failure, Outcome};

/// A plugin: made once from its config, then called with one event at a time.
///
/// The host may make a new plugin for every event, or use one for several. Keep nothing in it that the
/// next event needs; [`state`] is for that.
pub trait Plugin: Sized {
    /// The `config` table of `routes.toml`. Put `#[serde(deny_unknown_fields)]` on it, so that a
    /// misspelt key is an error when the config is loaded; [`NoConfig`] is the one without any keys.
    type Config: DeserializeOwned;

    /// Makes the plugin, or says all that is wrong with the config.
    ///
    /// This runs when the host loads the plugin, so that a bad config never becomes active, and again
    /// for each new instance; keep it quick.
    ///
    /// # Errors
    /// What the user has to change, in sentences that they can act on.
    fn configure(config: Self::Config) -> Result<Self, ConfigError>;

    /// Handles one event.
    ///
    /// # Errors
    /// [`Failure`] says what becomes of the event: dead letter, another try, or the plugin's `on_error`.
    fn handle(&self, event: Event) -> Result<Outcome, Failure>;
}

/// Makes a [`Plugin`] the one that this crate's component exports. Once in a crate, at its root.
///
/// Outside of WebAssembly it does nothing, so `cargo test` needs no target and no host.
#[macro_export]
macro_rules! register {
    ($plugin:ty) => {
        #[cfg(target_arch = "wasm32")]
        #[doc(hidden)]
        type __HookswitchPlugin = $plugin;

        #[cfg(target_arch = "wasm32")]
        #[doc(hidden)]
        #[allow(
            unsafe_code,
            reason = "a component's exports are raw symbols; the generated code is the contract's"
        )]
        mod __hookswitch_exports {
            $crate::__private::exports!(super::__HookswitchPlugin);
        }
    };
}

/// Makes a [`Verifier`](verify::Verifier) the one that this crate's component exports. Once in a crate, at its
/// root, and not beside [`register!`]: a component has one role.
#[macro_export]
macro_rules! register_verifier {
    ($verifier:ty) => {
        #[cfg(target_arch = "wasm32")]
        #[doc(hidden)]
        type __HookswitchVerifier = $verifier;

        #[cfg(target_arch = "wasm32")]
        #[doc(hidden)]
        #[allow(
            unsafe_code,
            reason = "a component's exports are raw symbols; the generated code is the contract's"
        )]
        mod __hookswitch_exports {
            $crate::__private::verifier_exports!(super::__HookswitchVerifier);
        }
    };
}

/// What `register!` and `register_verifier!` expand to. Not for use by hand; may change in any release.
#[doc(hidden)]
pub mod __private {
    #[cfg(target_arch = "wasm32")]
    pub use crate::__hookswitch_exports as exports;
    #[cfg(target_arch = "wasm32")]
    pub use crate::__hookswitch_verifier_exports as verifier_exports;
    pub use crate::config::configure;
    #[cfg(target_arch = "wasm32")]
    pub use crate::guest::verifier::{
        bindings as verifier_bindings, check, validate as validate_verifier, verify,
    };
    #[cfg(target_arch = "wasm32")]
    pub use crate::guest::{bindings, handle, life_bindings, validate};
}
