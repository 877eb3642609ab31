//! The epoch ticker: one thread per engine that advances wasmtime's epoch every millisecond, so that
//! guest code looks up from its work and its deadline is checked.
//!
//! Invariant: while at least one [`Running`] lives, the epoch advances. Without any the thread goes to
//! sleep after a while, so that an idle host does not wake a core a thousand times a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::engine::EngineError;

/// One epoch. A deadline is exact to about this much.
pub(super) const TICK: Duration = Duration::from_millis(1);
/// Ticks without a call before the thread sleeps.
const IDLE_TICKS: u32 = 128;

/// The thread's handle; dropping it ends the thread.
#[derive(Debug)]
pub(super) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    running: AtomicUsize,
    asleep: AtomicBool,
    stop: AtomicBool,
}

/// A call that needs the epoch to advance.
#[derive(Debug)]
pub(super) struct Running<'t>(&'t Ticker);

impl Ticker {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub(super) fn start(engine: &wasmtime::Engine) -> Result<Self, EngineError> {
        let shared = Arc::new(Shared::default());
        // Weak: a ticker that outlives its engine must not keep it alive.
        let weak = engine.weak();
        let thread = thread::Builder::new()
            .name("plugin-epoch".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || {
                    let advance = || weak.upgrade().map(|engine| engine.increment_epoch());
                    tick(&shared, advance);
                }
            })
            .map_err(EngineError::Thread)?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Keeps the epoch advancing as long as the result lives.
    #[must_use]
    pub(super) fn run(&self) -> Running<'_> {
        // The order (count up, then look whether it sleeps) mirrors that of the thread (say that it
        // sleeps, then look at the count): one of the two sees the other.
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.wake();
        }
        Running(self)
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.shared.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // The thread cannot panic: it only counts. A join error would change nothing here.
            drop(thread.join());
        }
    }
}

fn tick(shared: &Shared, advance: impl Fn() -> Option<()>) {
    let mut idle_ticks = 0;
    while !shared.stop.load(Ordering::SeqCst) {
        // Not `sleep`, so that stopping does not wait. A spurious wake makes an epoch short, no more.
        thread::park_timeout(TICK);
        if advance().is_none() {
            return;
        }
        idle_ticks = match shared.running.load(Ordering::SeqCst) {
            0 => idle_ticks + 1,
            _ => 0,
        };
        if idle_ticks >= IDLE_TICKS {
            shared.asleep.store(true, Ordering::SeqCst);
            if shared.running.load(Ordering::SeqCst) == 0 && !shared.stop.load(Ordering::SeqCst) {
                thread::park();
            }
            shared.asleep.store(false, Ordering::SeqCst);
            idle_ticks = 0;
        }
    }
}
