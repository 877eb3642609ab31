//! Admission: who may come through a source's door, and how often. Values only; ingress applies them.

use std::num::NonZeroU32;
use std::time::Duration;

use ipnet::IpNet;

/// What a source asks of its senders besides their signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// False lets requests through that are not authentic, tagged as such. Limits hold all the same.
    pub enforce: bool,
    /// The networks that may post; empty means all. Others get 403.
    pub allow_ips: Vec<IpNet>,
    /// Names of client certificates that may post; empty means that none is asked for. Others get 403.
    pub client_names: Vec<ClientName>,
    /// Requests per time; further ones get 429.
    pub rate: Option<Rate>,
}

impl Default for Admission {
    /// Everybody, as often as they like; what is not authentic is refused.
    fn default() -> Self {
        Self {
            enforce: true,
            allow_ips: Vec::new(),
            client_names: Vec::new(),
            rate: None,
        }
    }
}

/// So many in a time, with some at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How long one takes up of the rate; never zero.
    pub period: Duration,
    /// How many may come at once after a quiet time.
    pub burst: NonZeroU32,
}

/// A name that a client certificate must carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientName {
    /// This DNS name, or this common name; letters of either case.
    Exact(String),
    /// Any name with one more label before this one: `*.example.com` is kept as `example.com`.
    Wildcard(String),
    /// This URI, byte for byte, such as `spiffe://example.com/billing`.
    Uri(String),
}

/// Why a text is no [`ClientName`], in words that follow "the name".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientNameError {
    /// There is nothing.
    #[error("is empty")]
    Empty,
    /// An asterisk that is not the whole first label, or has fewer than two labels after it.
    #[error("has an asterisk where none can be")]
    Asterisk,
    /// A control character, or white space around it.
    #[error("has a character that no certificate's name has")]
    Character,
}

impl std::str::FromStr for ClientName {
    type Err = ClientNameError;

    fn from_str(text: &str) -> Result<Self, ClientNameError> {
        if text.is_empty() {
            return Err(ClientNameError::Empty);
        }
        if text.trim() != text || text.contains(char::is_control) {
            return Err(ClientNameError::Character);
        }
        if text.contains("://") {
            return Ok(Self::Uri(text.to_owned()));
        }
        match text.strip_prefix("*.") {
            // `*.com` would be everybody.
            Some(rest)
                if !rest.contains('*')
                    && rest.split('.').filter(|l| !l.is_empty()).count() >= 2 =>
            {
                Ok(Self::Wildcard(rest.to_owned()))
            }
            None if !text.contains('*') => Ok(Self::Exact(text.to_owned())),
            _ => Err(ClientNameError::Asterisk),
        }
    }
}

impl ClientName {
    /// True if a certificate's DNS name or common name is this one.
    #[must_use]
    pub fn is_name(&self, name: &str) -> bool {
        match self {
            Self::Exact(wanted) => wanted.eq_ignore_ascii_case(name),
            Self::Wildcard(rest) => name.split_once('.').is_some_and(|(label, parent)| {
                !label.is_empty() && parent.eq_ignore_ascii_case(rest)
            }),
            Self::Uri(_) => false,
        }
    }

    /// True if a certificate's URI is this one.
    #[must_use]
    pub fn is_uri(&self, uri: &str) -> bool {
        matches!(self, Self::Uri(wanted) if wanted == uri)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_wildcard_stands_for_one_label_and_no_name_stands_for_a_uri() {
        for (wanted, name, fits) in [
            ("client.example.com", "client.example.com", true),
            ("client.example.com", "CLIENT.Example.com", true),
            ("client.example.com", "client.example.com.evil.test", false),
            ("Acme Billing", "Acme Billing", true),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "A.EXAMPLE.COM", true),
            ("*.example.com", "a.b.example.com", false),
            ("*.example.com", "example.com", false),
            ("*.example.com", ".example.com", false),
            ("*.example.com", "aexample.com", false),
            ("spiffe://example.com/a", "spiffe://example.com/a", false),
        ] {
            let wanted: ClientName = wanted.parse().unwrap();
            assert_eq!(wanted.is_name(name), fits, "{wanted:?} {name}");
        }
        let uri: ClientName = "spiffe://example.com/a".parse().unwrap();
        assert!(uri.is_uri("spiffe://example.com/a"));
        assert!(!uri.is_uri("spiffe://example.com/A"));
    }

    #[test]
    fn what_cannot_be_a_name_is_refused() {
        for (text, why) in [
            ("", ClientNameError::Empty),
            ("*", ClientNameError::Asterisk),
            ("*.com", ClientNameError::Asterisk),
            ("*.", ClientNameError::Asterisk),
            ("*.a.*.b", ClientNameError::Asterisk),
            ("a*.example.com", ClientNameError::Asterisk),
            (" a", ClientNameError::Character),
            ("a\nb", ClientNameError::Character),
        ] {
            assert_eq!(text.parse::<ClientName>(), Err(why), "{text:?}");
        }
    }
}
