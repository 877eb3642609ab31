//! Echoes: what of a request may go back to whoever sent it.
//!
//! An endpoint that sends back what it is told is a tool for others: a page with their script on our host name, a
//! header of their own in our answer. So an echo is short, printable ASCII, and without the characters that begin
//! anything in HTML, a quoted string or a template. Every provider's challenge is letters, digits and a few signs;
//! Microsoft's has spaces as well.

/// Longest echo in bytes. The longest challenge known, Microsoft Graph's, has about 130.
pub const BYTES_MAX: usize = 512;

/// Printable ASCII that an echo must not have all the same.
pub const MARKUP: [char; 7] = ['<', '>', '&', '"', '\'', '`', '\\'];

/// Why something is not echoed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEcho {
    /// It is empty.
    #[error("is empty")]
    Empty,
    /// It is longer than [`BYTES_MAX`].
    #[error("has {0} bytes, and at most {BYTES_MAX} are sent back")]
    TooLong(usize),
    /// It has another character than printable ASCII, or one of [`MARKUP`].
    #[error("has the character {0:?}, which is not sent back")]
    Character(char),
}

/// Lets an echo pass, or says why not.
///
/// # Errors
/// See [`BadEcho`].
pub fn check(value: &str) -> Result<(), BadEcho> {
    if value.is_empty() {
        return Err(BadEcho::Empty);
    }
    if value.len() > BYTES_MAX {
        return Err(BadEcho::TooLong(value.len()));
    }
    let odd = |c: &char| !(*c == ' ' || c.is_ascii_graphic()) || MARKUP.contains(c);
    match value.chars().find(odd) {
        Some(character) => Err(BadEcho::Character(character)),
        None => Ok(()),
    }
}
