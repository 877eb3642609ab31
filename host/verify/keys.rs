//! Fetched keys: what verification asks for when a request names a key, and what it takes for one.
//!
//! Verification stays pure. It looks keys up in a [`Keys`] that it is given, and says with a [`KeyRef`] which one
//! it lacks; whoever runs it fetches that and asks again. A URL that a request names is held against the scheme's
//! hosts before it becomes a [`KeyRef`], and what came back against the scheme's names and issuers before it
//! becomes [`FetchedKeys`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use sha2::{Digest, Sha256};
use webpki::{EndEntityCert, KeyUsage};
use x509_parser::prelude::Pem;

use crate::fetch::{self, HostRule};

use super::pointer::{Found, Pointers};
use super::public::{self, BadKey};
use super::scheme::{KeyFormat, KeySource};
use super::setup::SetupError;
use super::site::Site;
use super::{Params, Rejection, View};

/// Bytes of the name of a key. Providers use UUIDs and hashes.
const KID_BYTES_MAX: usize = 128;

/// Certificates of one chain that are looked at.
const CHAIN_MAX: usize = 8;

/// Keys that were fetched before.
pub trait Keys: Send + Sync {
    /// The keys that this reference stands for, unless they have to be fetched.
    fn get(&self, wanted: &KeyRef) -> Option<Arc<FetchedKeys>>;
}

/// No fetched keys at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoKeys;

impl Keys for NoKeys {
    fn get(&self, _wanted: &KeyRef) -> Option<Arc<FetchedKeys>> {
        None
    }
}

/// A key that a request names, at a place where the scheme allows it to be.
#[derive(Clone)]
pub struct KeyRef {
    id: [u8; 32],
    url: String,
    post: Option<String>,
    rules: Arc<Rules>,
}

/// What of a [`KeySource`] is needed after the URL is known.
struct Rules {
    hosts: Vec<HostRule>,
    allow_private: Vec<IpNet>,
    format: KeyFormat,
    pointer: String,
    names: Vec<HostRule>,
    issuers: Vec<CertificateDer<'static>>,
    keep: Duration,
    /// Hash of all that decides what is taken for a key.
    digest: [u8; 32],
}

/// Why what was fetched is not taken for a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It is no key.
    #[error("what was fetched is {0}")]
    Bad(#[from] BadKey),
    /// It is not text, or lacks the place where the key should stand.
    #[error("what was fetched is not in the format of this provider's keys")]
    Format,
    /// The certificate is for somebody else.
    #[error("the certificate is not made out to a name of this provider's")]
    Name,
    /// None of the configured issuers made it.
    #[error("the certificate was not issued by a configured authority: {0}")]
    Issuer(webpki::Error),
}

/// Keys out of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedKeys(pub(super) Vec<public::Key>);

impl KeyRef {
    /// Tells references apart: two with the same id stand for the same keys.
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        self.id
    }

    /// Where the key is. It begins with `https://`, and its host is one of [`KeyRef::hosts`].
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// JSON to post there; without it, GET. It can hold credentials.
    #[must_use]
    pub fn post(&self) -> Option<&str> {
        self.post.as_deref()
    }

    /// Hosts that may be asked.
    #[must_use]
    pub fn hosts(&self) -> &[HostRule] {
        &self.rules.hosts
    }

    /// Networks that may be asked although they are not public.
    #[must_use]
    pub fn allow_private(&self) -> &[IpNet] {
        &self.rules.allow_private
    }

    /// How long the answer is good for.
    #[must_use]
    pub fn keep(&self) -> Duration {
        self.rules.keep
    }

    /// Takes what was fetched for keys, if it is what the scheme wants.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn admit(&self, bytes: &[u8], now_ms: u64) -> Result<FetchedKeys, KeyError> {
        self.rules.admit(bytes, now_ms)
    }
}

impl PartialEq for KeyRef {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for KeyRef {}

impl fmt::Debug for KeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRef({})", hex::encode(self.id))
    }
}

impl Rules {
    fn admit(&self, bytes: &[u8], now_ms: u64) -> Result<FetchedKeys, KeyError> {
        let text = std::str::from_utf8(bytes).map_err(|_| KeyError::Format)?;
        match self.format {
            KeyFormat::Certificate => self.certificate(text, now_ms),
            KeyFormat::Jwks => {
                let mut pointers = Pointers::default();
                let slot = pointers.add(&self.pointer);
                let found = pointers.find(bytes);
                let keys = found.raw(slot).ok_or(KeyError::Format)?;
                Ok(FetchedKeys(public::jwks(keys)?))
            }
        }
    }

    fn certificate(&self, text: &str, now_ms: u64) -> Result<FetchedKeys, KeyError> {
        let chain = certificates(text);
        let (leaf, between) = chain.split_first().ok_or(KeyError::Format)?;
        let key = public::certificate(leaf)?;
        if !self.names.is_empty() || !self.issuers.is_empty() {
            let certificate = EndEntityCert::try_from(leaf).map_err(|_| KeyError::Format)?;
            let named = certificate
                .valid_dns_names()
                .any(|name| self.names.iter().any(|rule| rule.names(name)));
            if !self.names.is_empty() && !named {
                return Err(KeyError::Name);
            }
            if !self.issuers.is_empty() {
                let anchors: Vec<TrustAnchor<'_>> = self
                    .issuers
                    .iter()
                    .filter_map(|issuer| webpki::anchor_from_trusted_cert(issuer).ok())
                    .collect();
                certificate
                    .verify_for_usage(
                        webpki::ALL_VERIFICATION_ALGS,
                        &anchors,
                        between,
                        UnixTime::since_unix_epoch(Duration::from_millis(now_ms)),
                        KeyUsage::server_auth(),
                        None,
                        None,
                    )
                    .map_err(KeyError::Issuer)?;
            }
        }
        Ok(FetchedKeys(vec![key]))
    }
}

/// The certificates of a PEM text; whatever else stands there is left out.
fn certificates(text: &str) -> Vec<CertificateDer<'static>> {
    Pem::iter_from_buffer(text.as_bytes())
        .map_while(Result::ok)
        .filter(|section| section.label == "CERTIFICATE")
        .take(CHAIN_MAX)
        .map(|section| CertificateDer::from(section.contents))
        .collect()
}

/// A [`KeySource`], prepared.
pub(super) struct Remote {
    sites: Vec<Site>,
    url: String,
    /// Text with `{kid}` left in it.
    post: Option<String>,
    path_suffix: String,
    rules: Arc<Rules>,
    /// The source lets keys be fetched.
    pub(super) fetch: bool,
}

impl Remote {
    pub(super) fn new(
        source: &KeySource,
        params: &Params,
        pointers: &mut Pointers,
    ) -> Result<Self, SetupError> {
        let filled = |text: &str, quoted: bool| fill(text, params, quoted);
        let issuers = match source
            .ca_param
            .as_ref()
            .and_then(|name| params.values.get(name))
        {
            None => vec![],
            Some(text) => {
                let issuers = certificates(text);
                let usable = issuers
                    .iter()
                    .all(|issuer| webpki::anchor_from_trusted_cert(issuer).is_ok());
                if issuers.is_empty() || !usable {
                    return Err(SetupError::new(
                        "bad_param",
                        "the parameter with the issuers' certificates holds none in PEM, or a broken one",
                    ));
                }
                issuers
            }
        };
        let wanted = format!(
            "{:?} {:?} {:?}",
            source.format, source.pointer, source.names
        );
        let mut digest = Sha256::new().chain_update(wanted);
        for issuer in &issuers {
            digest = digest.chain_update(issuer);
        }
        Ok(Self {
            sites: source
                .at
                .iter()
                .filter_map(|place| Site::new(place, pointers))
                .collect(),
            // Parameters are asked for only if the source fetches; some are credentials.
            url: match &source.url {
                Some(text) if params.fetch_keys => filled(text, false)?,
                _ => String::new(),
            },
            post: match &source.post {
                Some(text) if params.fetch_keys => Some(filled(text, true)?),
                _ => None,
            },
            path_suffix: source.path_suffix.clone(),
            rules: Arc::new(Rules {
                hosts: source.hosts.clone(),
                allow_private: source.allow_private.clone(),
                format: source.format,
                pointer: source.pointer.clone(),
                names: source.names.clone(),
                issuers,
                keep: source.keep.0,
                digest: digest.finalize().into(),
            }),
            fetch: params.fetch_keys,
        })
    }

    /// The key that a request names, if it is where this sender's keys are.
    pub(super) fn locate<'r>(
        &self,
        view: View<'r>,
        found: &Found<'r>,
        kid: Option<&str>,
    ) -> Result<KeyRef, Rejection> {
        let url = if self.sites.is_empty() {
            self.url.clone()
        } else {
            let mut url = None;
            for site in &self.sites {
                url = site.optional(view, found)?;
                if url.is_some() {
                    break;
                }
            }
            let absent = || self.sites.first().map(Site::absent);
            url.ok_or_else(|| absent().unwrap_or_else(|| Rejection::malformed("no key is named")))?
                .into_owned()
        };
        let path: Option<http::Uri> = url.parse().ok();
        let ends_well = path.is_some_and(|uri| uri.path().ends_with(&self.path_suffix));
        if !ends_well || fetch::check_url(&url, &self.rules.hosts).is_err() {
            return Err(Rejection::new(
                "foreign_key",
                "the request names a key that is not at one of this provider's addresses",
            ));
        }
        let post = self
            .post
            .as_ref()
            .map(|text| Ok(text.replace("{kid}", &quoted_kid(kid)?)))
            .transpose()?;
        let id = Sha256::new()
            .chain_update(self.rules.digest)
            .chain_update(&url)
            .chain_update([0])
            .chain_update(post.as_deref().unwrap_or_default())
            .finalize();
        Ok(KeyRef {
            id: id.into(),
            url,
            post,
            rules: Arc::clone(&self.rules),
        })
    }
}

fn quoted_kid(kid: Option<&str>) -> Result<String, Rejection> {
    let kid = kid.unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.=+/:".contains(&byte);
    if kid.is_empty() || kid.len() > KID_BYTES_MAX || !kid.bytes().all(plain) {
        return Err(Rejection::malformed(
            "the token names no key, or one with a strange name",
        ));
    }
    Ok(format!("\"{kid}\""))
}

/// Replaces `{param:NAME}`.
fn fill(text: &str, params: &Params, quoted: bool) -> Result<String, SetupError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{param:") {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        out.push_str(before);
        let value = params.required(name)?;
        if quoted {
            out.push_str(&serde_json::Value::from(value).to_string());
        } else {
            out.push_str(value);
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}
