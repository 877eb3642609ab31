//! `[plugins.NAME]`

use toml::de::{DeTable, DeValue};

use super::{Declared, Reading};
use crate::config::Plugin;
use crate::config::diagnostic::Diagnostic;
use crate::config::keys;
use crate::config::read::Table;
use crate::plugin::{Grants, Limits, OnError, PluginSpec};

impl<'r> Reading<'r> {
    pub(super) fn plugins(&self, top: &Table<'r>) -> Vec<Declared<Plugin>> {
        top.named_tables("plugins")
            .into_iter()
            .map(|(name, entries)| {
                self.check_name(&name);
                let table = Table::open(self.problems, &keys::PLUGIN, entries, name.span.clone());
                let value = self.plugin(&name.value, &table);
                Declared { name, value }
            })
            .collect()
    }

    fn plugin(&self, name: &str, table: &Table<'r>) -> Option<Plugin> {
        let component = self.existing_file(table, "component");
        let config = match table.entries_of("config") {
            Some((entries, _)) => self.json(entries).map(serde_json::Value::Object),
            None => Some(serde_json::json!({})),
        };
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
                config_json: config?.to_string().into(),
                limits: limits?,
                grants: grants?,
                on_error: on_error?,
            },
            component_span: table.span_of("component"),
        })
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

    /// A table as JSON. JSON has no dates and no infinite numbers.
    fn json(&self, table: &DeTable<'_>) -> Option<serde_json::Map<String, serde_json::Value>> {
        let mut object = serde_json::Map::new();
        let mut whole = true;
        for (key, value) in table.iter() {
            match self.json_value(value.get_ref()) {
                Ok(json) => {
                    object.insert(key.get_ref().to_string(), json);
                }
                Err(what) => {
                    whole = false;
                    let message = format!(
                        "`{}` cannot be handed to the plugin: JSON has no {what}",
                        key.get_ref()
                    );
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

    fn json_value(&self, value: &DeValue<'_>) -> Result<serde_json::Value, &'static str> {
        use serde_json::Value;
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
                .map(|entry| self.json_value(entry.get_ref()))
                .collect::<Result<_, _>>()?,
            // Problems within are recorded with their own place; the value is not used then.
            DeValue::Table(table) => Value::Object(self.json(table).unwrap_or_default()),
        })
    }
}
