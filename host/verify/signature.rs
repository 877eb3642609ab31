//! Signatures in a request: finding and decoding them.
//!
//! Only what the sender wrote is looked at here, no key, so nothing needs constant time. What is not understood
//! (another version, an unknown pair) is skipped, as providers add such things without notice.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::mac::TAG_BYTES_MAX;
use super::pointer::Found;
use super::scheme::{SignatureEncoding, SignatureForm};
use super::site::Site;
use super::{Rejection, Request, View};

/// Signatures that are looked at in one request. `DocuSign` documents the most: one for each of 100 keys.
pub(super) const CANDIDATES_MAX: usize = 100;

/// Bytes of the longest signature: RSA with 8192 bits.
const SIGNATURE_BYTES_MAX: usize = 1024;

const URL_SAFE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Where signatures stand and how they are written.
pub(super) struct Rule {
    pub(super) site: Site,
    pub(super) prefix: String,
    pub(super) encoding: SignatureEncoding,
    pub(super) form: SignatureForm,
    pub(super) delimiter: char,
    pub(super) key: String,
    pub(super) time_key: String,
}

impl Rule {
    /// True for a header (lower-case) in which a signature stands.
    pub(super) fn is_header(&self, name: &str) -> bool {
        match (&self.site, self.form) {
            (Site::Header(own), SignatureForm::Numbered) => name
                .strip_prefix(own.as_str())
                .is_some_and(|rest| rest.starts_with('-')),
            (site, _) => site.is_header(name),
        }
    }
}

/// The text that holds a request's signatures.
pub(super) enum Written<'r> {
    One(Cow<'r, str>),
    /// One for each numbered header.
    Several(Vec<&'r str>),
}

/// A signature as the sender wrote it, without its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate<'w> {
    /// Still encoded.
    pub(super) text: &'w str,
    /// The time that stands beside it.
    pub(super) time: Option<&'w str>,
}

/// A tag's bytes.
pub(super) struct Decoded {
    bytes: [u8; TAG_BYTES_MAX],
    len: usize,
}

impl Decoded {
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl Rule {
    /// Finds the text with the signatures.
    pub(super) fn read<'r>(
        &self,
        view: View<'r>,
        found: &Found<'r>,
    ) -> Result<Written<'r>, Rejection> {
        match (&self.site, self.form) {
            (Site::Header(name), SignatureForm::Numbered) => {
                let several: Vec<_> = numbered(view.request, name).collect();
                if several.is_empty() {
                    return Err(Rejection::missing_header(&format!("{name}-1")));
                }
                Ok(Written::Several(several))
            }
            _ => self.site.required(view, found).map(Written::One),
        }
    }

    /// The signatures in that text. At least one; none is an error.
    pub(super) fn candidates<'w>(
        &self,
        written: &'w Written<'_>,
    ) -> Result<Vec<Candidate<'w>>, Rejection> {
        let mut found = Vec::with_capacity(1);
        match written {
            Written::Several(values) => {
                found.extend(values.iter().filter_map(|value| self.strip(value, None)));
            }
            Written::One(value) => match self.form {
                SignatureForm::Single | SignatureForm::Numbered => {
                    found.extend(self.strip(value, None));
                }
                SignatureForm::SpaceList => {
                    found.extend(value.split(' ').filter_map(|word| self.strip(word, None)));
                }
                SignatureForm::CommaList => {
                    let words = value.split(',').map(str::trim);
                    found.extend(words.filter_map(|word| self.strip(word, None)));
                }
                SignatureForm::Pairs => self.pairs(value, &mut found)?,
                SignatureForm::PairSets => {
                    for set in value.split(' ').filter(|set| !set.is_empty()) {
                        self.pairs(set, &mut found)?;
                    }
                }
            },
        }
        if found.is_empty() {
            let wanted = match self.form {
                SignatureForm::Pairs | SignatureForm::PairSets => format!("{}=", self.key),
                _ => self.prefix.clone(),
            };
            return Err(Rejection::malformed(format!(
                "{} holds no signature that begins with `{wanted}`",
                self.site
            )));
        }
        if found.len() > CANDIDATES_MAX {
            return Err(Rejection::malformed(format!(
                "{} holds more than {CANDIDATES_MAX} signatures",
                self.site
            )));
        }
        Ok(found)
    }

    fn strip<'w>(&self, text: &'w str, time: Option<&'w str>) -> Option<Candidate<'w>> {
        let text = text.strip_prefix(self.prefix.as_str())?;
        Some(Candidate { text, time })
    }

    fn pairs<'w>(&self, value: &'w str, found: &mut Vec<Candidate<'w>>) -> Result<(), Rejection> {
        let split = || {
            value
                .split(self.delimiter)
                .filter_map(|pair| pair.trim().split_once('='))
        };
        let mut times = split().filter(|(key, _)| *key == self.time_key);
        let time = times.next().map(|(_, time)| time);
        // Which of two times is signed would be a guess.
        if times.next().is_some() {
            return Err(Rejection::malformed(format!(
                "{} holds `{}=` more than once",
                self.site, self.time_key
            )));
        }
        found.extend(
            split()
                .filter(|(key, _)| *key == self.key)
                .filter_map(|(_, text)| self.strip(text, time)),
        );
        Ok(())
    }
}

fn numbered<'r>(request: Request<'r>, name: &str) -> impl Iterator<Item = &'r str> {
    request
        .headers
        .iter()
        .filter(move |header| {
            header
                .name
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('-'))
                .is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
        })
        .filter_map(|header| std::str::from_utf8(&header.value).ok())
}

/// Decodes a tag; `None` if it is not `len` bytes in this encoding.
pub(super) fn decode(encoding: SignatureEncoding, text: &str, len: usize) -> Option<Decoded> {
    // The Base64 decoder wants room for a whole group beyond the last byte.
    let mut buffer = [0; TAG_BYTES_MAX + 3];
    let decoded_len = match encoding {
        SignatureEncoding::Hex => {
            hex::decode_to_slice(text, buffer.get_mut(..len)?).ok()?;
            len
        }
        SignatureEncoding::Base64 => STANDARD.decode_slice(text, &mut buffer).ok()?,
        SignatureEncoding::Base64Url => URL_SAFE.decode_slice(text, &mut buffer).ok()?,
    };
    if decoded_len != len {
        return None;
    }
    let mut bytes = [0; TAG_BYTES_MAX];
    for (to, from) in bytes.iter_mut().zip(buffer) {
        *to = from;
    }
    Some(Decoded { bytes, len })
}

/// Decodes a signature of any length that a key here can have made.
pub(super) fn decode_long(encoding: SignatureEncoding, text: &str) -> Option<Vec<u8>> {
    if text.len() > 2 * SIGNATURE_BYTES_MAX {
        return None;
    }
    match encoding {
        SignatureEncoding::Hex => hex::decode(text).ok(),
        SignatureEncoding::Base64 => STANDARD.decode(text).ok(),
        SignatureEncoding::Base64Url => URL_SAFE.decode(text).ok(),
    }
    .filter(|bytes| !bytes.is_empty())
}

/// Writes a signature.
pub(super) fn encode(encoding: SignatureEncoding, tag: &[u8]) -> String {
    match encoding {
        SignatureEncoding::Hex => hex::encode(tag),
        SignatureEncoding::Base64 => STANDARD.encode(tag),
        SignatureEncoding::Base64Url => URL_SAFE_NO_PAD.encode(tag),
    }
}
