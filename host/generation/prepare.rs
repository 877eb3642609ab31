//! Preparing a generation: loading what is new, carrying over what is not.
//!
//! Everything that can fail happens in [`prepare`], which changes nothing that runs. [`Prepared::start`]
//! only starts tasks.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::{Generation, RunningSink, chain_of, differences, intake};
use crate::config::{self, Config, Diagnostic, Diagnostics, SinkKind};
use crate::delivery::Worker;
use crate::delivery::lane::LanePolicy;
use crate::delivery::worker::Settings;
use crate::ingress::Intake;
use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::plugin::{self, AnyPlugin, Engine, Plugin};
use crate::sink::file::FileSink;
use crate::sink::http::HttpSink;
use crate::sink::kafka::KafkaSink;
use crate::sink::rabbitmq::RabbitMqSink;
use crate::sink::{SetupError, Sink};

/// What generations are made with; lives as long as the program.
#[derive(Clone)]
pub struct Parts {
    /// Runs plugins.
    pub engine: Arc<Engine>,
    /// The plugins' durable store.
    pub state: Arc<dyn plugin::State>,
    /// Where deliveries are recorded.
    pub journal: Arc<dyn Journal>,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// A generation that could start now.
pub struct Prepared {
    config: Arc<Config>,
    plugins: HashMap<Arc<str>, AnyPlugin>,
    /// Sources by path.
    intakes: HashMap<String, Arc<Intake>>,
    /// `None`: the running one is carried over.
    sinks: Vec<(config::Sink, Option<Arc<dyn Sink>>)>,
    /// What is different from the running generation, a line each.
    pub changes: Vec<String>,
}

/// Loads the plugins and builds the sinks of `config` that `running` does not have already. `problems` are
/// the config's own warnings; what is found here is added to them.
///
/// # Errors
/// One diagnostic for each component that does not load or is of the wrong kind, each source whose verifier
/// refuses its settings, and each sink that cannot be built.
pub async fn prepare(
    config: Config,
    mut problems: Diagnostics,
    engine: &Engine,
    state: &Arc<dyn plugin::State>,
    running: Option<&Generation>,
) -> Result<Prepared, Diagnostics> {
    let mut changes = Vec::new();
    let plugins = load_plugins(&config, engine, state, running, &mut changes, &mut problems).await;
    let intakes = intake::intakes(&config, &plugins, running, &mut problems).await;
    let sinks = build_sinks(&config, running, &mut changes, &mut problems);
    if problems.has_errors() {
        return Err(problems);
    }
    if let Some(running) = running {
        changes.extend(differences::between(&running.config, &config));
    }
    Ok(Prepared {
        config: Arc::new(config),
        plugins,
        intakes,
        sinks,
        changes,
    })
}

async fn load_plugins(
    config: &Config,
    engine: &Engine,
    state: &Arc<dyn plugin::State>,
    running: Option<&Generation>,
    changes: &mut Vec<String>,
    problems: &mut Diagnostics,
) -> HashMap<Arc<str>, AnyPlugin> {
    let mut plugins = HashMap::new();
    for wanted in &config.plugins {
        let name = wanted.spec.name.clone();
        let before = running.and_then(|running| running.plugins.get(&name));
        if let Some(same) = before
            && *same.spec() == wanted.spec
            && same.is_current()
        {
            plugins.insert(name, same.clone());
            continue;
        }
        match AnyPlugin::load(engine, wanted.spec.clone(), state.clone()).await {
            Ok(plugin) => {
                let label = plugin.label();
                match before {
                    _ if running.is_none() => {}
                    None => changes.push(format!("plugin {name}: new -> {label}")),
                    Some(before) if before.label() == label => {
                        let what = differences::of_plugin(before.spec(), plugin.spec());
                        changes.push(format!("plugin {name}: {what}"));
                    }
                    Some(before) => {
                        changes.push(format!("plugin {name}: {} -> {label}", before.label()));
                    }
                }
                plugins.insert(name, plugin);
            }
            Err(error) => {
                let message = format!("plugin `{name}` does not load: {error}");
                let problem =
                    Diagnostic::error(error.code(), message).at(wanted.component_span.clone());
                problems.push(problem.hint(error.hint()));
            }
        }
    }
    plugins
}

fn build_sinks(
    config: &Config,
    running: Option<&Generation>,
    changes: &mut Vec<String>,
    problems: &mut Diagnostics,
) -> Vec<(config::Sink, Option<Arc<dyn Sink>>)> {
    let mut sinks = Vec::with_capacity(config.sinks.len());
    for wanted in &config.sinks {
        let before = running.and_then(|running| running.sinks.get(&wanted.name));
        if before.is_some_and(|before| before.config == *wanted) {
            sinks.push((wanted.clone(), None));
            continue;
        }
        match build(wanted) {
            Ok(sink) => {
                if running.is_some() {
                    let what = if before.is_some() { "changed" } else { "new" };
                    changes.push(format!("sink {}: {what}", wanted.name));
                }
                sinks.push((wanted.clone(), Some(sink)));
            }
            Err(error) => problems.push(
                Diagnostic::error(
                    "sink_setup",
                    format!("sink `{}` cannot be set up: {}", wanted.name, error.detail),
                )
                .hint("see docs/reference/sinks.md for what this kind of sink takes"),
            ),
        }
    }
    sinks
}

/// A sink of this config; connects to nothing.
fn build(config: &config::Sink) -> Result<Arc<dyn Sink>, SetupError> {
    Ok(match &config.kind {
        SinkKind::Kafka(kafka) => Arc::new(KafkaSink::new(config, kafka)?),
        SinkKind::RabbitMq(rabbitmq) => Arc::new(RabbitMqSink::new(config, rabbitmq)?),
        SinkKind::Http(http) => Arc::new(HttpSink::new(config, http)?),
        SinkKind::File(file) => Arc::new(FileSink::new(config, file)?),
    })
}

impl Prepared {
    /// What it was prepared from.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The plugins of a route, in order.
    #[must_use]
    pub fn chain(&self, route: &config::Route) -> Vec<Arc<Plugin>> {
        chain_of(&self.plugins, route)
    }

    /// The source of this name with what judges its requests.
    #[must_use]
    pub fn intake(&self, name: &str) -> Option<Arc<Intake>> {
        let mut intakes = self.intakes.values();
        intakes.find(|intake| *intake.source.name == *name).cloned()
    }

    /// The sink of this name, if it was built anew.
    #[must_use]
    pub fn sink(&self, name: &str) -> Option<&Arc<dyn Sink>> {
        let named = self.sinks.iter().find(|(config, _)| *config.name == *name);
        named.and_then(|(_, sink)| sink.as_ref())
    }

    /// Starts what is new and gives the generation, with the tasks of sinks that are ending; those end
    /// by themselves, after their last attempt.
    #[must_use]
    pub fn start(self, number: u64, parts: &Parts, running: Option<&Generation>) -> Generation {
        let mut sinks = HashMap::with_capacity(self.sinks.len());
        for (config, built) in self.sinks {
            let before = running.and_then(|running| running.sinks.get(&config.name));
            let name = config.name.clone();
            match (built, before) {
                (None, Some(same)) => {
                    sinks.insert(name, same.clone());
                }
                (built, before) => {
                    let Some(sink) = built else { continue };
                    let ending = before.and_then(|before| end(before));
                    let handle = Worker::spawn(
                        settings(&config),
                        sink,
                        parts.journal.clone(),
                        parts.metrics.clone(),
                        ending,
                    );
                    sinks.insert(name, Arc::new(RunningSink { config, handle }));
                }
            }
        }
        for (name, sink) in running.iter().flat_map(|running| &running.sinks) {
            if !sinks.contains_key(name) {
                end(sink);
                parts.metrics.sink_removed(name);
            }
        }
        Generation::new(number, self.config, self.plugins, self.intakes, sinks)
    }
}

/// Lets a worker end by itself.
fn end(sink: &RunningSink) -> Option<JoinHandle<()>> {
    sink.handle.drain();
    sink.handle.take_task()
}

fn settings(config: &config::Sink) -> Settings {
    Settings {
        name: config.name.clone(),
        policy: LanePolicy {
            retry: config.retry,
            throttle: config.throttle,
        },
        timeout: config.timeout,
        queue_max: config.queue_max,
    }
}
