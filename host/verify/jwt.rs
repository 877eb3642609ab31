//! JSON Web Tokens (RFC 7519) in compact form, signed with a public key, whose claims speak of the request.
//!
//! As RFC 8725 asks: the scheme says the algorithm and the token's own word only has to agree; `crit` extensions are
//! refused, since none is understood; `exp` and `nbf` are looked at wherever they stand.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;
use subtle::ConstantTimeEq;

use super::check::in_date;
use super::clock::Clock;
use super::keys::Remote;
use super::pointer::Pointers;
use super::public;
use super::render::{Template, assemble};
use super::scheme::Algorithm;
use super::site::Site;
use super::{Rejection, View};

/// Bytes of the longest token that is looked at. Microsoft's have about two thousand.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// Seconds by which `exp` and `nbf` may be missed, for clocks that differ.
const LEEWAY_S: i64 = 60;

/// A token, its place, and what it must say.
pub(super) struct JwtCheck {
    pub(super) pointers: Pointers,
    pub(super) site: Site,
    pub(super) prefix: String,
    pub(super) algorithm: Algorithm,
    pub(super) keys: Vec<public::Key>,
    pub(super) remote: Option<Remote>,
    /// Claims with what they must be.
    pub(super) claims: Vec<(String, Template)>,
    /// The claim that says when the token was made.
    pub(super) time: Option<(String, Clock)>,
}

#[derive(Deserialize)]
struct Head {
    alg: String,
    kid: Option<String>,
    crit: Option<serde::de::IgnoredAny>,
}

impl JwtCheck {
    pub(super) fn run(&self, view: View<'_>) -> Result<(), Rejection> {
        let found = self.pointers.find_strict(view.json)?;
        let written = self.site.required(view, &found)?;
        let token = written
            .strip_prefix(self.prefix.as_str())
            .filter(|token| token.len() <= TOKEN_BYTES_MAX)
            .ok_or_else(|| self.malformed())?;
        let (signed, signature) = token.rsplit_once('.').ok_or_else(|| self.malformed())?;
        let (head, payload) = signed
            .split_once('.')
            .filter(|(_, payload)| !payload.contains('.'))
            .ok_or_else(|| self.malformed())?;
        let head: Head = self.part(head)?;
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| self.malformed())?;
        if Some(head.alg.as_str()) != self.algorithm.jwt_name() || head.crit.is_some() {
            return Err(Rejection::malformed(format!(
                "the token in {} is signed in a way that is not on this scheme's list",
                self.site
            )));
        }

        let kid = head.kid.as_deref();
        let key = |keys: &[public::Key]| {
            keys.iter()
                .filter(|key| key.kid.is_none() || kid.is_none() || key.kid.as_deref() == kid)
                .find(|key| key.verifies(self.algorithm, signed.as_bytes(), &signature))
                .map(|key| in_date(key, view.now_ms))
        };
        match (key(&self.keys), &self.remote) {
            (Some(verdict), _) => verdict?,
            (None, Some(remote)) if remote.fetch => {
                let wanted = remote.locate(view, &found, kid)?;
                let fetched = view.keys.get(&wanted);
                let named = |keys: &[public::Key]| keys.iter().any(|key| key.kid.as_deref() == kid);
                match fetched {
                    // A set without this key may be older than the key.
                    Some(fetched) if named(&fetched.0) => {
                        key(&fetched.0).unwrap_or_else(|| Err(self.mismatch()))?;
                    }
                    _ => return Err(Rejection::needs(wanted)),
                }
            }
            (None, _) => return Err(self.mismatch()),
        }
        let claims: Value = self.part(payload)?;
        self.claims(&claims, view)
    }

    /// What an authentic token says, against this request and this moment.
    fn claims(&self, claims: &Value, view: View<'_>) -> Result<(), Rejection> {
        let now_s = i64::try_from(view.now_ms / 1000).unwrap_or(i64::MAX);
        let number = |name: &str| claims.get(name).and_then(Value::as_f64);
        #[allow(
            clippy::cast_precision_loss,
            reason = "seconds of any year people live in are exact"
        )]
        let (early, late) = ((now_s - LEEWAY_S) as f64, (now_s + LEEWAY_S) as f64);
        if number("exp").is_some_and(|exp| exp < early) {
            return Err(Rejection::new("stale", "the token has expired"));
        }
        if number("nbf").is_some_and(|nbf| nbf > late) {
            return Err(Rejection::new("future", "the token is not valid yet"));
        }
        if let Some((name, clock)) = &self.time {
            let time = claims.get(name).map(text).ok_or_else(|| absent(name))?;
            clock.check(&time, view.now_ms)?;
        }
        for (name, template) in &self.claims {
            let found = self.pointers.find_strict(view.json)?;
            let wanted = assemble(&template.render(view, &found)?, None);
            let stated = claims.get(name).ok_or_else(|| absent(name))?;
            let is_wanted = |one: &Value| bool::from(text(one).as_bytes().ct_eq(&wanted));
            let agrees = match stated {
                Value::Array(several) => several.iter().any(is_wanted),
                one => is_wanted(one),
            };
            if !agrees {
                return Err(Rejection::new(
                    "wrong_claim",
                    format!("the token's claim `{name}` does not fit this request"),
                ));
            }
        }
        Ok(())
    }

    fn part<T: serde::de::DeserializeOwned>(&self, text: &str) -> Result<T, Rejection> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| self.malformed())?;
        serde_json::from_slice(&bytes).map_err(|_| self.malformed())
    }

    fn malformed(&self) -> Rejection {
        Rejection::malformed(format!("{} holds no JSON Web Token", self.site))
    }

    fn mismatch(&self) -> Rejection {
        Rejection::new(
            "bad_signature",
            format!("the token in {} was not made with a known key", self.site),
        )
    }
}

fn absent(name: &str) -> Rejection {
    Rejection::malformed(format!("the token has no claim `{name}`"))
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
