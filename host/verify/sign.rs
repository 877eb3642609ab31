//! Signing: what a provider would add to a request so that [`super::Verifier`] accepts it.
//!
//! For `hookswitch send`, the demo and tests. The first scheme that is on and its first secret are used. Headers
//! that are signed but not made here (a message id) have to be in the request already.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::secret::Secret;

use super::check::{Check, MacCheck, tag};
use super::render::Slice;
use super::scheme::{Place, SignatureForm};
use super::signature::encode;
use super::{Branch, Params, Rejection, Request, Scheme, SetupError, Verifier};

/// What to add to a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signed {
    /// Headers, names lower-case.
    pub headers: Vec<(String, String)>,
    /// Query parameters.
    pub query: Vec<(String, String)>,
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

/// Signs `request` as of `now_ms`.
///
/// # Errors
/// If the scheme does not fit the secret and parameters, or the request lacks a header that is signed.
pub fn sign(
    scheme: &Scheme,
    secrets: &[Secret],
    params: &Params,
    request: Request<'_>,
    now_ms: u64,
) -> Result<Signed, SignError> {
    let verifier = Verifier::new(scheme, secrets, params).map_err(SignError::Setup)?;
    let mut signed = Signed::default();
    let Some(branch) = verifier.branches.first() else {
        return Ok(signed);
    };
    for (name, value) in &branch.require {
        signed.headers.push((name.clone(), value.clone()));
    }
    branch
        .sign(secrets.first(), params, request, now_ms, &mut signed)
        .map_err(SignError::Request)?;
    Ok(signed)
}

impl Branch {
    fn sign(
        &self,
        secret: Option<&Secret>,
        params: &Params,
        request: Request<'_>,
        now_ms: u64,
        signed: &mut Signed,
    ) -> Result<(), Rejection> {
        match &self.check {
            Check::Unverified => {}
            Check::Static(check) => {
                let secret = secret
                    .map(Secret::expose_str)
                    .unwrap_or_default()
                    .to_owned();
                match check.place {
                    Place::Basic => {
                        let pair = match params.values.get("username") {
                            Some(user) => format!("{user}:{secret}"),
                            None => secret,
                        };
                        let value = format!("Basic {}", STANDARD.encode(pair));
                        signed.headers.push(("authorization".to_owned(), value));
                    }
                    Place::Bearer => {
                        let value = format!("Bearer {secret}");
                        signed.headers.push(("authorization".to_owned(), value));
                    }
                    Place::Header => signed.headers.push((check.name.clone(), secret)),
                    Place::Query => signed.query.push((check.name.clone(), secret)),
                }
            }
            Check::Mac(check) => check.sign(request, now_ms, signed)?,
        }
        Ok(())
    }
}

impl MacCheck {
    fn sign(
        &self,
        request: Request<'_>,
        now_ms: u64,
        signed: &mut Signed,
    ) -> Result<(), Rejection> {
        let Some((key, slices)) = self
            .keys
            .first()
            .and_then(|(_, keys)| keys.first())
            .map(|key| Ok((key, self.template.render(request)?)))
            .transpose()?
        else {
            return Ok(());
        };
        let time = self.time.as_ref().map(|place| place.clock.write(now_ms));
        if let Some(header) = self.time.as_ref().and_then(|place| place.header.as_ref())
            && let Some(time) = &time
        {
            signed.headers.push((header.clone(), time.clone()));
        }
        if let Some((header, values)) = &self.algorithm
            && let Some((value, _)) = values.iter().find(|(_, index)| *index == 0)
        {
            signed.headers.push((header.clone(), value.clone()));
        }
        let rule = &self.signature;
        let tag = self.tag_text(key, &slices, time.as_deref());
        let header = match rule.form {
            SignatureForm::Numbered => format!("{}-1", rule.header),
            _ => rule.header.clone(),
        };
        let value = match (rule.form, &time) {
            (SignatureForm::Pairs | SignatureForm::PairSets, Some(time)) => format!(
                "{}={time}{}{}={tag}",
                rule.time_key, rule.delimiter, rule.key
            ),
            (SignatureForm::Pairs | SignatureForm::PairSets, None) => {
                format!("{}={tag}", rule.key)
            }
            _ => tag,
        };
        signed.headers.push((header, value));
        Ok(())
    }

    fn tag_text(&self, key: &super::mac::Key, slices: &[Slice<'_>], time: Option<&str>) -> String {
        let tag = tag(key, slices, time);
        format!(
            "{}{}",
            self.signature.prefix,
            encode(self.signature.encoding, tag.as_bytes())
        )
    }
}
