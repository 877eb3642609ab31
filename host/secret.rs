//! Secrets: bytes that no formatter prints.
//!
//! `Debug` and `Display` show the one mask that this program has, `****` with the last four characters of a
//! value that is long enough; there is no serialisation, so a secret cannot get into a message by accident.
//! Who needs the bytes calls [`Secret::expose`].

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Characters of a value from which on its last four are shown: eight unknown ones stay, of which a person
/// who reads the mask learns nothing. Shorter values are masked wholly.
const SHOWN_FROM: usize = 12;

/// Characters that are shown, enough to tell an old value from a new one.
const SHOWN: usize = 4;

/// Values below this many bytes are not looked for in text by [`Secret::hide_in`]: they are no secrets worth
/// the name, and every other word would hold them.
const HIDDEN_FROM: usize = 6;

/// A secret value as configured, surrounding white space removed. Equality is for telling whether a
/// configuration changed; what a request brings is compared in constant time, in `verify`.
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

    /// `text` with every occurrence of the value replaced by its mask, for words that come from elsewhere: a
    /// plugin that quotes its configuration, say. Also finds the value as JSON and Rust spell it in quotes.
    #[must_use]
    pub fn hide_in<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let value = self.expose_str();
        if value.len() < HIDDEN_FROM {
            return Cow::Borrowed(text);
        }
        let escaped = value.escape_debug().to_string();
        let mut hidden = Cow::Borrowed(text);
        for spelling in [value, &escaped] {
            if hidden.contains(spelling) {
                hidden = Cow::Owned(hidden.replace(spelling, &self.to_string()));
            }
        }
        hidden
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")?;
        let text = self.expose_str();
        if text.chars().count() < SHOWN_FROM {
            return Ok(());
        }
        // A line break or an escape sequence would be the terminal's business, so it is not shown.
        let (last, _) = text
            .char_indices()
            .nth_back(SHOWN - 1)
            .unwrap_or((text.len(), ' '));
        let end = text.get(last..).unwrap_or_default();
        end.chars()
            .try_for_each(|c| fmt::Write::write_char(f, if c.is_control() { '*' } else { c }))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_shows_the_end_of_a_long_value_and_nothing_of_a_short_one() {
        for (value, mask) in [
            ("", "****"),
            ("hunter2", "****"),
            ("elevenchars", "****"),
            ("twelve-chars", "****hars"),
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "****LaSw"),
            ("grüße-grüße-grüße", "****rüße"),
            ("-----BEGIN-----\nabc\n-", "****bc*-"),
            ("  padded-with-space  ", "****pace"),
        ] {
            let secret = Secret::new(value);
            assert_eq!(secret.to_string(), mask);
            assert_eq!(format!("{secret:?}"), mask);
        }
    }

    #[test]
    fn a_value_is_hidden_wherever_words_from_elsewhere_quote_it() {
        let secret = Secret::new("a-long-\"quoted\"-value");
        for (text, hidden) in [
            ("nothing here", "nothing here"),
            (
                "x a-long-\"quoted\"-value y a-long-\"quoted\"-value",
                "x ****alue y ****alue",
            ),
            (
                r#"invalid type: string "a-long-\"quoted\"-value""#,
                r#"invalid type: string "****alue""#,
            ),
        ] {
            assert_eq!(secret.hide_in(text), hidden);
        }
        assert_eq!(Secret::new("short").hide_in("a short word"), "a short word");
    }
}
