//! Body: the bytes of a request, up to a cap and a time.
//!
//! Reading stops at the cap whatever the framing says, so a chunked body of any size costs at most the
//! cap. The bytes are copied out of hyper's read buffer once: a slice of it would keep the whole buffer
//! alive for as long as the event is in memory.

use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http_body::Body as _;
use hyper::body::Incoming;

use super::pace::Pace;

/// Room made before the first byte arrives; a declared length is only a claim.
const FIRST_RESERVE_BYTES_MAX: usize = 64 * 1024;

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// More bytes than the cap, declared or arrived.
    TooLarge,
    /// The time is up.
    Timeout,
    /// The framing is broken or the client left.
    Broken,
}

/// Who watches the time.
pub enum Patience<'p> {
    /// The connection's task, which polls this request when it marks it as expired (HTTP/1.1: request and
    /// connection are one task).
    Watched(&'p Pace),
    /// This request itself (HTTP/2: a task of its own).
    Own(Duration),
}

/// Reads the whole body.
pub async fn read(
    mut body: Incoming,
    bytes_max: usize,
    patience: Patience<'_>,
) -> Result<Bytes, BodyError> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let hint = body.size_hint();
    if hint.lower() > u64::try_from(bytes_max).unwrap_or(u64::MAX) {
        return Err(BodyError::TooLarge);
    }
    let declared = usize::try_from(hint.lower()).unwrap_or(usize::MAX);
    let mut bytes = Vec::with_capacity(declared.min(FIRST_RESERVE_BYTES_MAX));
    let mut sleep: Option<Pin<Box<tokio::time::Sleep>>> = None;
    let read = std::future::poll_fn(|cx| {
        loop {
            match Pin::new(&mut body).poll_frame(cx) {
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(BodyError::Broken)),
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers are nothing that a signature covers: they are left out.
                    if let Ok(data) = frame.into_data() {
                        if data.remaining() > bytes_max - bytes.len() {
                            return Poll::Ready(Err(BodyError::TooLarge));
                        }
                        bytes.extend_from_slice(&data);
                    }
                }
                Poll::Pending => {
                    let late = match patience {
                        Patience::Watched(pace) => pace.is_expired(),
                        Patience::Own(wait) => sleep
                            .get_or_insert_with(|| Box::pin(tokio::time::sleep(wait)))
                            .as_mut()
                            .poll(cx)
                            .is_ready(),
                    };
                    return if late {
                        Poll::Ready(Err(BodyError::Timeout))
                    } else {
                        Poll::Pending
                    };
                }
            }
        }
    });
    read.await?;
    // With a declared length the buffer is exact, and this is free.
    bytes.shrink_to_fit();
    Ok(Bytes::from(bytes))
}
