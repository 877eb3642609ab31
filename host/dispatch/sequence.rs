//! Sequence: events of a route with a key reach the workers in the journal's order, although their
//! plugins run at the same time.
//!
//! Each event gets a turn: it waits for the turns before it on the same routes, and its own ends when it
//! is dropped, whatever became of the event.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::oneshot;

/// Hands out turns. To be called in the order of the journal.
#[derive(Debug, Default)]
pub(super) struct Sequencer {
    last: HashMap<Arc<str>, oneshot::Receiver<()>>,
}

/// One event's turn on its routes.
#[derive(Debug)]
pub(super) struct Turn {
    before: tokio::sync::Mutex<Vec<oneshot::Receiver<()>>>,
    _done: Vec<oneshot::Sender<()>>,
}

impl Sequencer {
    /// A turn on these routes.
    pub(super) fn turn(&mut self, routes: &[Arc<str>]) -> Turn {
        let mut before = Vec::with_capacity(routes.len());
        let mut done = Vec::with_capacity(routes.len());
        for route in routes {
            let (sender, receiver) = oneshot::channel();
            before.extend(self.last.insert(route.clone(), receiver));
            done.push(sender);
        }
        Turn {
            before: tokio::sync::Mutex::new(before),
            _done: done,
        }
    }
}

impl Turn {
    /// Waits until all turns before this one have ended.
    pub(super) async fn wait(&self) {
        for earlier in self.before.lock().await.drain(..) {
            // The sender is only ever dropped: an error is the signal.
            earlier.await.ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn a_turn_waits_for_the_earlier_turns_of_its_routes_and_for_no_others() {
        let mut sequencer = Sequencer::default();
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let first = sequencer.turn(std::slice::from_ref(&a));
        let second = sequencer.turn(&[a.clone(), b.clone()]);
        let third = sequencer.turn(std::slice::from_ref(&b));
        let free = sequencer.turn(&[]);
        assert!(free.wait().now_or_never().is_some());
        assert!(first.wait().now_or_never().is_some());
        assert!(second.wait().now_or_never().is_none());
        drop(first);
        let fourth = sequencer.turn(&[a]);
        assert!(third.wait().now_or_never().is_none());
        drop(second);
        drop(third);
        assert!(fourth.wait().now_or_never().is_some());
    }
}
