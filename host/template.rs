//! Templates: text with `{placeholders}` filled from an event or message.

use crate::event::Message;
use crate::sink::Origin;

/// What placeholders are filled from.
#[derive(Clone, Copy, Debug)]
pub struct Context<'c> {
    pub origin: &'c Origin,
    pub message: &'c Message,
    pub key: Option<&'c str>,
}

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template;

impl Template {
    /// The text; `None` if a placeholder has no value.
    pub fn render(&self, _context: Context<'_>) -> Option<String> {
        None
    }
}
