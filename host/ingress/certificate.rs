//! Certificate: the names in a client's certificate, and whether a source takes one of them.
//!
//! rustls has proved by then that the certificate is signed by `client_ca` and that the client holds its key.
//! As RFC 9525 has it, the alternative names count; the common name is only looked at where there is neither
//! a DNS name nor a URI among them.

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use crate::config::ClientName;

/// Names of one certificate that are kept; real ones have a few.
const NAMES_MAX: usize = 100;
/// Bytes of a name; DNS allows 253.
const NAME_BYTES_MAX: usize = 512;

/// Who shows a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// DNS names, or the common name.
    names: Vec<String>,
    uris: Vec<String>,
}

impl Identity {
    /// The names in `certificate`; none if it cannot be read, so that no source takes it.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
            return Self::default();
        };
        let mut identity = Self::default();
        let alternatives = parsed.subject_alternative_name().ok().flatten();
        for name in alternatives.iter().flat_map(|san| &san.value.general_names) {
            match name {
                GeneralName::DNSName(name) => keep(&mut identity.names, name),
                GeneralName::URI(uri) => keep(&mut identity.uris, uri),
                _ => {}
            }
        }
        if identity.names.is_empty() && identity.uris.is_empty() {
            let common = parsed.subject().iter_common_name();
            for name in common.filter_map(|name| name.as_str().ok()) {
                keep(&mut identity.names, name);
            }
        }
        identity
    }

    /// The name by which one of `wanted` takes this client.
    #[must_use]
    pub fn named(&self, wanted: &[ClientName]) -> Option<&str> {
        let name = self
            .names
            .iter()
            .find(|name| wanted.iter().any(|wanted| wanted.is_name(name)));
        let uri = || {
            self.uris
                .iter()
                .find(|uri| wanted.iter().any(|wanted| wanted.is_uri(uri)))
        };
        name.or_else(uri).map(String::as_str)
    }

    /// The name to call it by where no particular one is asked for.
    #[must_use]
    pub fn first(&self) -> Option<&str> {
        self.names.first().or(self.uris.first()).map(String::as_str)
    }
}

/// Keeps what can be a name in a list, a log and an attribute.
fn keep(names: &mut Vec<String>, name: &str) {
    let fits = !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.contains(char::is_control);
    if fits && names.len() < NAMES_MAX {
        names.push(name.to_owned());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn identity(common: &str, dns: &[&str], uris: &[&str]) -> Identity {
        let names: Vec<String> = dns.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, common);
        for uri in uris {
            params
                .subject_alt_names
                .push(SanType::URI((*uri).try_into().unwrap()));
        }
        let key = KeyPair::generate().unwrap();
        Identity::of(params.self_signed(&key).unwrap().der())
    }

    fn named(identity: &Identity, wanted: &str) -> Option<String> {
        identity
            .named(&[wanted.parse().unwrap()])
            .map(str::to_owned)
    }

    #[test]
    fn alternative_names_count_and_the_common_name_where_there_are_none() {
        let both = identity(
            "billing",
            &["a.example.com", "b.example.com"],
            &["spiffe://x/y"],
        );
        assert_eq!(
            named(&both, "b.example.com").as_deref(),
            Some("b.example.com")
        );
        assert_eq!(
            named(&both, "*.example.com").as_deref(),
            Some("a.example.com")
        );
        assert_eq!(
            named(&both, "spiffe://x/y").as_deref(),
            Some("spiffe://x/y")
        );
        assert_eq!(named(&both, "billing"), None);
        assert_eq!(both.first(), Some("a.example.com"));
        let common = identity("billing", &[], &[]);
        assert_eq!(named(&common, "billing").as_deref(), Some("billing"));
        assert_eq!(common.first(), Some("billing"));
        let uri = identity("billing", &[], &["spiffe://x/y"]);
        assert_eq!(named(&uri, "billing"), None);
        assert_eq!(uri.first(), Some("spiffe://x/y"));
    }

    #[test]
    fn names_that_could_fake_something_are_left_out() {
        assert_eq!(identity("billing\nadmin", &[], &[]), Identity::default());
        assert_eq!(identity(&"a".repeat(600), &[], &[]), Identity::default());
        let garbage = CertificateDer::from(vec![0x30, 0x03, 0x02, 0x01]);
        assert_eq!(Identity::of(&garbage), Identity::default());
        assert_eq!(Identity::default().named(&[]), None);
    }
}
