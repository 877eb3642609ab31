//! TLS: the listener's identity, which can be replaced while it runs.
//!
//! rustls with the ring provider, TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1 by ALPN. A handshake takes the
//! configuration that is current when it begins; one that does not load changes nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::config::{self, ClientAuth};

/// A certificate or key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read or holds no such thing.
    #[error("{what} {}: {source}", file.display())]
    Pem {
        /// `certificate`, `private key` or `client CA`.
        what: &'static str,
        /// The file.
        file: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// The file holds no certificate.
    #[error("{what} {}: the file holds no certificate in PEM", file.display())]
    Empty {
        /// `certificate` or `client CA`.
        what: &'static str,
        /// The file.
        file: PathBuf,
    },
    /// Certificate and key do not fit, or rustls does not take one of them.
    #[error("certificate {} with key {}: {source}", cert.display(), key.display())]
    Pair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The client CA cannot be used.
    #[error("client CA {}: {reason}", file.display())]
    ClientCa {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
}

/// The identity in use.
#[derive(Debug)]
pub struct Identity {
    current: ArcSwap<ServerConfig>,
}

impl Identity {
    /// Reads certificate, key and client CA.
    pub fn load(tls: &config::Tls) -> Result<Self, TlsError> {
        Ok(Self {
            current: ArcSwap::from(read(tls)?),
        })
    }

    /// Reads them again. On an error the present identity stays. Connections that are open stay open.
    pub fn reload(&self, tls: &config::Tls) -> Result<(), TlsError> {
        self.current.store(read(tls)?);
        Ok(())
    }

    /// What the next handshake uses.
    #[must_use]
    pub fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }
}

fn certificates(what: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = |source| TlsError::Pem {
        what,
        file: file.to_owned(),
        source,
    };
    let certificates = CertificateDer::pem_file_iter(file)
        .map_err(pem)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(pem)?;
    if certificates.is_empty() {
        let file = file.to_owned();
        return Err(TlsError::Empty { what, file });
    }
    Ok(certificates)
}

/// Reads and checks the files.
pub fn read(tls: &config::Tls) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = certificates("certificate", &tls.cert)?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|source| TlsError::Pem {
        what: "private key",
        file: tls.key.clone(),
        source,
    })?;
    let pair = |source| TlsError::Pair {
        cert: tls.cert.clone(),
        key: tls.key.clone(),
        source,
    };
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(pair)?;
    let builder = match &tls.client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let unusable = |reason: String| TlsError::ClientCa {
                file: file.clone(),
                reason,
            };
            let mut roots = RootCertStore::empty();
            for certificate in certificates("client CA", file)? {
                roots
                    .add(certificate)
                    .map_err(|error| unusable(error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = match tls.client_auth {
                ClientAuth::Required => verifier,
                ClientAuth::Optional => verifier.allow_unauthenticated(),
            };
            let verifier = verifier
                .build()
                .map_err(|error| unusable(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut server = builder.with_single_cert(chain, key).map_err(pair)?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Senders that connect once per event resume their sessions; the keys live and go with this identity.
    server.ticketer = ring::Ticketer::new().map_err(pair)?;
    Ok(Arc::new(server))
}
