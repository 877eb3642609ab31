//! A Hookswitch verifier plugin for HTTP Message Signatures (RFC 9421) with Content-Digest (RFC 9530).
//!
#![doc = include_str!("../README.md")]
//!
//! # How this crate is laid out
//! `config` is what users write, `key` what becomes of a source's secrets, `base` rebuilds the text that was
//! signed, `digest` compares the body, and `place` reads id and type out of what is proven.

mod base;
mod config;
mod digest;
mod key;
mod place;

use std::time::Duration;

use hookswitch::ConfigError;
use hookswitch::verify::{Context, Coverage, Rejection, Request, Verified, Verifier};
use sfv::{Dictionary, InnerList, ListEntry, Parameters, Parser};

use base::Target;
pub use config::{Algorithm, Config, Encoding};
use key::Key;

/// Signatures of a request that are looked at.
const SIGNATURES_MAX: usize = 8;
/// How old a signature may be where the source has no `tolerance`.
const USUAL_AGE: Duration = Duration::from_secs(300);
/// Bytes of a key's id that are worth an attribute.
const KEY_ID_BYTES_MAX: usize = 256;

/// The verifier.
pub struct HttpSignatures {
    config: Config,
}

impl Verifier for HttpSignatures {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        config.check().map(|config| Self { config })
    }

    fn check(&self, context: &Context) -> Result<(), ConfigError> {
        self.keys(context).map(drop)
    }

    fn verify(&self, request: &Request, context: &Context) -> Result<Verified, Rejection> {
        let inputs = dictionary(request, "signature-input")?;
        let signatures = dictionary(request, "signature")?;
        let keys = self
            .keys(context)
            .map_err(|error| Rejection::new("bad_credential", error.to_string()))?;
        let mut reason = None;
        let wanted = inputs.iter().filter(|(label, _)| {
            let mut only = self.config.label.iter();
            only.all(|only| only == label.as_str())
        });
        for (label, input) in wanted.take(SIGNATURES_MAX) {
            let Some(signature) = signatures.get(label).and_then(bytes) else {
                continue;
            };
            match self.judge(request, context, &keys, input, signature) {
                Ok(verified) => return Ok(verified),
                Err(rejection) => reason = reason.or(Some(rejection)),
            }
        }
        Err(reason.unwrap_or_else(|| {
            Rejection::malformed("no signature has both its input and its bytes")
        }))
    }
}

impl HttpSignatures {
    fn keys(&self, context: &Context) -> Result<Vec<Key>, ConfigError> {
        key::keys(self.config.algorithm, self.config.secret, &context.secrets)
    }

    /// Judges one of a request's signatures.
    fn judge(
        &self,
        request: &Request,
        context: &Context,
        keys: &[Key],
        input: &ListEntry,
        signature: &[u8],
    ) -> Result<Verified, Rejection> {
        let ListEntry::InnerList(input) = input else {
            return Err(Rejection::malformed("the signature's input is no list"));
        };
        let covered = base::covered(input)?;
        if let Some(missing) = self
            .config
            .covered
            .iter()
            .find(|name| !covered.contains(&name.as_str()))
        {
            let detail = format!("the signature does not cover `{missing}`");
            return Err(Rejection::bad_signature(detail));
        }
        self.check_parameters(&input.params, context)?;
        let target = Target::of(request, context)?;
        let base = base::base(input, request, &target)?;
        if !keys.iter().any(|key| key.verifies(&base, signature)) {
            return Err(Rejection::bad_signature("no key made this signature"));
        }
        let coverage = if covered.contains(&"content-digest") {
            digest::check(request)?;
            Coverage::Full
        } else {
            Coverage::None
        };
        Ok(self.verified(coverage, request, input))
    }

    /// The parameters of a signature, before anything is computed.
    fn check_parameters(&self, params: &Parameters, context: &Context) -> Result<(), Rejection> {
        let text = |name: &str| Some(params.get(name)?.as_string()?.as_str());
        let number = |name: &str| Some(i64::from(params.get(name)?.as_integer()?));
        // The key decides the algorithm; a sender may repeat it and may not choose it.
        if let Some(named) = text("alg")
            && named != self.config.algorithm.name()
        {
            let wanted = self.config.algorithm.name();
            let detail = format!("signed with another algorithm than `{wanted}`");
            return Err(Rejection::bad_signature(detail));
        }
        if let Some(wanted) = &self.config.tag
            && text("tag") != Some(wanted)
        {
            let detail = format!("the signature's tag is not `{wanted}`");
            return Err(Rejection::bad_signature(detail));
        }
        let Some(created) = number("created") else {
            let detail = "the signature does not say when it was `created`";
            return Err(Rejection::new("missing_parameter", detail));
        };
        context.check_age(created, USUAL_AGE)?;
        let now = i64::try_from(context.now_ms / 1000).unwrap_or(i64::MAX);
        match number("expires") {
            Some(expires) if expires < now => {
                let ago = now.saturating_sub(expires);
                Err(Rejection::new("stale", format!("expired {ago} s ago")))
            }
            _ => Ok(()),
        }
    }

    fn verified(&self, coverage: Coverage, request: &Request, input: &InnerList) -> Verified {
        let mut verified = Verified::new(coverage);
        if let Some(id) = self
            .config
            .event_id
            .as_ref()
            .and_then(|place| place.read(request))
        {
            verified = verified.event_id(id);
        }
        if let Some(kind) = self
            .config
            .event_type
            .as_ref()
            .and_then(|place| place.read(request))
        {
            verified = verified.event_type(kind);
        }
        let key_id = input.params.get("keyid").and_then(|id| id.as_string());
        match key_id.map(|id| id.as_str()) {
            Some(id) if id.len() <= KEY_ID_BYTES_MAX => verified.attribute("key_id", id),
            _ => verified,
        }
    }
}

/// A dictionary that may be spread over several header lines.
fn dictionary(request: &Request, name: &str) -> Result<Dictionary, Rejection> {
    request.required(name)?;
    let lines: Vec<&str> = request.values(name).collect();
    Parser::new(&lines.join(", "))
        .parse()
        .map_err(|_| Rejection::malformed(format!("header `{name}` is no structured dictionary")))
}

/// The bytes of a dictionary's member.
fn bytes(entry: &ListEntry) -> Option<&[u8]> {
    match entry {
        ListEntry::Item(item) => item.bare_item.as_byte_sequence(),
        ListEntry::InnerList(_) => None,
    }
}

hookswitch::register_verifier!(HttpSignatures);

#[cfg(test)]
mod tests;
