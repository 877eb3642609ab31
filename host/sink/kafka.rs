//! Kafka sink: produces each message to a topic, acknowledged by all in-sync replicas.
//!
//! Promises: idempotent producer, `acks=all`; a delivery is confirmed by the broker's report and by
//! nothing else. librdkafka's queue is bounded; when it is full the delivery waits. What the client calls
//! permanent is believed only of a message that was sent alone, because a broker refuses a whole batch
//! for one bad message. A send that timed out may have been stored: it is sent again with the same
//! `ce_id`. Only this module knows rdkafka.

mod client;
mod failure;
mod settings;

use std::time::Duration;

use async_trait::async_trait;
use rdkafka::message::{Header, Headers, OwnedHeaders};
use rdkafka::producer::FutureRecord;
use tokio::time::Instant;

use self::client::Clients;
use self::failure::Unsent;
use super::{Class, Delivery, Preview, Receipt, SetupError, Sink, SinkError, envelope, preview};
use crate::config;
use crate::template::{Context, Template};

/// A Kafka topic. See the module's text.
pub struct KafkaSink {
    topic: Template,
    patience: Duration,
    /// Sends messages in batches.
    batching: Clients,
    /// Sends each message in a request of its own; used for what a batch was refused for.
    single: Clients,
}

impl KafkaSink {
    /// Checks the settings; the client is made with the first delivery.
    ///
    /// # Errors
    /// If an option is unknown, not valid, or one that the sink's promises rest on.
    pub fn new(sink: &config::Sink, kafka: &config::Kafka) -> Result<Self, SetupError> {
        let patience = envelope::patience(sink.timeout);
        let batching = settings::producer(kafka, patience).map_err(SetupError::new)?;
        let single = settings::one_by_one(&batching);
        Ok(Self {
            topic: kafka.topic.clone(),
            patience,
            batching: Clients::new(batching),
            single: Clients::new(single),
        })
    }

    fn topic_of(&self, delivery: &Delivery) -> Result<String, SinkError> {
        let context = Context {
            origin: &delivery.origin,
            message: &delivery.message,
            key: delivery.key.as_deref(),
        };
        self.topic.render(context).ok_or_else(|| {
            let detail = "a placeholder of `topic` has no value in this message";
            SinkError::new(Class::Permanent, "no_topic", detail)
        })
    }
}

#[async_trait]
impl Sink for KafkaSink {
    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, SinkError> {
        let deadline = Instant::now() + self.patience;
        let topic = self.topic_of(delivery)?;
        let record = || record(&topic, delivery);
        let outcome = match self.batching.send(record(), deadline).await {
            Err(Unsent {
                error,
                alone: false,
            }) if error.class == Class::Permanent => self.single.send(record(), deadline).await,
            outcome => outcome,
        };
        outcome.map_err(|unsent| unsent.error)
    }

    fn preview(&self, delivery: &Delivery, _now_ms: u64) -> Result<Preview, SinkError> {
        let topic = self.topic_of(delivery)?;
        let record = record(&topic, delivery);
        let headers = record.headers.iter().flat_map(Headers::iter);
        Ok(Preview {
            to: format!("topic {topic}"),
            key: record.key.map(str::to_owned),
            headers: headers
                .map(|header| {
                    let value = preview::text(header.value.unwrap_or_default());
                    (header.key.to_owned(), value)
                })
                .collect(),
            body: delivery.message.body.clone(),
        })
    }

    async fn close(&self) {
        self.batching.close(self.patience).await;
        self.single.close(self.patience).await;
    }
}

/// The record: CloudEvents in binary mode, the body as value, the key as key.
fn record<'d>(topic: &'d str, delivery: &'d Delivery) -> FutureRecord<'d, str, [u8]> {
    let message = &delivery.message;
    let mut headers = OwnedHeaders::new_with_capacity(12 + message.headers.len());
    let mut add = |name: &str, value: &[u8]| {
        let all = std::mem::take(&mut headers);
        headers = all.insert(Header {
            key: name,
            value: Some(value),
        });
    };
    for (name, value) in envelope::CE_WIRE
        .into_iter()
        .zip(envelope::cloud_event(delivery))
        .chain(envelope::own(delivery))
    {
        add(name, value.as_bytes());
    }
    if let Some(content_type) = &message.content_type {
        add("content-type", content_type.as_bytes());
    }
    for (name, value) in envelope::trace_context(delivery) {
        add(name, value.as_bytes());
    }
    for header in envelope::passed_on(delivery) {
        add(&header.name, &header.value);
    }
    let mut record = FutureRecord::to(topic)
        .payload(&*message.body)
        .headers(headers);
    record.key = delivery.key.as_deref();
    record
}
