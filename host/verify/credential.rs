//! Static credentials: a password, token or key that the request carries.
//!
//! What came and what is expected are compared by their SHA-256, so that neither the bytes nor the length of the
//! secret show in the time.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::pointer::{Found, Pointers};
use super::scheme::Place;
use super::site::Site;
use super::{Rejection, Request, View, headers};

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A place and what may stand there.
pub(super) struct CredentialCheck {
    pub(super) place: Place,
    /// Lower-case header name, parameter name, or pointer.
    pub(super) name: String,
    pointers: Pointers,
    site: Site,
    expected: Vec<[u8; 32]>,
}

impl CredentialCheck {
    /// `expected` are the credentials as the request carries them; for Basic `user:password`.
    pub(super) fn new<'s>(
        place: Place,
        name: &str,
        expected: impl Iterator<Item = &'s [u8]>,
    ) -> Self {
        let mut pointers = Pointers::default();
        let site = match place {
            Place::Basic | Place::Bearer => Site::Header("authorization".to_owned()),
            Place::Header => Site::Header(name.to_owned()),
            Place::Query => Site::Query(name.to_owned()),
            Place::Json => Site::Json {
                slot: pointers.add(name),
                pointer: name.to_owned(),
            },
        };
        Self {
            place,
            name: name.to_owned(),
            pointers,
            site,
            expected: expected.map(|bytes| Sha256::digest(bytes).into()).collect(),
        }
    }

    pub(super) fn check(&self, view: View<'_>) -> Result<(), Rejection> {
        let request = view.request;
        let matches = match self.place {
            Place::Basic => {
                let text = self.authorization(request, "basic")?;
                let bytes = LENIENT.decode(text).map_err(|_| {
                    Rejection::malformed("the Basic credential in `authorization` is not Base64")
                })?;
                self.matches(&bytes)
            }
            Place::Bearer => self.matches(self.authorization(request, "bearer")?.as_bytes()),
            Place::Header | Place::Query | Place::Json => {
                let found: Found<'_> = self.pointers.find_strict(view.json)?;
                self.matches(self.site.required(view, &found)?.as_bytes())
            }
        };
        if bool::from(matches) {
            return Ok(());
        }
        Err(Rejection::new(
            "bad_credential",
            format!("{} is none of the configured secrets", self.describe()),
        ))
    }

    fn authorization<'r>(
        &self,
        request: Request<'r>,
        wanted: &'static str,
    ) -> Result<&'r str, Rejection> {
        let value = headers::required(request, "authorization")?;
        match value.split_once(' ') {
            Some((scheme, credential)) if scheme.eq_ignore_ascii_case(wanted) => {
                Ok(credential.trim_start_matches(' '))
            }
            _ => Err(Rejection::new(
                "missing_header",
                format!("header `authorization` holds no {} credential", self.word()),
            )),
        }
    }

    fn matches(&self, presented: &[u8]) -> Choice {
        let presented: [u8; 32] = Sha256::digest(presented).into();
        self.expected.iter().fold(Choice::from(0), |any, expected| {
            any | expected.ct_eq(&presented)
        })
    }

    fn word(&self) -> &'static str {
        match self.place {
            Place::Basic => "Basic",
            _ => "Bearer",
        }
    }

    fn describe(&self) -> String {
        match self.place {
            Place::Basic | Place::Bearer => {
                format!("the {} credential in `authorization`", self.word())
            }
            Place::Header | Place::Query | Place::Json => self.site.to_string(),
        }
    }
}
