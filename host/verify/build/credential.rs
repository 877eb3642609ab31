//! Building the check of a static credential.

use super::super::credential::CredentialCheck;
use super::super::key::{Unusable, key_bytes};
use super::super::scheme::{Credential, Place, Scheme};
use super::super::setup::SetupError;
use super::{Building, Numbered, param_name};

impl Building<'_> {
    pub(super) fn credential(
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
        let named = !matches!(place, Place::Basic | Place::Bearer);
        if name.is_empty() && named {
            return Err(SetupError::new(
                "no_credential",
                "`credential` has no `name`",
            ));
        }
        if *place == Place::Json && !name.starts_with('/') {
            return Err(SetupError::new(
                "no_credential",
                "the `name` of a `credential` in the body is no JSON Pointer",
            )
            .hint("such as `/clientState`"));
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
            Place::Query | Place::Json => name.to_owned(),
            Place::Basic | Place::Bearer | Place::Header => name.to_ascii_lowercase(),
        };
        Ok(Some(CredentialCheck::new(
            *place,
            &name,
            expected.iter().map(Vec::as_slice),
        )))
    }
}
