//! A plugin's configuration: the JSON that it is handed, with its secrets in it, and nothing of that in print.
//!
//! Invariant: `Debug` tells the size and no more, since an operator may have written a secret into `config` too.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::secret::Secret;

/// `config` of `[plugins.NAME]` with `secrets` put in.
#[derive(Clone, PartialEq, Eq)]
pub struct PluginConfig {
    json: Arc<str>,
    secrets: Arc<[Secret]>,
}

impl Default for PluginConfig {
    /// `{}`
    fn default() -> Self {
        Self::new(Map::new(), [])
    }
}

impl PluginConfig {
    /// `object` is the whole configuration; `secrets` are those of its values that are secret.
    #[must_use]
    pub fn new(object: Map<String, Value>, secrets: impl IntoIterator<Item = Secret>) -> Self {
        Self {
            json: Value::Object(object).to_string().into(),
            secrets: secrets.into_iter().collect(),
        }
    }

    /// The JSON text, for the plugin alone.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.json
    }

    /// The values that are secret.
    #[must_use]
    pub fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// What a plugin says, without its secrets: words in which it quotes its configuration are no reason to
    /// show them.
    #[must_use]
    pub fn hide_in<'t>(&self, words: &'t str) -> Cow<'t, str> {
        let mut hidden = Cow::Borrowed(words);
        for secret in self.secrets.iter() {
            if let Cow::Owned(more) = secret.hide_in(&hidden) {
                hidden = Cow::Owned(more);
            }
        }
        hidden
    }
}

impl fmt::Debug for PluginConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PluginConfig({} bytes)", self.json.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugin_gets_the_secret_and_nobody_else_sees_it() {
        let secret = Secret::new("sesame-open-sesame");
        let mut object = Map::new();
        object.insert("key".to_owned(), Value::from(secret.expose_str()));
        let config = PluginConfig::new(object, [secret]);
        assert_eq!(config.expose(), r#"{"key":"sesame-open-sesame"}"#);
        assert_eq!(format!("{config:?}"), "PluginConfig(28 bytes)");
        assert_eq!(
            config.hide_in("unknown schema `sesame-open-sesame`"),
            "unknown schema `****same`"
        );
    }
}
