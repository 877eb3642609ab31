//! The check of what a plugin returned, before anybody sees it.
//!
//! Pure. A guest is untrusted: a header name with a line break in it would be a header of its own on
//! the wire of an HTTP sink, and a body without bound would fill the journal. Whether a sink is one of
//! the route's is for the dispatcher, which knows the route.

use crate::event::Message;

use super::Limits;
use super::verifier::Claim;

/// Bytes of a key.
const KEY_BYTES: usize = 1024;
/// Bytes of a type.
const KIND_BYTES: usize = 256;
/// Bytes of a media type.
const CONTENT_TYPE_BYTES: usize = 256;
/// Bytes of a sink's name.
const SINK_BYTES: usize = 256;
/// Headers of a message.
const HEADERS: usize = 100;
/// Bytes of a header name.
const HEADER_NAME_BYTES: usize = 256;
/// Bytes of a header value.
const HEADER_VALUE_BYTES: usize = 8 << 10;
/// Attributes of a message.
const ATTRIBUTES: usize = 100;
/// Bytes of an attribute's name.
const ATTRIBUTE_NAME_BYTES: usize = 256;
/// Bytes of an attribute's value.
const ATTRIBUTE_VALUE_BYTES: usize = 4 << 10;

/// Names of credentials in a claim.
const CREDENTIALS: usize = 16;
/// Bytes of such a name.
const CREDENTIAL_BYTES: usize = 256;
/// Attributes of a claim.
const CLAIMED_ATTRIBUTES: usize = 16;
/// Attributes that the host sets itself.
const RESERVED_ATTRIBUTES: &[&str] = &["coverage", "verified"];

/// Header fields that speak of a connection (RFC 9110 section 7.6.1) or that sinks set themselves.
const REFUSED_HEADERS: &[&str] = &[
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Beginning of header fields that carry our own signature and event id.
const REFUSED_PREFIX: &str = "webhook-";

/// Checks the messages of a `forward`.
///
/// # Errors
/// What is wrong, for the plugin's author; without any of the content.
pub fn check(messages: &[Message], limits: &Limits) -> Result<(), String> {
    if messages.is_empty() {
        return Err("forwarded no message; drop the event with a reason instead".to_owned());
    }
    if messages.len() > limits.messages {
        return Err(format!(
            "forwarded {} messages, `limits.messages` is {}",
            messages.len(),
            limits.messages
        ));
    }
    let bytes: usize = messages.iter().map(size).sum();
    if bytes > limits.output_bytes {
        return Err(format!(
            "forwarded {bytes} bytes, `limits.output` is {}",
            limits.output_bytes
        ));
    }
    for (index, message) in messages.iter().enumerate() {
        check_message(message).map_err(|problem| format!("message {}: {problem}", index + 1))?;
    }
    Ok(())
}

/// Checks what a verifier claims. The event's id and type are bounded by whoever takes them.
///
/// # Errors
/// What is wrong, for the plugin's author; without any of the content.
pub fn check_claim(claim: &Claim, limits: &Limits) -> Result<(), String> {
    let attributes = claim.attributes.iter();
    let bytes = claim.event_id.as_ref().map_or(0, String::len)
        + claim.event_type.len()
        + claim.credentials.iter().map(String::len).sum::<usize>()
        + attributes
            .map(|(name, value)| name.len() + value.len())
            .sum::<usize>();
    if bytes > limits.output_bytes {
        let most = limits.output_bytes;
        return Err(format!("claimed {bytes} bytes, `limits.output` is {most}"));
    }
    count("names of credentials", claim.credentials.len(), CREDENTIALS)?;
    for name in &claim.credentials {
        if name.is_empty() {
            return Err("a credential has no name".to_owned());
        }
        at_most("a credential's name", name.len(), CREDENTIAL_BYTES)?;
        no_control("a credential's name", name)?;
    }
    count("attributes", claim.attributes.len(), CLAIMED_ATTRIBUTES)?;
    check_attributes(&claim.attributes)?;
    let mut names = claim.attributes.iter().map(|(name, _)| name.as_str());
    match names.find(|name| RESERVED_ATTRIBUTES.contains(name)) {
        Some(name) => Err(format!("the attribute `{name}` is set by the host")),
        None => Ok(()),
    }
}

/// All bytes of a message, names included.
fn size(message: &Message) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let headers = message.headers.iter();
    let attributes = message.attributes.iter();
    text(&message.sink)
        + text(&message.key)
        + text(&message.content_type)
        + message.kind.len()
        + message.body.len()
        + headers
            .map(|header| header.name.len() + header.value.len())
            .sum::<usize>()
        + attributes
            .map(|(name, value)| name.len() + value.len())
            .sum::<usize>()
}

fn check_message(message: &Message) -> Result<(), String> {
    if let Some(sink) = &message.sink {
        if sink.is_empty() {
            return Err("the sink's name is empty; leave it out to reach all sinks".to_owned());
        }
        at_most("the sink's name", sink.len(), SINK_BYTES)?;
        printable("the sink's name", sink)?;
    }
    if let Some(key) = &message.key {
        at_most("the key", key.len(), KEY_BYTES)?;
        no_control("the key", key)?;
    }
    at_most("the type", message.kind.len(), KIND_BYTES)?;
    printable("the type", &message.kind)?;
    if let Some(content_type) = &message.content_type {
        at_most("the content type", content_type.len(), CONTENT_TYPE_BYTES)?;
        if !is_media_type(content_type) {
            return Err("the content type is not a media type like `application/json`".to_owned());
        }
    }
    count("headers", message.headers.len(), HEADERS)?;
    for header in &message.headers {
        check_header(&header.name, &header.value)?;
    }
    count("attributes", message.attributes.len(), ATTRIBUTES)?;
    check_attributes(&message.attributes)
}

fn check_attributes(attributes: &[(String, String)]) -> Result<(), String> {
    for (name, value) in attributes {
        if name.is_empty() {
            return Err("an attribute has no name".to_owned());
        }
        at_most("an attribute's name", name.len(), ATTRIBUTE_NAME_BYTES)?;
        printable("an attribute's name", name)?;
        at_most("an attribute's value", value.len(), ATTRIBUTE_VALUE_BYTES)?;
        no_control("an attribute's value", value)?;
    }
    Ok(())
}

fn check_header(name: &str, value: &[u8]) -> Result<(), String> {
    at_most("a header's name", name.len(), HEADER_NAME_BYTES)?;
    // Shown only once it is known to be harmless.
    if name.is_empty() || !name.bytes().all(is_lower_token) {
        return Err(
            "a header's name is not a lower-case token (RFC 9110 section 5.6.2)".to_owned(),
        );
    }
    if REFUSED_HEADERS.contains(&name) || name.starts_with(REFUSED_PREFIX) {
        return Err(format!("the header `{name}` is set by the sinks"));
    }
    at_most("a header's value", value.len(), HEADER_VALUE_BYTES)?;
    if !value.iter().all(|&byte| is_field_byte(byte)) {
        return Err(format!(
            "the value of the header `{name}` has a control character in it"
        ));
    }
    if value.first().is_some_and(|&byte| is_blank(byte))
        || value.last().is_some_and(|&byte| is_blank(byte))
    {
        return Err(format!(
            "the value of the header `{name}` begins or ends with a blank"
        ));
    }
    Ok(())
}

fn at_most(what: &str, found: usize, most: usize) -> Result<(), String> {
    if found <= most {
        return Ok(());
    }
    Err(format!("{what} has {found} bytes, {most} are allowed"))
}

fn count(what: &str, found: usize, most: usize) -> Result<(), String> {
    if found <= most {
        return Ok(());
    }
    Err(format!("has {found} {what}, {most} are allowed"))
}

/// Visible ASCII and spaces.
fn printable(what: &str, text: &str) -> Result<(), String> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Ok(());
    }
    Err(format!("{what} is not printable ASCII"))
}

fn no_control(what: &str, text: &str) -> Result<(), String> {
    if !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(format!("{what} has a control character in it"))
}

/// `tchar` of RFC 9110 section 5.6.2, without capitals.
fn is_lower_token(byte: u8) -> bool {
    is_token(byte) && !byte.is_ascii_uppercase()
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Bytes of a field value: RFC 9110 section 5.5.
fn is_field_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// `type/subtype`, then parameters of printable ASCII: RFC 9110 section 8.3.1.
fn is_media_type(text: &str) -> bool {
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let Some((kind, subtype)) = essence.trim_end().split_once('/') else {
        return false;
    };
    let token = |text: &str| !text.is_empty() && text.bytes().all(is_token);
    token(kind) && token(subtype) && parameters.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

#[cfg(test)]
mod tests;
