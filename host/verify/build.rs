//! Building a verifier: does this scheme make sense, with these secrets and these parameters?
//!
//! All problems are gathered. Of an `any_of`, a scheme that can use none of the secrets is off; an error is what
//! leaves no scheme, a secret that no scheme can use, or a secret that is empty.

mod credential;
mod signed;

use crate::secret::Secret;

use super::branch::{Bound, Branch, Condition, List};
use super::check::Check;
use super::clock::Clock;
use super::extract::Extractor;
use super::key::{Unusable, empty};
use super::part::Part;
use super::scheme::{Kind, Place, Scheme, TimeUnit, Window};
use super::setup::SetupError;
use super::site::Site;
use super::{Coverage, Params};

/// A secret with its place in the list, counted from 1.
type Numbered<'s> = (usize, &'s Secret);

/// What became of one scheme.
enum Outcome<T> {
    On(T),
    /// The source did not ask for it.
    NotAsked,
    /// None of the secrets is of its kind.
    NoKey,
}

pub(super) fn branches(
    scheme: &Scheme,
    secrets: &[Secret],
    params: &Params,
) -> Result<Vec<Branch>, Vec<SetupError>> {
    let mut errors = vec![];
    let schemes = alternatives(scheme, &mut errors);
    check_params(scheme, &schemes, params, &mut errors);
    check_secrets(secrets, &schemes, params, &mut errors);
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
            Ok(Outcome::On(branch)) => branches.push(branch),
            Ok(Outcome::NotAsked | Outcome::NoKey) => {}
            Err(error) => building.errors.push(error),
        }
    }
    building.finish(branches)
}

fn alternatives<'s>(scheme: &'s Scheme, errors: &mut Vec<SetupError>) -> Vec<&'s Scheme> {
    let nests = |one: &Scheme| !one.also.is_empty() || !one.any_of.is_empty();
    if scheme
        .any_of
        .iter()
        .chain([scheme])
        .flat_map(|one| &one.also)
        .any(nests)
    {
        errors.push(SetupError::new(
            "nested_also",
            "an entry of `also` has an `also` or `any_of` itself",
        ));
    }
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

fn check_secrets(
    secrets: &[Secret],
    schemes: &[&Scheme],
    params: &Params,
    errors: &mut Vec<SetupError>,
) {
    let publishes = schemes.iter().any(|one| one.key_source.is_some());
    let fetches = publishes && params.fetch_keys;
    let mut also = schemes.iter().flat_map(|one| &one.also);
    if params.fetch_keys && !publishes && also.all(|one| one.key_source.is_none()) {
        errors.push(
            SetupError::new(
                "nothing_to_fetch",
                "this scheme has no keys that could be fetched",
            )
            .hint("remove `fetch_keys`"),
        );
    }
    if schemes.iter().all(|one| one.kind == Some(Kind::Unverified)) {
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
    if secrets.is_empty() && !fetches {
        let hint = if publishes {
            "give the sender's public key or certificate, or let `fetch_keys = true` fetch it from the sender"
        } else {
            "give at least one, as `env:NAME` or `file:PATH`"
        };
        errors.push(SetupError::new("no_secret", "there is no secret to verify with").hint(hint));
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
        let covers_body = self.signed.iter().chain(self.claims.values()).any(|part| {
            matches!(
                part,
                Part::Body | Part::BodySha256 | Part::CanonicalJson | Part::FormSorted
            )
        }) || self.body_hash.is_some();
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
        self.add_params(&mut names);
        names.sort();
        names.dedup();
        names
    }

    fn add_params(&self, names: &mut Vec<String>) {
        names.extend(self.opt_in.clone());
        names.extend(self.if_param.clone());
        names.extend(self.bind.values().cloned());
        let parts = self.signed.iter().chain(self.claims.values());
        names.extend(parts.filter_map(|part| match part {
            Part::Param(name) => Some(name.clone()),
            _ => None,
        }));
        if let Some(credential) = &self.credential {
            names.extend(param_name(&credential.name).map(str::to_owned));
            if credential.place == Place::Basic {
                names.push("username".to_owned());
            }
        }
        if let Some(source) = &self.key_source {
            names.extend(source.ca_param.clone());
            let texts = [source.url.as_deref(), source.post.as_deref()];
            for text in texts.into_iter().flatten() {
                let after = text.split("{param:").skip(1);
                names.extend(after.filter_map(|rest| Some(rest.split_once('}')?.0.to_owned())));
            }
        }
        for one in self.any_of.iter().chain(&self.also) {
            one.add_params(names);
        }
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
    fn branch(
        &mut self,
        scheme: &Scheme,
        secrets: &[Numbered<'_>],
    ) -> Result<Outcome<Branch>, SetupError> {
        let mut conditions = match self.condition(scheme, secrets)? {
            Outcome::On(first) => vec![first],
            Outcome::NotAsked => return Ok(Outcome::NotAsked),
            Outcome::NoKey => return Ok(Outcome::NoKey),
        };
        for also in &scheme.also {
            match self.condition(also, secrets)? {
                Outcome::On(condition) => conditions.push(condition),
                Outcome::NotAsked => {}
                Outcome::NoKey => {
                    return Err(SetupError::new(
                        "no_key",
                        "the source asks for a further check, and there is no key for it",
                    )
                    .hint(
                        "give the sender's public key as a secret too, or set `fetch_keys = true`",
                    ));
                }
            }
        }
        fn or_whole<'s, T>(own: &'s [T], whole: &'s [T]) -> &'s [T] {
            if own.is_empty() { whole } else { own }
        }
        let whole = self.whole;
        let body_time = scheme
            .body_timestamp
            .as_ref()
            .or(whole.body_timestamp.as_ref());
        Ok(Outcome::On(Branch {
            conditions,
            coverage: scheme.covers(),
            extractor: Extractor::new(
                or_whole(&scheme.event_id, &whole.event_id),
                or_whole(&scheme.event_type, &whole.event_type),
                or_whole(&scheme.dedupe_by, &whole.dedupe_by),
                body_time.map(|time| {
                    let clock = self.clock(time.unit, time.past, time.future);
                    (time.json.as_str(), clock)
                }),
            ),
        }))
    }

    fn condition(
        &mut self,
        scheme: &Scheme,
        secrets: &[Numbered<'_>],
    ) -> Result<Outcome<Condition>, SetupError> {
        let given = |name: &String| self.params.values.get(name).map(String::as_str);
        let opted_out = scheme
            .opt_in
            .as_ref()
            .is_some_and(|name| given(name) != Some("true"));
        let lacks_param = scheme
            .if_param
            .as_ref()
            .is_some_and(|name| given(name).is_none());
        if opted_out || lacks_param {
            return Ok(Outcome::NotAsked);
        }
        let kind = scheme.kind.ok_or_else(|| {
            SetupError::new("no_kind", "the scheme has no `kind`")
                .hint("`mac`, `keyed_hash`, `signature`, `jwt`, `static` or `unverified`")
        })?;
        let check = match kind {
            Kind::Mac | Kind::KeyedHash | Kind::Signature => self
                .signed(kind, scheme, secrets)?
                .map(|check| Check::Signed(Box::new(check))),
            Kind::Jwt => self
                .jwt(scheme, secrets)?
                .map(|check| Check::Jwt(Box::new(check))),
            Kind::Static => self.credential(scheme, secrets)?.map(Check::Static),
            Kind::Unverified => Some(Check::Unverified),
        };
        let Some(check) = check else {
            return Ok(Outcome::NoKey);
        };
        let mut bound = Bound::default();
        for (place, name) in &scheme.bind {
            let Some(value) = self.params.values.get(name) else {
                continue;
            };
            let site = Site::new(place, &mut bound.pointers).ok_or_else(|| {
                SetupError::new("bad_place", "`bind` names no place that a sender writes to")
            })?;
            bound.values.push((site, value.clone().into_bytes()));
        }
        let lower = |name: &String| name.to_ascii_lowercase();
        Ok(Outcome::On(Condition {
            check,
            unless: scheme.unless.iter().map(lower).collect(),
            require: scheme
                .require
                .iter()
                .map(|(name, value)| (lower(name), value.clone()))
                .collect(),
            each: scheme.each.as_deref().map(List::new),
            bound,
        }))
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

    /// What those secrets are to the scheme that it can use.
    fn usable<T>(
        &mut self,
        secrets: &[Numbered<'_>],
        key: impl Fn(&Secret) -> Result<T, Unusable>,
    ) -> Vec<T> {
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
        let mut explained = vec![];
        for (number, error) in self.unusable {
            let used = self.used.get(number - 1).copied().unwrap_or_default();
            // The first scheme's reason is the likeliest; each further one would only be noise.
            if !used && !explained.contains(&number) {
                explained.push(number);
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
