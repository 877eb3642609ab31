//! Intake: each source joined with what judges its requests.
//!
//! Plugins are looked at by their role: a verifier in a route, or a transformer as a verifier, is an error of
//! the config that shows only once the component is loaded. A verifier is asked once what it thinks of each
//! source's settings, and not again while neither changes.

use std::collections::HashMap;
use std::sync::Arc;

use super::Generation;
use crate::config::{self, Config, Diagnostic, Diagnostics, PluginProof};
use crate::ingress::{Intake, Proof};
use crate::plugin::{AnyPlugin, Verifier};

/// The sources of `config` by path. What is wrong is added to `problems`. Plugins that did not load are left
/// out in silence: that is recorded already.
pub(super) async fn intakes(
    config: &Config,
    plugins: &HashMap<Arc<str>, AnyPlugin>,
    running: Option<&Generation>,
    problems: &mut Diagnostics,
) -> HashMap<String, Arc<Intake>> {
    for route in &config.routes {
        for name in &route.plugins {
            if let Some(AnyPlugin::Verifier(_)) = plugins.get(name) {
                problems.push(verifier_in_route(config, name, &route.name));
            }
        }
    }
    let mut intakes = HashMap::with_capacity(config.sources.len());
    for source in &config.sources {
        let proof = match &source.proof {
            config::Proof::Scheme(verifier) => Proof::Scheme(verifier.clone()),
            config::Proof::Plugin(by) => match plugins.get(&by.plugin) {
                Some(AnyPlugin::Verifier(plugin)) => {
                    let known = running.is_some_and(|running| accepted(running, source, plugin));
                    if !known && let Err(problem) = accept(plugin, by).await {
                        problems.push(problem);
                    }
                    Proof::Plugin(plugin.clone(), by.setting.clone())
                }
                Some(AnyPlugin::Transformer(_)) => {
                    problems.push(not_a_verifier(by));
                    continue;
                }
                None => continue,
            },
        };
        let source = Arc::new(source.clone());
        intakes.insert(source.path.clone(), Arc::new(Intake { source, proof }));
    }
    intakes
}

/// True if the running generation has this very verifier with these settings.
fn accepted(running: &Generation, source: &config::Source, plugin: &Verifier) -> bool {
    let before = running
        .intakes
        .values()
        .find(|intake| intake.source.name == source.name);
    match (before.map(|intake| &intake.proof), &source.proof) {
        (Some(Proof::Plugin(same, setting)), config::Proof::Plugin(by)) => {
            same.is_same(plugin) && **setting == *by.setting
        }
        _ => false,
    }
}

/// Asks the verifier what it thinks of the source's settings.
async fn accept(plugin: &Verifier, by: &PluginProof) -> Result<(), Diagnostic> {
    let (what, hint) = match plugin.check(&by.setting).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(words)) => (
            format!("refuses the settings of this source: {words}"),
            "change the source's `secrets`, `params`, `tolerance` or `public_url`",
        ),
        Err(failure) => (
            format!("failed while it looked at the settings of this source: {failure}"),
            "`HOOKSWITCH_LOG=debug` shows where in the guest it failed",
        ),
    };
    let message = format!("the verifier `{}` {what}", by.plugin);
    let problem = Diagnostic::error("verifier_settings", message);
    Err(problem.at(by.span.clone()).hint(hint))
}

fn not_a_verifier(by: &PluginProof) -> Diagnostic {
    let message = format!(
        "the plugin `{}` is a transformer, and a source needs a verifier",
        by.plugin
    );
    Diagnostic::error("plugin_role", message)
        .at(by.span.clone())
        .hint("a verifier's component exports `hookswitch:plugin/verify`; transformers belong into a route's `plugins`")
}

fn verifier_in_route(config: &Config, name: &str, route: &str) -> Diagnostic {
    let message =
        format!("the plugin `{name}` is a verifier, and the route `{route}` needs transformers");
    let problem = Diagnostic::error("plugin_role", message)
        .hint("name it in a source's `verifier`, and leave it out of the route's `plugins`");
    let mut plugins = config.plugins.iter();
    match plugins.find(|plugin| *plugin.spec.name == *name) {
        Some(plugin) => problem.at(plugin.component_span.clone()),
        None => problem,
    }
}
