//! `[plugins.NAME]`

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Declared, Reading};
use crate::config::Plugin;
use crate::config::diagnostic::Diagnostic;
use crate::config::keys;
use crate::config::read::{Table, Text};
use crate::plugin::{Grants, Limits, OnError, PluginConfig, PluginSpec};
use crate::secret::Secret;

impl<'r> Reading<'r> {
    /// The plugins; `verifiers` are the names of those that sources want to judge their requests.
    pub(super) fn plugins(&self, top: &Table<'r>, verifiers: &[Text]) -> Vec<Declared<Plugin>> {
        top.named_tables("plugins")
            .into_iter()
            .map(|(name, entries)| {
                self.check_name(&name);
                let table = Table::open(self.problems, &keys::PLUGIN, entries, name.span.clone());
                let value = self.plugin(&name.value, &table);
                if let Some(named) = verifiers.iter().find(|named| named.value == name.value) {
                    self.check_verifier(&table, named);
                }
                Declared { name, value }
            })
            .collect()
    }

    fn plugin(&self, name: &str, table: &Table<'r>) -> Option<Plugin> {
        let component = self.existing_file(table, "component");
        let config = self.plugin_config(table);
        let limits = self.limits(table);
        let grants = self.grants(table);
        let on_error = table.choice("on_error").map(|choice| match choice {
            "pass" => OnError::Pass,
            "drop" => OnError::Drop,
            _ => OnError::DeadLetter,
        });
        Some(Plugin {
            spec: PluginSpec {
                name: name.into(),
                component: component?,
                config: config?,
                limits: limits?,
                grants: grants?,
                on_error: on_error?,
            },
            component_span: table.span_of("component"),
        })
    }

    fn plugin_config(&self, table: &Table<'r>) -> Option<PluginConfig> {
        let config = table.entries_of("config").map(|(entries, _)| entries);
        let secrets = table.entries_of("secrets").map(|(entries, _)| entries);
        let object = config.map_or_else(|| Some(Map::new()), |config| self.json(config, ""));
        let mut merging = Merging {
            found: Vec::new(),
            whole: true,
        };
        // Where the config has problems, the secrets' own still show up.
        let mut whole_object = object.clone().unwrap_or_default();
        if let Some(secrets) = secrets {
            self.put_secrets(&mut merging, &mut whole_object, "", secrets, config);
        }
        object?;
        merging
            .whole
            .then(|| PluginConfig::new(whole_object, merging.found))
    }

    /// Puts each secret into `object` under its own key, which `config` must not have.
    fn put_secrets(
        &self,
        merging: &mut Merging,
        object: &mut Map<String, Value>,
        path: &str,
        secrets: &DeTable<'_>,
        config: Option<&DeTable<'_>>,
    ) {
        for (key, value) in secrets.iter() {
            let name = key.get_ref().to_string();
            let path = format!("{path}{name}");
            let other = config.and_then(|config| config.get_key_value(key.get_ref().as_ref()));
            match (value.get_ref(), other.map(|(_, other)| other.get_ref())) {
                (DeValue::Table(inner), None | Some(DeValue::Table(_))) => {
                    let config = other.and_then(|(_, other)| other.get_ref().as_table());
                    let object = object
                        .entry(name)
                        .or_insert_with(|| Value::Object(Map::new()));
                    if let Value::Object(object) = object {
                        self.put_secrets(merging, object, &format!("{path}."), inner, config);
                    }
                }
                (DeValue::String(text), None) => {
                    let reference = Text {
                        value: text.to_string(),
                        span: value.span(),
                    };
                    match self.vault.secret(self.problems, &reference) {
                        Some(secret) => {
                            object.insert(name, Value::from(secret.expose_str()));
                            merging.found.push(secret);
                        }
                        None => merging.whole = false,
                    }
                }
                (DeValue::String(_) | DeValue::Table(_), Some(_)) => {
                    merging.whole = false;
                    let message = format!("`{path}` stands both in `config` and in `secrets`");
                    let mut clash = Diagnostic::error("secret_clash", message)
                        .at(key.span())
                        .hint("remove one of them; what is secret belongs into `secrets`");
                    if let Some((other, _)) = other {
                        clash = clash.related(other.span(), "already here");
                    }
                    self.push(clash);
                }
                (other, _) => {
                    merging.whole = false;
                    let message = format!(
                        "`secrets.{path}` must be a secret, not of type {}",
                        other.type_str()
                    );
                    self.push(
                        Diagnostic::error("wrong_type", message)
                            .at(value.span())
                            .hint("write `\"env:NAME\"` or `\"file:PATH\"`; what is no secret belongs into `config`"),
                    );
                }
            }
        }
    }

    /// What makes no sense for a verifier is refused, lest somebody relies on it.
    fn check_verifier(&self, table: &Table<'r>, named: &Text) {
        for (key, hint) in [
            (
                "on_error",
                "where a verifier fails, the sender gets 503 and tries again",
            ),
            ("grants", "a verifier is pure: it may log, and nothing else"),
        ] {
            if table.has(key) {
                let message = format!("`{key}` does not apply to a verifier");
                self.push(
                    Diagnostic::error("not_for_verifiers", message)
                        .at(table.span_of(key))
                        .related(named.span.clone(), "a source wants it as its verifier")
                        .hint(hint),
                );
            }
        }
    }

    fn limits(&self, plugin: &Table<'r>) -> Option<Limits> {
        let empty = DeTable::new();
        let table = match plugin.table("limits", &keys::LIMITS) {
            Some(table) => table,
            None => Table::open(self.problems, &keys::LIMITS, &empty, plugin.span()),
        };
        let time = table.duration("time");
        let memory_bytes = table.memory("memory");
        let output_bytes = table.memory("output");
        let messages = table.count("messages");
        let log_lines = table.count("log_lines");
        let host_calls = table.integer("host_calls");
        Some(Limits {
            time: time?,
            memory_bytes: memory_bytes?,
            output_bytes: output_bytes?,
            messages: messages?,
            log_lines: log_lines?,
            host_calls: host_calls?,
        })
    }

    fn grants(&self, plugin: &Table<'r>) -> Option<Grants> {
        let Some(table) = plugin.table("grants", &keys::GRANTS) else {
            return Some(Grants::default());
        };
        Some(Grants {
            state: table.boolean("state")?,
        })
    }

    /// A table as JSON. JSON has no dates and no infinite numbers. `path` is where it stands in `config`.
    fn json(&self, table: &DeTable<'_>, path: &str) -> Option<Map<String, Value>> {
        let mut object = Map::new();
        let mut whole = true;
        for (key, value) in table.iter() {
            let path = format!("{path}{}", key.get_ref());
            self.warn_of_reference(&path, value);
            match self.json_value(value.get_ref(), &path) {
                Ok(json) => {
                    object.insert(key.get_ref().to_string(), json);
                }
                Err(what) => {
                    whole = false;
                    let message =
                        format!("`{path}` cannot be handed to the plugin: JSON has no {what}");
                    self.push(
                        Diagnostic::error("bad_plugin_config", message)
                            .at(value.span())
                            .hint("write it as a string"),
                    );
                }
            }
        }
        whole.then_some(object)
    }

    /// Who writes `env:NAME` into `config` expects the variable's value, and the plugin would get the name.
    fn warn_of_reference(&self, path: &str, value: &Spanned<DeValue<'_>>) {
        let is_name = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let text = value.get_ref().as_str().unwrap_or_default();
        if text.strip_prefix("env:").is_some_and(is_name) {
            let message = format!("the plugin gets `{text}` as it stands here, not its value");
            self.push(
                Diagnostic::warning("reference_in_config", message)
                    .at(value.span())
                    .hint(format!("move `{path}` from `config` to `secrets`")),
            );
        }
    }

    fn json_value(&self, value: &DeValue<'_>, path: &str) -> Result<Value, &'static str> {
        Ok(match value {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Boolean(truth) => Value::Bool(*truth),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map(Value::from)
                .or_else(|_| u64::from_str_radix(number.as_str(), number.radix()).map(Value::from))
                .map_err(|_| "integers of more than 64 bits")?,
            DeValue::Float(number) => number
                .as_str()
                .parse()
                .ok()
                .and_then(serde_json::Number::from_f64)
                .map(Value::Number)
                .ok_or("infinite numbers")?,
            DeValue::Datetime(_) => return Err("dates"),
            DeValue::Array(entries) => entries
                .iter()
                .map(|entry| self.json_value(entry.get_ref(), path))
                .collect::<Result<_, _>>()?,
            // Problems within are recorded with their own place; the value is not used then.
            DeValue::Table(table) => {
                Value::Object(self.json(table, &format!("{path}.")).unwrap_or_default())
            }
        })
    }
}

/// What came of putting secrets into a config.
struct Merging {
    found: Vec<Secret>,
    whole: bool,
}
