//! Checks: the families of schemes at work on a request.

use std::borrow::Cow;

use subtle::Choice;

use super::clock::Clock;
use super::credential::CredentialCheck;
use super::jwt::JwtCheck;
use super::keys::{KeyRef, Remote};
use super::mac::{self, Tag, tag_bytes};
use super::pointer::{Found, Pointers};
use super::public;
use super::render::{Slice, Template, assemble};
use super::scheme::Algorithm;
use super::signature::{self, Candidate, Rule};
use super::site::Site;
use super::{Rejection, View};

/// Signatures of one request that are tried against public keys, each of which costs some 100 us.
const PUBLIC_CANDIDATES_MAX: usize = 8;

/// One family, with its keys.
pub(super) enum Check {
    Signed(Box<SignedCheck>),
    Jwt(Box<JwtCheck>),
    Static(CredentialCheck),
    Unverified,
}

impl Check {
    pub(super) fn run(&self, view: View<'_>) -> Result<(), Rejection> {
        match self {
            Self::Signed(check) => check.run(view),
            Self::Jwt(check) => check.run(view),
            Self::Static(check) => check.check(view),
            Self::Unverified => Ok(()),
        }
    }

    /// Configured public keys.
    pub(super) fn public_keys(&self) -> Vec<&public::Key> {
        match self {
            Self::Signed(check) => check
                .provers
                .iter()
                .filter_map(|(_, prover)| match prover {
                    Prover::Public(keys) => Some(keys),
                    Prover::Shared(_) => None,
                })
                .flatten()
                .collect(),
            Self::Jwt(check) => check.keys.iter().collect(),
            Self::Static(_) | Self::Unverified => vec![],
        }
    }
}

/// A MAC, keyed hash or public-key signature over parts of the request.
pub(super) struct SignedCheck {
    /// What all the others look up in the body.
    pub(super) pointers: Pointers,
    pub(super) rule: Rule,
    pub(super) template: Template,
    pub(super) time: Option<TimePlace>,
    /// The keys by algorithm; the first algorithm is the default.
    pub(super) provers: Vec<(Algorithm, Prover)>,
    /// Where the sender names the algorithm, and the possible values with their place in `provers`.
    pub(super) algorithm: Option<(Site, Vec<(String, usize)>)>,
    /// Whether a request that names no algorithm is judged by the first one.
    pub(super) algorithm_optional: bool,
    /// Where the sender publishes its keys.
    pub(super) remote: Option<Remote>,
}

/// What shows that a signature is good.
pub(super) enum Prover {
    /// Who can check can sign as well.
    Shared(Vec<mac::Key>),
    Public(Vec<public::Key>),
}

/// Where a timestamp stands.
pub(super) struct TimePlace {
    /// `None` means beside the signature.
    pub(super) site: Option<Site>,
    pub(super) clock: Clock,
}

/// A signature whose time is good, or has none.
#[derive(Clone, Copy)]
struct Timely<'w> {
    text: &'w str,
    time: Option<&'w str>,
}

impl SignedCheck {
    fn run(&self, view: View<'_>) -> Result<(), Rejection> {
        let found = self.pointers.find_strict(view.json)?;
        let written = self.rule.read(view, &found)?;
        let candidates = self.rule.candidates(&written)?;
        let (algorithm, prover) = self.prover(view, &found)?;
        let wanted = match &self.remote {
            None => None,
            Some(remote) => {
                let key = remote.locate(view, &found, None)?;
                remote.fetch.then_some(key)
            }
        };
        let site = self.time.as_ref().and_then(|place| place.site.as_ref());
        let outside = match site {
            None => None,
            Some(site) => Some(site.required(view, &found)?),
        };
        let slices = self.template.render(view, &found)?;
        let timely = self.timely(&candidates, outside.as_deref(), view.now_ms)?;
        match prover {
            Prover::Shared(keys) => self.shared(algorithm, keys, &slices, &timely),
            Prover::Public(keys) => {
                self.public(algorithm, keys, wanted.as_ref(), &slices, &timely, view)
            }
        }
    }

    /// The signatures that are neither too old nor too new. Of sets that each have a time, one may be.
    fn timely<'w>(
        &self,
        candidates: &[Candidate<'w>],
        outside: Option<&'w str>,
        now_ms: u64,
    ) -> Result<Vec<Timely<'w>>, Rejection> {
        let mut refused = None;
        let mut timely = Vec::with_capacity(candidates.len());
        for Candidate { text, time } in candidates {
            let time = outside.or(*time);
            if let Some(place) = &self.time {
                let judged = time
                    .ok_or_else(|| self.no_time())
                    .and_then(|time| place.clock.check(time, now_ms));
                if let Err(rejection) = judged {
                    refused.get_or_insert(rejection);
                    continue;
                }
            }
            timely.push(Timely { text, time });
        }
        match refused {
            Some(rejection) if timely.is_empty() => Err(rejection),
            _ => Ok(timely),
        }
    }

    fn shared(
        &self,
        algorithm: Algorithm,
        keys: &[mac::Key],
        slices: &[Slice<'_>],
        timely: &[Timely<'_>],
    ) -> Result<(), Rejection> {
        let mut decoded_any = false;
        let mut matched = Choice::from(0);
        // Tags are computed once for each time that stands in the header: once, but for sets of pairs.
        let mut computed: Option<(Option<&str>, Vec<Tag>)> = None;
        for Timely { text, time } in timely {
            let Some(bytes) = signature::decode(self.rule.encoding, text, tag_bytes(algorithm))
            else {
                continue;
            };
            decoded_any = true;
            let tags = match &mut computed {
                Some((of, tags)) if of == time => tags,
                other => {
                    let tags = keys.iter().map(|key| tag(key, slices, *time)).collect();
                    &mut other.insert((*time, tags)).1
                }
            };
            // Every tag is compared with every signature, whether or not one matched already.
            for tag in tags.iter() {
                matched |= tag.matches(bytes.as_bytes());
            }
        }
        if bool::from(matched) {
            return Ok(());
        }
        if decoded_any {
            return Err(self.mismatch(keys.len()));
        }
        Err(Rejection::malformed(format!(
            "{} holds no {}-byte signature in the encoding of this scheme",
            self.rule.site,
            tag_bytes(algorithm)
        )))
    }

    fn public(
        &self,
        algorithm: Algorithm,
        pinned: &[public::Key],
        wanted: Option<&KeyRef>,
        slices: &[Slice<'_>],
        timely: &[Timely<'_>],
        view: View<'_>,
    ) -> Result<(), Rejection> {
        let mut signatures = Vec::new();
        for Timely { text, time } in timely.iter().take(PUBLIC_CANDIDATES_MAX) {
            if let Some(bytes) = signature::decode_long(self.rule.encoding, text) {
                signatures.push((bytes, assemble(slices, *time)));
            }
        }
        if signatures.is_empty() {
            return Err(Rejection::malformed(format!(
                "{} holds no signature in the encoding of this scheme",
                self.rule.site
            )));
        }
        let good = |keys: &[public::Key]| {
            let verifies = |key: &&public::Key| {
                signatures
                    .iter()
                    .any(|(bytes, message)| key.verifies(algorithm, message, bytes))
            };
            keys.iter()
                .find(verifies)
                .map(|key| in_date(key, view.now_ms))
        };
        if let Some(verdict) = good(pinned) {
            return verdict;
        }
        let Some(wanted) = wanted else {
            return Err(self.mismatch(pinned.len()));
        };
        match view.keys.get(wanted) {
            None => Err(Rejection::needs(wanted.clone())),
            Some(fetched) => good(&fetched.0).unwrap_or_else(|| {
                Err(Rejection::new(
                    "bad_signature",
                    format!(
                        "the signature in {} was not made with the key that the request names",
                        self.rule.site
                    ),
                ))
            }),
        }
    }

    fn prover(&self, view: View<'_>, found: &Found<'_>) -> Result<(Algorithm, &Prover), Rejection> {
        let index = match &self.algorithm {
            None => 0,
            Some((site, values)) => match site.optional(view, found)? {
                None if self.algorithm_optional => 0,
                None => return Err(site.absent()),
                Some(name) => values
                    .iter()
                    .find(|(value, _)| *value == name)
                    .map(|(_, index)| *index)
                    .ok_or_else(|| {
                        Rejection::malformed(format!(
                            "{site} names an algorithm that is not on this scheme's list"
                        ))
                    })?,
            },
        };
        self.provers
            .get(index)
            .map(|(algorithm, prover)| (*algorithm, prover))
            .ok_or_else(|| Rejection::malformed("no key fits the algorithm"))
    }

    fn no_time(&self) -> Rejection {
        Rejection::malformed(format!(
            "{} holds no `{}=`",
            self.rule.site, self.rule.time_key
        ))
    }

    fn mismatch(&self, secrets: usize) -> Rejection {
        let secrets = match secrets {
            1 => "the secret".to_owned(),
            n => format!("any of the {n} secrets"),
        };
        Rejection::new(
            "bad_signature",
            format!(
                "the signature in {} was not made with {secrets} over this request",
                self.rule.site
            ),
        )
    }
}

/// A good signature of a key that is out of date is told from a bad one.
pub(super) fn in_date(key: &public::Key, now_ms: u64) -> Result<(), Rejection> {
    match key.validity {
        Some(validity) if !validity.holds(now_ms) => Err(Rejection::new(
            "key_out_of_date",
            "the signature is good, but the key or certificate that made it is not valid at this time",
        )),
        _ => Ok(()),
    }
}

/// The tag that `key` gives.
pub(super) fn tag(key: &mac::Key, slices: &[Slice<'_>], time: Option<&str>) -> Tag {
    let mut running = key.start();
    for slice in slices {
        running.update(match slice {
            Slice::Bytes(Cow::Borrowed(bytes)) => bytes,
            Slice::Bytes(Cow::Owned(bytes)) => bytes,
            Slice::Timestamp => time.unwrap_or_default().as_bytes(),
            Slice::Secret => key.bytes(),
        });
    }
    running.finish()
}
