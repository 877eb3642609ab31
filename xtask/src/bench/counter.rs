//! The HTTP receiver of the benchmarks: counts POST requests, answers 204, and tells the count to `GET`.
//!
//! A process of its own (`cargo xtask serve-counter`), so that its CPU time is not the host's.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

static RECEIVED: AtomicU64 = AtomicU64::new(0);

/// Serves until the process is ended.
///
/// # Errors
/// If the address cannot be bound.
pub(crate) fn serve(listen: SocketAddr) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen}"))?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(
                http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)),
            );
        }
    })
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() == Method::GET {
        return Ok(Response::new(Full::from(
            RECEIVED.load(Ordering::Relaxed).to_string(),
        )));
    }
    let whole = request.into_body().collect().await.is_ok();
    let mut response = Response::new(Full::default());
    *response.status_mut() = if whole {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::BAD_REQUEST
    };
    if whole {
        RECEIVED.fetch_add(1, Ordering::Relaxed);
    }
    Ok(response)
}
