//! Policy: which hosts may be asked, and how much of an answer is taken. Pure.

use std::str::FromStr;
use std::time::Duration;

use http::Uri;
use ipnet::IpNet;
use regex::{Regex, RegexBuilder};
use serde::Deserialize;

use super::FetchError;

/// Longest URL in bytes. The longest in use, the confirmation of an SNS subscription, has about 500.
const URL_BYTES_MAX: usize = 4096;

/// Port of `https`, for URLs and rules that name none.
const HTTPS_PORT: u16 = 443;

/// Bytes that a compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 64 * 1024;

/// What a caller lets its URLs lead to.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Hosts that may be asked; none is none.
    pub hosts: Vec<HostRule>,
    /// Networks that may be connected to although they are not public.
    pub allow_private: Vec<IpNet>,
    /// Bytes of an answer's body; more are an error.
    pub bytes_max: usize,
    /// Time for all of it: waiting for a place, name resolution, TLS, the whole answer.
    pub timeout: Duration,
}

impl Policy {
    /// Whether a URL may be fetched, as far as its text tells.
    ///
    /// # Errors
    /// [`FetchError::BadUrl`] or [`FetchError::ForeignHost`].
    pub fn check(&self, url: &str) -> Result<(), FetchError> {
        check_url(url, &self.hosts)
    }
}

/// Whether a URL leads to one of these hosts, as far as its text tells.
///
/// # Errors
/// [`FetchError::BadUrl`] or [`FetchError::ForeignHost`].
pub fn check_url(url: &str, hosts: &[HostRule]) -> Result<(), FetchError> {
    Target::parse(url, hosts).map(drop)
}

/// Hosts by their name, which is compared in lower case. Written
///
/// - `api.example.com`: this host,
/// - `.example.com`: every host below `example.com`, and not itself,
/// - `^sns\.[a-z]+\.example\.com$`: hosts whose whole name fits the regular expression,
///
/// the first two with `:PORT` where it is not 443. A pattern is for port 443.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct HostRule {
    names: Names,
    port: u16,
}

#[derive(Clone, Debug)]
enum Names {
    Exact(String),
    Below(String),
    Pattern(Regex),
}

/// Not a [`HostRule`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` names no hosts: {why}")]
pub struct BadHostRule {
    text: String,
    why: String,
}

impl HostRule {
    /// True for the name of one of these hosts, whatever its port.
    #[must_use]
    pub fn names(&self, host: &str) -> bool {
        self.matches(&host.to_ascii_lowercase(), self.port)
    }

    fn matches(&self, host: &str, port: u16) -> bool {
        port == self.port
            && match &self.names {
                Names::Exact(name) => host == name,
                Names::Below(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
                Names::Pattern(pattern) => pattern.is_match(host),
            }
    }
}

impl FromStr for HostRule {
    type Err = BadHostRule;

    fn from_str(text: &str) -> Result<Self, BadHostRule> {
        let bad = |why: &str| BadHostRule {
            text: text.to_owned(),
            why: why.to_owned(),
        };
        if let Some(pattern) = text.strip_prefix('^') {
            let pattern = pattern
                .strip_suffix('$')
                .ok_or_else(|| bad("a pattern begins with `^` and ends with `$`"))?;
            // In a group, so that both anchors hold for each side of a `|`.
            let names = RegexBuilder::new(&format!("^(?:{pattern})$"))
                .size_limit(PATTERN_BYTES_MAX)
                .build()
                .map_err(|error| bad(&error.to_string()))?;
            return Ok(Self {
                names: Names::Pattern(names),
                port: HTTPS_PORT,
            });
        }
        let (suffix, authority) = match text.strip_prefix('.') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let parsed: http::uri::Authority = authority
            .parse()
            .map_err(|_| bad("write `host`, `.domain` or `host:port`"))?;
        let host = parsed.host().to_ascii_lowercase();
        if host.is_empty() || authority.contains('@') || authority.ends_with(':') {
            return Err(bad("write `host`, `.domain` or `host:port`"));
        }
        let port = parsed.port_u16();
        if port.is_none() && host.len() != authority.len() {
            return Err(bad("the port is none"));
        }
        Ok(Self {
            names: if suffix {
                Names::Below(format!(".{host}"))
            } else {
                Names::Exact(host)
            },
            port: port.unwrap_or(HTTPS_PORT),
        })
    }
}

impl TryFrom<String> for HostRule {
    type Error = BadHostRule;

    fn try_from(text: String) -> Result<Self, BadHostRule> {
        text.parse()
    }
}

impl PartialEq for HostRule {
    fn eq(&self, other: &Self) -> bool {
        let names = match (&self.names, &other.names) {
            (Names::Exact(a), Names::Exact(b)) | (Names::Below(a), Names::Below(b)) => a == b,
            (Names::Pattern(a), Names::Pattern(b)) => a.as_str() == b.as_str(),
            _ => false,
        };
        names && self.port == other.port
    }
}

/// A URL that may be fetched.
#[derive(Debug)]
pub(super) struct Target {
    /// Lower-case; an IPv6 address without its brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// What goes into the `host` header.
    pub(super) authority: String,
    /// What goes into the request line.
    pub(super) path: String,
}

impl Target {
    /// Takes a URL apart and holds it against the rules.
    pub(super) fn parse(url: &str, hosts: &[HostRule]) -> Result<Self, FetchError> {
        if url.len() > URL_BYTES_MAX {
            return Err(FetchError::BadUrl("it is too long"));
        }
        let uri: Uri = url
            .parse()
            .map_err(|_| FetchError::BadUrl("it is malformed"))?;
        if uri.scheme() != Some(&http::uri::Scheme::HTTPS) {
            return Err(FetchError::BadUrl("it does not begin with `https://`"));
        }
        let Some(authority) = uri.authority() else {
            return Err(FetchError::BadUrl("it names no host"));
        };
        if authority.as_str().contains('@') {
            return Err(FetchError::BadUrl("it holds credentials"));
        }
        let host = authority.host().to_ascii_lowercase();
        let port = match authority.port() {
            None if authority.as_str().len() == authority.host().len() => HTTPS_PORT,
            None => return Err(FetchError::BadUrl("its port is none")),
            Some(port) => port.as_u16(),
        };
        if !hosts.iter().any(|rule| rule.matches(&host, port)) {
            return Err(FetchError::ForeignHost(authority.as_str().to_owned()));
        }
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        Ok(Self {
            host: bare.unwrap_or(&host).to_owned(),
            port,
            authority: if port == HTTPS_PORT {
                host
            } else {
                format!("{host}:{port}")
            },
            path: uri
                .path_and_query()
                .map_or_else(|| "/".to_owned(), ToString::to_string),
        })
    }
}
