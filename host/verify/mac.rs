//! MACs and keyed hashes: from a key and bytes to a tag.
//!
//! A key is prepared once, so that a request costs one clone of the hash state and not two hashed blocks.
//! Tags are compared in constant time. Nothing here prints a key or a tag.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use subtle::{Choice, ConstantTimeEq};

use super::scheme::Algorithm;

/// Bytes of the longest tag: HMAC-SHA512.
pub(super) const TAG_BYTES_MAX: usize = 64;

/// Bytes of an algorithm's tag.
pub(super) fn tag_bytes(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::HmacSha1 => 20,
        Algorithm::HmacSha256 | Algorithm::Sha256 => 32,
        Algorithm::HmacSha512 => 64,
    }
}

/// A key, ready for one algorithm.
pub(super) struct Key {
    state: State,
    bytes: Vec<u8>,
}

#[derive(Clone)]
enum State {
    HmacSha1(Hmac<Sha1>),
    HmacSha256(Hmac<Sha256>),
    HmacSha512(Hmac<Sha512>),
    Sha256(Sha256),
}

impl Key {
    /// Prepares a key. `None` cannot happen, since HMAC takes keys of any length; the type of the crate is kept
    /// rather than unwrapped.
    pub(super) fn new(algorithm: Algorithm, bytes: &[u8]) -> Option<Self> {
        let state = match algorithm {
            Algorithm::HmacSha1 => State::HmacSha1(Hmac::new_from_slice(bytes).ok()?),
            Algorithm::HmacSha256 => State::HmacSha256(Hmac::new_from_slice(bytes).ok()?),
            Algorithm::HmacSha512 => State::HmacSha512(Hmac::new_from_slice(bytes).ok()?),
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
        };
        Some(Self {
            state,
            bytes: bytes.to_vec(),
        })
    }

    /// The key's bytes, for `{secret}`.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Starts a tag.
    pub(super) fn start(&self) -> Running {
        Running(self.state.clone())
    }
}

/// A tag that is being computed.
pub(super) struct Running(State);

impl Running {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::HmacSha1(mac) => Mac::update(mac, bytes),
            State::HmacSha256(mac) => Mac::update(mac, bytes),
            State::HmacSha512(mac) => Mac::update(mac, bytes),
            State::Sha256(hash) => Digest::update(hash, bytes),
        }
    }

    pub(super) fn finish(self) -> Tag {
        match self.0 {
            State::HmacSha1(mac) => Tag::of(&mac.finalize().into_bytes()),
            State::HmacSha256(mac) => Tag::of(&mac.finalize().into_bytes()),
            State::HmacSha512(mac) => Tag::of(&mac.finalize().into_bytes()),
            State::Sha256(hash) => Tag::of(&hash.finalize()),
        }
    }
}

/// A computed tag.
pub(super) struct Tag {
    bytes: [u8; TAG_BYTES_MAX],
    len: usize,
}

impl Tag {
    fn of(bytes: &[u8]) -> Self {
        let mut tag = Self {
            bytes: [0; TAG_BYTES_MAX],
            len: bytes.len().min(TAG_BYTES_MAX),
        };
        for (to, from) in tag.bytes.iter_mut().zip(bytes) {
            *to = *from;
        }
        tag
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Constant-time in the bytes; the length is public.
    pub(super) fn matches(&self, candidate: &[u8]) -> Choice {
        self.as_bytes().ct_eq(candidate)
    }
}
