//! The ceiling: a bare hyper server that checks an HMAC-SHA256 over the body and does nothing else.
//!
//! It runs as a process of its own (`cargo xtask serve-baseline`), as the host does.

use std::{convert::Infallible, env, net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context, Result};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, Empty};
use hyper::{
    Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use sha2::Sha256;
use tokio::net::TcpListener;
use xtask::brokers::free_port;

use super::{
    SECRET,
    job::Measured,
    load::{self, Pace, Template},
    usage::Usage,
};
use crate::{http, step::Step};

/// Serves until the process is ended.
///
/// # Errors
/// If the address cannot be bound.
pub(crate) fn serve(listen: SocketAddr) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen}"))?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let connection =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
            tokio::spawn(connection);
        }
    })
}

async fn answer(request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let signature = request.headers().get(load::SIGNATURE_HEADER).cloned();
    // Readiness is asked for with GET and without a signature.
    let mut status = if request.method() == hyper::Method::GET {
        StatusCode::OK
    } else {
        StatusCode::UNAUTHORIZED
    };
    if let (Some(signature), Ok(body)) = (signature, request.into_body().collect().await)
        && verifies(signature.as_bytes(), &body.to_bytes())
    {
        status = StatusCode::OK;
    }
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    Ok(response)
}

fn verifies(signature: &[u8], body: &[u8]) -> bool {
    let Some(signature) = signature.strip_prefix(b"sha256=") else {
        return false;
    };
    let (Ok(signature), Ok(mut mac)) = (
        hex::decode(signature),
        Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()),
    ) else {
        return false;
    };
    mac.update(body);
    mac.verify_slice(&signature).is_ok()
}

/// Measures the bare server.
pub(super) fn measure(
    folder: &Path,
    template: &Template,
    pace: Pace,
    length: Duration,
) -> Result<Measured> {
    let address = format!("127.0.0.1:{}", free_port()?);
    let step = Step::new(env::current_exe()?).args(["serve-baseline", "--listen", &address]);
    let mut server = step.start_silently(&folder.join("baseline.log"))?;
    http::wait_until_ready(&address, "/", Duration::from_secs(10), || {
        !server.has_ended()
    })?;
    let before = Usage::of(server.id());
    let sent = load::run(&address, "/", template, pace, length)?;
    let used = Usage::of(server.id()).since(&before);
    Ok(Measured::new(
        "bare hyper + HMAC",
        pace,
        &sent,
        sent.elapsed,
        used,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole way of a measurement, short: a real server, both paces, requests right and wrong.
    #[test]
    fn the_generator_counts_what_the_bare_server_answers() {
        let listen = SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()));
        std::thread::spawn(move || serve(listen));
        let address = listen.to_string();
        http::wait_until_ready(&address, "/", Duration::from_secs(10), || true).unwrap();
        let length = Duration::from_millis(300);

        let right = Template::new(1024, SECRET);
        let sent = load::run(
            &address,
            "/",
            &right,
            Pace::Closed { connections: 4 },
            length,
        )
        .unwrap();
        assert!(sent.acknowledged > 0 && sent.refused == 0);
        assert_eq!(sent.latency_us.len(), sent.acknowledged);

        let pace = Pace::Fixed {
            connections: 4,
            per_second: 200,
        };
        let sent = load::run(&address, "/", &right, pace, length).unwrap();
        assert_eq!(
            (sent.acknowledged, sent.refused),
            (60, 0),
            "each request that fell due, once"
        );

        let wrong = Template::new(1024, "another secret");
        let sent = load::run(
            &address,
            "/",
            &wrong,
            Pace::Fixed {
                connections: 2,
                per_second: 50,
            },
            length,
        )
        .unwrap();
        assert_eq!((sent.acknowledged, sent.refused), (0, 15));
    }
}
