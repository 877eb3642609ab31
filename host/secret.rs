//! Secrets: bytes that no formatter prints.
//!
//! `Debug` shows a mask; there is no `Display` and no serialisation, so a secret cannot get into a
//! message by accident. Who needs the bytes calls [`Secret::expose`].

use std::fmt;
use std::sync::Arc;

/// A secret value as configured, surrounding white space removed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    /// Wraps a value.
    #[must_use]
    pub fn new(value: &str) -> Self {
        Self(value.trim().as_bytes().into())
    }

    /// The bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The value as text; secrets come from text files, variables and flags, so this holds always.
    #[must_use]
    pub fn expose_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// True for a value without a character.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}
