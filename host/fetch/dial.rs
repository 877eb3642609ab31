//! Dial: from a checked host to a TLS stream, with the address checked at the last moment.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::FetchError;
use super::policy::Target;
use crate::network::permitted;

/// Time for TCP to one address, so that a dead one leaves time for the next.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Addresses of a host that are tried.
const ADDRESSES_MAX: usize = 4;

/// Connects to the first address that answers, of those that may be connected to.
pub(super) async fn connect(
    target: &Target,
    allow_private: &[IpNet],
    tls: &Arc<ClientConfig>,
) -> Result<TlsStream<TcpStream>, FetchError> {
    let addresses = resolve(target, allow_private).await?;
    let stream = first_of(&addresses).await.map_err(FetchError::Connect)?;
    let name = ServerName::try_from(target.host.clone())
        .map_err(|_| FetchError::BadUrl("its host cannot have a certificate"))?;
    TlsConnector::from(tls.clone())
        .connect(name, stream)
        .await
        .map_err(FetchError::Tls)
}

async fn resolve(target: &Target, allow_private: &[IpNet]) -> Result<Vec<SocketAddr>, FetchError> {
    let unresolved = |source| FetchError::Unresolved {
        host: target.host.clone(),
        source,
    };
    let found: Vec<SocketAddr> = match target.host.parse::<IpAddr>() {
        Ok(literal) => vec![SocketAddr::new(literal, target.port)],
        Err(_) => tokio::net::lookup_host((target.host.as_str(), target.port))
            .await
            .map_err(unresolved)?
            .collect(),
    };
    if found.is_empty() {
        return Err(unresolved(io::Error::other("it has no address")));
    }
    permitted(found.into_iter(), allow_private).map_err(|source| FetchError::Private {
        host: target.host.clone(),
        source,
    })
}

async fn first_of(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut last = None;
    for address in addresses.iter().take(ADDRESSES_MAX) {
        match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = Some(error),
            Err(_) => last = Some(io::ErrorKind::TimedOut.into()),
        }
    }
    Err(last.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
}
