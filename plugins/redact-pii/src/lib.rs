//! A Hookswitch plugin that takes personal data out of JSON bodies.
//!
#![doc = include_str!("../README.md")]
//!
//! # How this crate is laid out
//! `config` is what users write, `pointer` and `rules` are what becomes of it, `edit` applies it to a body
//! without building a tree, and `redaction` is what happens to one value.

mod config;
mod edit;
mod pointer;
mod redaction;
mod rules;

use hookswitch::{ConfigError, Event, Failure, Outcome, Plugin};

pub use config::{Config, OnNotJson};
use rules::Rules;

/// The plugin.
pub struct RedactPii {
    rules: Rules,
    on_not_json: OnNotJson,
}

impl Plugin for RedactPii {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        let on_not_json = config.on_not_json;
        config.rules().map(|rules| Self { rules, on_not_json })
    }

    fn handle(&self, event: Event) -> Result<Outcome, Failure> {
        match edit::body(&event.body, &self.rules) {
            Ok(None) => Ok(Outcome::Unchanged),
            Ok(Some(body)) => {
                let mut message = event.into_message();
                message.body = body;
                Ok(message.into())
            }
            Err(_) if self.on_not_json == OnNotJson::Pass => Ok(Outcome::Unchanged),
            Err(error) => Err(error.into()),
        }
    }
}

hookswitch::register!(RedactPii);

#[cfg(test)]
mod tests;
