//! What the demonstration has to know of `routes.toml`: addresses, sources, and which secrets it wants.
//!
//! Ports that are taken are replaced in the text of the copy. The file is read for this alone; whether it is
//! right is for the host to say.

use std::net::TcpListener;

use anyhow::{Context, Result};
use toml::{Table, Value};
use xtask::brokers::free_port;

/// A signing secret in the form that Standard Webhooks asks for: `whsec_` and base64 of "demo only, not a secret!".
const STANDARD_WEBHOOKS_SECRET: &str = "whsec_ZGVtbyBvbmx5LCBub3QgYSBzZWNyZXQh";

/// The configuration as the demonstration runs it.
pub(super) struct Setting {
    /// The text to run with.
    pub(super) text: String,
    /// Where webhooks are taken.
    pub(super) listen: String,
    /// Where the admin API answers.
    pub(super) admin: String,
    /// The local HTTP sink, if there is one.
    pub(super) receiver: Option<Receiver>,
    /// Value of every variable that the configuration names.
    pub(super) environment: Vec<(String, String)>,
    /// Addresses that were taken, and what replaces them.
    pub(super) moved: Vec<(String, String)>,
    /// Path of the file sink as written in the configuration.
    pub(super) file: Option<String>,
    sources: Vec<Source>,
}

/// Where the HTTP sink delivers to.
pub(super) struct Receiver {
    pub(super) address: String,
    pub(super) secret: Option<String>,
}

/// A source and its secret.
pub(super) struct Source {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) secret: String,
    provider: String,
}

impl Setting {
    pub(super) fn read(text: &str) -> Result<Self> {
        let table: Table = text.parse().context("routes.toml")?;
        let local = |url: &str| {
            url.split("://")
                .nth(1)
                .and_then(|rest| rest.split('/').next())
                .map(str::to_owned)
        };
        let http_sink = sinks(&table, "http").find(|sink| {
            string(sink, "url")
                .is_some_and(|url| url.contains("://127.0.0.1:") || url.contains("://localhost:"))
        });
        let receiver_address = http_sink.and_then(|sink| local(string(sink, "url")?));

        let mut text = text.to_owned();
        let mut moved = Vec::new();
        let mut place = |address: String| -> Result<String> {
            if TcpListener::bind(&address).is_ok() {
                return Ok(address);
            }
            let free = format!("127.0.0.1:{}", free_port()?);
            text = text.replace(&address, &free);
            moved.push((address, free.clone()));
            Ok(free)
        };
        let server = |key: &str, default: &str| {
            let given = table
                .get("server")
                .and_then(Value::as_table)
                .and_then(|server| string(server, key));
            given.unwrap_or(default).to_owned()
        };
        let listen = place(server("listen", "127.0.0.1:8080"))?;
        let admin = place(server("admin", "127.0.0.1:9180"))?;
        let receiver_address = receiver_address.map(place).transpose()?;

        let sources: Vec<Source> = table
            .get("sources")
            .and_then(Value::as_table)
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| source(name, value.as_table()?))
            .collect();
        let signing = http_sink
            .and_then(|sink| sink.get("sign")?.as_table())
            .and_then(|sign| string(sign, "secret"));
        let receiver = receiver_address.map(|address| Receiver {
            address,
            secret: signing.map(|_| STANDARD_WEBHOOKS_SECRET.to_owned()),
        });

        let mut environment = Vec::new();
        collect_variables(&Value::Table(table.clone()), &mut |variable| {
            let value = if signing == Some(&format!("env:{variable}")) {
                STANDARD_WEBHOOKS_SECRET.to_owned()
            } else {
                demo_secret(variable)
            };
            environment.push((variable.to_owned(), value));
        });
        environment.sort();
        environment.dedup();
        let file = sinks(&table, "file")
            .find_map(|sink| string(sink, "path"))
            .map(str::to_owned);
        Ok(Self {
            text,
            listen,
            admin,
            receiver,
            environment,
            moved,
            file,
            sources,
        })
    }

    /// The source that takes a provider's webhooks.
    pub(super) fn source(&self, provider: &str) -> Result<&Source> {
        let found = self
            .sources
            .iter()
            .find(|source| source.provider == provider);
        found.with_context(|| format!("routes.toml has no source with provider = \"{provider}\""))
    }
}

fn sinks<'a>(table: &'a Table, kind: &'a str) -> impl Iterator<Item = &'a Table> {
    let sinks = table
        .get("sinks")
        .and_then(Value::as_table)
        .into_iter()
        .flatten();
    sinks
        .filter_map(|(_, sink)| sink.as_table())
        .filter(move |sink| string(sink, "type") == Some(kind))
}

fn string<'a>(table: &'a Table, key: &str) -> Option<&'a str> {
    table.get(key).and_then(Value::as_str)
}

fn source(name: &str, table: &Table) -> Option<Source> {
    let secret = table
        .get("secrets")
        .and_then(Value::as_array)
        .and_then(|secrets| secrets.first()?.as_str());
    let secret = secret
        .and_then(|secret| secret.strip_prefix("env:"))
        .map(demo_secret);
    Some(Source {
        name: name.to_owned(),
        path: string(table, "path")?.to_owned(),
        secret: secret.unwrap_or_default(),
        provider: string(table, "provider")?.to_owned(),
    })
}

/// A value for a variable: plainly no secret, and a user with a password where the name asks for credentials.
fn demo_secret(variable: &str) -> String {
    let name = variable.to_lowercase().replace('_', "-");
    if name.contains("credential") || name.contains("basic") || name.contains("idwise") {
        "demo:not-a-secret".to_owned()
    } else if name.contains("standard") || name.contains("svix") {
        STANDARD_WEBHOOKS_SECRET.to_owned()
    } else {
        format!("not-a-secret-{name}")
    }
}

fn collect_variables(value: &Value, found: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => text.strip_prefix("env:").into_iter().for_each(&mut *found),
        Value::Array(list) => list
            .iter()
            .for_each(|value| collect_variables(value, found)),
        Value::Table(table) => table
            .iter()
            .for_each(|(_, value)| collect_variables(value, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
[server]
listen = "127.0.0.1:1"
[sources.kyc]
path = "/hooks/didit"
provider = "didit"
secrets = ["env:DIDIT_WEBHOOK_SECRET"]
[sinks.crm]
type = "http"
url = "http://127.0.0.1:2/hooks"
sign = { scheme = "standard-webhooks", secret = "env:CRM" }
[sinks.audit]
type = "file"
path = "out/audit.jsonl"
"#;

    #[test]
    fn the_demonstration_finds_what_it_needs_in_a_configuration() {
        let setting = Setting::read(TEXT).unwrap();
        let source = setting.source("didit").unwrap();
        assert_eq!(
            (source.name.as_str(), source.path.as_str()),
            ("kyc", "/hooks/didit")
        );
        assert_eq!(source.secret, "not-a-secret-didit-webhook-secret");
        assert!(
            setting
                .environment
                .contains(&("CRM".to_owned(), STANDARD_WEBHOOKS_SECRET.to_owned()))
        );
        assert_eq!(
            setting.receiver.unwrap().secret.as_deref(),
            Some(STANDARD_WEBHOOKS_SECRET)
        );
        assert_eq!(setting.file.as_deref(), Some("out/audit.jsonl"));
    }

    #[test]
    fn an_address_that_is_taken_is_replaced_in_the_text() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let setting = Setting::read(&TEXT.replace("127.0.0.1:2", &address)).unwrap();
        assert!(!setting.text.contains(&address));
        assert!(setting.text.contains(&setting.receiver.unwrap().address));
    }
}
