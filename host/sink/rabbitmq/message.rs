//! Messages: one delivery as AMQP properties.
//!
//! Pure. AMQP calls strings of at most 255 bytes short; the client library panics on longer ones, so
//! every one passes [`short`].

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use crate::sink::{Class, Delivery, SinkError, envelope, preview};

/// AMQP 0.9.1 delivery modes.
const TRANSIENT: u8 = 1;
const PERSISTENT: u8 = 2;

/// A short string, or `None` if it is too long for one.
pub(super) fn short(text: &str) -> Option<ShortString> {
    ShortString::try_new(text).ok()
}

/// The properties and headers that go out beside the body.
pub(super) fn properties(
    delivery: &Delivery,
    persistent: bool,
) -> Result<BasicProperties, SinkError> {
    let message = &delivery.message;
    let required = |what: &str, text: &str| short(text).ok_or_else(|| too_long(what));
    let mut properties = BasicProperties::default()
        .with_message_id(required("the message id", &delivery.message_id)?)
        .with_type(required("the message's type", envelope::type_of(delivery))?)
        .with_timestamp(delivery.origin.received_at_ms / 1000)
        .with_delivery_mode(if persistent { PERSISTENT } else { TRANSIENT })
        .with_headers(headers(delivery)?);
    if let Some(content_type) = &message.content_type {
        properties = properties.with_content_type(required("the content type", content_type)?);
    }
    Ok(properties)
}

/// Properties and headers as text.
pub(super) fn shown(properties: &BasicProperties) -> Vec<(String, String)> {
    let strings = [
        ("message_id", properties.message_id()),
        ("type", properties.kind()),
        ("content_type", properties.content_type()),
    ];
    let mut shown: Vec<(String, String)> = strings
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value.as_ref()?.to_string())))
        .collect();
    let numbers = [
        (
            "timestamp",
            properties.timestamp().map(|time| time.to_string()),
        ),
        (
            "delivery_mode",
            properties.delivery_mode().map(|mode| mode.to_string()),
        ),
    ];
    for (name, value) in numbers {
        shown.extend(value.map(|value| (name.to_owned(), value)));
    }
    for (name, value) in properties.headers().iter().flat_map(FieldTable::inner) {
        let value = match value {
            AMQPValue::LongString(text) => preview::text(text.as_bytes()),
            other => format!("{other:?}"),
        };
        shown.push((name.to_string(), value));
    }
    shown
}

fn headers(delivery: &Delivery) -> Result<FieldTable, SinkError> {
    let mut table = FieldTable::default();
    let mut add = |name: &str, value: &[u8]| {
        let name = short(name).ok_or_else(|| too_long("a header's name"))?;
        table.insert(name, AMQPValue::LongString(value.into()));
        Ok(())
    };
    for header in envelope::passed_on(delivery) {
        add(&header.name, &header.value)?;
    }
    for (name, value) in envelope::trace_context(delivery) {
        add(name, value.as_bytes())?;
    }
    for (name, value) in envelope::CE_WIRE
        .into_iter()
        .zip(envelope::cloud_event(delivery))
        .chain(envelope::own(delivery))
    {
        add(name, value.as_bytes())?;
    }
    Ok(table)
}

fn too_long(what: &str) -> SinkError {
    let detail = format!("{what} is longer than the 255 bytes that AMQP allows");
    SinkError::new(Class::Permanent, "too_long", detail)
}
