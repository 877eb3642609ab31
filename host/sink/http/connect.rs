//! Connecting: DNS, TCP and TLS of the HTTP sink, with the address checked at the last moment.
//!
//! The check sits in the connector and not in the configuration because a name can resolve to something
//! else a minute later: what is checked is the very address that is connected to, literal or resolved.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service;

use crate::network::{PrivateAddress, is_allowed, permitted};

/// Time for name resolution and TCP.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Time for the TLS handshake.
const TLS_TIMEOUT: Duration = Duration::from_secs(5);

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type BoxFuture<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// A step of connecting took too long.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum TooSlow {
    /// Name resolution or TCP.
    #[error("no connection within 3 s")]
    Connect,
    /// TLS.
    #[error("no TLS handshake within 5 s")]
    Tls,
}

/// Set once a connection has carried an answer; a request that fails on it may have met a connection
/// that the other side was just closing for idleness.
#[derive(Clone, Debug, Default)]
pub(super) struct Reused(Arc<AtomicBool>);

impl Reused {
    /// Marks the connection as used.
    pub(super) fn mark(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// True if the connection has carried an answer before.
    pub(super) fn is_marked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The connector of the sink's client.
#[derive(Clone)]
pub(super) struct Connector {
    https: HttpsConnector<Tcp>,
}

impl Connector {
    /// A connector that goes to public addresses and those in `allow_private`.
    pub(super) fn new(allow_private: &[IpNet], tls: ClientConfig) -> Self {
        let allow: Arc<[IpNet]> = allow_private.into();
        let mut http = HttpConnector::new_with_resolver(Resolver {
            allow: allow.clone(),
        });
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_keepalive(Some(Duration::from_secs(60)));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(Tcp { http, allow });
        Self { https }
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<Counted>;
    type Error = BoxError;
    type Future = BoxFuture<Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.https.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.https.call(uri);
        // `Tcp` ends by itself after its own time, so what is still running at the end of both is TLS.
        Box::pin(async move {
            timeout(CONNECT_TIMEOUT + TLS_TIMEOUT, connecting)
                .await
                .map_err(|_| TooSlow::Tls)?
        })
    }
}

/// Resolves names and leaves out addresses that may not be connected to.
#[derive(Clone)]
struct Resolver {
    allow: Arc<[IpNet]>,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = BoxFuture<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let allow = self.allow.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(permitted(found, &allow)?.into_iter())
        })
    }
}

/// TCP, with literal addresses checked too: the resolver is not asked for those.
#[derive(Clone)]
struct Tcp {
    http: HttpConnector<Resolver>,
    allow: Arc<[IpNet]>,
}

impl Service<Uri> for Tcp {
    type Response = Counted;
    type Error = BoxError;
    type Future = BoxFuture<Counted>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.http.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        if let Some(ip) = literal_address(&uri)
            && !is_allowed(ip, &self.allow)
        {
            return Box::pin(async move { Err(PrivateAddress(ip).into()) });
        }
        let connecting = self.http.call(uri);
        Box::pin(async move {
            let io = timeout(CONNECT_TIMEOUT, connecting)
                .await
                .map_err(|_| TooSlow::Connect)??;
            Ok(Counted {
                io,
                reused: Reused::default(),
            })
        })
    }
}

/// The host as an address, if it is written as one.
fn literal_address(uri: &Uri) -> Option<IpAddr> {
    let host = uri.host()?;
    let host = host.strip_prefix('[').unwrap_or(host);
    host.strip_suffix(']').unwrap_or(host).parse().ok()
}

/// A connection that says whether it has been used before.
pub(super) struct Counted {
    io: TokioIo<TcpStream>,
    reused: Reused,
}

impl Connection for Counted {
    fn connected(&self) -> Connected {
        self.io.connected().extra(self.reused.clone())
    }
}

impl Read for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn literal_hosts_are_recognised_in_each_spelling() {
        for (uri, expected) in [
            ("http://127.0.0.1:80/a", Some("127.0.0.1")),
            ("http://[::1]/", Some("::1")),
            ("https://[::ffff:10.0.0.1]:8443/", Some("::ffff:10.0.0.1")),
            ("http://localhost/", None),
            ("http://0177.0.0.1/", None),
        ] {
            let expected = expected.map(|ip| ip.parse::<IpAddr>().unwrap());
            assert_eq!(literal_address(&uri.parse().unwrap()), expected, "{uri}");
        }
    }
}
