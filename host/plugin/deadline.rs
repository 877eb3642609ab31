//! How long a guest may run, and what happens at each tick of the epoch.
//!
//! The limit is on the time that the guest itself runs, so that neither a busy machine nor a neighbour
//! that spins makes a well-behaved plugin late. Each tick the guest gives its thread back to the runtime;
//! what passes until it is resumed is not charged. The whole call, waiting included, has a second, wider
//! limit, which the caller sets on its future.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use wasmtime::UpdateDeadline;

use super::limits::{Expired, Late};
use super::ticker::TICK;

/// Most that one slice is charged. A slice is a tick long, unless the system took the thread away or the
/// guest waited for the host meanwhile, neither of which is the guest's doing.
const SLICE_MAX: Duration = Duration::from_millis(2 * TICK.as_millis() as u64);

/// How much longer than its time a call may take with all waiting.
const PATIENCE: u32 = 10;

/// The limit of a call as a whole whose guest may run for `time`.
pub(super) fn overall(time: Duration) -> Duration {
    time * PATIENCE
}

/// Awaits `call`, whose guest may run for `time`, no longer than [`overall`].
pub(super) async fn within<T>(
    time: Duration,
    call: impl Future<Output = wasmtime::Result<T>>,
) -> wasmtime::Result<T> {
    tokio::time::timeout(overall(time), call)
        .await
        .unwrap_or_else(|_| Err(Late.into()))
}

/// What to do at a tick, for a guest that starts now and may run for `time`.
pub(super) fn watch(
    time: Duration,
) -> impl FnMut() -> wasmtime::Result<UpdateDeadline> + Send + Sync + 'static {
    let start = Instant::now();
    // Nanoseconds from `start` to when the guest was last resumed.
    let resumed = Arc::new(AtomicU64::new(0));
    let mut ran = Duration::ZERO;
    move || {
        let slice = start
            .elapsed()
            .saturating_sub(Duration::from_nanos(resumed.load(Ordering::Relaxed)));
        ran += slice.min(SLICE_MAX);
        if ran >= time {
            return Err(Expired.into());
        }
        let resumed = Arc::clone(&resumed);
        // tokio's own yield: woken only after the runtime looked at its timers and sockets, which a task
        // that wakes itself would keep waiting for dozens of turns.
        let pause = async move {
            tokio::task::yield_now().await;
            let now = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
            resumed.store(now, Ordering::Relaxed);
        };
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(pause)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_without_time_between_them_never_expire() {
        let mut tick = watch(Duration::from_secs(3600));
        for _ in 0..1000 {
            assert!(matches!(tick(), Ok(UpdateDeadline::YieldCustom(1, _))));
        }
    }

    #[test]
    fn a_guest_that_has_run_for_its_time_is_stopped() {
        let mut tick = watch(Duration::ZERO);
        assert!(tick().is_err_and(|error| error.is::<Expired>()));
    }

    #[test]
    fn a_long_gap_is_charged_as_one_slice() {
        let start = Instant::now();
        let mut tick = watch(SLICE_MAX * 2);
        while start.elapsed() < SLICE_MAX * 4 {
            std::hint::spin_loop();
        }
        assert!(tick().is_ok(), "the first slice");
        assert!(tick().is_err(), "the second");
    }
}
