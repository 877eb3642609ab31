//! Building a verifier: does this scheme make sense, with these secrets and these parameters?
//!
//! All problems are gathered. Of an `any_of`, a scheme that can use none of the secrets is off; an error is what
//! leaves no scheme, a secret that no scheme can use, or a secret that is empty.

use crate::secret::Secret;

use super::check::{Check, MacCheck, TimePlace};
use super::clock::Clock;
use super::credential::CredentialCheck;
use super::extract::Extractor;
use super::key::{Unusable, empty, key_bytes};
use super::mac::Key;
use super::part::Part;
use super::render::Template;
use super::scheme::{
    Algorithm, Credential, Kind, Place, Scheme, Signature, SignatureForm, TimeUnit, Timestamp,
    Window,
};
use super::setup::SetupError;
use super::{Branch, Coverage, Params};

/// A secret with its place in the list, counted from 1.
type Numbered<'s> = (usize, &'s Secret);

/// What became of one scheme.
enum Outcome {
    On(Box<Branch>),
    /// The source did not ask for it, or none of its secrets is of its kind.
    Off,
}

pub(super) fn branches(
    scheme: &Scheme,
    secrets: &[Secret],
    params: &Params,
) -> Result<Vec<Branch>, Vec<SetupError>> {
    let mut errors = vec![];
    let schemes = alternatives(scheme, &mut errors);
    check_params(scheme, &schemes, params, &mut errors);
    let unverified = schemes.iter().all(|one| one.kind == Some(Kind::Unverified));
    check_secrets(secrets, unverified, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }

    let mut building = Building {
        whole: scheme,
        params,
        used: vec![false; secrets.len()],
        unusable: vec![],
        errors: vec![],
    };
    let mut branches = vec![];
    for one in &schemes {
        let numbered: Vec<Numbered<'_>> = (1..)
            .zip(secrets)
            .filter(|(number, _)| one.secret.is_none_or(|only| only == *number))
            .collect();
        match building.branch(one, &numbered) {
            Ok(Outcome::On(branch)) => branches.push(*branch),
            Ok(Outcome::Off) => {}
            Err(error) => building.errors.push(error),
        }
    }
    building.finish(branches)
}

fn alternatives<'s>(scheme: &'s Scheme, errors: &mut Vec<SetupError>) -> Vec<&'s Scheme> {
    if scheme.any_of.is_empty() {
        return vec![scheme];
    }
    if scheme.kind.is_some() {
        errors.push(
            SetupError::new("kind_and_any_of", "the scheme has both `kind` and `any_of`")
                .hint("move what belongs to `kind` into an entry of `any_of`"),
        );
    }
    if scheme.any_of.iter().any(|one| !one.any_of.is_empty()) {
        errors.push(SetupError::new(
            "nested_any_of",
            "an entry of `any_of` has an `any_of` itself",
        ));
    }
    scheme.any_of.iter().collect()
}

fn check_secrets(secrets: &[Secret], unverified: bool, errors: &mut Vec<SetupError>) {
    if unverified {
        if !secrets.is_empty() {
            errors.push(
                SetupError::new(
                    "unused_secret",
                    "there are secrets, but nothing is verified",
                )
                .hint("choose a provider or scheme that checks them, or remove them"),
            );
        }
        return;
    }
    if secrets.is_empty() {
        errors.push(
            SetupError::new("no_secret", "there is no secret to verify with")
                .hint("give at least one, as `env:NAME` or `file:PATH`"),
        );
    }
    for (number, secret) in (1..).zip(secrets) {
        if secret.is_empty() {
            errors.push(empty(number));
        }
    }
}

fn check_params(
    scheme: &Scheme,
    schemes: &[&Scheme],
    params: &Params,
    errors: &mut Vec<SetupError>,
) {
    let known = scheme.params();
    for name in params.values.keys() {
        if !known.contains(name) {
            let hint = if known.is_empty() {
                "it takes none".to_owned()
            } else {
                format!("it takes {}", known.join(", "))
            };
            errors.push(
                SetupError::new(
                    "unknown_param",
                    format!("this scheme takes no parameter `{name}`"),
                )
                .hint(hint),
            );
        }
    }
    if schemes.is_empty() {
        errors.push(SetupError::new("empty_scheme", "the scheme is empty"));
    }
}

impl Scheme {
    /// How much of a request its schemes cover, each once, those that are off unless a source asks for them left out.
    #[must_use]
    pub fn coverages(&self) -> Vec<Coverage> {
        let mut found = Vec::new();
        for way in self.any_of.iter().filter(|way| way.opt_in.is_none()) {
            if !found.contains(&way.covers()) {
                found.push(way.covers());
            }
        }
        if self.any_of.is_empty() {
            found.push(self.covers());
        }
        found
    }

    /// How much of a request this one scheme covers.
    fn covers(&self) -> Coverage {
        let covers_body = self
            .signed
            .iter()
            .any(|part| matches!(part, Part::Body | Part::CanonicalJson | Part::FormSorted))
            || self.body_hash.is_some();
        self.coverage.unwrap_or(if covers_body {
            Coverage::Full
        } else {
            Coverage::None
        })
    }

    /// Names of the parameters that this scheme asks for, or can take.
    #[must_use]
    pub fn params(&self) -> Vec<String> {
        let mut names: Vec<String> = vec![];
        for one in std::iter::once(self).chain(&self.any_of) {
            names.extend(one.opt_in.clone());
            names.extend(one.signed.iter().filter_map(|part| match part {
                Part::Param(name) => Some(name.clone()),
                _ => None,
            }));
            if let Some(credential) = &one.credential {
                names.extend(param_name(&credential.name).map(str::to_owned));
                if credential.place == Place::Basic {
                    names.push("username".to_owned());
                }
            }
        }
        names.sort();
        names.dedup();
        names
    }
}

fn param_name(text: &str) -> Option<&str> {
    text.strip_prefix("{param:")?.strip_suffix('}')
}

struct Building<'b> {
    whole: &'b Scheme,
    params: &'b Params,
    /// By secret: some scheme can use it.
    used: Vec<bool>,
    /// Why a scheme cannot use a secret, with the secret's number.
    unusable: Vec<(usize, SetupError)>,
    errors: Vec<SetupError>,
}

impl Building<'_> {
    fn branch(&mut self, scheme: &Scheme, secrets: &[Numbered<'_>]) -> Result<Outcome, SetupError> {
        if let Some(name) = &scheme.opt_in
            && self.params.values.get(name).map(String::as_str) != Some("true")
        {
            return Ok(Outcome::Off);
        }
        let kind = scheme.kind.ok_or_else(|| {
            SetupError::new("no_kind", "the scheme has no `kind`")
                .hint("`mac`, `keyed_hash`, `static` or `unverified`")
        })?;
        let check = match kind {
            Kind::Mac | Kind::KeyedHash => self
                .mac(kind, scheme, secrets)?
                .map(|mac| Check::Mac(Box::new(mac))),
            Kind::Static => self.credential(scheme, secrets)?.map(Check::Static),
            Kind::Unverified => Some(Check::Unverified),
        };
        let Some(check) = check else {
            return Ok(Outcome::Off);
        };
        let or_whole = |own: &Vec<_>, whole: &Vec<_>| {
            if own.is_empty() {
                whole.clone()
            } else {
                own.clone()
            }
        };
        let body_time = scheme
            .body_timestamp
            .as_ref()
            .or(self.whole.body_timestamp.as_ref());
        Ok(Outcome::On(Box::new(Branch {
            check,
            require: scheme
                .require
                .iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
                .collect(),
            coverage: scheme.covers(),
            extractor: Extractor::new(
                &or_whole(&scheme.event_id, &self.whole.event_id),
                &or_whole(&scheme.event_type, &self.whole.event_type),
                body_time.map(|time| {
                    let clock = self.clock(time.unit, time.past, time.future);
                    (time.json.as_str(), clock)
                }),
            ),
        })))
    }

    fn clock(&self, unit: TimeUnit, past: Window, future: Window) -> Clock {
        let tolerance = self.params.tolerance;
        Clock {
            unit,
            past: tolerance.unwrap_or(past),
            future: match future {
                Window(None) => future,
                Window(Some(_)) => tolerance.unwrap_or(future),
            },
        }
    }

    fn mac(
        &mut self,
        kind: Kind,
        scheme: &Scheme,
        secrets: &[Numbered<'_>],
    ) -> Result<Option<MacCheck>, SetupError> {
        let signature = signature(scheme)?;
        let time = scheme
            .timestamp
            .as_ref()
            .map(|time| self.time_place(time, &signature))
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
        let (algorithms, algorithm) = algorithms(kind, scheme)?;
        let keys = self.usable(secrets, |secret| key_bytes(&scheme.key, secret));
        if keys.is_empty() {
            return Ok(None);
        }
        let template = Template::new(&scheme.signed, scheme.body_hash.as_deref(), self.params)?;
        Ok(Some(MacCheck {
            signature,
            template,
            time,
            keys: algorithms
                .into_iter()
                .map(|algorithm| {
                    let prepared = keys.iter().filter_map(|key| Key::new(algorithm, key));
                    (algorithm, prepared.collect())
                })
                .collect(),
            algorithm,
            algorithm_optional: scheme.alg.is_some(),
        }))
    }

    fn time_place(&self, time: &Timestamp, signature: &Signature) -> Result<TimePlace, SetupError> {
        let beside = matches!(
            signature.form,
            SignatureForm::Pairs | SignatureForm::PairSets
        );
        if time.header.is_none() && !beside {
            return Err(SetupError::new(
                "no_timestamp",
                "`timestamp` has no `header`, and the signature is no list of pairs with a time",
            ));
        }
        Ok(TimePlace {
            header: time.header.as_deref().map(str::to_ascii_lowercase),
            clock: self.clock(time.unit, time.past, time.future),
        })
    }

    fn credential(
        &mut self,
        scheme: &Scheme,
        secrets: &[Numbered<'_>],
    ) -> Result<Option<CredentialCheck>, SetupError> {
        let Some(Credential { place, name }) = &scheme.credential else {
            return Err(SetupError::new("no_credential", "`credential` is missing")
                .hint("such as `credential = { in = \"header\", name = \"X-Api-Key\" }`"));
        };
        let name = match param_name(name) {
            None => name.as_str(),
            Some(param) => match self.params.values.get(param) {
                None => return Ok(None),
                Some(value) => value.as_str(),
            },
        };
        if name.is_empty() && matches!(place, Place::Header | Place::Query) {
            return Err(SetupError::new(
                "no_credential",
                "`credential` has no `name`",
            ));
        }
        let username = self.params.values.get("username").cloned();
        let expected = self.usable(secrets, |secret| {
            let key = key_bytes(&scheme.key, secret)?;
            match (&username, place) {
                (Some(user), Place::Basic) => Ok([user.as_bytes(), b":".as_slice(), &key].concat()),
                (None, Place::Basic) if !key.contains(&b':') => Err(Unusable::NoUser),
                _ => Ok(key),
            }
        });
        if expected.is_empty() {
            return Ok(None);
        }
        let name = match place {
            Place::Query => name.to_owned(),
            Place::Basic | Place::Bearer | Place::Header => name.to_ascii_lowercase(),
        };
        Ok(Some(CredentialCheck::new(
            *place,
            &name,
            expected.iter().map(Vec::as_slice),
        )))
    }

    /// The keys of those secrets that the scheme can use.
    fn usable(
        &mut self,
        secrets: &[Numbered<'_>],
        key: impl Fn(&Secret) -> Result<Vec<u8>, Unusable>,
    ) -> Vec<Vec<u8>> {
        let mut keys = vec![];
        for (number, secret) in secrets {
            match key(secret) {
                Ok(key) => {
                    keys.push(key);
                    if let Some(used) = self.used.get_mut(number - 1) {
                        *used = true;
                    }
                }
                Err(why) => self.unusable.push((*number, why.explain(*number))),
            }
        }
        keys
    }

    fn finish(mut self, branches: Vec<Branch>) -> Result<Vec<Branch>, Vec<SetupError>> {
        for (number, error) in self.unusable {
            let used = self.used.get(number - 1).copied().unwrap_or_default();
            if !used && !self.errors.contains(&error) {
                self.errors.push(error);
            }
        }
        if branches.is_empty() && self.errors.is_empty() {
            self.errors.push(
                SetupError::new(
                    "no_usable_scheme",
                    "no scheme is left to verify with: each needs a parameter or a secret that is not given",
                )
                .hint(format!("parameters: {}", self.whole.params().join(", "))),
            );
        }
        if self.errors.is_empty() {
            Ok(branches)
        } else {
            Err(self.errors)
        }
    }
}

fn signature(scheme: &Scheme) -> Result<Signature, SetupError> {
    let Some(signature) = &scheme.signature else {
        return Err(SetupError::new("no_signature", "`signature` is missing")
            .hint("such as `signature = { header = \"X-Signature\", encoding = \"hex\" }`"));
    };
    let pairs = matches!(
        signature.form,
        SignatureForm::Pairs | SignatureForm::PairSets
    );
    if pairs && signature.key.is_empty() {
        return Err(SetupError::new(
            "no_signature",
            "`signature` is a list of pairs without the `key` of the signature",
        ));
    }
    Ok(Signature {
        header: signature.header.to_ascii_lowercase(),
        ..signature.clone()
    })
}

/// The header that names an algorithm, and its values with the algorithm's place in the list.
type AlgorithmChoice = Option<(String, Vec<(String, usize)>)>;

fn algorithms(
    kind: Kind,
    scheme: &Scheme,
) -> Result<(Vec<Algorithm>, AlgorithmChoice), SetupError> {
    let mut list: Vec<Algorithm> = scheme.alg.into_iter().collect();
    let choice = scheme.alg_from.as_ref().map(|from| {
        let values = from
            .map
            .iter()
            .map(|(value, algorithm)| {
                let index = list.iter().position(|known| known == algorithm);
                let index = index.unwrap_or_else(|| {
                    list.push(*algorithm);
                    list.len() - 1
                });
                (value.clone(), index)
            })
            .collect();
        (from.header.to_ascii_lowercase(), values)
    });
    if list.is_empty() {
        return Err(SetupError::new("no_algorithm", "`alg` is missing")
            .hint("`hmac-sha256` is the usual one"));
    }
    let keyed_hash = kind == Kind::KeyedHash;
    if list
        .iter()
        .any(|one| (*one == Algorithm::Sha256) != keyed_hash)
    {
        return Err(SetupError::new(
            "wrong_algorithm",
            "`alg` does not fit `kind`: `mac` takes `hmac-...`, `keyed_hash` takes `sha256`",
        ));
    }
    if scheme.signed.contains(&Part::Secret) != keyed_hash {
        return Err(SetupError::new(
            "secret_part",
            "`{secret}` belongs into `signed` with `kind = \"keyed_hash\"`, and only there",
        ));
    }
    Ok((list, choice))
}
