//! Inventory: which parts of a config have which secrets, by their masks. Pure.
//!
//! For telling whether a rotated secret was read. Values leave this module as [`Secret`]s only, which print as
//! masks.

use super::{Config, SinkKind};
use crate::secret::Secret;

/// A secret and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `source didit`, `plugin redact-pii`, `sink crm`.
    pub of: String,
    /// What it is there: `secrets`, `sign`, `headers.authorization`.
    pub key: String,
    /// The value.
    pub secret: Secret,
}

impl Config {
    /// All secrets, in the order of sources, plugins and sinks.
    #[must_use]
    pub fn inventory(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut add = |of: String, key: &str, secret: &Secret| {
            entries.push(Entry {
                of,
                key: key.to_owned(),
                secret: secret.clone(),
            });
        };
        for source in &self.sources {
            for secret in source.proof.secrets() {
                add(format!("source {}", source.name), "secrets", secret);
            }
        }
        for plugin in &self.plugins {
            for secret in plugin.spec.config.secrets() {
                add(format!("plugin {}", plugin.spec.name), "secrets", secret);
            }
        }
        for sink in &self.sinks {
            let of = || format!("sink {}", sink.name);
            match &sink.kind {
                SinkKind::Kafka(kafka) => {
                    let secret = |name: &str| name.contains("password") || name.contains("secret");
                    for (name, value) in kafka.options.iter().filter(|(name, _)| secret(name)) {
                        add(of(), &format!("options.{name}"), value);
                    }
                }
                SinkKind::RabbitMq(rabbitmq) => add(of(), "url", &rabbitmq.url),
                SinkKind::Http(http) => {
                    for (name, value) in &http.headers {
                        add(of(), &format!("headers.{name}"), value);
                    }
                    for secret in &http.sign {
                        add(of(), "sign", secret);
                    }
                }
                SinkKind::File(_) => {}
            }
        }
        entries
    }
}
