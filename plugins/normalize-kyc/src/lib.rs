//! A Hookswitch plugin that turns the webhooks of identity providers into one decision event.
//!
#![doc = include_str!("../README.md")]
//!
//! # How this crate is laid out
//! `json` reads a body where it lies, `decision` is the decision table's machinery, `time` brings every
//! provider's times to one form, each module below `provider` is one provider's pointers and tables, and
//! `kyc` is the event that comes out. Nothing here has state, and nothing is guessed: what the tables do
//! not list leaves with a marker.

mod config;
mod decision;
mod json;
mod kyc;
mod provider;
mod time;

use hookswitch::{ConfigError, Event, Failure, Message, Outcome, Plugin, log};

pub use config::{Config, UnknownProvider};
pub use decision::Decision;
use json::Document;
use kyc::KycEvent;
use provider::{Input, Provider, Reading};

/// The plugin.
pub struct NormalizeKyc {
    config: Config,
}

impl Plugin for NormalizeKyc {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        config.check().map(|config| Self { config })
    }

    fn handle(&self, event: Event) -> Result<Outcome, Failure> {
        let Some(provider) = self.provider(&event) else {
            return self.unknown(&event);
        };
        let document = match provider.is_form(&event) {
            true => Document::form(&event.body)?,
            false => Document::json(&event.body)?,
        };
        let reading = provider.read(&Input {
            root: document.root(),
            event: &event,
            config: &self.config,
        });
        let name = provider.name();
        if !reading.verdict.recognised() {
            log::warn!("{name}: an event with a type or status that the tables do not list");
        }
        self.message(KycEvent::new(name, reading, &event), &document)
    }
}

impl NormalizeKyc {
    /// The provider whose tables apply: as configured for the source, or the preset's, or the source's own
    /// name, which serves sources without a preset.
    fn provider(&self, event: &Event) -> Option<Provider> {
        match self.config.provider_of(&event.source) {
            Some(provider) => Some(provider),
            None => Provider::named(&event.provider).or_else(|| Provider::named(&event.source)),
        }
    }

    fn unknown(&self, event: &Event) -> Result<Outcome, Failure> {
        let (provider, source) = (&event.provider, &event.source);
        match self.config.on_unknown_provider {
            UnknownProvider::Pass => Ok(Outcome::Unchanged),
            UnknownProvider::Reject => Err(Failure::reject(format!(
                "`{provider}` (source `{source}`) is not an identity provider that this plugin knows"
            ))),
            UnknownProvider::Mark => {
                let reading = Reading {
                    event_type: Some(event.event_type.clone()).filter(|name| !name.is_empty()),
                    event_id: event.provider_event_id.clone(),
                    ..Reading::default()
                };
                let document = Document::any(&event.body);
                self.message(KycEvent::new(provider, reading, event), &document)
            }
        }
    }

    fn message<'a>(
        &self,
        mut kyc: KycEvent<'a>,
        document: &Document<'a>,
    ) -> Result<Outcome, Failure> {
        if self.config.include_original {
            kyc.original = Some(document.original());
        }
        let decision = kyc.decision;
        let provider = kyc.provider.to_owned();
        Ok(Message::json(decision.message_type(), &kyc)?
            .attribute("kyc.decision", decision.as_str())
            .attribute("kyc.provider", provider)
            .into())
    }
}

hookswitch::register!(NormalizeKyc);

#[cfg(test)]
mod tests;
