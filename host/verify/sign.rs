//! Signing: what a provider would add to a request so that [`super::Verifier`] accepts it.
//!
//! For `hookswitch send`, the demo and tests. The first scheme that is on and its first secret are used; for
//! public-key schemes that is the private key. Headers that are signed but not made here (a message id) have to be in
//! the request already, and so has a time that stands in the body. A signature or credential that stands in the body
//! takes the place of [`PLACEHOLDER`].

mod private;

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::secret::Secret;

use super::branch::{Condition, List};
use super::check::{Check, Prover, SignedCheck, tag};
use super::credential::CredentialCheck;
use super::jwt::JwtCheck;
use super::render::assemble;
use super::scheme::{Algorithm, Place, SignatureForm};
use super::signature::encode;
use super::site::Site;
use super::{NoKeys, Params, Rejection, Request, Scheme, SetupError, Verifier, View};

use private::Pair;

/// What stands in a body where the signature goes.
pub const PLACEHOLDER: &str = "{{signature}}";

/// What to add to a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signed {
    /// Headers, names lower-case.
    pub headers: Vec<(String, String)>,
    /// Query parameters.
    pub query: Vec<(String, String)>,
    /// The body with its signature, if that is where it stands.
    pub body: Option<String>,
}

/// Why a request cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// Scheme, secret and parameters do not fit together.
    #[error("sign: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Setup(Vec<SetupError>),
    /// The request lacks what is signed.
    #[error("sign the request")]
    Request(#[source] Rejection),
}

/// What checks signatures that are made with `secrets`: each private key is replaced by its public half.
#[must_use]
pub fn checking(secrets: &[Secret]) -> Vec<Secret> {
    secrets
        .iter()
        .map(|secret| Pair::read(secret).map_or_else(|| secret.clone(), |pair| pair.public))
        .collect()
}

/// Signs `request` as of `now_ms`.
///
/// # Errors
/// If the scheme does not fit the secret and parameters, or the request lacks what is signed.
pub fn sign(
    scheme: &Scheme,
    secrets: &[Secret],
    params: &Params,
    request: Request<'_>,
    now_ms: u64,
) -> Result<Signed, SignError> {
    let verifier = Verifier::new(scheme, &checking(secrets), params).map_err(SignError::Setup)?;
    let mut signing = Signing {
        pairs: secrets.iter().filter_map(Pair::read).collect(),
        secret: secrets.first(),
        params,
        signed: Signed::default(),
    };
    let view = View {
        request,
        json: request.body,
        now_ms,
        keys: &NoKeys,
    };
    for condition in verifier
        .branches
        .first()
        .iter()
        .flat_map(|branch| branch.conditions())
    {
        signing
            .condition(condition, view)
            .map_err(SignError::Request)?;
    }
    Ok(signing.signed)
}

struct Signing<'s> {
    pairs: Vec<Pair>,
    secret: Option<&'s Secret>,
    params: &'s Params,
    signed: Signed,
}

impl Signing<'_> {
    fn condition(&mut self, condition: &Condition, view: View<'_>) -> Result<(), Rejection> {
        for (name, value) in &condition.require {
            self.signed.headers.push((name.clone(), value.clone()));
        }
        let check = &condition.check;
        match &condition.each {
            None => self.check(check, view),
            Some(list) => self.each(list, check, view),
        }
    }

    fn each(&mut self, list: &List, check: &Check, view: View<'_>) -> Result<(), Rejection> {
        let items = list.items(view)?;
        for item in items {
            let view = View {
                json: item.as_bytes(),
                ..view
            };
            self.check(check, view)?;
        }
        Ok(())
    }

    fn check(&mut self, check: &Check, view: View<'_>) -> Result<(), Rejection> {
        match check {
            Check::Unverified => Ok(()),
            Check::Static(check) => self.credential(check, view),
            Check::Signed(check) => self.signature(check, view),
            Check::Jwt(check) => self.token(check, view),
        }
    }

    fn credential(&mut self, check: &CredentialCheck, view: View<'_>) -> Result<(), Rejection> {
        let secret = self.secret.map(Secret::expose_str).unwrap_or_default();
        let header = |name: &str, value: String| (name.to_owned(), value);
        match check.place {
            Place::Basic => {
                let pair = match self.params.values.get("username") {
                    Some(user) => format!("{user}:{secret}"),
                    None => secret.to_owned(),
                };
                let value = format!("Basic {}", STANDARD.encode(pair));
                self.signed.headers.push(header("authorization", value));
            }
            Place::Bearer => {
                let value = format!("Bearer {secret}");
                self.signed.headers.push(header("authorization", value));
            }
            Place::Header => {
                let value = secret.to_owned();
                self.signed.headers.push(header(&check.name, value));
            }
            Place::Query => {
                let value = (check.name.clone(), secret.to_owned());
                self.signed.query.push(value);
            }
            Place::Json => {
                let text = secret.to_owned();
                self.fill_in(&text, view.request)?;
            }
        }
        Ok(())
    }

    fn signature(&mut self, check: &SignedCheck, view: View<'_>) -> Result<(), Rejection> {
        let found = check.pointers.find_strict(view.json)?;
        let slices = check.template.render(view, &found)?;
        let time = match &check.time {
            None => None,
            Some(place) => Some(match &place.site {
                None => Cow::Owned(place.clock.write(view.now_ms)),
                Some(Site::Header(name)) => {
                    let time = place.clock.write(view.now_ms);
                    self.signed.headers.push((name.clone(), time.clone()));
                    Cow::Owned(time)
                }
                Some(site) => site.required(view, &found)?,
            }),
        };
        let time = time.as_deref();

        let mut made = None;
        for (index, (algorithm, prover)) in check.provers.iter().enumerate() {
            let bytes = match prover {
                Prover::Shared(keys) => keys
                    .first()
                    .map(|key| tag(key, &slices, time).as_bytes().to_vec()),
                Prover::Public(_) => self.private(*algorithm, &assemble(&slices, time)),
            };
            let named = match &check.algorithm {
                // The body says already which one it has to be.
                Some((site, values)) if !matches!(site, Site::Header(_)) => {
                    let name = site.required(view, &found)?;
                    values
                        .iter()
                        .any(|(value, of)| *value == name && *of == index)
                }
                _ => true,
            };
            if let (Some(bytes), true) = (bytes, named) {
                made = Some((index, bytes));
                break;
            }
        }
        let Some((index, bytes)) = made else {
            return Err(Rejection::malformed(
                "there is no private key that signs in this scheme's way",
            ));
        };
        if let Some((Site::Header(name), values)) = &check.algorithm
            && let Some((value, _)) = values.iter().find(|(_, of)| *of == index)
        {
            self.signed.headers.push((name.clone(), value.clone()));
        }

        let rule = &check.rule;
        let text = format!("{}{}", rule.prefix, encode(rule.encoding, &bytes));
        let text = match (rule.form, time) {
            (SignatureForm::Pairs | SignatureForm::PairSets, Some(time)) => format!(
                "{}={time}{}{}={text}",
                rule.time_key, rule.delimiter, rule.key
            ),
            (SignatureForm::Pairs | SignatureForm::PairSets, None) => {
                format!("{}={text}", rule.key)
            }
            _ => text,
        };
        match (&rule.site, rule.form) {
            (Site::Header(name), SignatureForm::Numbered) => {
                self.signed.headers.push((format!("{name}-1"), text));
            }
            (site, _) => self.put(site, text, view.request)?,
        }
        Ok(())
    }

    fn token(&mut self, check: &JwtCheck, view: View<'_>) -> Result<(), Rejection> {
        let mut claims = serde_json::Map::new();
        let found = check.pointers.find_strict(view.json)?;
        for (name, template) in &check.claims {
            let value = assemble(&template.render(view, &found)?, None);
            let value = String::from_utf8_lossy(&value).into_owned();
            claims.insert(name.clone(), value.into());
        }
        if let Some((name, _)) = &check.time {
            claims.insert(name.clone(), (view.now_ms / 1000).into());
        }
        let head = serde_json::json!({"alg": check.algorithm.jwt_name(), "typ": "JWT"});
        let part = |value: String| URL_SAFE_NO_PAD.encode(value);
        let signed = format!(
            "{}.{}",
            part(head.to_string()),
            part(serde_json::Value::from(claims).to_string())
        );
        let signature = self
            .private(check.algorithm, signed.as_bytes())
            .ok_or_else(|| {
                Rejection::malformed("there is no private key that signs in this scheme's way")
            })?;
        let token = format!(
            "{}{signed}.{}",
            check.prefix,
            URL_SAFE_NO_PAD.encode(signature)
        );
        self.put(&check.site, token, view.request)
    }

    fn private(&self, algorithm: Algorithm, message: &[u8]) -> Option<Vec<u8>> {
        self.pairs
            .iter()
            .find_map(|pair| pair.private.sign(algorithm, message))
    }

    fn put(&mut self, site: &Site, text: String, request: Request<'_>) -> Result<(), Rejection> {
        match site {
            Site::Header(name) => self.signed.headers.push((name.clone(), text)),
            Site::Query(name) => self.signed.query.push((name.clone(), text)),
            Site::Form(_) | Site::Json { .. } => self.fill_in(&text, request)?,
        }
        Ok(())
    }

    /// Puts text where the first placeholder that is left stands.
    fn fill_in(&mut self, text: &str, request: Request<'_>) -> Result<(), Rejection> {
        let body = match self.signed.body.take() {
            Some(body) => body,
            None => String::from_utf8_lossy(request.body).into_owned(),
        };
        if !body.contains(PLACEHOLDER) {
            return Err(Rejection::malformed(format!(
                "the signature stands in the body; write `{PLACEHOLDER}` where it goes"
            )));
        }
        let quoted = serde_json::Value::from(text).to_string();
        let bare = quoted.trim_matches('"');
        self.signed.body = Some(body.replacen(PLACEHOLDER, bare, 1));
        Ok(())
    }
}
