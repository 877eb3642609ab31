//! Admin.

use async_trait::async_trait;

/// What the admin API can ask of the running program.
#[async_trait]
pub trait Control: Send + Sync + 'static {
    /// Reads the config again and swaps the generation if it is good.
    async fn reload(&self) -> ReloadReport;
    /// The present state.
    fn status(&self) -> Status;
}

/// How a reload went.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ReloadReport {
    /// True if the new config is the running one.
    pub ok: bool,
    /// Number of the generation that runs now, from 1.
    pub generation: u64,
    /// What changed, a line each (`plugin normalize-kyc: 3f2a... -> 9b1c...`); empty if nothing did.
    pub changes: Vec<String>,
    /// The rendered diagnostics, without colours; empty if there are none.
    pub diagnostics: String,
}

/// The present state.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Status {
    /// Number of the running generation.
    pub generation: u64,
    /// True while the program takes webhooks: started, journal healthy and not full, not draining.
    pub ready: bool,
    /// Why not, in stable words (`starting`, `draining`, `journal_failed`, `journal_full`); empty if ready.
    pub not_ready: Vec<&'static str>,
}
