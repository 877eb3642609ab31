//! Connection: one client from handshake to goodbye.
//!
//! Chooses the protocol (ALPN under TLS; else HTTP/2 if the first bytes are its preface, RFC 9113 section
//! 3.4), drives it, watches its pace and drains it. Requests run inside of the connection's task on
//! HTTP/1.1, and in a task per stream on HTTP/2.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::answer::Refusal;
use super::certificate::Identity;
use super::pace::{Pace, Phase};
use super::request::{self, Door, Link};
use super::socket::Socket;

/// hyper's smallest read buffer, and so the smallest bound of an HTTP/1.1 head.
const BUFFER_BYTES_MIN: usize = 8192;
/// Streams at a time on one HTTP/2 connection.
const STREAMS_MAX: u32 = 128;
/// Bytes of bodies that one HTTP/2 connection may have under way to us, in all and per stream.
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// Bytes of answers that wait for an HTTP/2 client to take them.
const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// An HTTP/2 client that answers no PING for this long is gone.
const PING: Duration = Duration::from_secs(20);

/// Serves one connection to its end.
pub async fn run(stream: TcpStream, peer: SocketAddr, door: &Arc<Door>, drain: CancellationToken) {
    let limits = &door.deps.limits;
    let pace = Arc::new(Pace::new(limits.header_timeout, limits.body_timeout));
    let deadline = tokio::time::sleep(limits.header_timeout);
    let link = |http2, identity| {
        Arc::new(Link {
            door: Arc::clone(door),
            pace: Arc::clone(&pace),
            peer,
            http2,
            identity,
        })
    };
    let Some(identity) = &door.deps.tls else {
        let http2 = tokio::select! {
            biased;
            http2 = has_http2_preface(&stream) => http2,
            () = drain.cancelled() => return,
            () = deadline => return,
        };
        match http2 {
            Some(true) => http2_connection(stream, link(true, None), drain).await,
            Some(false) => http1_connection(stream, link(false, None), drain).await,
            None => {}
        }
        return;
    };
    let handshake = TlsAcceptor::from(identity.current()).accept(stream);
    let shaken = tokio::select! {
        biased;
        shaken = handshake => shaken,
        () = deadline => return,
    };
    match shaken {
        Ok(stream) => {
            let session = stream.get_ref().1;
            let shown = session.peer_certificates().and_then(<[_]>::first);
            let identity = shown.map(Identity::of);
            if session.alpn_protocol() == Some(b"h2") {
                http2_connection(stream, link(true, identity), drain).await;
            } else {
                http1_connection(stream, link(false, identity), drain).await;
            }
        }
        Err(error) => tracing::debug!(%peer, %error, "TLS handshake failed"),
    }
}

/// Looks at the first bytes without taking them. No method we serve begins with `PRI`; a client that
/// sends its preface in pieces of one byte is taken for HTTP/1.1, and told 400. `None`: it left.
async fn has_http2_preface(stream: &TcpStream) -> Option<bool> {
    let mut first = [0_u8; 3];
    match stream.peek(&mut first).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(first == *b"PRI" || first == *b"PR\0"),
    }
}

async fn http1_connection<S>(stream: S, link: Arc<Link>, drain: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let pace = Arc::clone(&link.pace);
    let (door, peer) = (Arc::clone(&link.door), link.peer);
    let socket = TokioIo::new(Socket::new(stream, Arc::clone(&pace), false));
    let service = service_fn(move |request| request::answer(Arc::clone(&link), request));
    let mut connection = http1::Builder::new()
        // Ours is `Pace`, which costs no timer per request.
        .header_read_timeout(None)
        .max_buf_size(door.deps.limits.header_bytes_max.max(BUFFER_BYTES_MIN))
        // A sender may close its writing side once the request is out.
        .half_close(true)
        // Answers are small: one copy is cheaper than a vectored write.
        .writev(false)
        .serve_connection(socket, service);

    let mut draining = false;
    let mut watch = std::pin::pin!(tokio::time::sleep(pace.tick()));
    let ended = loop {
        tokio::select! {
            biased;
            ended = &mut connection => break Some(ended),
            () = drain.cancelled(), if !draining => {
                draining = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
            () = &mut watch => {
                watch.as_mut().reset(tokio::time::Instant::now() + pace.tick());
                if pace.overdue(Instant::now()) {
                    if pace.phase() != Phase::Body {
                        break None;
                    }
                    pace.expire();
                }
            }
        }
    };
    let socket = connection.into_parts().io.into_inner();
    let last = match ended {
        None if pace.has_partial_head() => {
            door.refuse_headless(Refusal::HeaderTimeout, peer.ip());
            Some(Refusal::HeaderTimeout.raw())
        }
        None | Some(Ok(())) => None,
        Some(Err(error)) => {
            tracing::debug!(%error, "connection ended");
            None
        }
    };
    if let Some(refusal) = socket.refused() {
        door.refuse_headless(refusal, peer.ip());
    }
    socket.finish(last).await;
}

async fn http2_connection<S>(stream: S, link: Arc<Link>, drain: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let pace = Arc::clone(&link.pace);
    let header_bytes_max = link.door.deps.limits.header_bytes_max;
    let socket = TokioIo::new(Socket::new(stream, Arc::clone(&pace), true));
    let service = service_fn(move |request| request::answer(Arc::clone(&link), request));
    let mut connection = std::pin::pin!(
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(u32::try_from(header_bytes_max).unwrap_or(u32::MAX))
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .max_send_buf_size(SEND_BUFFER_BYTES)
            .serve_connection(socket, service)
    );

    let mut leaving: Option<Instant> = None;
    let mut watch = std::pin::pin!(tokio::time::sleep(pace.tick()));
    loop {
        tokio::select! {
            biased;
            ended = &mut connection => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended");
                }
                return;
            }
            () = drain.cancelled(), if leaving.is_none() => {
                leaving = Some(Instant::now());
                connection.as_mut().graceful_shutdown();
            }
            () = &mut watch => {
                watch.as_mut().reset(tokio::time::Instant::now() + pace.tick());
                let now = Instant::now();
                match leaving {
                    None if pace.is_quiet() && pace.overdue(now) => {
                        leaving = Some(now);
                        connection.as_mut().graceful_shutdown();
                    }
                    // It was told to go, has nothing under way, and stays.
                    Some(since) if pace.is_quiet() && now.duration_since(since) > PING => return,
                    _ => {}
                }
            }
        }
    }
}
