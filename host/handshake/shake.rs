//! A shake: one handshake, ready to be recognised and answered.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use super::confirm::Confirmation;
use super::echo;
use super::place::{Lookup, Twice};
use super::refused::Refused;
use super::rule::{ContentType, Method, Refuse};
use super::text::Encoding;
use crate::fetch::Policy;
use crate::secret::Secret;
use crate::verify::pointer::Found;
use crate::verify::{Request, Verifier};

/// See the module's text.
pub struct Shake {
    pub(super) name: Arc<str>,
    pub(super) method: Method,
    pub(super) head: Vec<Condition>,
    pub(super) body: Vec<Condition>,
    pub(super) verify_first: bool,
    pub(super) expect: Option<Expected>,
    pub(super) keys: Vec<Key>,
    pub(super) status: u16,
    pub(super) headers: Vec<(HeaderName, Filling)>,
    pub(super) content_type: Option<ContentType>,
    pub(super) content: Content,
    pub(super) confirm: Option<Confirm>,
}

/// A place and what must be there.
pub(super) struct Condition {
    pub(super) place: Lookup,
    pub(super) wanted: Wanted,
}

pub(super) enum Wanted {
    Is(String),
    Something,
    Nothing,
}

/// A value that must be one of these, kept as their hashes.
pub(super) struct Expected {
    pub(super) place: Lookup,
    pub(super) shown: String,
    pub(super) any_of: Vec<[u8; 32]>,
    pub(super) refuse: Refuse,
}

/// A secret to answer with. Of several, the one that the request was signed with is the right one, and `verifier`,
/// which knows no other, finds that out.
pub(super) struct Key {
    pub(super) secret: Secret,
    pub(super) verifier: Option<Verifier>,
}

/// A value with its parameters filled in.
pub(super) struct Filling(pub(super) Vec<Piece>);

pub(super) enum Piece {
    Literal(String),
    Echo(Lookup, String),
    Mac(Encoding, Lookup, String),
}

pub(super) enum Content {
    None,
    Text(Filling),
    Json(Vec<(String, Member)>),
}

pub(super) enum Member {
    Text(Filling),
    Fixed(serde_json::Value),
}

pub(super) struct Confirm {
    pub(super) url: Lookup,
    pub(super) shown: String,
    pub(super) policy: Arc<Policy>,
}

/// What goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Status, 200 to 299.
    pub status: u16,
    /// All headers but the length.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// An answered handshake.
#[derive(Debug)]
pub struct Shaken {
    /// What goes back.
    pub answer: Answer,
    /// What is to be done once it is on its way.
    pub confirmation: Option<Confirmation>,
}

impl Shake {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The method that it comes with.
    #[must_use]
    pub fn method(&self) -> &'static str {
        self.method.as_str()
    }

    /// Whether the request has to be authentic.
    #[must_use]
    pub fn verify_first(&self) -> bool {
        self.verify_first
    }

    pub(super) fn reads_body(&self) -> bool {
        !self.body.is_empty()
    }

    pub(super) fn fits_head(&self, request: Request<'_>) -> bool {
        let nothing = Found::default();
        request.method == self.method()
            && self
                .head
                .iter()
                .all(|condition| condition.holds(request, &nothing))
    }

    pub(super) fn fits_body(&self, found: &Found<'_>) -> bool {
        let no_head = Request {
            method: "",
            target: "",
            headers: &[],
            body: &[],
        };
        self.body
            .iter()
            .all(|condition| condition.holds(no_head, found))
    }

    pub(super) fn answer(
        &self,
        request: Request<'_>,
        found: &Found<'_>,
        now_ms: u64,
    ) -> Result<Shaken, Refused> {
        if let Some(expected) = &self.expect {
            expected.check(request, found)?;
        }
        let key = self.key(request, now_ms);
        let fill = |filling: &Filling| filling.fill(request, found, key);
        let mut headers = HeaderMap::new();
        // A browser that is led here must take the answer for what it says it is, and keep nothing of it.
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, filling) in &self.headers {
            let value = fill(filling)?;
            // Literals were checked when the source was read, and echoes are printable ASCII.
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name.clone(), value);
            }
        }
        let (usual_type, body) = match &self.content {
            Content::None => (None, String::new()),
            Content::Text(text) => (Some(ContentType::Text), fill(text)?),
            Content::Json(members) => {
                let mut object = serde_json::Map::new();
                for (name, member) in members {
                    let value = match member {
                        Member::Text(text) => fill(text)?.into(),
                        Member::Fixed(value) => value.clone(),
                    };
                    object.insert(name.clone(), value);
                }
                (
                    Some(ContentType::Json),
                    serde_json::Value::Object(object).to_string(),
                )
            }
        };
        if let Some(usual_type) = usual_type {
            let content_type = self.content_type.unwrap_or(usual_type);
            headers.insert(
                CONTENT_TYPE,
                HeaderValue::from_static(content_type.as_str()),
            );
        }
        let confirmation = match &self.confirm {
            Some(confirm) => Some(confirm.prepare(request, found)?),
            None => None,
        };
        Ok(Shaken {
            answer: Answer {
                status: self.status,
                headers,
                body: body.into(),
            },
            confirmation,
        })
    }

    /// The secret that this request was signed with; the first one where that cannot be told.
    fn key(&self, request: Request<'_>, now_ms: u64) -> &[u8] {
        let signed_with = |key: &&Key| {
            key.verifier
                .as_ref()
                .is_some_and(|verifier| verifier.verify(request, now_ms).is_ok())
        };
        let key = self.keys.iter().find(signed_with).or(self.keys.first());
        key.map(|key| key.secret.expose()).unwrap_or_default()
    }
}

impl Condition {
    fn holds(&self, request: Request<'_>, found: &Found<'_>) -> bool {
        match (&self.wanted, self.place.read(request, found)) {
            (Wanted::Is(wanted), Ok(Some(value))) => value == *wanted,
            // What is there twice is there; whoever reads it refuses it.
            (Wanted::Something, Ok(Some(_)) | Err(Twice)) => true,
            (Wanted::Nothing, Ok(None)) => true,
            _ => false,
        }
    }
}

impl Expected {
    fn check(&self, request: Request<'_>, found: &Found<'_>) -> Result<(), Refused> {
        let unexpected = || Refused::Unexpected {
            place: self.shown.clone(),
            refuse: self.refuse,
        };
        let value = self
            .place
            .read(request, found)
            .map_err(|Twice| unexpected())?;
        let hash: [u8; 32] = Sha256::digest(value.ok_or_else(unexpected)?.as_bytes()).into();
        let matches = self
            .any_of
            .iter()
            .fold(Choice::from(0), |any, expected| any | expected.ct_eq(&hash));
        if bool::from(matches) {
            Ok(())
        } else {
            Err(unexpected())
        }
    }
}

impl Filling {
    fn fill(&self, request: Request<'_>, found: &Found<'_>, key: &[u8]) -> Result<String, Refused> {
        let mut filled = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => filled.push_str(text),
                Piece::Echo(place, shown) => filled.push_str(&echo(place, shown, request, found)?),
                Piece::Mac(encoding, place, shown) => {
                    let value = echo(place, shown, request, found)?;
                    filled.push_str(&encoding.mac(key, &value));
                }
            }
        }
        Ok(filled)
    }
}

impl Confirm {
    fn prepare(&self, request: Request<'_>, found: &Found<'_>) -> Result<Confirmation, Refused> {
        let url = value(&self.url, &self.shown, request, found)?;
        self.policy
            .check(&url)
            .map_err(|why| Refused::Confirmation {
                place: self.shown.clone(),
                why,
            })?;
        Ok(Confirmation {
            url,
            policy: Arc::clone(&self.policy),
        })
    }
}

/// What stands at a place and may go back.
fn echo(
    place: &Lookup,
    shown: &str,
    request: Request<'_>,
    found: &Found<'_>,
) -> Result<String, Refused> {
    let value = value(place, shown, request, found)?;
    echo::check(&value).map_err(|why| Refused::Challenge {
        place: shown.to_owned(),
        why,
    })?;
    Ok(value)
}

fn value(
    place: &Lookup,
    shown: &str,
    request: Request<'_>,
    found: &Found<'_>,
) -> Result<String, Refused> {
    match place.read(request, found) {
        Ok(Some(value)) => Ok(value.into_owned()),
        Ok(None) => Err(Refused::Missing(shown.to_owned())),
        Err(Twice) => Err(Refused::Twice(shown.to_owned())),
    }
}
