//! Reload: from a changed file to the next generation, or to a report of why not.
//!
//! One path for all triggers: a file that changed, SIGHUP, `POST /reload`. Invariants: one reload at a
//! time; a config or component that does not validate changes nothing; listeners stay open.

mod watch;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::admin::ReloadReport;
use crate::config::{self, Diagnostics};
use crate::generation::{Current, Parts, prepare};
use crate::ingress::tls;

pub use watch::{Fingerprint, fingerprint, watch};

/// Reloads one config file.
pub struct Reloader {
    file: PathBuf,
    parts: Parts,
    current: Arc<Current>,
    tls: Option<Arc<tls::Identity>>,
    running: Mutex<()>,
    /// The files as they were before the first generation read them.
    first_seen: Fingerprint,
}

impl Reloader {
    /// For the config that `current` was made of, the listener's certificate if it has one, and the files as
    /// they were before all that was read.
    #[must_use]
    pub fn new(
        file: PathBuf,
        parts: Parts,
        current: Arc<Current>,
        tls: Option<Arc<tls::Identity>>,
        first_seen: Fingerprint,
    ) -> Self {
        Self {
            file,
            parts,
            current,
            tls,
            running: Mutex::new(()),
            first_seen,
        }
    }

    /// Reads everything again and swaps the generation if all of it is good.
    pub async fn reload(&self) -> ReloadReport {
        let _one_at_a_time = self.running.lock().await;
        let report = self
            .attempt()
            .await
            .unwrap_or_else(|problems| ReloadReport {
                ok: false,
                generation: self.current.load().number,
                changes: Vec::new(),
                diagnostics: problems,
            });
        self.parts.metrics.reloaded(report.ok, report.generation);
        if !report.ok {
            tracing::error!(
                generation = report.generation,
                "reload refused, the running generation stays:\n{}",
                report.diagnostics
            );
        } else {
            tracing::info!(generation = report.generation, changes = %report.changes.join("; "), "reloaded");
        }
        report
    }

    async fn attempt(&self) -> Result<ReloadReport, String> {
        let file = self.file.clone();
        let loaded = tokio::task::spawn_blocking(move || config::load(&file))
            .await
            .map_err(|error| format!("reading the config failed: {error}"))?;
        let (config, warnings) = loaded.map_err(|problems| render(&problems))?;
        let running = self.current.load();
        let mut diagnostics = render(&warnings);
        for line in running.config.restart_needed(&config) {
            diagnostics.push_str(&format!("note: {line}\n"));
        }
        // The certificate is read again on every reload: it changes without the config changing.
        let identity = self.tls.as_ref().zip(config.server.tls.clone());
        if let Some((_, files)) = &identity {
            tls::read(files).map_err(|error| format!("error[tls]: {error}\n"))?;
        }
        let prepared = prepare(
            config,
            warnings,
            &self.parts.engine,
            &self.parts.state,
            Some(&running),
        )
        .await
        .map_err(|problems| render(&problems))?;
        if let Some((identity, files)) = identity {
            identity
                .reload(&files)
                .map_err(|error| format!("error[tls]: {error}\n"))?;
        }
        let changes = prepared.changes.clone();
        let number = running.number + 1;
        let next = prepared.start(number, &self.parts, Some(&running));
        self.current.swap(next);
        Ok(ReloadReport {
            ok: true,
            generation: number,
            changes,
            diagnostics,
        })
    }

    /// The files whose change is a reason to reload.
    fn files(&self) -> Vec<PathBuf> {
        self.current.load().config.watched_files()
    }
}

fn render(problems: &Diagnostics) -> String {
    problems.render(false)
}
