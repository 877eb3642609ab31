//! Lines: one delivery as one line of JSON.
//!
//! Pure. A JSON body is put in as it is, so that `jq .data` works and numbers keep their digits; any
//! other body goes in as base64.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::sink::{Delivery, envelope};

#[derive(Serialize)]
struct Line<'d> {
    id: &'d str,
    source: &'d str,
    #[serde(rename = "type")]
    kind: &'d str,
    time: String,
    key: Option<&'d str>,
    sink: &'d str,
    route: &'d str,
    headers: BTreeMap<&'d str, Cow<'d, str>>,
    attributes: BTreeMap<&'d str, &'d str>,
    content_type: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Cow<'d, RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
}

/// The line with its newline.
pub(super) fn render(delivery: &Delivery) -> serde_json::Result<Vec<u8>> {
    let message = &delivery.message;
    let mut headers: BTreeMap<&str, Cow<'_, str>> = BTreeMap::new();
    for header in &message.headers {
        let value = String::from_utf8_lossy(&header.value);
        // Several fields of one name mean the same as one with a list (RFC 9110 section 5.3).
        match headers.entry(&header.name) {
            std::collections::btree_map::Entry::Vacant(free) => drop(free.insert(value)),
            std::collections::btree_map::Entry::Occupied(mut taken) => {
                let list = taken.get_mut().to_mut();
                list.push_str(", ");
                list.push_str(&value);
            }
        }
    }
    let data = inline(&message.body);
    let line = Line {
        id: &delivery.message_id,
        source: &delivery.origin.source,
        kind: &message.kind,
        time: envelope::rfc3339(delivery.origin.received_at_ms),
        key: delivery.key.as_deref(),
        sink: &delivery.sink,
        route: &delivery.route,
        headers,
        attributes: message
            .attributes
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect(),
        content_type: message.content_type.as_deref(),
        data_base64: data.is_none().then(|| STANDARD.encode(&message.body)),
        data,
    };
    let mut bytes = Vec::with_capacity(message.body.len() + 512);
    serde_json::to_writer(&mut bytes, &line)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The body if it is JSON. Line breaks, which JSON allows between tokens only, become spaces.
fn inline(body: &[u8]) -> Option<Cow<'_, RawValue>> {
    let text = std::str::from_utf8(body).ok()?;
    let raw: &RawValue = serde_json::from_str(text).ok()?;
    if !raw.get().contains(['\n', '\r']) {
        return Some(Cow::Borrowed(raw));
    }
    let flat = raw.get().replace(['\n', '\r'], " ");
    RawValue::from_string(flat).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;
    use crate::event::Header;
    use crate::sink::testing::delivery;

    fn parsed(delivery: &Delivery) -> Value {
        let line = render(delivery).unwrap();
        let text = String::from_utf8(line).unwrap();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(text.ends_with('\n') && !text.contains('\r'));
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_json_body_is_put_in_as_it_is() {
        let mut delivery = delivery("m-1", b"{\"n\": 1.000000000000000000001}");
        delivery.message.headers.push(Header::new("x-a", "1"));
        delivery.message.headers.push(Header::new("x-a", "2"));
        delivery
            .message
            .attributes
            .push(("coverage".into(), "full".into()));
        let line = String::from_utf8(render(&delivery).unwrap()).unwrap();
        assert!(line.contains("{\"n\": 1.000000000000000000001}"), "{line}");
        let mut value = parsed(&delivery);
        value["data"] = Value::Null;
        assert_eq!(
            value,
            json!({
                "id": "m-1", "source": "didit", "type": "kyc.decided",
                "time": "2026-11-20T12:00:00.250Z", "key": "subject-1",
                "sink": "crm", "route": "kyc decisions",
                "headers": {"x-a": "1, 2"}, "attributes": {"coverage": "full"},
                "content_type": "application/json", "data": null,
            })
        );
    }

    #[test]
    fn a_pretty_printed_body_still_makes_one_line() {
        let delivery = delivery("m-1", b" {\r\n  \"text\": \"a\\nb\"\n}\n");
        assert_eq!(parsed(&delivery)["data"], json!({"text": "a\nb"}));
    }

    #[test]
    fn any_other_body_is_base64() {
        for body in [&b""[..], b"a=1&b=2", b"\xff\xfe", b"{\"cut", b"{} {}"] {
            let mut delivery = delivery("m-1", b"");
            delivery.message.body = Bytes::copy_from_slice(body);
            let value = parsed(&delivery);
            assert_eq!(value["data_base64"], json!(STANDARD.encode(body)));
            assert!(value.get("data").is_none());
        }
    }
}
