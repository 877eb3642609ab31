//! Routes: which events go through which plugins to which sinks. Pure.
//!
//! A [`RouteTable`] finds the routes of an event by its source, and among them those whose filter holds.
//! Filters are CEL, compiled when the config is loaded, and bounded when they run. Invariants: a route
//! without a filter costs a pointer copy; the body is parsed once per event, and only for a filter that
//! reads it; routes of other sources cost nothing. This module knows no plugin and no sink.

mod budget;
mod check;
mod facts;
mod filter;
mod value;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use crate::config;
use crate::event::Event;

use facts::Facts;
pub use filter::{Filter, FilterError};

/// Routes by source.
#[derive(Debug, Default)]
pub struct RouteTable {
    by_source: HashMap<Arc<str>, Vec<Arc<config::Route>>>,
}

/// Which routes take an event.
#[derive(Debug, Default)]
pub struct Matched {
    /// Routes whose filter holds, in the order of the file.
    pub routes: Vec<Arc<config::Route>>,
    /// Routes whose filter could not be evaluated for this event, and why.
    pub failed: Vec<(Arc<config::Route>, String)>,
    /// True if at least one route takes events of this source at all.
    pub source_is_routed: bool,
}

impl RouteTable {
    /// A table of these routes, which are in the order of the file.
    #[must_use]
    pub fn new(routes: Vec<Arc<config::Route>>) -> Self {
        let mut by_source: HashMap<Arc<str>, Vec<Arc<config::Route>>> = HashMap::new();
        for route in routes {
            for source in &route.from {
                by_source
                    .entry(source.clone())
                    .or_default()
                    .push(route.clone());
            }
        }
        Self { by_source }
    }

    /// The routes that take this event.
    #[must_use]
    pub fn matching(&self, event: &Event) -> Matched {
        let Some(candidates) = self.by_source.get(&*event.source) else {
            return Matched::default();
        };
        let mut matched = Matched {
            source_is_routed: true,
            ..Matched::default()
        };
        let facts = Facts::of(event);
        for route in candidates {
            match route
                .when
                .as_ref()
                .map_or(Ok(true), |filter| filter.holds_for(&facts))
            {
                Ok(true) => matched.routes.push(route.clone()),
                Ok(false) => {}
                Err(reason) => matched.failed.push((route.clone(), reason)),
            }
        }
        matched
    }
}
