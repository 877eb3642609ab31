//! A stand-in for the host, so that a plugin's tests are ordinary `cargo test`.
//!
//! ```
//! use hookswitch::{ConfigError, Event, Failure, Message, NoConfig, Outcome, Plugin, log, testing};
//!
//! struct Greet;
//!
//! impl Plugin for Greet {
//!     type Config = NoConfig;
//!
//!     fn configure(_: NoConfig) -> Result<Self, ConfigError> {
//!         Ok(Self)
//!     }
//!
//!     fn handle(&self, event: Event) -> Result<Outcome, Failure> {
//!         log::info!("greeting {}", event.source);
//!         Ok(Message::text("greeting", "hello").into())
//!     }
//! }
//!
//! let host = testing::Host::<Greet>::new("{}")?;
//! let outcome = host.handle(testing::event("door"));
//! assert_eq!(outcome, Ok(Message::text("greeting", "hello").into()));
//! assert_eq!(host.log(), ["info: greeting door"]);
//! # Ok::<(), ConfigError>(())
//! ```

mod cases;
mod event;
mod host;
mod judge;
mod request;
mod verifier_cases;
pub(crate) mod world;

pub use cases::{CaseError, cases};
pub use event::event;
pub use host::Host;
pub use judge::Judge;
pub use request::{context, request};
pub use verifier_cases::verifier_cases;

#[cfg(test)]
mod tests;
