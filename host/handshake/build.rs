//! Building: do these rules make sense, with this source's secrets and parameters?
//!
//! All problems are gathered. A handshake that needs a parameter which the source does not give is off, and the
//! caller is told; so is one that fetches something, where the source does not ask for that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};

use super::check::{BadHandshake, check};
use super::place::{Lookup, Place};
use super::rule::{AnswerRule, ConfirmRule, Expect, JsonValue, Method, Rule};
use super::shake::{
    Condition, Confirm, Content, Expected, Filling, Key, Member, Piece, Shake, Wanted,
};
use super::text::{Part, Text};
use super::{Handshakes, MadeOf};
use crate::fetch::Policy;
use crate::secret::Secret;
use crate::verify::pointer::Pointers;
use crate::verify::{Params, Scheme, Verifier};

/// What a source gives its handshakes.
#[derive(Clone, Copy, Debug)]
pub struct Given<'g> {
    /// How its requests are signed.
    pub scheme: &'g Scheme,
    /// What they are signed with.
    pub secrets: &'g [Secret],
    /// What the scheme needs besides.
    pub params: &'g Params,
    /// Parameters of handshakes.
    pub values: &'g BTreeMap<String, String>,
    /// How URLs may be fetched, besides those of a rule's own hosts; `None` if none may.
    pub fetch: Option<&'g Policy>,
}

/// A handshake that is off because the source does not give a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Off {
    /// Its name.
    pub handshake: String,
    /// The parameter.
    pub param: String,
}

impl Handshakes {
    /// Joins rules with what a source gives them. The second value is what is off for want of a parameter.
    ///
    /// # Errors
    /// All that is wrong with the rules, in words for whoever wrote them.
    pub fn new(rules: &[Rule], given: Given<'_>) -> Result<(Self, Vec<Off>), Vec<BadHandshake>> {
        let mut building = Building {
            given,
            pointers: Pointers::default(),
            off: vec![],
            errors: vec![],
        };
        let mut names = BTreeSet::new();
        let mut shakes = vec![];
        for rule in rules {
            if !names.insert(rule.name.as_str()) {
                let hint = "give each a name of its own";
                let twice = BadHandshake::new(rule, "stands there twice", hint);
                building.errors.push(twice);
            }
            building.errors.extend(check(rule));
            shakes.extend(building.shake(rule));
        }
        if !building.errors.is_empty() {
            return Err(building.errors);
        }
        let mut methods = vec![Method::Post.as_str()];
        methods.extend(shakes.iter().map(Shake::method));
        methods.sort_unstable();
        methods.dedup();
        let handshakes = Self {
            shakes,
            pointers: building.pointers,
            allow: methods.join(", "),
            made_of: MadeOf {
                rules: rules.to_vec(),
                values: given.values.clone(),
                fetch: given.fetch.cloned(),
            },
        };
        Ok((handshakes, building.off))
    }
}

struct Building<'g> {
    given: Given<'g>,
    pointers: Pointers,
    off: Vec<Off>,
    errors: Vec<BadHandshake>,
}

impl Building<'_> {
    /// The rule with the source's parts filled in; `None` if it is off or wrong.
    fn shake(&mut self, rule: &Rule) -> Option<Shake> {
        let confirm = match (&rule.confirm, self.given.fetch) {
            (None, _) => None,
            // The source did not ask for it.
            (Some(_), None) => return None,
            (Some(confirm), Some(policy)) => Some(self.confirm(confirm, policy)),
        };
        let expect = match &rule.expect {
            None => None,
            Some(expect) => match rule_value(rule, &expect.param, self.given.values) {
                Some(value) => Some(self.expected(expect, value)),
                None if expect.optional => None,
                None => return self.lacks(rule, &expect.param),
            },
        };
        let missing = rule
            .answer
            .texts()
            .flat_map(|text| &text.0)
            .find_map(|part| match part {
                Part::Param(name) if rule_value(rule, name, self.given.values).is_none() => {
                    Some(name)
                }
                _ => None,
            });
        if let Some(name) = missing {
            return self.lacks(rule, name);
        }
        let (head, body) = self
            .conditions(rule)
            .into_iter()
            .partition(|condition| !condition.place.is_in_body());
        let headers = self.headers(rule);
        let content = self.content(rule, &rule.answer);
        Some(Shake {
            name: rule.name.as_str().into(),
            method: rule.method,
            head,
            body,
            verify_first: rule.verify_first,
            expect,
            keys: self.keys(),
            status: rule.answer.status,
            headers,
            content_type: rule.answer.content_type,
            content,
            confirm,
        })
    }

    /// Off for want of a parameter; what the source has asked for must not be off.
    fn lacks(&mut self, rule: &Rule, param: &str) -> Option<Shake> {
        if rule.confirm.is_some() {
            self.errors.push(BadHandshake {
                handshake: rule.name.clone(),
                what: format!("needs the parameter `{param}`"),
                hint: "without it anybody's subscription would be confirmed",
                param: Some(param.to_owned()),
            });
        } else {
            self.off.push(Off {
                handshake: rule.name.clone(),
                param: param.to_owned(),
            });
        }
        None
    }

    fn conditions(&mut self, rule: &Rule) -> Vec<Condition> {
        let mut conditions = vec![];
        let mut push = |place: Place, wanted: Wanted| {
            let place = Lookup::new(&place, &mut self.pointers);
            conditions.push(Condition { place, wanted });
        };
        for (name, value) in &rule.query {
            push(Place::Query(name.clone()), Wanted::Is(value.clone()));
        }
        for (name, value) in &rule.header {
            push(
                Place::Header(name.to_ascii_lowercase()),
                Wanted::Is(value.clone()),
            );
        }
        for (pointer, value) in &rule.json {
            push(Place::Json(pointer.clone()), Wanted::Is(value.0.clone()));
        }
        for place in &rule.has {
            push(place.clone(), Wanted::Something);
        }
        for place in &rule.lacks {
            push(place.clone(), Wanted::Nothing);
        }
        conditions
    }

    fn expected(&mut self, expect: &Expect, value: &str) -> Expected {
        let hash = |one: &str| <[u8; 32]>::from(Sha256::digest(one.as_bytes()));
        let any_of = if expect.list {
            let separates = |c: char| c == ',' || c.is_whitespace();
            value
                .split(separates)
                .filter(|one| !one.is_empty())
                .map(hash)
                .collect()
        } else {
            vec![hash(value)]
        };
        Expected {
            place: Lookup::new(&expect.value, &mut self.pointers),
            shown: expect.value.to_string(),
            any_of,
            refuse: expect.refuse,
        }
    }

    fn confirm(&mut self, confirm: &ConfirmRule, policy: &Policy) -> Confirm {
        let mut policy = policy.clone();
        policy.hosts.extend(confirm.hosts.iter().cloned());
        Confirm {
            url: Lookup::new(&confirm.url, &mut self.pointers),
            shown: confirm.url.to_string(),
            policy: Arc::new(policy),
        }
    }

    fn headers(&mut self, rule: &Rule) -> Vec<(HeaderName, Filling)> {
        let mut headers = vec![];
        for (name, text) in &rule.answer.headers {
            let filling = self.fill(rule, text);
            let forbidden = |piece: &Piece| match piece {
                Piece::Literal(text) => HeaderValue::from_str(text).is_err(),
                Piece::Echo(..) | Piece::Mac(..) => false,
            };
            if filling.0.iter().any(forbidden) {
                let what = format!("has a value for `{name}` that no header can have");
                let hint = "a header's value is one line, its parameters included";
                self.errors.push(BadHandshake::new(rule, what, hint));
            }
            // A name that is none is an error already.
            if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
                headers.push((name, filling));
            }
        }
        headers
    }

    fn content(&mut self, rule: &Rule, answer: &AnswerRule) -> Content {
        if let Some(members) = &answer.json {
            let mut filled = vec![];
            for (name, value) in members {
                let member = match value {
                    JsonValue::Text(text) => Member::Text(self.fill(rule, text)),
                    JsonValue::Fixed(value) => Member::Fixed(value.clone()),
                };
                filled.push((name.clone(), member));
            }
            return Content::Json(filled);
        }
        match &answer.text {
            Some(text) => Content::Text(self.fill(rule, text)),
            None => Content::None,
        }
    }

    /// A text with its parameters put in. None is missing: that was looked at before.
    fn fill(&mut self, rule: &Rule, text: &Text) -> Filling {
        let mut pieces = vec![];
        for part in &text.0 {
            pieces.push(match part {
                Part::Literal(text) => Piece::Literal(text.clone()),
                Part::Param(name) => {
                    let value = rule_value(rule, name, self.given.values);
                    Piece::Literal(value.unwrap_or_default().to_owned())
                }
                Part::Echo(place) => {
                    Piece::Echo(Lookup::new(place, &mut self.pointers), place.to_string())
                }
                Part::Mac(encoding, place) => {
                    let lookup = Lookup::new(place, &mut self.pointers);
                    Piece::Mac(*encoding, lookup, place.to_string())
                }
            });
        }
        Filling(pieces)
    }

    fn keys(&self) -> Vec<Key> {
        let given = self.given;
        let several = given.secrets.len() > 1;
        let key = |secret: &Secret| Key {
            secret: secret.clone(),
            verifier: several
                .then(|| {
                    Verifier::new(given.scheme, std::slice::from_ref(secret), given.params).ok()
                })
                .flatten(),
        };
        given.secrets.iter().map(key).collect()
    }
}

/// A parameter's value: the source's, or else the rule's own.
fn rule_value<'v>(
    rule: &'v Rule,
    name: &str,
    values: &'v BTreeMap<String, String>,
) -> Option<&'v str> {
    values
        .get(name)
        .or_else(|| rule.params.get(name))
        .map(String::as_str)
}

/// Takes the parameters of handshakes out of a source's, and leaves those that the scheme knows too.
pub fn take_values(
    rules: &[Rule],
    scheme: &Scheme,
    params: &mut Params,
) -> BTreeMap<String, String> {
    let known_to_scheme = scheme.params();
    let mut values = BTreeMap::new();
    for name in rules.iter().flat_map(Rule::param_names) {
        if let Some(value) = params.values.get(name) {
            values.insert(name.to_owned(), value.clone());
        }
    }
    params
        .values
        .retain(|name, _| !values.contains_key(name) || known_to_scheme.contains(name));
    values
}
