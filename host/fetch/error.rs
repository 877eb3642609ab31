//! Errors of a fetch.

use std::io;
use std::time::Duration;

use crate::network::PrivateAddress;
use crate::network::trust::TrustError;

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Not a URL, too long a one, or one with credentials in it.
    #[error("the URL cannot be fetched: {0}")]
    BadUrl(&'static str),
    /// The host or its port is none of those that the policy names.
    #[error("the host `{0}` is none of those that may be asked")]
    ForeignHost(String),
    /// The host has no address.
    #[error("the host `{host}` cannot be resolved")]
    Unresolved {
        /// Its name.
        host: String,
        /// The resolver's reason.
        #[source]
        source: io::Error,
    },
    /// The host has only addresses that may not be connected to.
    #[error("the host `{host}` has no address that may be connected to")]
    Private {
        /// Its name.
        host: String,
        /// One of the addresses.
        #[source]
        source: PrivateAddress,
    },
    /// No TCP connection.
    #[error("connecting failed")]
    Connect(#[source] io::Error),
    /// No TLS: most likely the certificate is not the host's.
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    /// There are no root certificates.
    #[error("TLS is not set up")]
    Trust(#[source] TrustError),
    /// The connection broke, or the answer is not HTTP.
    #[error("the answer is not whole HTTP")]
    Http(#[source] hyper::Error),
    /// A redirect, which is never followed: where it leads was not checked by anybody.
    #[error("the answer is a redirect (status {0}), which is not followed")]
    Redirect(u16),
    /// Neither 2xx nor a redirect.
    #[error("the answer has status {0}")]
    Status(u16),
    /// The answer has more bytes than the policy allows.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
    /// The time of the policy is up.
    #[error("no whole answer within {0:?}")]
    Timeout(Duration),
}

impl FetchError {
    /// Stable name of the reason, for logs and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadUrl(_) => "bad_url",
            Self::ForeignHost(_) => "foreign_host",
            Self::Unresolved { .. } => "unresolved",
            Self::Private { .. } => "private_address",
            Self::Connect(_) => "connect",
            Self::Tls(_) => "tls",
            Self::Trust(_) => "no_roots",
            Self::Http(_) => "http",
            Self::Redirect(_) => "redirect",
            Self::Status(_) => "status",
            Self::TooLarge(_) => "too_large",
            Self::Timeout(_) => "timeout",
        }
    }

    /// True if the same fetch may succeed a little later without anybody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unresolved { .. } | Self::Connect(_) | Self::Http(_) | Self::Timeout(_) => true,
            Self::Status(status) => matches!(status, 408 | 425 | 429 | 500..=599),
            Self::BadUrl(_)
            | Self::ForeignHost(_)
            | Self::Private { .. }
            | Self::Tls(_)
            | Self::Trust(_)
            | Self::Redirect(_)
            | Self::TooLarge(_) => false,
        }
    }
}
