//! Client: who posts, behind how many proxies of ours.
//!
//! The peer of the connection is known for certain. If it is a trusted proxy, it says for whom it forwards,
//! in `X-Forwarded-For` or in `Forwarded` (RFC 7239). Both are lists to which each proxy appends the address
//! that it saw, so they are read from the right: the first address that is no trusted proxy is the client,
//! and what stands to the left of it is the client's own word, which is never looked at.
//!
//! Where a trusted proxy names no address (`unknown`, an obfuscated name, something malformed), or where
//! both headers stand there and disagree (a proxy appends to one and passes the other one on as the client
//! wrote it), the client is not known. It is then shown by the address of the last proxy that is known, and
//! no allow-list takes it. Pure; knows neither sources nor sockets.

use std::fmt;
use std::net::IpAddr;

use http::HeaderMap;
use http::header::FORWARDED;
use ipnet::IpNet;

const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// A sender's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The client's address; where it is not known, that of the last proxy before it.
    pub address: IpAddr,
    /// False if a trusted proxy did not say whom it forwards for.
    pub is_known: bool,
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_known {
            true => self.address.fmt(f),
            false => write!(f, "unknown, behind {}", self.address),
        }
    }
}

impl Client {
    /// The client of a request with `headers` that came from `peer`.
    #[must_use]
    pub fn of(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        // A socket for both families shows IPv4 as `::ffff:192.0.2.1`.
        let peer = peer.to_canonical();
        let direct = Self {
            address: peer,
            is_known: true,
        };
        if !is_in(trusted, peer) {
            return direct;
        }
        let listed = |values: http::header::GetAll<'_, http::HeaderValue>, hops: Hops| {
            let mut values = values.iter().rev().peekable();
            values.peek()?;
            let all = values.flat_map(|value| {
                let text = value.to_str().unwrap_or("?");
                hops(text).into_iter().rev().collect::<Vec<_>>()
            });
            Some(walk(peer, all, trusted))
        };
        let x_forwarded_for = listed(headers.get_all(X_FORWARDED_FOR), x_forwarded_for);
        let forwarded = listed(headers.get_all(FORWARDED), forwarded);
        match (x_forwarded_for, forwarded) {
            (None, None) => direct,
            (Some(one), None) | (None, Some(one)) => one,
            (Some(one), Some(other)) if one == other => one,
            (Some(_), Some(_)) => Self {
                address: peer,
                is_known: false,
            },
        }
    }

    /// True if an allow-list takes it. An empty one takes everybody.
    #[must_use]
    pub fn is_allowed(&self, networks: &[IpNet]) -> bool {
        networks.is_empty() || self.is_known && is_in(networks, self.address)
    }
}

fn is_in(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// From a header's value to its hops, left to right; `None` is one that names no address.
type Hops = fn(&str) -> Vec<Option<IpAddr>>;

/// Goes from `peer` towards the client, hop by hop, as long as they are trusted.
fn walk(peer: IpAddr, hops: impl Iterator<Item = Option<IpAddr>>, trusted: &[IpNet]) -> Client {
    let mut address = peer;
    for hop in hops {
        let Some(next) = hop else {
            return Client {
                address,
                is_known: false,
            };
        };
        address = next;
        if !is_in(trusted, address) {
            break;
        }
    }
    Client {
        address,
        is_known: true,
    }
}

/// `203.0.113.7, 2001:db8::1, 192.0.2.1:4711`
fn x_forwarded_for(value: &str) -> Vec<Option<IpAddr>> {
    value.split(',').map(|hop| node(hop.trim())).collect()
}

/// `for=203.0.113.7;proto=https, for="[2001:db8::1]:4711"`. A value that is not well-formed is one hop that
/// names no address: a quote that somebody left open may hide where the next element begins.
fn forwarded(value: &str) -> Vec<Option<IpAddr>> {
    elements(value).unwrap_or_else(|| vec![None])
}

fn elements(value: &str) -> Option<Vec<Option<IpAddr>>> {
    let mut hops = Vec::new();
    let mut rest = value;
    loop {
        let (hop, after) = element(rest)?;
        hops.push(hop);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None => return after.is_empty().then_some(hops),
        }
    }
}

/// One element up to its comma: what `for` names, and what follows. An element without `for` names nothing.
fn element(text: &str) -> Option<(Option<IpAddr>, &str)> {
    let mut named: Option<Option<IpAddr>> = None;
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        // RFC 7239 section 4 allows an element without pairs, and an empty pair between semicolons.
        if !rest.starts_with([';', ',']) && !rest.is_empty() {
            let (name, value) = rest.split_once('=')?;
            if name.is_empty() || !name.bytes().all(is_token) {
                return None;
            }
            let (value, after) = pair_value(value)?;
            if name.eq_ignore_ascii_case("for") && named.replace(node(&value)).is_some() {
                return None;
            }
            rest = after.trim_start_matches([' ', '\t']);
        }
        match rest.strip_prefix(';') {
            Some(next) => rest = next,
            None if rest.is_empty() || rest.starts_with(',') => {
                return Some((named.flatten(), rest));
            }
            None => return None,
        }
    }
}

/// A token or a quoted string, and what follows it. Some proxies write addresses with colons and brackets
/// without the quotes that they need; no other meaning is possible, so that is taken.
fn pair_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text
            .find(|c: char| !(c.is_ascii() && (is_token(c as u8) || "[]:".contains(c))))
            .unwrap_or(text.len());
        return (end > 0)
            .then(|| text.split_at(end))
            .map(|(value, rest)| (value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, quoted.get(at + 1..)?)),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// An address, with or without a port and, for IPv6, brackets. `None` for `unknown`, for obfuscated names
/// (`_hidden`), for anything else.
fn node(text: &str) -> Option<IpAddr> {
    let is_port = |port: &str| {
        !port.is_empty()
            && port
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    let address: IpAddr = if let Some(bracketed) = text.strip_prefix('[') {
        let (address, after) = bracketed.split_once(']')?;
        if !after.is_empty() && !after.strip_prefix(':').is_some_and(is_port) {
            return None;
        }
        IpAddr::V6(address.parse().ok()?)
    } else {
        match text.split_once(':') {
            Some((address, port)) if !port.contains(':') => {
                is_port(port).then_some(())?;
                IpAddr::V4(address.parse().ok()?)
            }
            _ => text.parse().ok()?,
        }
    };
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests;
