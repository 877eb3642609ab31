//! Rejected: the last requests that got no 2xx, kept in memory for people who ask why.
//!
//! A request is kept in the *lane* of its source and code. Three bounds hold, whatever is sent:
//!
//! - each lane takes at most [`SAMPLES_MAX`] requests a second; the rest is counted (`skipped`), and costs
//!   one look into a map;
//! - all lanes together hold at most the configured bytes; beyond them the largest lane loses its oldest
//!   request, so that a flood on one source, or of one kind, pushes out nothing but itself;
//! - there are at most [`LANES_MAX`] lanes; what comes after shares one.
//!
//! Nothing is written to disk: a flood must not fill it, and what strangers send is nobody's to keep. Ends
//! with the process. What goes in has its credentials masked already. Knows no HTTP.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Requests of a lane that are kept in a second.
pub const SAMPLES_MAX: u32 = 10;
/// Lanes; a source has one for each code that it ever answered with.
pub const LANES_MAX: usize = 1024;
const WINDOW_MS: u64 = 1000;

/// One request that was not taken, or that a source let through although it is not authentic.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejected {
    /// Counts from 1 in each run of the program.
    pub number: u64,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The source's name, or `none`.
    pub source: Arc<str>,
    /// Stable code of the reason.
    pub code: String,
    /// The reason for people; may be empty.
    pub detail: String,
    /// Status of the answer.
    pub status: u16,
    /// False if it was let through, because its source does not enforce.
    pub enforced: bool,
    /// The client's address; see [`crate::ingress::client`].
    pub client: IpAddr,
    /// False if `client` is only the last proxy before it.
    pub client_is_known: bool,
    /// The connection's other end.
    pub peer: IpAddr,
    /// Method, path and query, cut; empty where no head was understood.
    pub method: String,
    /// See `method`.
    pub path: String,
    /// Without the question mark, credentials masked.
    pub query: String,
    /// Names and values in order, cut, credentials and signatures masked.
    pub headers: Vec<(String, String)>,
    /// True if there were more headers or longer ones.
    pub headers_cut: bool,
    /// The beginning of the body.
    pub body: Bytes,
    /// Size of the body; `None` if it was not read.
    pub body_bytes: Option<u64>,
}

impl Rejected {
    /// Bytes that it takes up, near enough.
    fn weight(&self) -> usize {
        let headers: usize = self
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len() + 2 * size_of::<String>())
            .sum();
        size_of::<Self>()
            + self.code.len()
            + self.detail.len()
            + self.method.len()
            + self.path.len()
            + self.query.len()
            + self.body.len()
            + headers
    }
}

/// Which ones to show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Only this source.
    pub source: Option<String>,
    /// Only this code.
    pub code: Option<String>,
    /// Only those since then, milliseconds since the Unix epoch.
    pub since_ms: Option<u64>,
    /// Only those with a lower number.
    pub before: Option<u64>,
    /// How many.
    pub limit: usize,
}

/// What there is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Newest first.
    pub rejected: Vec<Arc<Rejected>>,
    /// How many of this source and code were only counted, since the program began.
    pub skipped: u64,
}

/// The log.
#[derive(Debug)]
pub struct Log {
    bytes_max: usize,
    body_bytes_max: usize,
    lanes: Mutex<Lanes>,
}

#[derive(Debug, Default)]
struct Lanes {
    index: HashMap<String, usize>,
    list: Vec<Lane>,
    bytes: usize,
    last_number: u64,
}

#[derive(Debug, Default)]
struct Lane {
    /// Empty for the one that the last ones share.
    source: String,
    code: String,
    kept: VecDeque<Arc<Rejected>>,
    bytes: usize,
    window: u64,
    samples: u32,
    skipped: u64,
}

/// Leave to keep one request.
#[derive(Debug)]
pub struct Place(usize);

impl Log {
    /// Keeps at most `bytes_max` in all, and of each body at most `body_bytes_max`.
    #[must_use]
    pub fn new(bytes_max: usize, body_bytes_max: usize) -> Self {
        Self {
            bytes_max,
            body_bytes_max,
            lanes: Mutex::default(),
        }
    }

    /// Bytes of a body that are worth handing in.
    #[must_use]
    pub fn body_bytes_max(&self) -> usize {
        self.body_bytes_max
    }

    /// Leave to keep a request of this source and code at `now_ms`; `None`: it was counted, make nothing of it.
    #[must_use]
    pub fn place(&self, source: &str, code: &str, now_ms: u64) -> Option<Place> {
        if self.bytes_max == 0 {
            return None;
        }
        let mut lanes = self.lock();
        let place = lanes.place_of(source, code);
        let lane = lanes.list.get_mut(place)?;
        let window = now_ms / WINDOW_MS;
        if lane.window != window {
            lane.window = window;
            lane.samples = 0;
        }
        if lane.samples >= SAMPLES_MAX {
            lane.skipped += 1;
            return None;
        }
        lane.samples += 1;
        Some(Place(place))
    }

    /// Keeps it, under a number of its own.
    pub fn keep(&self, Place(place): Place, mut rejected: Rejected) {
        rejected.body.truncate(self.body_bytes_max);
        // A slice of the body would keep all of it alive.
        rejected.body = Bytes::copy_from_slice(&rejected.body);
        let mut lanes = self.lock();
        lanes.last_number += 1;
        rejected.number = lanes.last_number;
        let weight = rejected.weight();
        let Some(lane) = lanes.list.get_mut(place) else {
            return;
        };
        lane.kept.push_back(Arc::new(rejected));
        lane.bytes += weight;
        lanes.bytes += weight;
        while lanes.bytes > self.bytes_max {
            lanes.drop_one();
        }
    }

    /// Those that `query` asks for.
    #[must_use]
    pub fn list(&self, query: &Query) -> Page {
        let is = |wanted: &Option<String>, got: &str| wanted.as_deref().is_none_or(|w| w == got);
        let fits = |one: &Rejected| {
            is(&query.source, &one.source)
                && is(&query.code, &one.code)
                && query.since_ms.is_none_or(|since| one.at_ms >= since)
                && query.before.is_none_or(|before| one.number < before)
        };
        let mut page = Page::default();
        for lane in &self.lock().list {
            let is_shared = lane.code.is_empty();
            if is_shared || is(&query.source, &lane.source) && is(&query.code, &lane.code) {
                page.skipped += lane.skipped;
                page.rejected
                    .extend(lane.kept.iter().filter(|one| fits(one)).cloned());
            }
        }
        page.rejected
            .sort_by_key(|one| std::cmp::Reverse(one.number));
        page.rejected.truncate(query.limit);
        page
    }

    /// The one with this number, if it is still there.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<Arc<Rejected>> {
        let lanes = self.lock();
        let mut all = lanes.list.iter().flat_map(|lane| &lane.kept);
        all.find(|one| one.number == number).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lanes {
    fn place_of(&mut self, source: &str, code: &str) -> usize {
        // No name and no code has a NUL.
        let mut key = format!("{source}\0{code}");
        if let Some(place) = self.index.get(&key) {
            return *place;
        }
        let mut lane = Lane {
            source: source.to_owned(),
            code: code.to_owned(),
            ..Lane::default()
        };
        if self.list.len() + 1 >= LANES_MAX {
            key.clear();
            if let Some(place) = self.index.get(&key) {
                return *place;
            }
            lane = Lane::default();
        }
        self.list.push(lane);
        let place = self.list.len() - 1;
        self.index.insert(key, place);
        place
    }

    /// The largest lane loses its oldest.
    fn drop_one(&mut self) {
        let largest = self.list.iter_mut().max_by_key(|lane| lane.bytes);
        match largest.and_then(|lane| Some((lane.kept.pop_front()?, lane))) {
            Some((dropped, lane)) => {
                let weight = dropped.weight();
                lane.bytes -= weight;
                self.bytes -= weight;
            }
            // There is nothing left to drop.
            None => self.bytes = 0,
        }
    }
}

#[cfg(test)]
mod tests;
