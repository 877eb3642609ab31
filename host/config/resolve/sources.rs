//! `[sources.NAME]`

use std::sync::Arc;

use super::{Declared, Reading};
use crate::config::Source;
use crate::config::diagnostic::Diagnostic;
use crate::config::keys;
use crate::config::read::{Table, Text};
use crate::verify::Verifier;

impl<'r> Reading<'r> {
    pub(super) fn sources(&self, top: &Table<'r>) -> Vec<Declared<Source>> {
        let mut paths: Vec<Text> = Vec::new();
        top.named_tables("sources")
            .into_iter()
            .map(|(name, entries)| {
                self.check_name(&name);
                let table = Table::open(self.problems, &keys::SOURCE, entries, name.span.clone());
                let value = self.source(&name.value, &table, &mut paths);
                Declared { name, value }
            })
            .collect()
    }

    fn source(&self, name: &str, table: &Table<'r>, paths: &mut Vec<Text>) -> Option<Source> {
        let path = self.source_path(table, paths);
        let verifier = self.verifier(table);
        let body_bytes_max = table.memory("max_body");
        let content_types = self.content_types(table);
        let in_flight_max = table.count("max_in_flight");
        let ok_status = table.integer("ok_status");
        let reject_status = table.integer("reject_status");
        let dedupe = table.boolean("dedupe");
        let (provider, verifier) = verifier?;
        Some(Source {
            name: name.into(),
            path: path?,
            provider,
            verifier: Arc::new(verifier),
            body_bytes_max: body_bytes_max?,
            content_types: content_types?,
            in_flight_max: in_flight_max?,
            ok_status: u16::try_from(ok_status?).ok()?,
            reject_status: u16::try_from(reject_status?).ok()?,
            dedupe: dedupe?,
        })
    }

    fn source_path(&self, table: &Table<'_>, paths: &mut Vec<Text>) -> Option<String> {
        let path = table.text("path")?;
        let problem = if !path.value.starts_with('/') {
            Some(("must begin with a slash", format!("write `\"/{}\"`", path.value)))
        } else if path.value.contains(['?', '#']) {
            Some((
                "must be without query and fragment",
                "requests are told apart by their path alone".to_owned(),
            ))
        } else if path.value.parse::<http::uri::PathAndQuery>().is_err() || !path.value.is_ascii() {
            Some((
                "has characters that no request's path can have",
                "percent-encode them, as the sender does".to_owned(),
            ))
        } else {
            None
        };
        if let Some((what, hint)) = problem {
            let message = format!("the path `{}` {what}", path.value);
            self.push(Diagnostic::error("bad_path", message).at(path.span).hint(hint));
            return None;
        }
        if let Some(other) = paths.iter().find(|other| other.value == path.value) {
            let message = format!("two sources have the path `{}`", path.value);
            self.push(
                Diagnostic::error("path_clash", message)
                    .at(path.span)
                    .related(other.span.clone(), "already used here")
                    .hint("give each source a path of its own"),
            );
            return None;
        }
        paths.push(path.clone());
        Some(path.value)
    }

    fn content_types(&self, table: &Table<'_>) -> Option<Vec<String>> {
        let mut types = Vec::new();
        let mut whole = true;
        for text in table.texts("content_types") {
            let lower = text.value.to_ascii_lowercase();
            let token = |part: &str| {
                !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c))
            };
            if lower.split_once('/').is_some_and(|(kind, sub)| token(kind) && token(sub)) {
                types.push(lower);
            } else {
                whole = false;
                let message = format!("`{}` is not a media type", text.value);
                self.push(
                    Diagnostic::error("bad_content_type", message)
                        .at(text.span)
                        .hint("such as `\"application/json\"`, without parameters"),
                );
            }
        }
        whole.then_some(types)
    }

    fn verifier(&self, table: &Table<'_>) -> Option<(Arc<str>, Verifier)> {
        let provider = table.text("provider");
        let secrets = table.text_or_texts("secrets");
        for secret in &secrets {
            let _ = self.vault.signing_secret(self.problems, secret);
        }
        Some((provider?.value.into(), Verifier))
    }
}
