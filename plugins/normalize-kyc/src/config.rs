//! The plugin's config, as `routes.toml` gives it.

use std::collections::BTreeMap;

use hookswitch::ConfigError;
use serde::Deserialize;

use crate::decision::Decision;
use crate::kyc::SCHEMA;
use crate::provider::Provider;

/// The `config` table. Every key has a default.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The schema to produce. There is one, `kyc.v1`; naming it keeps a later default from changing yours.
    pub schema: String,
    /// Adds the provider's body as `original`. Off by default: it is full of personal data.
    pub include_original: bool,
    /// What Persona's `completed` means: the person is done, and the outcome is up to your own workflow.
    pub persona_completed: Decision,
    /// Source name to provider name, for sources whose preset and name both do not tell the provider.
    pub providers: BTreeMap<String, String>,
    /// What becomes of events of other providers.
    pub on_unknown_provider: UnknownProvider,
}

/// What becomes of events of providers that this plugin does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownProvider {
    /// A `kyc.event` with `recognised` false.
    #[default]
    Mark,
    /// The event goes on unchanged.
    Pass,
    /// The event goes to the dead letters.
    Reject,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            include_original: false,
            persona_completed: Decision::Pending,
            providers: BTreeMap::new(),
            on_unknown_provider: UnknownProvider::default(),
        }
    }
}

impl Config {
    /// The config, if it makes sense.
    pub(crate) fn check(self) -> Result<Self, ConfigError> {
        let mut problems = ConfigError::default();
        if self.schema != SCHEMA {
            let schema = &self.schema;
            problems.add(format!(
                "`schema`: `{schema}` is unknown, the one there is is `{SCHEMA}`"
            ));
        }
        for (source, name) in &self.providers {
            if Provider::named(name).is_none() {
                let known = Provider::ALL.map(Provider::name).join("`, `");
                problems.add(format!(
                    "`providers.{source}`: `{name}` is no provider of this plugin, which knows `{known}`"
                ));
            }
        }
        problems.check(self)
    }

    /// The provider configured for a source.
    pub(crate) fn provider_of(&self, source: &str) -> Option<Provider> {
        self.providers
            .get(source)
            .and_then(|name| Provider::named(name))
    }
}
