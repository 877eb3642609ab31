//! `[sinks.NAME]`

use toml::de::{DeTable, DeValue};

use super::{Declared, Reading};
use crate::config::diagnostic::Diagnostic;
use crate::config::keys::{self, Section};
use crate::config::read::{Table, Text};
use crate::config::{File, Kafka, RabbitMq, Sink, SinkKind};
use crate::delivery::throttle::{BreakerPolicy, ThrottlePolicy};
use crate::retry::RetryPolicy;
use crate::secret::Secret;
use crate::template::Template;

impl<'r> Reading<'r> {
    pub(super) fn sinks(&self, top: &Table<'r>) -> Vec<Declared<Sink>> {
        let mut files: Vec<(std::path::PathBuf, Text)> = Vec::new();
        top.named_tables("sinks")
            .into_iter()
            .map(|(name, entries)| {
                self.check_name(&name);
                let value = self.sink(&name, entries, &mut files);
                Declared { name, value }
            })
            .collect()
    }

    fn sink(
        &self,
        name: &Text,
        entries: &'r DeTable<'r>,
        files: &mut Vec<(std::path::PathBuf, Text)>,
    ) -> Option<Sink> {
        // The type decides which keys there are, so it is looked at before the table is opened.
        let kind = entries.get("type").map(|value| value.get_ref());
        let section: &'static Section = match kind {
            Some(DeValue::String(kind)) => match kind.as_ref() {
                "kafka" => &keys::KAFKA,
                "rabbitmq" => &keys::RABBITMQ,
                "file" => &keys::FILE,
                "http" => &keys::HTTP,
                _ => return self.without_type(name, entries),
            },
            _ => return self.without_type(name, entries),
        };
        let table = Table::open(self.problems, section, entries, name.span.clone());
        let kind = match section.header {
            header if header == keys::KAFKA.header => self.kafka(&table).map(SinkKind::Kafka),
            header if header == keys::RABBITMQ.header => {
                self.rabbitmq(&table).map(SinkKind::RabbitMq)
            }
            header if header == keys::FILE.header => self.file(&table, files).map(SinkKind::File),
            _ => self.http(&table).map(SinkKind::Http),
        };
        let retry = self.retry(&table);
        let concurrency = table.count("concurrency");
        let timeout = table.duration("timeout");
        let queue_max = table.count("max_queue");
        let adaptive = table.boolean("adaptive");
        let pause = table.duration("pause");
        let breaker = self.breaker(&table);
        Some(Sink {
            name: name.value.as_str().into(),
            kind: kind?,
            retry: retry?,
            throttle: ThrottlePolicy {
                concurrency: concurrency?,
                adaptive: adaptive?,
                pause: pause?,
                breaker: breaker?,
                rate: None,
            },
            timeout: timeout?,
            queue_max: queue_max?,
        })
    }

    /// Records that `type` is missing or unknown, and nothing else, as the other keys depend on it.
    fn without_type(&self, name: &Text, entries: &'r DeTable<'r>) -> Option<Sink> {
        const ONLY_TYPE: &Section = &Section {
            header: "[sinks.NAME]",
            about: "",
            keys: keys::HTTP.keys,
        };
        let only: DeTable<'r> = entries
            .get_key_value("type")
            .map(|(k, v)| (k.clone(), v.clone()))
            .into_iter()
            .collect();
        let table = Table::open(self.problems, ONLY_TYPE, &only, name.span.clone());
        let _ = table.choice("type");
        None
    }

    fn retry(&self, sink: &Table<'r>) -> Option<RetryPolicy> {
        let empty = DeTable::new();
        let table = match sink.table("retry", &keys::RETRY) {
            Some(table) => table,
            None => Table::open(self.problems, &keys::RETRY, &empty, sink.span()),
        };
        let attempts = table.integer("attempts");
        let base = table.duration("base");
        let max = table.duration("max");
        let max_age = table.duration("max_age");
        let policy = RetryPolicy {
            attempts: u32::try_from(attempts?).ok()?,
            base: base?,
            max: max?,
            max_age: max_age?,
        };
        if policy.base > policy.max {
            self.push(
                Diagnostic::error("bad_retry", "`base` is longer than `max`")
                    .at(table.span_of("base"))
                    .related(table.span_of("max"), "the largest bound of a delay")
                    .hint("delays grow from `base` to `max`"),
            );
            return None;
        }
        Some(policy)
    }

    /// `Some(None)` is a sink without a breaker.
    fn breaker(&self, sink: &Table<'r>) -> Option<Option<BreakerPolicy>> {
        let empty = DeTable::new();
        let table = match sink.table("breaker", &keys::BREAKER) {
            Some(table) => table,
            None => Table::open(self.problems, &keys::BREAKER, &empty, sink.span()),
        };
        let failures = table.integer("failures");
        let open = table.duration("open");
        let policy = BreakerPolicy {
            failures: u32::try_from(failures?).ok()?,
            open: open?,
        };
        Some((policy.failures > 0).then_some(policy))
    }

    fn kafka(&self, table: &Table<'r>) -> Option<Kafka> {
        let brokers = self.brokers(table);
        let topic = self.template(table, "topic", &["type", "source", "provider"]);
        let options = self.text_secrets(table, "options");
        Some(Kafka {
            brokers: brokers?,
            topic: topic?,
            options: options?,
        })
    }

    fn brokers(&self, table: &Table<'_>) -> Option<Vec<String>> {
        let texts = table.texts("brokers");
        if texts.is_empty() {
            if table.has("brokers") {
                self.push(
                    Diagnostic::error("empty_list", "`brokers` names none")
                        .at(table.span_of("brokers"))
                        .hint("name at least one, such as `[\"127.0.0.1:9092\"]`"),
                );
            }
            return None;
        }
        let mut whole = true;
        for text in &texts {
            let authority = text.value.parse::<http::uri::Authority>().ok();
            let good = authority.is_some_and(|a| {
                a.port_u16().is_some() && !a.host().is_empty() && !a.as_str().contains('@')
            });
            if !good {
                whole = false;
                self.push(
                    Diagnostic::error(
                        "bad_address",
                        format!("`{}` is not `host:port`", text.value),
                    )
                    .at(text.span.clone())
                    .hint("such as `\"127.0.0.1:9092\"`"),
                );
            }
        }
        whole.then(|| texts.into_iter().map(|text| text.value).collect())
    }

    fn rabbitmq(&self, table: &Table<'r>) -> Option<RabbitMq> {
        let url = self.amqp_url(table);
        let exchange = table.text("exchange");
        let routing_key = self.template(
            table,
            "routing_key",
            &[
                "type", "source", "provider", "id", "key", "json", "header", "attr",
            ],
        );
        Some(RabbitMq {
            url: url?,
            exchange: exchange?.value,
            routing_key: routing_key?,
            persistent: true,
        })
    }

    fn amqp_url(&self, table: &Table<'_>) -> Option<Secret> {
        let text = table.text("url")?;
        let secret = self.vault.secret_or_text(self.problems, &text)?;
        let referred = secret.expose_str() != text.value;
        let problem = |code, message: &str, hint: &str| {
            self.push(
                Diagnostic::error(code, message)
                    .at(text.span.clone())
                    .hint(hint),
            );
        };
        let scheme = ["amqp://", "amqps://"];
        let Some(rest) = scheme
            .iter()
            .find_map(|scheme| secret.expose_str().strip_prefix(scheme))
        else {
            problem(
                "bad_url",
                "the URL begins with neither `amqp://` nor `amqps://`",
                "such as `\"amqp://127.0.0.1:5672\"`, or `\"env:AMQP_URL\"` for one with a password",
            );
            return None;
        };
        let authority = rest.split('/').next().unwrap_or_default();
        if !referred && authority.contains('@') {
            problem(
                "secret_inline",
                "a secret must not stand in this file",
                "put the URL with its credentials into a variable or a file and write `\"env:NAME\"` or `\"file:PATH\"`",
            );
            return None;
        }
        if authority.rsplit('@').next().unwrap_or_default().is_empty() {
            problem(
                "bad_url",
                "the URL names no host",
                "such as `\"amqp://127.0.0.1:5672\"`",
            );
            return None;
        }
        Some(secret)
    }

    fn file(&self, table: &Table<'r>, files: &mut Vec<(std::path::PathBuf, Text)>) -> Option<File> {
        let path = self.path(table, "path");
        let rotate_bytes = table.size("rotate");
        let keep = table.count("keep");
        if let Some(path) = &path
            && let Some(text) = table.text("path")
        {
            if let Some((_, other)) = files.iter().find(|(known, _)| known == path) {
                self.push(
                    Diagnostic::error("path_clash", format!("two sinks write to `{}`", text.value))
                        .at(text.span.clone())
                        .related(other.span.clone(), "already used here")
                        .hint("let routes share one sink, or give each a file of its own"),
                );
            }
            files.push((path.clone(), text));
        }
        Some(File {
            path: path?,
            rotate_bytes: rotate_bytes?,
            keep: keep?,
        })
    }

    /// The pairs of a table whose values may be secrets.
    pub(super) fn text_secrets(
        &self,
        table: &Table<'_>,
        key: &str,
    ) -> Option<Vec<(String, Secret)>> {
        table
            .text_map(key)
            .into_iter()
            .map(|(name, value)| {
                Some((name.value, self.vault.secret_or_text(self.problems, &value)))
            })
            .collect::<Vec<Option<(String, Option<Secret>)>>>()
            .into_iter()
            .map(|pair| pair.and_then(|(name, secret)| Some((name, secret?))))
            .collect()
    }

    /// A template that may use these placeholders.
    pub(super) fn template(
        &self,
        table: &Table<'_>,
        key: &str,
        allowed: &[&str],
    ) -> Option<Template> {
        let text = table.text(key)?;
        match Template::parse(&text.value, allowed) {
            Ok(template) => Some(template),
            Err(error) => {
                let place = self
                    .problems
                    .inside(&text.span, &text.value, error.at.clone());
                let message = format!("`{key}` is not a template: {error}");
                let mut diagnostic = Diagnostic::error("bad_template", message).at(place);
                diagnostic.hint = error.hint;
                self.push(diagnostic);
                None
            }
        }
    }
}
