//! Gate: how many events of a source may wait for their 2xx at a time.
//!
//! The bound is the source's (`in_flight`); the counts are kept here by name, because they outlive a
//! reload. Entries are as many as names of sources ever configured in this process.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

/// Counts of all sources.
#[derive(Debug, Default)]
pub struct Gate {
    counts: ArcSwap<HashMap<Arc<str>, Arc<AtomicUsize>>>,
    growing: Mutex<()>,
}

/// Leave to hold one event; given back when dropped.
#[derive(Debug)]
pub struct Pass(Arc<AtomicUsize>);

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Gate {
    /// A pass if fewer than `max` are out for this source.
    pub fn enter(&self, source: &Arc<str>, max: usize) -> Option<Pass> {
        let known = self.counts.load().get(source).map(Arc::clone);
        let count = known.unwrap_or_else(|| self.grow(source));
        // Made before the check, so that the drop of a refused pass takes the count back.
        let before = count.fetch_add(1, Relaxed);
        let pass = Pass(count);
        (before < max).then_some(pass)
    }

    fn grow(&self, source: &Arc<str>) -> Arc<AtomicUsize> {
        let _growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.counts.load();
        if let Some(count) = known.get(source) {
            return Arc::clone(count);
        }
        let mut counts = HashMap::clone(&known);
        let count = Arc::<AtomicUsize>::default();
        counts.insert(Arc::clone(source), Arc::clone(&count));
        self.counts.store(Arc::new(counts));
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_are_bounded_per_source_and_come_back() {
        let gate = Gate::default();
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let first = gate.enter(&a, 2);
        let second = gate.enter(&a, 2);
        assert!(first.is_some() && second.is_some());
        assert!(gate.enter(&a, 2).is_none());
        assert!(gate.enter(&b, 2).is_some());
        drop(first);
        assert!(gate.enter(&a, 2).is_some());
    }
}
