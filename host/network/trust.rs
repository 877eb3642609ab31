//! Trust: which certificates an outgoing TLS connection accepts.
//!
//! Those that lead to a root certificate of the system. Another bundle is named by `SSL_CERT_FILE`, as for most
//! programs.

use hyper_rustls::ConfigBuilderExt as _;
use rustls::{ClientConfig, RootCertStore};

/// Why there are no TLS settings.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The system has no root certificates, or they cannot be read.
    #[error(
        "no root certificates found for https; install the package `ca-certificates` or set SSL_CERT_FILE"
    )]
    NoRoots(#[source] std::io::Error),
    /// rustls and its provider of cryptography do not fit together.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
}

/// Settings that trust the system's root certificates. Reads files.
///
/// # Errors
/// See [`TrustError`].
pub fn system() -> Result<ClientConfig, TrustError> {
    let builder = builder()?
        .with_native_roots()
        .map_err(TrustError::NoRoots)?;
    Ok(builder.with_no_client_auth())
}

/// Settings that trust nobody, for a client that speaks plain HTTP only.
///
/// # Errors
/// See [`TrustError`].
pub fn nobody() -> Result<ClientConfig, TrustError> {
    let builder = builder()?.with_root_certificates(RootCertStore::empty());
    Ok(builder.with_no_client_auth())
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, TrustError> {
    // `ring` is the program's only provider of cryptography.
    let provider = rustls::crypto::ring::default_provider();
    ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .map_err(TrustError::Setup)
}
