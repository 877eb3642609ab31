//! `[sources.NAME]`

use std::sync::Arc;

use serde::Deserialize as _;

use super::handshakes::Signing;
use super::{Declared, Reading};
use crate::config::diagnostic::{Diagnostic, nearest};
use crate::config::keys;
use crate::config::read::{Table, Text};
use crate::config::{PluginProof, Proof, Source};
use crate::handshake::{self, Handshakes, Rule};
use crate::plugin::verifier::Setting;
use crate::provider::{self, Preset};
use crate::secret::Secret;
use crate::verify::{Params, Scheme, SetupError, Verifier, Window};

impl<'r> Reading<'r> {
    /// The sources, and the names of the plugins that they want as verifiers, also of those with errors.
    pub(super) fn sources(
        &self,
        top: &Table<'r>,
        has_client_ca: bool,
    ) -> (Vec<Declared<Source>>, Vec<Text>) {
        let mut verifiers: Vec<Text> = Vec::new();
        let mut paths: Vec<Text> = Vec::new();
        let sources = top
            .named_tables("sources")
            .into_iter()
            .map(|(name, entries)| {
                self.check_name(&name);
                let table = Table::open(self.problems, &keys::SOURCE, entries, name.span.clone());
                let verifier = match table.has("verifier") {
                    true => table.text("verifier"),
                    false => None,
                };
                verifiers.extend(verifier.clone());
                let value = self.source(&name.value, &table, verifier, &mut paths, has_client_ca);
                Declared { name, value }
            })
            .collect();
        (sources, verifiers)
    }

    fn source(
        &self,
        name: &str,
        table: &Table<'r>,
        verifier: Option<Text>,
        paths: &mut Vec<Text>,
        has_client_ca: bool,
    ) -> Option<Source> {
        let path = self.source_path(table, paths);
        let proof = self.proof(name, table, verifier);
        let body_bytes_max = table.memory("max_body");
        let content_types = self.content_types(table);
        let in_flight_max = table.count("max_in_flight");
        let ok_status = self.status(table, "ok_status");
        let reject_status = self.status(table, "reject_status");
        let busy_status = self.status(table, "busy_status");
        let dedupe = table.boolean("dedupe");
        let known = proof.as_ref().and_then(|proof| proof.preset);
        let admission = self.admission(table, known, has_client_ca);
        let Proven {
            provider,
            preset,
            proof,
            handshakes,
        } = proof?;
        let answer = preset
            .map(|preset| preset.answer.clone())
            .unwrap_or_default();
        let usual_types = preset.map(|preset| preset.content_types.clone());
        Some(Source {
            name: name.into(),
            path: path?,
            provider,
            proof,
            handshakes,
            body_bytes_max: body_bytes_max?,
            content_types: content_types?.or(usual_types).unwrap_or_default(),
            in_flight_max: in_flight_max?,
            ok_status: ok_status?.unwrap_or(answer.ok),
            reject_status: reject_status?.unwrap_or(answer.reject),
            busy_status: busy_status?.unwrap_or(answer.busy),
            dedupe: dedupe?,
            admission: admission?,
        })
    }

    fn source_path(&self, table: &Table<'_>, paths: &mut Vec<Text>) -> Option<String> {
        let path = table.text("path")?;
        let problem = if !path.value.starts_with('/') {
            Some((
                "must begin with a slash",
                format!("write `\"/{}\"`", path.value),
            ))
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
            self.push(
                Diagnostic::error("bad_path", message)
                    .at(path.span)
                    .hint(hint),
            );
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

    /// `None` if it has an error, `Some(None)` if it is left to the preset.
    fn status(&self, table: &Table<'_>, key: &str) -> Option<Option<u16>> {
        if !table.has(key) {
            return Some(None);
        }
        u16::try_from(table.integer(key)?).ok().map(Some)
    }

    /// As [`Reading::status`].
    fn content_types(&self, table: &Table<'_>) -> Option<Option<Vec<String>>> {
        if !table.has("content_types") {
            return Some(None);
        }
        let mut types = Vec::new();
        let mut whole = true;
        for text in table.texts("content_types") {
            let lower = text.value.to_ascii_lowercase();
            let token = |part: &str| {
                !part.is_empty()
                    && part
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c))
            };
            if lower
                .split_once('/')
                .is_some_and(|(kind, sub)| token(kind) && token(sub))
            {
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
        whole.then_some(Some(types))
    }

    /// What proves its requests, with the provider's name and what is known of it.
    fn proof(&self, name: &str, table: &Table<'r>, verifier: Option<Text>) -> Option<Proven> {
        let references = table.text_or_texts("secrets");
        // Secrets and parameters are looked up first, so that their problems show up in any case.
        let secrets: Option<Vec<Secret>> = references
            .iter()
            .map(|reference| self.vault.signing_secret(self.problems, reference))
            .collect::<Vec<_>>()
            .into_iter()
            .collect();
        let params = self.params(table);
        let (provider, preset, scheme) = if table.has("verifier") {
            ("custom".to_owned(), None, Scheme::default())
        } else if table.has("scheme") {
            ("custom".to_owned(), None, self.scheme(table)?)
        } else {
            let preset = self.preset(table)?;
            (preset.name.to_owned(), Some(preset), preset.scheme.clone())
        };
        let rules = self.handshake_rules(table, preset);
        let (secrets, mut params, rules) = (secrets?, params?, rules?);
        let values = handshake::take_values(&rules, &scheme, &mut params);
        let signing = Signing {
            scheme: &scheme,
            secrets: &secrets,
            params: &params,
        };
        let handshakes = self.handshakes(table, &rules, &values, signing);
        let proof = if table.has("verifier") {
            self.plugin_proof(name, table, verifier?, secrets, params)
        } else {
            let of_handshakes: Vec<&str> = rules.iter().flat_map(Rule::param_names).collect();
            match Verifier::new(&scheme, &secrets, &params) {
                Ok(verifier) => {
                    self.advise(table, preset, &params);
                    self.check_dates(table, &verifier);
                    Some(Proof::Scheme(Arc::new(verifier)))
                }
                Err(errors) => {
                    for error in errors {
                        self.push(setup_error(table, &references, &error, &of_handshakes));
                    }
                    None
                }
            }
        };
        Some(Proven {
            provider: provider.into(),
            preset,
            proof: proof?,
            handshakes: handshakes?,
        })
    }

    /// A plugin gets what a preset would get.
    fn plugin_proof(
        &self,
        name: &str,
        table: &Table<'r>,
        verifier: Text,
        secrets: Vec<Secret>,
        params: Params,
    ) -> Option<Proof> {
        let mut whole = true;
        for other in ["provider", "scheme"] {
            if table.has(other) {
                whole = false;
                let message = format!("a source has either `verifier` or `{other}`");
                self.push(
                    Diagnostic::error("verifier_and_scheme", message)
                        .at(table.span_of(other))
                        .related(verifier.span.clone(), "this plugin judges the requests")
                        .hint("remove one of them"),
                );
            }
        }
        let setting = Setting {
            source: name.into(),
            secrets,
            params: params.values,
            tolerance: params.tolerance.and_then(|window| window.0),
            public_url: params.public_url,
        };
        whole.then(|| {
            Proof::Plugin(PluginProof {
                plugin: verifier.value.into(),
                setting: Arc::new(setting),
                span: verifier.span,
            })
        })
    }

    fn preset(&self, table: &Table<'_>) -> Option<&'static Preset> {
        if !table.has("provider") {
            self.push(
                Diagnostic::error("missing_key", "`[sources.NAME]` needs the key `provider`")
                    .at(table.span())
                    .label("`provider` is missing")
                    .hint("the name of a preset; for a provider without one `scheme = { ... }`, or `verifier`, the name of a plugin"),
            );
            return None;
        }
        let name = table.text("provider")?;
        let Some(preset) = provider::preset(&name.value) else {
            let hint = nearest(&name.value, provider::names()).map_or_else(
                || {
                    format!(
                        "there are: {}",
                        provider::names().collect::<Vec<_>>().join(", ")
                    )
                },
                |near| format!("did you mean `{near}`?"),
            );
            let message = format!("there is no preset for the provider `{}`", name.value);
            self.push(
                Diagnostic::error("unknown_provider", message)
                    .at(name.span)
                    .hint(hint),
            );
            return None;
        };
        if preset.name == provider::UNVERIFIED {
            self.push(
                Diagnostic::warning("unverified_source", "anybody can post to this source")
                    .at(name.span)
                    .hint("name the provider, so that its signatures are checked"),
            );
        } else if !preset.confirmed {
            let message = format!("the preset `{}` rests on a guess", preset.name);
            let mut diagnostic = Diagnostic::warning("unconfirmed_preset", message).at(name.span);
            diagnostic.hint = (!preset.doubt.is_empty()).then(|| preset.doubt.clone());
            self.push(diagnostic);
        }
        Some(preset)
    }

    fn scheme(&self, table: &Table<'r>) -> Option<Scheme> {
        if table.has("provider") {
            self.push(
                Diagnostic::error(
                    "provider_and_scheme",
                    "a source has either `provider` or `scheme`",
                )
                .at(table.span_of("scheme"))
                .related(table.span_of("provider"), "the preset has a scheme already")
                .hint("remove one of them"),
            );
        }
        let (_, value) = table.raw("scheme")?;
        let _ = table.entries_of("scheme")?;
        let span = value.span();
        match Scheme::deserialize(toml::de::ValueDeserializer::from(value.clone())) {
            Ok(scheme) => Some(scheme),
            Err(error) => {
                let place = error
                    .span()
                    .filter(|place| !place.is_empty())
                    .unwrap_or(span);
                let message = format!("`scheme` is malformed: {}", error.message());
                self.push(
                    Diagnostic::error("bad_scheme", message).at(place).hint(
                        "the presets that `hookswitch` comes with are written in the same way",
                    ),
                );
                None
            }
        }
    }

    fn params(&self, table: &Table<'_>) -> Option<Params> {
        let mut values = std::collections::BTreeMap::new();
        for (name, secret) in self.text_secrets(table, "params")? {
            values.insert(name, secret.expose_str().to_owned());
        }
        if table.has("username") {
            let text = table.text("username")?;
            let secret = self.vault.secret_or_text(self.problems, &text)?;
            values.insert("username".to_owned(), secret.expose_str().to_owned());
        }
        let tolerance = match table.has("tolerance") {
            true => Some(Window(Some(table.duration("tolerance")?))),
            false => None,
        };
        let public_url = match table.has("public_url") {
            true => Some(self.public_url(&table.text("public_url")?)?),
            false => None,
        };
        Some(Params {
            values,
            tolerance,
            public_url,
            fetch_keys: table.boolean("fetch_keys")?,
        })
    }
}

impl Reading<'_> {
    /// The URL as the provider has it. It is signed as it stands, so it is kept as it stands.
    fn public_url(&self, text: &Text) -> Option<String> {
        let problem = match text.value.parse::<http::Uri>() {
            _ if text.value.contains('#') => Some("has a fragment, which no request carries"),
            Err(_) => Some("lacks its scheme, or is none at all"),
            Ok(url) if !matches!(url.scheme_str(), Some("https" | "http")) => {
                Some("is neither `https` nor `http`")
            }
            Ok(url) if url.authority().is_some_and(|a| a.as_str().contains('@')) => {
                Some("has a user or a password")
            }
            Ok(_) => None,
        };
        if let Some(problem) = problem {
            self.push(
                Diagnostic::error("bad_url", format!("the URL {problem}"))
                    .at(text.span.clone())
                    .hint("write it as the provider has it, such as `\"https://hooks.example.com/square\"`"),
            );
            return None;
        }
        Some(text.value.clone())
    }
}

/// What proves a source's requests, with the provider's name and what is known of it.
struct Proven {
    provider: Arc<str>,
    preset: Option<&'static Preset>,
    proof: Proof,
    handshakes: Arc<Handshakes>,
}

/// A verifier's complaint, at the value that it is about.
fn setup_error(
    table: &Table<'_>,
    secrets: &[Text],
    error: &SetupError,
    of_handshakes: &[&str],
) -> Diagnostic {
    // Secrets are numbered from 1 in messages: `secret 2 is ...`.
    let numbered = error
        .message
        .strip_prefix("secret ")
        .and_then(|rest| rest.split(' ').next()?.parse::<usize>().ok())
        .and_then(|number| secrets.get(number.checked_sub(1)?));
    let key = match error.code {
        code if code.contains("param") || code == "no_user" => "params",
        code if code.contains("public_url") => "public_url",
        "nothing_to_fetch" => "fetch_keys",
        code if code.contains("secret") => "secrets",
        _ => "scheme",
    };
    let place = match numbered {
        Some(secret) => secret.span.clone(),
        None if table.has(key) => table.span_of(key),
        None => table.span_of(if table.has("provider") {
            "provider"
        } else {
            "scheme"
        }),
    };
    let mut diagnostic = Diagnostic::error("bad_verification", error.message.clone()).at(place);
    diagnostic.hint = error.hint.clone();
    if error.code == "unknown_param" && !of_handshakes.is_empty() {
        let also = format!("its handshakes take {}", of_handshakes.join(", "));
        diagnostic.hint = Some(match &error.hint {
            Some(hint) => format!("{hint}; {also}"),
            None => also,
        });
    }
    diagnostic
}
