//! Generation: one consistent set of sources, routes, plugins and sinks.
//!
//! A change of the config or of a component makes a whole new generation beside the running one, and
//! one swap makes it the running one; what did not change is carried over. Events in hand finish on the
//! generation they began with. The journal belongs to none.

mod differences;
mod intake;
pub mod prepare;
pub mod sweep;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::config::{self, Config};
use crate::delivery::SinkHandle;
use crate::ingress::{Intake, Sources};
use crate::plugin::{AnyPlugin, Plugin};
use crate::route::RouteTable;

pub use prepare::{Parts, Prepared, prepare};

/// A sink with its running worker.
pub struct RunningSink {
    /// What it was started with.
    pub config: config::Sink,
    /// The way to its worker.
    pub handle: SinkHandle,
}

/// A route and its plugins, in order.
type RouteWithChain = (Arc<config::Route>, Vec<Arc<Plugin>>);

/// See the module's text.
pub struct Generation {
    /// Counts from 1.
    pub number: u64,
    /// What it was made of.
    pub config: Arc<Config>,
    /// Routes by source.
    pub routes: RouteTable,
    /// Sinks by name.
    pub sinks: HashMap<Arc<str>, Arc<RunningSink>>,
    plugins: HashMap<Arc<str>, AnyPlugin>,
    intakes: HashMap<String, Arc<Intake>>,
    routes_by_name: HashMap<Arc<str>, RouteWithChain>,
    keyed: HashMap<Arc<str>, Vec<Arc<str>>>,
}

impl Generation {
    /// Puts the parts together.
    #[must_use]
    pub fn new(
        number: u64,
        config: Arc<Config>,
        plugins: HashMap<Arc<str>, AnyPlugin>,
        intakes: HashMap<String, Arc<Intake>>,
        sinks: HashMap<Arc<str>, Arc<RunningSink>>,
    ) -> Self {
        let routes: Vec<Arc<config::Route>> = config.routes.iter().cloned().map(Arc::new).collect();
        let mut keyed: HashMap<Arc<str>, Vec<Arc<str>>> = HashMap::new();
        for route in routes.iter().filter(|route| route.key.is_some()) {
            for source in &route.from {
                keyed
                    .entry(source.clone())
                    .or_default()
                    .push(route.name.clone());
            }
        }
        let routes_by_name = routes
            .iter()
            .map(|route| {
                let chain = chain_of(&plugins, route);
                (route.name.clone(), (route.clone(), chain))
            })
            .collect();
        Self {
            number,
            routes: RouteTable::new(routes),
            config,
            sinks,
            plugins,
            intakes,
            routes_by_name,
            keyed,
        }
    }

    /// The route of this name.
    #[must_use]
    pub fn route(&self, name: &str) -> Option<Arc<config::Route>> {
        self.routes_by_name
            .get(name)
            .map(|(route, _)| route.clone())
    }

    /// The plugins of a route, in order. The config was checked: each of them exists and is a transformer.
    #[must_use]
    pub fn chain(&self, route: &config::Route) -> Vec<Arc<Plugin>> {
        self.routes_by_name
            .get(&route.name)
            .map(|(_, chain)| chain.clone())
            .unwrap_or_default()
    }

    /// Routes with a key that take events of this source.
    #[must_use]
    pub fn keyed_routes(&self, source: &str) -> &[Arc<str>] {
        self.keyed.get(source).map_or(&[], Vec::as_slice)
    }

    /// Plugins of both roles by name.
    #[must_use]
    pub fn plugins(&self) -> &HashMap<Arc<str>, AnyPlugin> {
        &self.plugins
    }
}

/// The plugins of a route, in order.
fn chain_of(plugins: &HashMap<Arc<str>, AnyPlugin>, route: &config::Route) -> Vec<Arc<Plugin>> {
    let named = route.plugins.iter().filter_map(|name| plugins.get(name));
    named
        .filter_map(|plugin| match plugin {
            AnyPlugin::Transformer(plugin) => Some(Arc::new(plugin.clone())),
            AnyPlugin::Verifier(_) => None,
        })
        .collect()
}

/// The running generation, behind one swap.
pub struct Current(ArcSwap<Generation>);

impl Current {
    /// Begins with this one.
    #[must_use]
    pub fn new(generation: Generation) -> Self {
        Self(ArcSwap::from_pointee(generation))
    }

    /// The running one; holds it alive, so take it once an event.
    #[must_use]
    pub fn load(&self) -> Arc<Generation> {
        self.0.load_full()
    }

    /// Makes `next` the running one and gives back the one before.
    pub fn swap(&self, next: Generation) -> Arc<Generation> {
        self.0.swap(Arc::new(next))
    }
}

impl Sources for Current {
    fn by_path(&self, path: &str) -> Option<Arc<Intake>> {
        self.0.load().intakes.get(path).cloned()
    }
}
