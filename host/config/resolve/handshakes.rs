//! `handshakes`, `confirm` and `fetch` of `[sources.NAME]`

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize as _;
use toml::de::DeTable;

use super::Reading;
use crate::config::diagnostic::Diagnostic;
use crate::config::keys;
use crate::config::read::Table;
use crate::fetch::{HostRule, Policy};
use crate::handshake::{BadHandshake, Given, Handshakes, Off, Rule};
use crate::provider::Preset;
use crate::secret::Secret;
use crate::verify::{Params, Scheme};

/// Bytes of an answer to a fetch for a handshake; nothing of it is kept.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// What is known of a source once its scheme and secrets are.
#[derive(Clone, Copy)]
pub(super) struct Signing<'s> {
    pub(super) scheme: &'s Scheme,
    pub(super) secrets: &'s [Secret],
    pub(super) params: &'s Params,
}

impl<'r> Reading<'r> {
    /// The rules that hold for a source: its own, or the preset's.
    pub(super) fn handshake_rules(
        &self,
        table: &Table<'r>,
        preset: Option<&Preset>,
    ) -> Option<Vec<Rule>> {
        if !table.has("handshakes") {
            return Some(
                preset
                    .map(|preset| preset.handshake.clone())
                    .unwrap_or_default(),
            );
        }
        let mut rules = Vec::new();
        let mut whole = true;
        for entry in table.any_tables("handshakes")? {
            match Rule::deserialize(toml::de::ValueDeserializer::from(entry.clone())) {
                Ok(rule) => rules.push(rule),
                Err(error) => {
                    whole = false;
                    let place = error
                        .span()
                        .filter(|place| !place.is_empty())
                        .unwrap_or_else(|| entry.span());
                    let message = format!("a handshake is malformed: {}", error.message());
                    self.push(
                        Diagnostic::error("bad_handshake", message)
                            .at(place)
                            .hint("`docs/reference/handshakes.md` shows how they are written"),
                    );
                }
            }
        }
        whole.then_some(rules)
    }

    /// The handshakes of a source, ready to be answered.
    pub(super) fn handshakes(
        &self,
        table: &Table<'r>,
        rules: &[Rule],
        values: &BTreeMap<String, String>,
        signing: Signing<'_>,
    ) -> Option<Arc<Handshakes>> {
        let fetch = self.fetch(table);
        let confirm = table.boolean("confirm");
        let (fetch, confirm) = (fetch?, confirm?);
        if confirm && rules.iter().all(|rule| rule.confirm.is_none()) {
            self.push(
                Diagnostic::error("bad_handshake", "this source has nothing to confirm")
                    .at(table.span_of("confirm"))
                    .hint("`confirm` is for providers that want a URL fetched, such as `aws-sns`; leave it out"),
            );
            return None;
        }
        let given = Given {
            scheme: signing.scheme,
            secrets: signing.secrets,
            params: signing.params,
            values,
            fetch: confirm.then_some(&fetch),
        };
        match Handshakes::new(rules, given) {
            Ok((handshakes, off)) => {
                for one in &off {
                    self.push(handshake_off(table, one));
                }
                Some(Arc::new(handshakes))
            }
            Err(errors) => {
                for error in &errors {
                    self.push(bad_handshake(table, error));
                }
                None
            }
        }
    }

    /// What a source may fetch; its hosts are those besides the provider's own.
    fn fetch(&self, table: &Table<'r>) -> Option<Policy> {
        let empty = DeTable::new();
        let table = match table.table("fetch", &keys::FETCH) {
            Some(fetch) => fetch,
            None => Table::open(self.problems, &keys::FETCH, &empty, table.span()),
        };
        let mut hosts = Some(Vec::new());
        for text in table.texts("hosts") {
            match text.value.parse::<HostRule>() {
                Ok(rule) => {
                    if let Some(hosts) = &mut hosts {
                        hosts.push(rule);
                    }
                }
                Err(error) => {
                    hosts = None;
                    self.push(
                        Diagnostic::error("bad_host", error.to_string())
                            .at(text.span)
                            .hint("such as `\"sns.internal.example.com\"`, with `:port` where it is not 443"),
                    );
                }
            }
        }
        let allow_private = self.networks(table.texts("allow_private"));
        let timeout = table.duration("timeout");
        Some(Policy {
            hosts: hosts?,
            allow_private: allow_private?,
            bytes_max: ANSWER_BYTES_MAX,
            timeout: timeout?,
        })
    }
}

fn handshake_off(table: &Table<'_>, off: &Off) -> Diagnostic {
    let Off { handshake, param } = off;
    let message = format!("the handshake `{handshake}` is off: it needs the parameter `{param}`");
    Diagnostic::warning("handshake_off", message)
        .at(table.span_of(if table.has("provider") {
            "provider"
        } else {
            "handshakes"
        }))
        .hint(format!(
            "give it with `params = {{ {param} = \"env:NAME\" }}`"
        ))
}

fn bad_handshake(table: &Table<'_>, error: &BadHandshake) -> Diagnostic {
    let keys: &[&str] = match error.param {
        Some(_) => &["confirm", "params", "provider"],
        None => &["handshakes", "provider"],
    };
    let key = keys.iter().copied().find(|key| table.has(key));
    Diagnostic::error("bad_handshake", error.to_string())
        .at(key.map_or_else(|| table.span(), |key| table.span_of(key)))
        .hint(match &error.param {
            Some(param) => format!(
                "give it with `params = {{ {param} = \"...\" }}`; {}",
                error.hint
            ),
            None => error.hint.to_owned(),
        })
}
