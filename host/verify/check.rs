//! Checks: the families of schemes at work on a request.

use std::borrow::Cow;

use subtle::Choice;

use super::clock::Clock;
use super::credential::CredentialCheck;
use super::mac::{Key, Tag, tag_bytes};
use super::render::{Slice, Template};
use super::scheme::{Algorithm, Signature};
use super::signature::{self, Candidate};
use super::{Rejection, Request, headers};

/// One family, with its keys.
pub(super) enum Check {
    Mac(Box<MacCheck>),
    Static(CredentialCheck),
    Unverified,
}

impl Check {
    pub(super) fn run(&self, request: Request<'_>, now_ms: u64) -> Result<(), Rejection> {
        match self {
            Self::Mac(check) => check.run(request, now_ms),
            Self::Static(check) => check.check(request),
            Self::Unverified => Ok(()),
        }
    }
}

/// A MAC or keyed hash over parts of the request.
pub(super) struct MacCheck {
    pub(super) signature: Signature,
    pub(super) template: Template,
    pub(super) time: Option<TimePlace>,
    /// The keys by algorithm; the first algorithm is the default.
    pub(super) keys: Vec<(Algorithm, Vec<Key>)>,
    /// Header that names the algorithm, and its values with their place in `keys`.
    pub(super) algorithm: Option<(String, Vec<(String, usize)>)>,
    /// Whether a request without the algorithm header is judged by the first algorithm.
    pub(super) algorithm_optional: bool,
}

/// Where a timestamp stands.
pub(super) struct TimePlace {
    /// A header; `None` means beside the signature.
    pub(super) header: Option<String>,
    pub(super) clock: Clock,
}

impl MacCheck {
    fn run(&self, request: Request<'_>, now_ms: u64) -> Result<(), Rejection> {
        let candidates = signature::candidates(&self.signature, request)?;
        let (algorithm, keys) = self.keys(request)?;
        let header_time = match &self.time {
            Some(TimePlace {
                header: Some(name), ..
            }) => Some(headers::required(request, name)?),
            _ => None,
        };
        let slices = self.template.render(request)?;

        let mut decoded_any = false;
        let mut time_refused = None;
        let mut matched = Choice::from(0);
        // Tags are computed once for each time that stands in the header: once, but for sets of pairs.
        let mut computed: Option<(Option<&str>, Vec<Tag>)> = None;
        for Candidate { text, time } in candidates {
            let time = header_time.or(time);
            if let Some(place) = &self.time {
                let judged = time
                    .ok_or_else(|| self.no_time())
                    .and_then(|time| place.clock.check(time, now_ms));
                if let Err(rejection) = judged {
                    time_refused.get_or_insert(rejection);
                    continue;
                }
            }
            let Some(bytes) =
                signature::decode(self.signature.encoding, text, tag_bytes(algorithm))
            else {
                continue;
            };
            decoded_any = true;
            let tags = match &mut computed {
                Some((of, tags)) if *of == time => tags,
                other => {
                    let tags = keys.iter().map(|key| tag(key, &slices, time)).collect();
                    &mut other.insert((time, tags)).1
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
        Err(match time_refused {
            Some(rejection) => rejection,
            None if decoded_any => self.mismatch(keys.len()),
            None => Rejection::malformed(format!(
                "header `{}` holds no {}-byte signature in the encoding of this scheme",
                self.signature.header,
                tag_bytes(algorithm)
            )),
        })
    }

    fn keys(&self, request: Request<'_>) -> Result<(Algorithm, &[Key]), Rejection> {
        let index = match &self.algorithm {
            None => 0,
            Some((header, values)) => match headers::optional(request, header)? {
                None if self.algorithm_optional => 0,
                None => return Err(Rejection::missing_header(header)),
                Some(name) => values
                    .iter()
                    .find(|(value, _)| value == name)
                    .map(|(_, index)| *index)
                    .ok_or_else(|| {
                        Rejection::malformed(format!(
                            "header `{header}` names an algorithm that is not on this scheme's list"
                        ))
                    })?,
            },
        };
        self.keys
            .get(index)
            .map(|(algorithm, keys)| (*algorithm, keys.as_slice()))
            .ok_or_else(|| Rejection::malformed("no key fits the algorithm"))
    }

    fn no_time(&self) -> Rejection {
        Rejection::malformed(format!(
            "header `{}` holds no `{}=`",
            self.signature.header, self.signature.time_key
        ))
    }

    fn mismatch(&self, secrets: usize) -> Rejection {
        let secrets = match secrets {
            1 => "the secret".to_owned(),
            n => format!("any of the {n} secrets"),
        };
        Rejection {
            code: "bad_signature",
            detail: format!(
                "the signature in header `{}` was not made with {secrets} over this request",
                self.signature.header
            ),
        }
    }
}

/// The tag that `key` gives.
pub(super) fn tag(key: &Key, slices: &[Slice<'_>], time: Option<&str>) -> Tag {
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
