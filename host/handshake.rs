//! Handshakes: the question with which a provider makes sure that a URL is ours, and its answer.
//!
//! What a provider asks and wants to hear is data: [`Rule`]s in a preset or a source. [`Handshakes::new`] joins
//! them with a source's secrets and parameters; [`Handshakes::find`] tells a handshake from an event, and
//! [`Shake::answer`] answers it.
//!
//! Pure: a request comes in, an [`Answer`] goes out. What a sender wants back is hostile until shown otherwise: an
//! answer echoes printable ASCII without markup, up to [`echo::BYTES_MAX`] bytes, never as HTML, and nothing else
//! is answered at all. Tokens are compared in constant time. No answer, message or log holds a secret. A handshake
//! is never an event: nothing of it is stored.
//!
//! [`confirm`] is the one part with I/O: some providers want a URL fetched.

pub mod ask;
mod build;
mod check;
pub mod confirm;
pub mod echo;
mod place;
mod refused;
pub mod rule;
mod shake;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::fetch::Policy;
use crate::verify::Request;
use crate::verify::pointer::{Found, Pointers};

pub use build::{Given, Off, take_values};
pub use check::BadHandshake;
pub use confirm::Confirmation;
pub use refused::Refused;
pub use rule::{Method, Refuse, Rule};
pub use shake::{Answer, Shake, Shaken};

/// Bytes of a body that is looked into. A larger one is an event: the longest question in use, the confirmation of
/// an SNS subscription, has about 2 KiB.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// The handshakes of a source. Two are equal if they were made of the same, apart from what their source's verifier
/// is made of.
#[derive(Default)]
pub struct Handshakes {
    shakes: Vec<Shake>,
    pointers: Pointers,
    allow: String,
    made_of: MadeOf,
}

/// What handshakes were made of, for telling whether a reload changes them.
#[derive(Default, PartialEq)]
struct MadeOf {
    rules: Vec<Rule>,
    values: BTreeMap<String, String>,
    fetch: Option<Policy>,
}

impl PartialEq for Handshakes {
    fn eq(&self, other: &Self) -> bool {
        self.made_of == other.made_of
    }
}

impl fmt::Debug for Handshakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl Handshakes {
    /// Names, in the order in which they are tried.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.shakes.iter().map(|shake| &**shake.name())
    }

    /// True if some handshake comes with this method.
    #[must_use]
    pub fn want(&self, method: &str) -> bool {
        self.shakes.iter().any(|shake| shake.method() == method)
    }

    /// The methods of the source, for an `Allow` header: `POST`, and those of its handshakes.
    #[must_use]
    pub fn allow(&self) -> &str {
        if self.allow.is_empty() {
            "POST"
        } else {
            &self.allow
        }
    }

    /// True if a request with this method may be a handshake whatever its body, so that the body's type says
    /// nothing.
    #[must_use]
    pub fn may_ignore_body(&self, method: &str) -> bool {
        self.shakes
            .iter()
            .any(|shake| shake.method() == method && !shake.reads_body())
    }

    /// The handshake that this request is, if it is one.
    #[must_use]
    pub fn find<'h, 'r>(&'h self, request: Request<'r>) -> Option<Question<'h, 'r>> {
        if self.shakes.is_empty() {
            return None;
        }
        // The cheap conditions first: most requests are events, and need no look into their body.
        let of_head = |shake: &&Shake| shake.fits_head(request);
        if !self.shakes.iter().any(|shake| of_head(&shake)) {
            return None;
        }
        let body = match request.body.len() {
            1..=BODY_BYTES_MAX => request.body,
            _ => &[],
        };
        let found = self.pointers.find(body);
        let shake = self
            .shakes
            .iter()
            .filter(of_head)
            .find(|shake| shake.fits_body(&found))?;
        Some(Question {
            shake,
            request,
            found,
        })
    }
}

/// A request that is a handshake.
pub struct Question<'h, 'r> {
    /// Which one.
    pub shake: &'h Shake,
    request: Request<'r>,
    found: Found<'r>,
}

impl Question<'_, '_> {
    /// The answer.
    ///
    /// # Errors
    /// If the request lacks the token that is expected, or wants something back that is not given to anybody.
    pub fn answer(&self, now_ms: u64) -> Result<Shaken, Refused> {
        self.shake.answer(self.request, &self.found, now_ms)
    }
}

/// For sources that have none.
#[must_use]
pub fn none() -> Arc<Handshakes> {
    Arc::default()
}
