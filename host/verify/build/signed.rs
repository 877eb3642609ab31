//! Building the checks that rest on a signature: MACs, keyed hashes, public keys, tokens.

use super::super::check::{Prover, SignedCheck, TimePlace};
use super::super::jwt::JwtCheck;
use super::super::key::{key_bytes, public_keys};
use super::super::keys::Remote;
use super::super::mac;
use super::super::part::{Part, Source};
use super::super::pointer::Pointers;
use super::super::render::Template;
use super::super::scheme::{Algorithm, Kind, Scheme, Signature, SignatureForm, Timestamp};
use super::super::setup::SetupError;
use super::super::signature::Rule;
use super::super::site::Site;
use super::{Building, Numbered};

impl Building<'_> {
    pub(super) fn signed(
        &mut self,
        kind: Kind,
        scheme: &Scheme,
        secrets: &[Numbered<'_>],
    ) -> Result<Option<SignedCheck>, SetupError> {
        let mut pointers = Pointers::default();
        let rule = rule(scheme, &mut pointers)?;
        let time = scheme
            .timestamp
            .as_ref()
            .map(|time| self.time_place(time, rule.form, &mut pointers))
            .transpose()?;
        if scheme.signed.is_empty() {
            return Err(SetupError::new("nothing_signed", "`signed` is missing")
                .hint("such as `signed = [\"{timestamp}\", \".\", \"{body}\"]`"));
        }
        if scheme.signed.contains(&Part::Timestamp) && time.is_none() {
            return Err(SetupError::new(
                "no_timestamp",
                "`signed` has `{timestamp}`, but the scheme has no `timestamp`",
            ));
        }
        let (algorithms, algorithm) = algorithms(kind, scheme, &mut pointers)?;
        let provers = match kind {
            Kind::Signature => self.public(scheme, &algorithms, secrets),
            _ => self.shared(scheme, &algorithms, secrets),
        };
        let Some(provers) = provers else {
            return Ok(None);
        };
        let template = Template::new(
            &scheme.signed,
            scheme.body_hash.as_deref(),
            self.params,
            &mut pointers,
        )?;
        let remote = self.remote(scheme, &mut pointers)?;
        Ok(Some(SignedCheck {
            pointers,
            rule,
            template,
            time,
            provers,
            algorithm,
            algorithm_optional: scheme.alg.is_some(),
            remote,
        }))
    }

    fn shared(
        &mut self,
        scheme: &Scheme,
        algorithms: &[Algorithm],
        secrets: &[Numbered<'_>],
    ) -> Option<Vec<(Algorithm, Prover)>> {
        let keys = self.usable(secrets, |secret| key_bytes(&scheme.key, secret));
        if keys.is_empty() {
            return None;
        }
        let prepare = |algorithm: &Algorithm| {
            let prepared = keys.iter().filter_map(|key| mac::Key::new(*algorithm, key));
            (*algorithm, Prover::Shared(prepared.collect()))
        };
        Some(algorithms.iter().map(prepare).collect())
    }

    fn public(
        &mut self,
        scheme: &Scheme,
        algorithms: &[Algorithm],
        secrets: &[Numbered<'_>],
    ) -> Option<Vec<(Algorithm, Prover)>> {
        let keys: Vec<_> = self
            .usable(secrets, |secret| {
                public_keys(&scheme.key, algorithms, secret)
            })
            .into_iter()
            .flatten()
            .collect();
        if keys.is_empty() && !self.fetches(scheme) {
            return None;
        }
        let prepare = |algorithm: &Algorithm| {
            let fitting = keys.iter().filter(|key| key.fits(*algorithm)).cloned();
            (*algorithm, Prover::Public(fitting.collect()))
        };
        Some(algorithms.iter().map(prepare).collect())
    }

    pub(super) fn jwt(
        &mut self,
        scheme: &Scheme,
        secrets: &[Numbered<'_>],
    ) -> Result<Option<JwtCheck>, SetupError> {
        let mut pointers = Pointers::default();
        let Some(token) = &scheme.token else {
            return Err(SetupError::new("no_token", "`token` is missing")
                .hint("such as `token = { at = \"header:X-Token\" }`"));
        };
        let algorithm = scheme
            .alg
            .filter(|alg| alg.jwt_name().is_some())
            .ok_or_else(|| {
                SetupError::new("no_algorithm", "`alg` is missing, or not one of tokens").hint(
                    "`ecdsa-p256-sha256-fixed` is ES256, `rsa-sha256` is RS256, `ed25519` is EdDSA",
                )
            })?;
        if scheme.claims.is_empty() {
            return Err(SetupError::new(
                "nothing_signed",
                "`claims` is missing: a token that says nothing of the request is good with any",
            )
            .hint("such as `claims = { body_sha256 = \"{body:sha256}\" }`"));
        }
        let keys: Vec<_> = self
            .usable(secrets, |secret| {
                public_keys(&scheme.key, &[algorithm], secret)
            })
            .into_iter()
            .flatten()
            .collect();
        if keys.is_empty() && !self.fetches(scheme) {
            return Ok(None);
        }
        let mut claims = Vec::with_capacity(scheme.claims.len());
        for (name, part) in &scheme.claims {
            let parts = std::slice::from_ref(part);
            let template = Template::new(parts, None, self.params, &mut pointers)?;
            claims.push((name.clone(), template));
        }
        let time = match &scheme.timestamp {
            None => None,
            Some(time) => {
                let name = time.claim.clone().ok_or_else(|| {
                    SetupError::new("no_timestamp", "`timestamp` has no `claim`")
                        .hint("`iat` is when a token was made")
                })?;
                Some((name, self.clock(time.unit, time.past, time.future)))
            }
        };
        let site = site(&token.at, "token", &mut pointers)?;
        let remote = self.remote(scheme, &mut pointers)?;
        Ok(Some(JwtCheck {
            pointers,
            site,
            prefix: token.prefix.clone(),
            algorithm,
            keys,
            remote,
            claims,
            time,
        }))
    }

    fn fetches(&self, scheme: &Scheme) -> bool {
        self.params.fetch_keys && scheme.key_source.is_some()
    }

    fn remote(
        &self,
        scheme: &Scheme,
        pointers: &mut Pointers,
    ) -> Result<Option<Remote>, SetupError> {
        scheme
            .key_source
            .as_ref()
            .map(|source| Remote::new(source, self.params, pointers))
            .transpose()
    }

    fn time_place(
        &self,
        time: &Timestamp,
        form: SignatureForm,
        pointers: &mut Pointers,
    ) -> Result<TimePlace, SetupError> {
        let site = match (&time.header, &time.at) {
            (Some(name), None) => Some(Site::Header(name.to_ascii_lowercase())),
            (None, Some(place)) => Some(site(place, "timestamp", pointers)?),
            (None, None) if matches!(form, SignatureForm::Pairs | SignatureForm::PairSets) => None,
            (None, None) => {
                return Err(SetupError::new(
                    "no_timestamp",
                    "`timestamp` has no `header`, and the signature is no list of pairs with a time",
                ));
            }
            (Some(_), Some(_)) => return Err(two_places("timestamp")),
        };
        Ok(TimePlace {
            site,
            clock: self.clock(time.unit, time.past, time.future),
        })
    }
}

fn two_places(key: &str) -> SetupError {
    SetupError::new("two_places", format!("`{key}` has both `header` and `at`"))
        .hint("`header = \"X\"` is short for `at = \"header:X\"`; keep one")
}

fn site(place: &Source, key: &str, pointers: &mut Pointers) -> Result<Site, SetupError> {
    Site::new(place, pointers).ok_or_else(|| {
        SetupError::new(
            "bad_place",
            format!("`{key}` names no place that a sender writes to"),
        )
        .hint("header:NAME, json:/POINTER, query:NAME or form:NAME")
    })
}

fn rule(scheme: &Scheme, pointers: &mut Pointers) -> Result<Rule, SetupError> {
    let no_signature = |what: &str| SetupError::new("no_signature", what);
    let Some(signature) = &scheme.signature else {
        return Err(no_signature("`signature` is missing")
            .hint("such as `signature = { header = \"X-Signature\", encoding = \"hex\" }`"));
    };
    let Signature { form, key, .. } = signature;
    let site = match (&signature.header, &signature.at) {
        (Some(name), None) => Site::Header(name.to_ascii_lowercase()),
        (None, Some(place)) => site(place, "signature", pointers)?,
        (None, None) => {
            return Err(no_signature("`signature` has neither `header` nor `at`"));
        }
        (Some(_), Some(_)) => return Err(two_places("signature")),
    };
    if matches!(form, SignatureForm::Pairs | SignatureForm::PairSets) && key.is_empty() {
        return Err(no_signature(
            "`signature` is a list of pairs without the `key` of the signature",
        ));
    }
    if *form == SignatureForm::Numbered && !matches!(site, Site::Header(_)) {
        return Err(no_signature(
            "`signature` is numbered, and stands in no header",
        ));
    }
    Ok(Rule {
        site,
        prefix: signature.prefix.clone(),
        encoding: signature.encoding,
        form: *form,
        delimiter: signature.delimiter,
        key: key.clone(),
        time_key: signature.time_key.clone(),
    })
}

/// Where the sender names an algorithm, and the possible values with the algorithm's place in the list.
type AlgorithmChoice = Option<(Site, Vec<(String, usize)>)>;

fn algorithms(
    kind: Kind,
    scheme: &Scheme,
    pointers: &mut Pointers,
) -> Result<(Vec<Algorithm>, AlgorithmChoice), SetupError> {
    let mut list: Vec<Algorithm> = scheme.alg.into_iter().collect();
    let mut choice = None;
    if let Some(from) = &scheme.alg_from {
        let mut values = Vec::with_capacity(from.map.len());
        for (value, algorithm) in &from.map {
            let index = list.iter().position(|known| known == algorithm);
            let index = index.unwrap_or_else(|| {
                list.push(*algorithm);
                list.len() - 1
            });
            values.push((value.clone(), index));
        }
        choice = Some((site(&from.at, "alg_from", pointers)?, values));
    }
    if list.is_empty() {
        return Err(SetupError::new("no_algorithm", "`alg` is missing")
            .hint("`hmac-sha256` is the usual one"));
    }
    if list.iter().any(|one| one.kind() != kind) {
        return Err(SetupError::new(
            "wrong_algorithm",
            "`alg` does not fit `kind`: `mac` takes `hmac-...`, `keyed_hash` takes `sha256`, `signature` takes \
             `ed25519`, `ecdsa-...` and `rsa-...`",
        ));
    }
    if scheme.signed.contains(&Part::Secret) != (kind == Kind::KeyedHash) {
        return Err(SetupError::new(
            "secret_part",
            "`{secret}` belongs into `signed` with `kind = \"keyed_hash\"`, and only there",
        ));
    }
    Ok((list, choice))
}
