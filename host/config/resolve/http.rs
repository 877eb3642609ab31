//! `[sinks.NAME]` with `type = "http"`

use std::net::IpAddr;

use base64::Engine as _;

use super::Reading;
use crate::config::Http;
use crate::config::diagnostic::Diagnostic;
use crate::config::keys;
use crate::config::read::{Table, Text};
use crate::network::is_public;
use crate::secret::Secret;

/// Header names that the HTTP client or the sink itself writes.
const OWN_HEADERS: [&str; 11] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "webhook-id",
    "webhook-timestamp",
];

/// Standard Webhooks: secrets have 24 to 64 bytes.
const SIGNING_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

impl<'r> Reading<'r> {
    pub(super) fn http(&self, table: &Table<'r>) -> Option<Http> {
        let allow_private = self.networks(table.texts("allow_private"));
        let url = self.http_url(table, allow_private.as_deref().unwrap_or_default());
        let method = table.choice("method");
        let headers = self.headers(table);
        let sign = match table.table("sign", &keys::SIGN) {
            Some(sign) => self.sign(&sign),
            None => Some(Vec::new()),
        };
        Some(Http {
            url: url?,
            method: method?.parse().ok()?,
            headers: headers?,
            sign: sign?,
            allow_private: allow_private?,
        })
    }

    fn http_url(&self, table: &Table<'_>, allowed: &[ipnet::IpNet]) -> Option<http::Uri> {
        let text = table.text("url")?;
        let bad = |what: &str, hint: &str| {
            self.push(
                Diagnostic::error("bad_url", format!("the URL {what}"))
                    .at(text.span.clone())
                    .hint(hint),
            );
        };
        let Ok(url) = text.value.parse::<http::Uri>() else {
            bad(
                "is malformed",
                "such as `\"https://crm.example.com/hooks\"`",
            );
            return None;
        };
        if !matches!(url.scheme_str(), Some("https" | "http")) {
            bad(
                "begins with neither `https://` nor `http://`",
                "such as `\"https://crm.example.com/hooks\"`",
            );
            return None;
        }
        if url
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'))
        {
            self.push(
                Diagnostic::error("secret_inline", "a secret must not stand in this file")
                    .at(text.span.clone())
                    .hint("send credentials with `headers = { authorization = \"env:NAME\" }`"),
            );
            return None;
        }
        let host = url.host().unwrap_or_default();
        if host.is_empty() {
            bad(
                "names no host",
                "such as `\"https://crm.example.com/hooks\"`",
            );
            return None;
        }
        let private = self.check_private(&text, host, allowed);
        if url.scheme_str() == Some("http") && !private {
            self.push(
                Diagnostic::warning("plain_http", "the URL is not encrypted")
                    .at(text.span.clone())
                    .hint("use `https://`"),
            );
        }
        Some(url)
    }

    /// True for a private host. One that `allow_private` does not name is recorded; host names are looked up
    /// when a connection is made, and checked then.
    fn check_private(&self, url: &Text, host: &str, allowed: &[ipnet::IpNet]) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let localhost = bare.eq_ignore_ascii_case("localhost")
            || bare.to_ascii_lowercase().ends_with(".localhost");
        let addresses: Vec<IpAddr> = match bare.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) if localhost => vec![
                IpAddr::from([127, 0, 0, 1]),
                IpAddr::from(std::net::Ipv6Addr::LOCALHOST),
            ],
            Err(_) => return false,
        };
        if addresses.iter().copied().all(is_public) {
            return false;
        }
        let is_allowed = |address: &IpAddr| allowed.iter().any(|network| network.contains(address));
        if !addresses.iter().any(is_allowed) {
            let example = addresses
                .first()
                .map(ToString::to_string)
                .unwrap_or_default();
            self.push(
                Diagnostic::error(
                    "private_address",
                    format!("`{host}` is not a public address"),
                )
                .at(self.problems.inside(&url.span, host, 0..host.len()))
                .hint(format!(
                    "if it is meant, add `allow_private = [\"{example}\"]`"
                )),
            );
        }
        true
    }

    fn headers(&self, table: &Table<'_>) -> Option<Vec<(String, Secret)>> {
        let pairs = table.text_map("headers");
        let mut headers = Vec::new();
        let mut whole = true;
        for (name, value) in pairs {
            let lower = name.value.to_ascii_lowercase();
            let problem = if http::HeaderName::from_bytes(lower.as_bytes()).is_err() {
                Some((
                    format!("`{}` cannot be a header's name", name.value),
                    "names have ASCII letters, digits and hyphens",
                ))
            } else if OWN_HEADERS.contains(&lower.as_str()) || lower == "webhook-signature" {
                Some((
                    format!("the header `{lower}` is written by the sink itself"),
                    "leave it out",
                ))
            } else {
                None
            };
            if let Some((message, hint)) = problem {
                whole = false;
                self.push(
                    Diagnostic::error("bad_header", message)
                        .at(name.span.clone())
                        .hint(hint),
                );
            }
            let Some(secret) = self.vault.secret_or_text(self.problems, &value) else {
                whole = false;
                continue;
            };
            if http::HeaderValue::from_bytes(secret.expose()).is_err() {
                whole = false;
                let message = format!("the value of the header `{lower}` has control characters");
                let hint = "a header's value is one line";
                self.push(
                    Diagnostic::error("bad_header", message)
                        .at(value.span)
                        .hint(hint),
                );
            }
            headers.push((lower, secret));
        }
        whole.then_some(headers)
    }

    fn sign(&self, table: &Table<'_>) -> Option<Vec<Secret>> {
        let scheme = table.choice("scheme");
        let mut references = Vec::new();
        if table.has("secret") {
            references.extend(table.text("secret"));
        }
        if table.has("secrets") {
            references.extend(table.text_or_texts("secrets"));
        }
        if references.is_empty() {
            if !table.has("secret") && !table.has("secrets") {
                self.push(
                    Diagnostic::error("missing_key", "`sign` needs the key `secret`")
                        .at(table.span())
                        .label("`secret` is missing")
                        .hint("such as `secret = \"env:CRM_WEBHOOK_SECRET\"`"),
                );
            } else {
                self.push(
                    Diagnostic::error("empty_list", "`secrets` names none")
                        .at(table.span_of("secrets"))
                        .hint("name at least one"),
                );
            }
            return None;
        }
        let secrets: Vec<Option<Secret>> = references
            .iter()
            .map(|reference| self.standard_secret(reference))
            .collect();
        scheme?;
        secrets.into_iter().collect()
    }

    /// A secret as Standard Webhooks writes it.
    fn standard_secret(&self, reference: &Text) -> Option<Secret> {
        let secret = self.vault.secret(self.problems, reference)?;
        let bytes = secret
            .expose_str()
            .strip_prefix("whsec_")
            .and_then(|encoded| {
                base64::engine::general_purpose::STANDARD
                    .decode(encoded)
                    .ok()
            });
        let problem = match bytes.map(|bytes| bytes.len()) {
            None => "is not `whsec_` and base64".to_owned(),
            Some(length) if !SIGNING_BYTES.contains(&length) => format!("has {length} bytes"),
            Some(_) => return Some(secret),
        };
        let message = format!("the secret `{}` {problem}", reference.value);
        self.push(
            Diagnostic::error("secret_malformed", message)
                .at(reference.span.clone())
                .hint(
                    "Standard Webhooks wants `whsec_` and the base64 of 24 to 64 random bytes: \
                 `echo whsec_$(openssl rand -base64 32)`",
                ),
        );
        None
    }
}
