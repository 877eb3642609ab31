//! Socket: the stream under hyper, with three small duties of its own.
//!
//! It tells [`Pace`] that bytes arrived; it gives the answers that hyper makes by itself (to a head that
//! is not HTTP, or too large) the body that the table of answers promises; and it leaves closing to
//! [`Socket::finish`], which lets a client read an answer it got before it had sent everything.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use super::answer::Refusal;
use super::pace::Pace;

/// After an early answer this many bytes are read and thrown away, so that the kernel does not answer
/// them with a reset that would take the answer with it ...
const LINGER_BYTES_MAX: usize = 256 * 1024;
/// ... for at most this long.
const LINGER: Duration = Duration::from_secs(1);

/// A client stream.
#[derive(Debug)]
pub struct Socket<S> {
    stream: S,
    pace: Arc<Pace>,
    http2: bool,
    replacement: Option<Bytes>,
    refused: Option<Refusal>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// Wraps `stream`.
    pub fn new(stream: S, pace: Arc<Pace>, http2: bool) -> Self {
        Self {
            stream,
            pace,
            http2,
            replacement: None,
            refused: None,
        }
    }

    /// What hyper refused by itself, if it did.
    #[must_use]
    pub fn refused(&self) -> Option<Refusal> {
        self.refused
    }

    /// Writes `last`, says goodbye, and lets the client read it.
    pub async fn finish(mut self, last: Option<Bytes>) {
        let unread = last.is_some() || self.refused.is_some() || self.pace.has_unread();
        let farewell = async {
            if let Some(last) = last {
                self.stream.write_all(&last).await?;
            }
            self.stream.shutdown().await?;
            let mut scrap = [0_u8; 4096];
            let mut left = if unread { LINGER_BYTES_MAX } else { 0 };
            while left > 0 {
                let read = self.stream.read(&mut scrap).await?;
                left = if read == 0 {
                    0
                } else {
                    left.saturating_sub(read)
                };
            }
            io::Result::Ok(())
        };
        // The client is leaving either way: neither an error nor the time being up changes anything.
        let _ = tokio::time::timeout(LINGER, farewell).await;
    }
}

/// Which refusal an answer is that hyper wrote by itself. Ours always have a body.
fn made_by_hyper(head: &[u8]) -> Option<Refusal> {
    let status = head.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    let refusal = match status {
        b"400" => Refusal::BadRequest,
        b"414" => Refusal::TargetTooLong,
        b"431" => Refusal::HeadersTooLarge,
        _ => return None,
    };
    let text = std::str::from_utf8(head).ok()?;
    text.contains("content-length: 0\r\n").then_some(refusal)
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if !self.http2 && buf.filled().len() > before {
            self.pace.bytes_arrived();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if !this.http2
            && this.replacement.is_none()
            && let Some(refusal) = made_by_hyper(buf)
        {
            this.refused = Some(refusal);
            this.replacement = Some(refusal.raw());
        }
        let Some(replacement) = &mut this.replacement else {
            return Pin::new(&mut this.stream).poll_write(cx, buf);
        };
        // hyper offers the same bytes again until it hears that they are written.
        while replacement.has_remaining() {
            match Pin::new(&mut this.stream).poll_write(cx, replacement) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => replacement.advance(written),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.http2 {
            return Pin::new(&mut self.stream).poll_shutdown(cx);
        }
        // `finish` does it.
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hypers_own_refusals_are_replaced() {
        let empty = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(made_by_hyper(empty), Some(Refusal::HeadersTooLarge));
        for other in [
            &b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"[..],
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 96\r\n\r\n{",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1",
            b"",
        ] {
            assert_eq!(made_by_hyper(other), None);
        }
    }
}
