//! `[[routes]]`, and the names that they use.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{Declared, Reading};
use crate::config::diagnostic::{Diagnostic, nearest};
use crate::config::keys;
use crate::config::read::{Table, Text};
use crate::config::{Plugin, Route, Sink, Source};
use crate::route::Filter;

/// A route's name goes into the journal and metrics.
const ROUTE_NAME_BYTES_MAX: usize = 128;

/// Names of one kind, and which of them routes use.
struct Names<'n> {
    what: &'static str,
    known: HashMap<&'n str, &'n Text>,
    used: HashSet<&'n str>,
    /// Those that no route can use, because a source does, with where it says so.
    verifiers: HashMap<&'n str, &'n Text>,
}

impl<'n> Names<'n> {
    fn of<T>(what: &'static str, declared: &'n [Declared<T>]) -> Self {
        Self {
            what,
            known: declared
                .iter()
                .map(|d| (d.name.value.as_str(), &d.name))
                .collect(),
            used: HashSet::new(),
            verifiers: HashMap::new(),
        }
    }
}

impl<'r> Reading<'r> {
    pub(super) fn routes(
        &self,
        top: &Table<'r>,
        sources: &[Declared<Source>],
        plugins: &[Declared<Plugin>],
        verifiers: &[Text],
        sinks: &[Declared<Sink>],
    ) -> Option<Vec<Route>> {
        let mut sources = Names::of("source", sources);
        let mut plugins = Names::of("plugin", plugins);
        let mut sinks = Names::of("sink", sinks);
        self.verifiers(verifiers, &mut plugins);
        let mut names: HashMap<String, std::ops::Range<usize>> = HashMap::new();
        let routes: Vec<Option<Route>> = top
            .table_list("routes", &keys::ROUTE)
            .iter()
            .map(|table| {
                let name = self.route_name(table, &mut names);
                let from = self.names(table, "from", &mut sources, true);
                let when = self.filter(table);
                let chain = self.names(table, "plugins", &mut plugins, false);
                let to = self.names(table, "to", &mut sinks, true);
                let key = match table.has("key") {
                    true => self
                        .template(
                            table,
                            "key",
                            &["type", "source", "provider", "id", "json", "header", "attr"],
                        )
                        .map(Some),
                    false => Some(None),
                };
                Some(Route {
                    name: name?,
                    from: from?,
                    when: when?,
                    plugins: chain?,
                    to: to?,
                    key: key?,
                })
            })
            .collect();
        self.unused(
            &sources,
            "its events are stored and then recorded as dropped",
        );
        self.unused(
            &plugins,
            "name it in a route's `plugins` or a source's `verifier`, or remove it",
        );
        self.unused(&sinks, "name it in a route's `to`, or remove it");
        routes.into_iter().collect()
    }

    fn route_name(
        &self,
        table: &Table<'_>,
        names: &mut HashMap<String, std::ops::Range<usize>>,
    ) -> Option<Arc<str>> {
        let name = table.text("name")?;
        let length = name.value.len();
        if length == 0 || length > ROUTE_NAME_BYTES_MAX || name.value.chars().any(char::is_control)
        {
            let message = format!("`{}` cannot be a route's name", name.value.escape_debug());
            self.push(Diagnostic::error("bad_name", message).at(name.span).hint(format!(
                "names of routes have 1 to {ROUTE_NAME_BYTES_MAX} bytes and no control characters"
            )));
            return None;
        }
        if let Some(first) = names.get(&name.value) {
            self.push(
                Diagnostic::error(
                    "route_clash",
                    format!("two routes are called `{}`", name.value),
                )
                .at(name.span)
                .related(first.clone(), "already used here")
                .hint("records name the route, so each needs a name of its own"),
            );
            return None;
        }
        names.insert(name.value.clone(), name.span);
        Some(name.value.into())
    }

    /// A list of names. `needed` records an empty one; so is a name that stands twice, except in a chain.
    fn names<'n>(
        &self,
        table: &Table<'_>,
        key: &str,
        names: &mut Names<'n>,
        needed: bool,
    ) -> Option<Vec<Arc<str>>> {
        let texts = table.texts(key);
        if needed && texts.is_empty() {
            let is_list = table.is_array(key);
            if is_list {
                self.push(
                    Diagnostic::error("empty_list", format!("`{key}` names no {}", names.what))
                        .at(table.span_of(key))
                        .hint("a route without sources or sinks does nothing"),
                );
            }
            return None;
        }
        let mut found: Vec<Arc<str>> = Vec::new();
        let mut whole = true;
        for text in texts {
            let Some((name, _)) = names.known.get_key_value(text.value.as_str()) else {
                whole = false;
                self.unknown_name(&text, names);
                continue;
            };
            names.used.insert(name);
            if let Some(source) = names.verifiers.get(name) {
                whole = false;
                let message = format!("`{name}` is a verifier, and verifiers are in no route");
                self.push(
                    Diagnostic::error("verifier_in_route", message)
                        .at(text.span)
                        .related(source.span.clone(), "a source wants it as its verifier")
                        .hint("a component has one role: name another plugin here, or there"),
                );
                continue;
            }
            if needed && found.iter().any(|one| **one == *text.value) {
                whole = false;
                let message = format!("`{key}` names `{}` twice", text.value);
                self.push(
                    Diagnostic::error("duplicate_name", message)
                        .at(text.span)
                        .hint("once is enough"),
                );
            } else {
                found.push(text.value.into());
            }
        }
        whole.then_some(found)
    }

    /// Takes in the plugins that sources want as verifiers. Unknown names are recorded.
    fn verifiers<'n>(&self, named: &'n [Text], plugins: &mut Names<'n>) {
        for text in named {
            match plugins.known.get_key_value(text.value.as_str()) {
                Some((name, _)) => {
                    plugins.used.insert(name);
                    plugins.verifiers.entry(name).or_insert(text);
                }
                None => self.unknown_name(text, plugins),
            }
        }
    }

    fn unknown_name(&self, text: &Text, names: &Names<'_>) {
        let what = names.what;
        let hint = match nearest(&text.value, names.known.keys().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.known.is_empty() => format!("there is no [{what}s.NAME] in this file"),
            None => {
                let mut known: Vec<String> =
                    names.known.keys().map(|name| format!("`{name}`")).collect();
                known.sort_unstable();
                known.truncate(10);
                format!("there are: {}", known.join(", "))
            }
        };
        let code = match what {
            "source" => "unknown_source",
            "plugin" => "unknown_plugin",
            _ => "unknown_sink",
        };
        self.push(
            Diagnostic::error(code, format!("there is no {what} called `{}`", text.value))
                .at(text.span.clone())
                .hint(hint),
        );
    }

    fn unused(&self, names: &Names<'_>, consequence: &str) {
        for (name, declared) in &names.known {
            if !names.used.contains(name) {
                let message = match names.what {
                    "plugin" => format!("no route and no source uses the plugin `{name}`"),
                    what => format!("the {what} `{name}` is in no route"),
                };
                let code = match names.what {
                    "source" => "unused_source",
                    "plugin" => "unused_plugin",
                    _ => "unused_sink",
                };
                self.push(
                    Diagnostic::warning(code, message)
                        .at(declared.span.clone())
                        .hint(consequence),
                );
            }
        }
    }

    fn filter(&self, table: &Table<'_>) -> Option<Option<Arc<Filter>>> {
        if !table.has("when") {
            return Some(None);
        }
        let text = table.text("when")?;
        match Filter::compile(&text.value) {
            Ok(filter) => Some(Some(Arc::new(filter))),
            Err(errors) => {
                for error in errors {
                    let place = self
                        .problems
                        .inside(&text.span, &text.value, error.at.clone());
                    let mut diagnostic =
                        Diagnostic::error("bad_filter", format!("`when`: {error}")).at(place);
                    diagnostic.hint = error.hint;
                    self.push(diagnostic);
                }
                None
            }
        }
    }
}
