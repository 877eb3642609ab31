//! Series: metrics with one or two labels, found by text without an allocation.
//!
//! `prometheus_client::Family` needs an owned label set for each look-up. Here a map from text to handle
//! stands before the family, so that only the first use of a name allocates. Bounded: at most
//! [`SERIES_MAX`] label values (or pairs of them) of a metric, the rest shares [`OTHER`].

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use prometheus_client::encoding::EncodeMetric;
use prometheus_client::metrics::TypedMetric;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Series of a metric at most. Ten thousand routes fit; a sender cannot make more, as no label value comes
/// from a request.
pub const SERIES_MAX: usize = 20_000;

/// The label value that stands for those beyond [`SERIES_MAX`].
pub const OTHER: &str = "other";

/// What can be put into a series.
pub trait Handle: EncodeMetric + TypedMetric + Clone + Send + Sync + fmt::Debug + 'static {}
impl<M: EncodeMetric + TypedMetric + Clone + Send + Sync + fmt::Debug + 'static> Handle for M {}

type Labels = Vec<(&'static str, String)>;

/// A map that is read without a lock. New names go into `all` first and are published in batches: a copy of
/// `n` names is made after `n` slow look-ups, so that growing costs a constant time per name.
struct Names<V> {
    published: ArcSwap<HashMap<String, V>>,
    growing: Mutex<Growing<V>>,
}

struct Growing<V> {
    all: HashMap<String, V>,
    slow_lookups: usize,
}

impl<V: Clone> Names<V> {
    fn new() -> Self {
        Self {
            published: ArcSwap::from_pointee(HashMap::new()),
            growing: Mutex::new(Growing {
                all: HashMap::new(),
                slow_lookups: 0,
            }),
        }
    }

    /// Calls `act` with the value of `name`, which `make` makes on first use.
    fn with<R>(&self, name: &str, make: impl FnOnce() -> V, act: impl FnOnce(&V) -> R) -> R {
        match self.published.load().get(name) {
            Some(value) => act(value),
            None => act(&self.slow(name, make)),
        }
    }

    fn slow(&self, name: &str, make: impl FnOnce() -> V) -> V {
        let mut growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let value = match growing.all.get(name) {
            Some(value) => value.clone(),
            None => {
                let value = make();
                growing.all.insert(name.to_owned(), value.clone());
                value
            }
        };
        growing.slow_lookups += 1;
        if growing.slow_lookups > self.published.load().len() {
            growing.slow_lookups = 0;
            self.published.store(Arc::new(growing.all.clone()));
        }
        value
    }

    fn contains(&self, name: &str) -> bool {
        let growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        growing.all.contains_key(name)
    }

    fn remove(&self, name: &str) -> bool {
        let mut growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let known = growing.all.remove(name).is_some();
        if known {
            self.published.store(Arc::new(growing.all.clone()));
        }
        known
    }
}

/// A metric with one label.
pub struct Singles<M: Handle> {
    label: &'static str,
    family: Family<Labels, M, fn() -> M>,
    size: AtomicUsize,
    handles: Names<M>,
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
            size: AtomicUsize::new(0),
            handles: Names::new(),
        }
    }

    /// Calls `act` with the handle of `value`.
    pub fn with<R>(&self, value: &str, act: impl FnOnce(&M) -> R) -> R {
        if let Some(handle) = self.handles.published.load().get(value) {
            return act(handle);
        }
        // Close to the bound concurrent first uses may pass it by as many as there are threads.
        let has_room = self.size.load(Relaxed) < SERIES_MAX || self.handles.contains(value);
        let value = if has_room { value } else { OTHER };
        let make = || {
            self.size.fetch_add(1, Relaxed);
            let labels = vec![(self.label, value.to_owned())];
            self.family.get_or_create_owned(&labels)
        };
        self.handles.with(value, make, act)
    }

    /// Forgets `value`.
    pub fn remove(&self, value: &str) {
        if self.handles.remove(value) {
            self.size.fetch_sub(1, Relaxed);
            self.family.remove(&vec![(self.label, value.to_owned())]);
        }
    }
}

impl<M: Handle> fmt::Debug for Singles<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Singles")
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

/// A counter with several labels that is touched seldom: each use costs an allocation and a lock.
pub struct Seldom<const N: usize> {
    labels: [&'static str; N],
    family: Family<Labels, Counter>,
    known: Mutex<HashSet<Labels>>,
}

impl<const N: usize> Seldom<N> {
    /// Registers the counter.
    pub fn new(registry: &mut Registry, name: &str, help: &str, labels: [&'static str; N]) -> Self {
        let family = Family::default();
        registry.register(name, help, family.clone());
        Self {
            labels,
            family,
            known: Mutex::default(),
        }
    }

    /// Adds one to the counter of these values.
    pub fn increment(&self, values: [&str; N]) {
        let named = |values: [&str; N]| -> Labels {
            let values = values.into_iter().map(str::to_owned);
            self.labels.into_iter().zip(values).collect()
        };
        let mut labels = named(values);
        {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= SERIES_MAX && !known.contains(&labels) {
                labels = named([OTHER; N]);
            }
            known.insert(labels.clone());
        }
        self.family.get_or_create(&labels).inc();
    }
}

impl<const N: usize> fmt::Debug for Seldom<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seldom")
            .field("labels", &self.labels)
            .finish_non_exhaustive()
    }
}

/// A metric with two labels.
pub struct Pairs<M: Handle> {
    labels: [&'static str; 2],
    family: Family<Labels, M, fn() -> M>,
    size: AtomicUsize,
    handles: Names<Arc<Names<M>>>,
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
            size: AtomicUsize::new(0),
            handles: Names::new(),
        }
    }

    /// Calls `act` with the handle of this pair of values.
    pub fn with<R>(&self, first: &str, second: &str, act: impl FnOnce(&M) -> R) -> R {
        if let Some(inner) = self.handles.published.load().get(first)
            && let Some(handle) = inner.published.load().get(second)
        {
            return act(handle);
        }
        let known = || {
            self.handles.contains(first)
                && self
                    .handles
                    .with(first, Self::inner, |inner| inner.contains(second))
        };
        let has_room = self.size.load(Relaxed) < SERIES_MAX || known();
        let (first, second) = if has_room {
            (first, second)
        } else {
            (OTHER, OTHER)
        };
        let make = || {
            self.size.fetch_add(1, Relaxed);
            let [first_label, second_label] = self.labels;
            self.family.get_or_create_owned(&vec![
                (first_label, first.to_owned()),
                (second_label, second.to_owned()),
            ])
        };
        self.handles
            .with(first, Self::inner, |inner| inner.with(second, make, act))
    }

    fn inner() -> Arc<Names<M>> {
        Arc::new(Names::new())
    }
}

impl<M: Handle> fmt::Debug for Pairs<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pairs")
            .field("labels", &self.labels)
            .finish_non_exhaustive()
    }
}
