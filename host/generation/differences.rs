//! Differences: what a reload changes, in lines for the log and the operator. Pure.
//!
//! Compares true values, secrets included, and prints secrets by their masks only.

use crate::config::{Config, Route, Source};
use crate::plugin::PluginSpec;
use crate::secret::Secret;

/// What is different in `new`, a line each. Plugins and sinks that are new or changed are left to whoever loads
/// them, since that also depends on files.
pub(super) fn between(old: &Config, new: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    let source_name = |source: &Source| source.name.to_string();
    let route_name = |route: &Route| route.name.to_string();
    gone(
        "source",
        &old.sources,
        &new.sources,
        source_name,
        &mut lines,
    );
    gone(
        "plugin",
        &old.plugins,
        &new.plugins,
        |plugin| plugin.spec.name.to_string(),
        &mut lines,
    );
    gone(
        "sink",
        &old.sinks,
        &new.sinks,
        |sink| sink.name.to_string(),
        &mut lines,
    );
    gone("route", &old.routes, &new.routes, route_name, &mut lines);
    for source in &new.sources {
        match old.sources.iter().find(|before| before.name == source.name) {
            None => lines.push(format!("source {}: new", source.name)),
            Some(before) if before != source => lines.push(changed_source(before, source)),
            Some(_) => {}
        }
    }
    for route in &new.routes {
        match old.routes.iter().find(|before| before.name == route.name) {
            None => lines.push(format!("route {}: new", route.name)),
            Some(before) if before != route => {
                lines.push(format!("route {}: changed", route.name));
            }
            Some(_) => {}
        }
    }
    if is_reordered(&old.routes, &new.routes) {
        lines.push("routes: in another order".to_owned());
    }
    lines
}

/// Names that `new` lacks.
fn gone<T>(what: &str, old: &[T], new: &[T], name: impl Fn(&T) -> String, lines: &mut Vec<String>) {
    let left: Vec<String> = new.iter().map(&name).collect();
    let gone = old.iter().map(&name).filter(|name| !left.contains(name));
    lines.extend(gone.map(|name| format!("{what} {name}: removed")));
}

fn changed_source(old: &Source, new: &Source) -> String {
    let (before, after) = (old.proof.secrets(), new.proof.secrets());
    let name = &new.name;
    if before == after {
        return format!("source {name}: changed");
    }
    format!(
        "source {name}: secrets {} -> {}",
        masks(before),
        masks(after)
    )
}

fn masks(secrets: &[Secret]) -> String {
    match secrets {
        [] => "none".to_owned(),
        secrets => {
            let masks: Vec<String> = secrets.iter().map(Secret::to_string).collect();
            masks.join(", ")
        }
    }
}

/// True if the routes that both have stand in another order, which message ids depend on.
fn is_reordered(old: &[Route], new: &[Route]) -> bool {
    let common = |of: &[Route], other: &[Route]| -> Vec<_> {
        of.iter()
            .map(|route| route.name.clone())
            .filter(|name| other.iter().any(|route| route.name == *name))
            .collect()
    };
    common(old, new) != common(new, old)
}

/// Why a plugin was loaded again although its component is the same.
pub(super) fn of_plugin(old: &PluginSpec, new: &PluginSpec) -> &'static str {
    if old.config != new.config {
        "config or secrets changed"
    } else {
        "limits, grants or `on_error` changed"
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use std::ffi::OsString;

    use super::*;
    use crate::config::secrets::Lookup;

    /// Every variable has this value.
    #[derive(Debug)]
    struct Value(&'static str);

    impl Lookup for Value {
        fn variable(&self, _: &str) -> Option<OsString> {
            Some(self.0.into())
        }
    }

    fn config(text: &str, value: &'static str) -> Config {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("routes.toml");
        std::fs::write(&file, text).unwrap();
        match crate::config::load_with(&file, &Value(value)) {
            Ok((config, _)) => config,
            Err(problems) => panic!("{problems}"),
        }
    }

    fn text(more: &str, routes: &[&str]) -> String {
        let mut text = format!(
            "[sources.a]\npath = '/a'\nprovider = 'didit'\nsecrets = 'env:A'\n{more}\n[sinks.f]\ntype = 'file'\npath = 'f'\n"
        );
        for route in routes {
            text.push_str(&format!(
                "[[routes]]\nname = '{route}'\nfrom = ['a']\nto = ['f']\n"
            ));
        }
        text
    }

    const OLD: &str = "the-old-secret-value-1111";
    const NEW: &str = "the-new-secret-value-1111";

    #[test]
    fn a_secret_that_changed_alone_is_seen_and_masked() {
        let text = text("", &["r"]);
        let (old, new) = (config(&text, OLD), config(&text, NEW));
        // Even where the masks are the same.
        assert_eq!(
            between(&old, &new),
            ["source a: secrets ****1111 -> ****1111"]
        );
        assert!(between(&old, &config(&text, OLD)).is_empty());
    }

    #[test]
    fn every_way_to_change_the_verification_is_seen() {
        let old = config(&text("", &["r"]), OLD);
        for more in [
            "tolerance = '1m'",
            "params = { simple = 'true' }",
            "ok_status = 202",
            "public_url = 'https://hooks.example.com/a'",
        ] {
            let new = config(&text(more, &["r"]), OLD);
            assert_eq!(between(&old, &new), ["source a: changed"], "{more}");
        }
        let params = |value: &str| text(&format!("params = {{ simple = '{value}' }}"), &["r"]);
        let (old, new) = (config(&params("true"), OLD), config(&params("false"), OLD));
        assert_eq!(between(&old, &new), ["source a: changed"]);
    }

    #[test]
    fn routes_that_come_go_change_and_move_are_told_apart() {
        let old = config(&text("", &["r", "s", "t"]), OLD);
        let new = text("", &["t", "s", "u"]).replace("name = 's'", "name = 's'\nwhen = 'true'");
        assert_eq!(
            between(&old, &config(&new, OLD)),
            [
                "route r: removed",
                "route s: changed",
                "route u: new",
                "routes: in another order"
            ]
        );
    }
}
