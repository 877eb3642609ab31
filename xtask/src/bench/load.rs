//! The load generator: keep-alive HTTP/1.1 connections that send signed requests with unique event ids.
//!
//! It must cost little, for it runs on the cores it measures: a request is a prepared buffer in which only the
//! event id is overwritten. The signature covers the body, which is the same each time; the id is a header.
//!
//! Closed loop: each connection sends the next request when it has the answer to the last. Fixed rate: requests
//! fall due by the clock whether or not earlier ones are answered, and latency counts from when a request was
//! due, so that a stall of the server shows in every request it delayed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
};

/// GitHub's headers: a signature over the body alone, and an event id beside it.
pub(super) const SIGNATURE_HEADER: &str = "x-hub-signature-256";
const ID_HEADER: &str = "x-github-delivery";
/// Digits of an event id.
const ID_DIGITS: usize = 20;
/// The largest head of an answer.
const ANSWER_BYTES_MAX: usize = 16 << 10;
/// A connection that gets no answer for so long ends the run.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pacer's step: at 10 000 requests a second, two at a time.
const TICK: Duration = Duration::from_micros(200);

/// How requests follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    Closed { connections: usize },
    Fixed { connections: usize, per_second: u64 },
}

impl Pace {
    pub(super) fn connections(self) -> usize {
        match self {
            Self::Closed { connections } | Self::Fixed { connections, .. } => connections,
        }
    }

    pub(super) fn title(self) -> String {
        match self {
            Self::Closed { connections } => format!("{connections} conn."),
            Self::Fixed {
                connections,
                per_second,
            } => format!("{connections} conn., {per_second}/s fixed"),
        }
    }
}

/// The parts of a request that stay the same.
pub(super) struct Template {
    body: Vec<u8>,
    signature: String,
}

impl Template {
    /// A JSON body of `size` bytes, with a person's data for a plugin to find, signed with `secret`.
    pub(super) fn new(size: usize, secret: &str) -> Self {
        let start = r#"{"action":"created","subject":{"id":"s-1","name":"Ada Example","email":"ada@example.com","country":"PT"},"amount":1200,"tags":["a","b"],"note":""#;
        let end = r#""}"#;
        let filler = size.saturating_sub(start.len() + end.len());
        let body = format!("{start}{}{end}", "x".repeat(filler)).into_bytes();
        let signature = match Hmac::<Sha256>::new_from_slice(secret.as_bytes()) {
            Ok(mut mac) => {
                mac.update(&body);
                hex::encode(mac.finalize().into_bytes())
            }
            // HMAC takes keys of any length.
            Err(_) => String::new(),
        };
        Self { body, signature }
    }

    /// A whole request, and where in it the event id is.
    fn request(&self, host: &str, path: &str) -> (Vec<u8>, usize) {
        let head = format!("POST {path} HTTP/1.1\r\nhost: {host}\r\n{ID_HEADER}: ");
        let id_at = head.len();
        let rest = format!(
            "{:0ID_DIGITS$}\r\nx-github-event: ping\r\ncontent-type: application/json\r\n{SIGNATURE_HEADER}: sha256={}\r\ncontent-length: {}\r\n\r\n",
            0,
            self.signature,
            self.body.len()
        );
        (
            [head.as_bytes(), rest.as_bytes(), &self.body].concat(),
            id_at,
        )
    }
}

/// What was sent and answered.
pub(super) struct Sent {
    /// Requests answered with 2xx.
    pub(super) acknowledged: u64,
    /// Others, by which the run would be worthless if they were many (503 under overload is an honest answer).
    pub(super) refused: u64,
    /// From the first request to the last answer.
    pub(super) elapsed: Duration,
    /// Of acknowledged requests, in microseconds.
    pub(super) latency_us: Histogram<u64>,
}

/// Sends to `http://ADDRESS/PATH` for `length`.
pub(super) fn run(
    address: &str,
    path: &str,
    template: &Template,
    pace: Pace,
    length: Duration,
) -> Result<Sent> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let (request, id_at) = template.request(address, path);
    let start = Instant::now();
    let schedule = Arc::new(Schedule {
        start,
        length,
        pace,
        due: Semaphore::new(0),
        taken: AtomicU64::new(0),
    });
    let pacer = match pace {
        Pace::Closed { .. } => None,
        Pace::Fixed { per_second, .. } => {
            let schedule = Arc::clone(&schedule);
            Some(
                thread::Builder::new()
                    .name("pacer".to_owned())
                    .spawn(move || schedule.release(per_second))?,
            )
        }
    };
    let outcome = runtime.block_on(async {
        let mut tasks = Vec::new();
        for _ in 0..pace.connections() {
            let stream = TcpStream::connect(address)
                .await
                .with_context(|| format!("cannot connect to {address}"))?;
            stream.set_nodelay(true)?;
            let connection = Connection {
                stream,
                request: request.clone(),
                id_at,
                answer: Vec::new(),
            };
            tasks.push(tokio::spawn(connection.run(Arc::clone(&schedule))));
        }
        let mut sent = Sent {
            acknowledged: 0,
            refused: 0,
            elapsed: Duration::ZERO,
            latency_us: Histogram::new(3)?,
        };
        for task in tasks {
            let (latencies, refused) = task.await??;
            sent.refused += refused;
            sent.acknowledged += latencies.len() as u64;
            for latency in latencies {
                sent.latency_us.record(u64::from(latency))?;
            }
        }
        sent.elapsed = start.elapsed();
        anyhow::Ok(sent)
    });
    schedule.due.close();
    if let Some(pacer) = pacer {
        pacer.join().ok();
    }
    outcome
}

/// When requests are due, shared by all connections.
struct Schedule {
    start: Instant,
    length: Duration,
    pace: Pace,
    /// A permit for each request that is due and not yet taken; closed after the last.
    due: Semaphore,
    taken: AtomicU64,
}

impl Schedule {
    /// Makes requests due by the clock, from a thread: a runtime's timers are a millisecond coarse.
    fn release(&self, per_second: u64) {
        let total = (self.length.as_secs_f64() * per_second as f64) as u64;
        let mut released = 0;
        while released < total && !self.due.is_closed() {
            let now_due =
                ((self.start.elapsed().as_secs_f64() * per_second as f64) as u64).min(total);
            self.due.add_permits((now_due - released) as usize);
            released = now_due;
            thread::sleep(TICK);
        }
    }

    /// Waits for the next request's turn: its number, and since when it is due; `None` at the end.
    async fn next(&self) -> Option<(u64, Instant)> {
        match self.pace {
            Pace::Closed { .. } => {
                let number = self.taken.fetch_add(1, Ordering::Relaxed);
                (self.start.elapsed() < self.length).then(|| (number, Instant::now()))
            }
            Pace::Fixed { per_second, .. } => {
                let total = (self.length.as_secs_f64() * per_second as f64) as u64;
                self.due.acquire().await.ok()?.forget();
                let number = self.taken.fetch_add(1, Ordering::Relaxed);
                if number + 1 >= total {
                    // Nobody else has to wait any more.
                    self.due.close();
                }
                let due = self.start + Duration::from_secs_f64(number as f64 / per_second as f64);
                (number < total).then_some((number, due))
            }
        }
    }
}

struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    id_at: usize,
    answer: Vec<u8>,
}

impl Connection {
    /// Latencies of acknowledged requests in microseconds, and how many others there were.
    async fn run(mut self, schedule: Arc<Schedule>) -> Result<(Vec<u32>, u64)> {
        let mut latencies = Vec::new();
        let mut refused = 0;
        while let Some((number, since)) = schedule.next().await {
            let id = format!("{number:0ID_DIGITS$}");
            if let Some(place) = self.request.get_mut(self.id_at..self.id_at + ID_DIGITS) {
                place.copy_from_slice(id.as_bytes());
            }
            let status = tokio::time::timeout(PATIENCE, self.exchange())
                .await
                .context("no answer in a minute")??;
            if (200..300).contains(&status) {
                latencies.push(u32::try_from(since.elapsed().as_micros()).unwrap_or(u32::MAX));
            } else {
                refused += 1;
            }
        }
        Ok((latencies, refused))
    }

    /// Sends the request and reads its whole answer; the status.
    async fn exchange(&mut self) -> Result<u16> {
        self.stream.write_all(&self.request).await?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                bail!("the server closed the connection");
            }
            if let Some((status, bytes)) = parse_head(&self.answer)? {
                while self.answer.len() < bytes {
                    if self.stream.read_buf(&mut self.answer).await? == 0 {
                        bail!("the server closed the connection within an answer");
                    }
                }
                return Ok(status);
            }
            if self.answer.len() > ANSWER_BYTES_MAX {
                bail!("the head of an answer is larger than {ANSWER_BYTES_MAX} bytes");
            }
        }
    }
}

/// Status and total size of an answer, once its head is there. Only what servers on this machine send.
fn parse_head(answer: &[u8]) -> Result<Option<(u16, usize)>> {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(answer.get(..end).unwrap_or_default())?;
    let mut lines = head.split("\r\n");
    let status: u16 = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .context("no status line")?
        .parse()?;
    let mut length = None;
    for line in lines {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = Some(value.trim().parse::<usize>()?);
        }
    }
    let length = if status == 204 {
        0
    } else {
        length.context("an answer without content-length")?
    };
    Ok(Some((status, end + 4 + length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answers_head_gives_status_and_size() {
        let cases = [
            (&b"HTTP/1.1 200 OK\r\nContent-Le"[..], None),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                Some((200, 40)),
            ),
            (
                b"HTTP/1.1 204 No Content\r\ndate: x\r\n\r\n",
                Some((204, 36)),
            ),
        ];
        for (answer, expected) in cases {
            assert_eq!(parse_head(answer).unwrap(), expected);
        }
        assert!(parse_head(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }

    #[test]
    fn a_request_has_the_size_and_a_place_for_its_id() {
        let template = Template::new(1024, "s");
        let (request, id_at) = template.request("h", "/p");
        assert_eq!(template.body.len(), 1024);
        assert_eq!(&request[id_at..id_at + ID_DIGITS], [b'0'; ID_DIGITS]);
        serde_json::from_slice::<serde_json::Value>(&template.body).unwrap();
    }
}
