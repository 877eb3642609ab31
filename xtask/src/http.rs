//! One HTTP request at a time to a program on this machine: readiness, the admin API, metrics.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, StatusCode, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The largest page read: a listing of a thousand events.
const BODY_BYTES_MAX: usize = 16 << 20;
const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

/// `GET http://ADDRESS/PATH`: status and text.
///
/// # Errors
/// If there is no whole answer within ten seconds.
pub(crate) fn get(address: &str, path: &str) -> Result<(StatusCode, String)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async { tokio::time::timeout(PATIENCE, fetch(address, path)).await })?
}

/// `GET`, and the text only if the status is 200.
///
/// # Errors
/// As [`get`], and for any other status.
pub(crate) fn page(address: &str, path: &str) -> Result<String> {
    let (status, text) = get(address, path)?;
    if status != StatusCode::OK {
        bail!("http://{address}{path} answered {status}: {}", text.trim());
    }
    Ok(text)
}

/// Waits until `path` answers 200, as long as `alive` says that it still may.
///
/// # Errors
/// The last answer, if it took longer than `patience` or `alive` is false.
pub(crate) fn wait_until_ready(
    address: &str,
    path: &str,
    patience: Duration,
    mut alive: impl FnMut() -> bool,
) -> Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        match page(address, path) {
            Ok(_) => return Ok(()),
            Err(error) if !alive() => return Err(error.context("the program ended while starting")),
            Err(error) if Instant::now() >= deadline => {
                return Err(error.context("the program did not become ready"));
            }
            Err(_) => std::thread::sleep(POLL),
        }
    }
}

async fn fetch(address: &str, path: &str) -> Result<(StatusCode, String)> {
    let stream = TcpStream::connect(address)
        .await
        .with_context(|| format!("cannot connect to {address}"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(path)
        .header(HOST, address)
        .body(Empty::<Bytes>::new())?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), BODY_BYTES_MAX)
            .collect()
            .await;
        let body = body.map_err(|error| anyhow::anyhow!("{error}"))?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    tokio::pin!(exchange);
    // The connection has to be driven while the answer is waited for; its end is not the answer's.
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        ended = connection => {
            ended?;
            exchange.await
        }
    }
}
