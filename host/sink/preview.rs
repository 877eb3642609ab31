//! Preview: what an attempt would send, for people who ask before it is sent.
//!
//! Each sink makes it with the functions that its attempts use. Values that the configuration calls secret are
//! masked.

use bytes::Bytes;

/// One attempt, not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// Where it would go: `topic kyc.decisions`, `POST https://crm.example.com`.
    pub to: String,
    /// The partition key, for sinks that have one.
    pub key: Option<String>,
    /// Names and values that go beside the body, in the order in which they are sent.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// A header's value as text; what is no UTF-8 shows as replacement characters.
pub(super) fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}
