//! Envelope: the names and values that go out beside a message's body, the same for every sink.
//!
//! CloudEvents 1.0 attributes in binary mode, plus this program's own. Pure; knows no protocol beyond
//! the two spellings of the names (HTTP takes `ce-id`, Kafka and AMQP 0.9.1 take `ce_id`).

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;

use super::Delivery;
use crate::event::Header;

/// CloudEvents attribute names for HTTP, in the order of [`cloud_event`].
pub(super) const CE_HTTP: [&str; 5] =
    ["ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time"];

/// CloudEvents attribute names for Kafka and AMQP, in the order of [`cloud_event`].
pub(super) const CE_WIRE: [&str; 5] =
    ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time"];

/// The type of a message whose provider names nothing; CloudEvents forbids an empty one.
const UNNAMED_TYPE: &str = "webhook";

/// How long an attempt may take by the sink's own clock: a little less than the `timeout` after which
/// the caller cancels it, so that the sink's own, better informed error comes first.
pub(super) fn patience(timeout: Duration) -> Duration {
    timeout.saturating_sub((timeout / 10).min(Duration::from_millis(500)))
}

/// `ce_time`: RFC 3339 in UTC with milliseconds.
pub(super) fn rfc3339(unix_ms: u64) -> String {
    let ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    let time = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
    format!("{time:.3}")
}

/// `ce_source`: a URI reference that is unique to the source within one installation.
pub(super) fn source_uri(source: &str) -> String {
    format!("/sources/{source}")
}

/// `ce_type`: the message's type.
pub(super) fn type_of(delivery: &Delivery) -> &str {
    match delivery.message.kind.as_str() {
        "" => UNNAMED_TYPE,
        kind => kind,
    }
}

/// The CloudEvents attributes' values, in the order of [`CE_HTTP`] and [`CE_WIRE`].
pub(super) fn cloud_event(delivery: &Delivery) -> [Cow<'_, str>; 5] {
    [
        Cow::Borrowed("1.0"),
        Cow::Borrowed(delivery.message_id.as_str()),
        Cow::Owned(source_uri(&delivery.origin.source)),
        Cow::Borrowed(type_of(delivery)),
        Cow::Owned(rfc3339(delivery.origin.received_at_ms)),
    ]
}

/// This program's own names and values.
pub(super) fn own(delivery: &Delivery) -> impl Iterator<Item = (&'static str, Cow<'_, str>)> {
    let origin = &delivery.origin;
    [
        ("hookswitch-source", Some(Cow::Borrowed(&*origin.source))),
        (
            "hookswitch-provider",
            Some(Cow::Borrowed(&*origin.provider)),
        ),
        ("hookswitch-route", Some(Cow::Borrowed(&*delivery.route))),
        (
            "hookswitch-event-id",
            Some(Cow::Owned(origin.event_id.to_string())),
        ),
        (
            "hookswitch-provider-event-id",
            origin.provider_event_id.as_deref().map(Cow::Borrowed),
        ),
    ]
    .into_iter()
    .filter_map(|(name, value)| value.map(|value| (name, value)))
}

/// The message's headers that a sink may send: those of plugins, without names that belong to the
/// envelope. A plugin cannot pose as another source by setting `ce-source`.
pub(super) fn passed_on(delivery: &Delivery) -> impl Iterator<Item = &Header> {
    delivery
        .message
        .headers
        .iter()
        .filter(|header| !is_reserved(&header.name))
}

/// The message's trace context: attributes `traceparent` and `tracestate` that no header of the same
/// name overrides.
pub(super) fn trace_context(delivery: &Delivery) -> impl Iterator<Item = (&str, &str)> {
    let message = &delivery.message;
    message
        .attributes
        .iter()
        .filter(|(name, _)| name == "traceparent" || name == "tracestate")
        .filter(|(name, _)| !message.headers.iter().any(|header| header.name == *name))
        .map(|(name, value)| (name.as_str(), value.as_str()))
}

fn is_reserved(name: &str) -> bool {
    name == "content-type"
        || ["ce-", "ce_", "hookswitch-", "webhook-"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::super::testing::delivery;
    use super::*;

    #[test]
    fn the_cloud_event_names_the_message_and_its_source() {
        let delivery = delivery("m-1", b"{}");
        let values = cloud_event(&delivery).map(Cow::into_owned);
        assert_eq!(
            values,
            [
                "1.0",
                "m-1",
                "/sources/didit",
                "kyc.decided",
                "2026-11-20T12:00:00.250Z"
            ]
        );
    }

    #[test]
    fn an_unnamed_type_gets_a_name_because_cloud_events_requires_one() {
        let mut delivery = delivery("m-1", b"{}");
        delivery.message.kind.clear();
        assert_eq!(type_of(&delivery), "webhook");
    }

    #[test]
    fn a_plugin_cannot_set_the_envelopes_names() {
        let mut delivery = delivery("m-1", b"{}");
        for name in [
            "ce-id",
            "ce_id",
            "webhook-id",
            "hookswitch-source",
            "content-type",
            "x-team",
        ] {
            delivery.message.headers.push(Header::new(name, "forged"));
        }
        let names: Vec<_> = passed_on(&delivery).map(|h| h.name.as_str()).collect();
        assert_eq!(names, ["x-team"]);
    }

    #[test]
    fn own_names_leave_out_what_the_provider_did_not_send() {
        let mut delivery = delivery("m-1", b"{}");
        let all = own(&delivery).count();
        std::sync::Arc::make_mut(&mut delivery.origin).provider_event_id = None;
        assert_eq!(own(&delivery).count(), all - 1);
    }

    #[test]
    fn a_trace_header_wins_over_the_attribute() {
        let mut delivery = delivery("m-1", b"{}");
        delivery
            .message
            .attributes
            .push(("traceparent".into(), "00-a".into()));
        assert_eq!(
            trace_context(&delivery).collect::<Vec<_>>(),
            [("traceparent", "00-a")]
        );
        delivery
            .message
            .headers
            .push(Header::new("traceparent", "00-b"));
        assert_eq!(trace_context(&delivery).count(), 0);
    }

    #[test]
    fn a_sink_answers_before_its_caller_gives_up() {
        for (timeout_ms, expected_ms) in [(30_000, 29_500), (1_000, 900), (0, 0)] {
            let patience = patience(Duration::from_millis(timeout_ms));
            assert_eq!(patience, Duration::from_millis(expected_ms));
        }
    }
}
