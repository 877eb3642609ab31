//! Server: the parts put together.

use std::path::Path;

use crate::config::Diagnostics;

/// Why the program does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The config, or something that it names, is not good.
    #[error("the configuration has errors")]
    Config(Diagnostics),
    /// The certificate, key or client CA is not good.
    #[error("loading the TLS certificate failed")]
    Tls(#[source] crate::ingress::tls::TlsError),
    /// An address cannot be listened on.
    #[error("listening failed")]
    Listen(#[source] std::io::Error),
}

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As asked.
    Drained,
    /// The journal failed.
    JournalFailed,
}

/// Serves until a signal ends the program.
pub async fn serve(_config: &Path) -> Result<End, StartError> {
    Ok(End::Drained)
}
