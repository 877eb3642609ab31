//! Shutdown: from a signal to an empty program.
//!
//! Two steps, as tokens. **Draining**: take nothing new, finish what runs. **Cut**: the deadline passed or
//! a second signal came, so let go of the rest; the journal has it. What stops in which order is the
//! server's to say; this module knows signals and time only.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Clones share their state.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    drain: CancellationToken,
    cut: CancellationToken,
}

impl Shutdown {
    /// Nothing has been asked for yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins to drain, and cuts what is left after `deadline`. Later calls do nothing.
    pub fn begin(&self, deadline: Duration) {
        if self.drain.is_cancelled() {
            return;
        }
        self.drain.cancel();
        let cut = self.cut.clone();
        tokio::spawn(async move {
            tokio::time::sleep(deadline).await;
            cut.cancel();
        });
    }

    /// Drains and cuts at once.
    pub fn force(&self) {
        self.drain.cancel();
        self.cut.cancel();
    }

    /// True from the first step on.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// Resolves with the first step.
    pub async fn draining(&self) {
        self.drain.cancelled().await;
    }

    /// Resolves with the second step.
    pub async fn cut(&self) {
        self.cut.cancelled().await;
    }

    /// The first step as a token, for children of it.
    #[must_use]
    pub fn drain_token(&self) -> &CancellationToken {
        &self.drain
    }

    /// The second step as a token.
    #[must_use]
    pub fn cut_token(&self) -> &CancellationToken {
        &self.cut
    }
}

/// The process's signals. While it exists, none of them ends the process by itself.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// SIGTERM or SIGINT.
    Stop(&'static str),
    /// SIGHUP.
    Reload,
}

impl Signals {
    /// Starts to listen. Fails only where the runtime has no signal driver.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next signal. Signals that come while nobody waits are kept, equal ones as one.
    pub async fn next(&mut self) -> Request {
        tokio::select! {
            _ = self.terminate.recv() => Request::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Request::Stop("SIGINT"),
            _ = self.hang_up.recv() => Request::Reload,
        }
    }

    /// Turns signals into shutdown steps and reload requests until `shutdown` is cut. The first stop
    /// signal begins to drain, with `deadline`; a second one cuts. Each SIGHUP sends into `reloads`; if a
    /// request waits there already, it stands for both.
    pub async fn watch(
        mut self,
        shutdown: Shutdown,
        deadline: Duration,
        reloads: tokio::sync::mpsc::Sender<()>,
    ) {
        loop {
            let request = tokio::select! {
                request = self.next() => request,
                () = shutdown.cut() => return,
            };
            match request {
                Request::Stop(name) if shutdown.is_draining() => {
                    tracing::warn!(signal = name, "second signal: stopping at once");
                    shutdown.force();
                }
                Request::Stop(name) => {
                    tracing::info!(signal = name, deadline = ?deadline, "draining; again to stop at once");
                    shutdown.begin(deadline);
                }
                Request::Reload => {
                    // Full means that a reload is about to happen, which will see this change too.
                    let _ = reloads.try_send(());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_deadline_cuts_what_does_not_drain() {
        let shutdown = Shutdown::new();
        assert!(!shutdown.is_draining());
        shutdown.begin(Duration::from_millis(1));
        shutdown.draining().await;
        shutdown.cut().await;
    }

    #[tokio::test]
    async fn only_the_first_deadline_counts() {
        let shutdown = Shutdown::new();
        shutdown.begin(Duration::from_secs(3600));
        shutdown.begin(Duration::ZERO);
        tokio::task::yield_now().await;
        assert!(!shutdown.cut_token().is_cancelled());
    }

    #[tokio::test]
    async fn a_forced_stop_does_not_wait_for_the_deadline() {
        let shutdown = Shutdown::new();
        shutdown.begin(Duration::from_secs(3600));
        shutdown.force();
        shutdown.cut().await;
    }
}
