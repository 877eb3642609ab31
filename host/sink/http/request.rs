//! Requests: the headers of one attempt.
//!
//! Pure. Three groups, of which later ones win: what plugins set, what the operator configured, and the
//! envelope (CloudEvents, this program's own names, Standard Webhooks).

use std::borrow::Cow;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::signature::{SigningKey, sign};
use crate::secret::Secret;
use crate::sink::{Class, Delivery, SinkError, envelope};

/// Characters that the CloudEvents HTTP binding (1.0.2 section 3.1.3.2) encodes in header values.
const CE_VALUE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// Names that belong to the connection and not to the message (RFC 9110 section 7.6.1), and `host`,
/// `content-length` and `expect`, which the client sets. A plugin that copies the headers of the webhook
/// would send them along, so they are left out without an error.
const CONNECTION_HEADERS: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The headers for an attempt at `now_s`. Later groups win over earlier ones: a plugin may not
/// change what the operator configured, and neither may change the envelope.
pub(super) fn headers(
    delivery: &Delivery,
    configured: &HeaderMap,
    keys: &[SigningKey],
    now_s: u64,
) -> Result<HeaderMap, SinkError> {
    let message = &delivery.message;
    let mut headers = HeaderMap::with_capacity(24);
    for header in envelope::passed_on(delivery) {
        if !CONNECTION_HEADERS.contains(&header.name.as_str()) {
            let name = HeaderName::from_bytes(header.name.as_bytes());
            let value = HeaderValue::from_maybe_shared(header.value.clone());
            match (name, value) {
                (Ok(name), Ok(value)) => drop(headers.append(name, value)),
                _ => return Err(bad_header(&header.name)),
            }
        }
    }
    for (name, value) in configured {
        headers.insert(name.clone(), value.clone());
    }
    if let Some(content_type) = &message.content_type {
        set(&mut headers, CONTENT_TYPE, content_type)?;
    }
    let named = envelope::CE_HTTP
        .into_iter()
        .zip(envelope::cloud_event(delivery))
        .chain(envelope::own(delivery));
    for (name, value) in named {
        let value: Cow<'_, str> = utf8_percent_encode(&value, CE_VALUE).into();
        set(&mut headers, HeaderName::from_static(name), &value)?;
    }
    for (name, value) in envelope::trace_context(delivery) {
        if let Ok(name) = HeaderName::try_from(name) {
            set(&mut headers, name, value)?;
        }
    }
    let id: Cow<'_, str> = utf8_percent_encode(&delivery.message_id, CE_VALUE).into();
    set(
        &mut headers,
        HeaderName::from_static("idempotency-key"),
        &id,
    )?;
    set(&mut headers, HeaderName::from_static("webhook-id"), &id)?;
    let timestamp = now_s.to_string();
    set(
        &mut headers,
        HeaderName::from_static("webhook-timestamp"),
        &timestamp,
    )?;
    if !keys.is_empty() {
        let signature = sign(keys, &id, &timestamp, &message.body);
        set(
            &mut headers,
            HeaderName::from_static("webhook-signature"),
            &signature,
        )?;
    }
    Ok(headers)
}

/// The operator's headers. They may hold credentials and are marked, so that no log shows them.
pub(super) fn configured(named: &[(String, Secret)]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::with_capacity(named.len() + 1);
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!("hookswitch/", env!("CARGO_PKG_VERSION"))),
    );
    for (name, secret) in named {
        if CONNECTION_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(format!("header `{name}` is set by the client; remove it"));
        }
        let parsed = HeaderName::try_from(name.as_str())
            .map_err(|_| format!("`{name}` is not a header name"))?;
        let mut value = HeaderValue::from_bytes(secret.expose()).map_err(|_| {
            format!("the value of header `{name}` holds characters that HTTP forbids")
        })?;
        value.set_sensitive(true);
        headers.insert(parsed, value);
    }
    Ok(headers)
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) -> Result<(), SinkError> {
    let value = HeaderValue::try_from(value).map_err(|_| bad_header(name.as_str()))?;
    headers.insert(name, value);
    Ok(())
}

fn bad_header(name: &str) -> SinkError {
    let detail = format!("header `{name}` holds characters that HTTP forbids");
    SinkError::new(Class::Permanent, "bad_header", detail)
}
