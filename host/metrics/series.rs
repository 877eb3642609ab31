//! Series: metrics with one or two labels, found by text without an allocation.
//!
//! `prometheus_client::Family` needs an owned label set for each look-up. Here a copy-on-write map from
//! text to handle stands before the family, so that only the first use of a name allocates. Bounded: at
//! most [`SERIES_MAX`] label values each, the rest shares [`OTHER`].

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use prometheus_client::encoding::EncodeMetric;
use prometheus_client::metrics::TypedMetric;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Label values of one label at most. A thousand sources with their codes fit; a sender cannot make more,
/// as no label value comes from a request.
pub const SERIES_MAX: usize = 10_000;

/// The label value that stands for those beyond [`SERIES_MAX`].
pub const OTHER: &str = "other";

/// What can be put into a series.
pub trait Handle: EncodeMetric + TypedMetric + Clone + Send + Sync + fmt::Debug + 'static {}
impl<M: EncodeMetric + TypedMetric + Clone + Send + Sync + fmt::Debug + 'static> Handle for M {}

type Labels = Vec<(&'static str, String)>;

/// A metric with one label.
pub struct Singles<M: Handle> {
    label: &'static str,
    family: Family<Labels, M, fn() -> M>,
    handles: ArcSwap<HashMap<String, M>>,
    growing: Mutex<()>,
}

impl<M: Handle> Singles<M> {
    /// Registers the metric; `make` makes the handle of a new label value.
    pub fn new(
        registry: &mut Registry,
        name: &str,
        help: &str,
        label: &'static str,
        make: fn() -> M,
    ) -> Self {
        let family = Family::new_with_constructor(make);
        registry.register(name, help, family.clone());
        Self {
            label,
            family,
            handles: ArcSwap::default(),
            growing: Mutex::new(()),
        }
    }

    /// Calls `act` with the handle of `value`.
    pub fn with<R>(&self, value: &str, act: impl FnOnce(&M) -> R) -> R {
        if let Some(handle) = self.handles.load().get(value) {
            return act(handle);
        }
        act(&self.grow(value))
    }

    /// Forgets `value`.
    pub fn remove(&self, value: &str) {
        let _growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut handles = HashMap::clone(&self.handles.load());
        if handles.remove(value).is_some() {
            self.handles.store(Arc::new(handles));
            self.family.remove(&vec![(self.label, value.to_owned())]);
        }
    }

    fn grow(&self, value: &str) -> M {
        let _growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.handles.load();
        let value = if known.len() < SERIES_MAX {
            value
        } else {
            OTHER
        };
        if let Some(handle) = known.get(value) {
            return handle.clone();
        }
        let handle = self
            .family
            .get_or_create_owned(&vec![(self.label, value.to_owned())]);
        let mut handles = HashMap::clone(&known);
        handles.insert(value.to_owned(), handle.clone());
        self.handles.store(Arc::new(handles));
        handle
    }
}

impl<M: Handle> fmt::Debug for Singles<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Singles")
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

type PairHandles<M> = HashMap<String, HashMap<String, M>>;

/// A metric with two labels.
pub struct Pairs<M: Handle> {
    labels: [&'static str; 2],
    family: Family<Labels, M, fn() -> M>,
    handles: ArcSwap<PairHandles<M>>,
    growing: Mutex<()>,
}

impl<M: Handle> Pairs<M> {
    /// Registers the metric; `make` makes the handle of a new pair of label values.
    pub fn new(
        registry: &mut Registry,
        name: &str,
        help: &str,
        labels: [&'static str; 2],
        make: fn() -> M,
    ) -> Self {
        let family = Family::new_with_constructor(make);
        registry.register(name, help, family.clone());
        Self {
            labels,
            family,
            handles: ArcSwap::default(),
            growing: Mutex::new(()),
        }
    }

    /// Calls `act` with the handle of this pair of values.
    pub fn with<R>(&self, first: &str, second: &str, act: impl FnOnce(&M) -> R) -> R {
        if let Some(handle) = find(&self.handles.load(), first, second) {
            return act(handle);
        }
        act(&self.grow(first, second))
    }

    fn grow(&self, first: &str, second: &str) -> M {
        let _growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.handles.load();
        let size: usize = known.values().map(HashMap::len).sum();
        let (first, second) = if size < SERIES_MAX {
            (first, second)
        } else {
            (OTHER, OTHER)
        };
        if let Some(handle) = find(&known, first, second) {
            return handle.clone();
        }
        let [first_label, second_label] = self.labels;
        let handle = self.family.get_or_create_owned(&vec![
            (first_label, first.to_owned()),
            (second_label, second.to_owned()),
        ]);
        let mut handles = HashMap::clone(&known);
        let inner = handles.entry(first.to_owned()).or_default();
        inner.insert(second.to_owned(), handle.clone());
        self.handles.store(Arc::new(handles));
        handle
    }
}

fn find<'h, M>(handles: &'h PairHandles<M>, first: &str, second: &str) -> Option<&'h M> {
    handles.get(first).and_then(|inner| inner.get(second))
}

impl<M: Handle> fmt::Debug for Pairs<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pairs")
            .field("labels", &self.labels)
            .finish_non_exhaustive()
    }
}
