//! Log budget: so many lines a second, however many requests an attacker sends.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Lines a second.
const LINES_MAX: u32 = 20;
const WINDOW: Duration = Duration::from_secs(1);

/// Counts lines and what was left out.
#[derive(Debug, Default)]
pub(super) struct LogBudget(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    lines: u32,
    skipped: u64,
}

impl LogBudget {
    /// Leave to write a line, with the number of lines left out since the last one; `None`: leave it out.
    pub(super) fn spend(&self) -> Option<u64> {
        self.spend_at(Instant::now())
    }

    fn spend_at(&self, now: Instant) -> Option<u64> {
        // Whoever waits here would rather not log; a poisoned lock is one more line left out.
        let mut window = self.0.try_lock().ok()?;
        if window
            .began
            .is_none_or(|began| now.duration_since(began) >= WINDOW)
        {
            window.began = Some(now);
            window.lines = 0;
        }
        if window.lines >= LINES_MAX {
            window.skipped += 1;
            return None;
        }
        window.lines += 1;
        Some(std::mem::take(&mut window.skipped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_to_the_budget_and_counted() {
        let budget = LogBudget::default();
        let start = Instant::now();
        let written = (0..100)
            .filter(|_| budget.spend_at(start).is_some())
            .count();
        assert_eq!(written, 20);
        assert_eq!(budget.spend_at(start + WINDOW), Some(80));
        assert_eq!(budget.spend_at(start + WINDOW), Some(0));
    }
}
