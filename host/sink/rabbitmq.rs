//! RabbitMQ sink: publishes each message to an exchange, confirmed by the broker.
//!
//! Promises: publisher confirms, persistent messages, `mandatory` always. A delivery counts as confirmed
//! if the broker acknowledged it and did not return it: a message that no queue takes is acknowledged
//! *and* returned. The exchange is looked up and never declared; topology belongs to its users. What was
//! in flight when a connection ended is unknown and sent again with the same `message_id`.
//!
//! One [`link`] task owns the connection and makes it anew; within it a [`pipeline`] owns every publish
//! until its confirm, so that a cancelled delivery leaves no half-sent frames behind. Only this module
//! knows lapin.

mod failure;
mod link;
mod message;
mod pipeline;
mod returns;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lapin::uri::AMQPUri;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use self::link::{Link, Place};
use self::pipeline::Job;
use super::{Class, Delivery, Preview, Receipt, SetupError, Sink, SinkError, envelope};
use crate::config;
use crate::template::{Context, Template};

/// Seconds between heartbeats where the URL names none; a silent peer is given up after two.
const HEARTBEAT_S: u16 = 10;

/// A broker may confirm nothing for a delivery's time, but at least this, before its connection is
/// given up as stuck.
const STALL_MIN: Duration = Duration::from_secs(5);

/// A RabbitMQ exchange. See the module's text.
pub struct RabbitMqSink {
    place: Place,
    routing_key: Template,
    persistent: bool,
    patience: Duration,
    link: Mutex<Option<Link>>,
}

impl RabbitMqSink {
    /// Checks the settings; connects with the first delivery.
    ///
    /// # Errors
    /// If the URL is not one, or the exchange's name is too long.
    pub fn new(sink: &config::Sink, rabbitmq: &config::RabbitMq) -> Result<Self, SetupError> {
        // The parser's own message may quote the URL, and with it the password.
        let mut uri: AMQPUri = rabbitmq.url.expose_str().parse().map_err(|_| {
            SetupError::new("`url` is not amqp://user:password@host:port/vhost or amqps://...")
        })?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT_S);
        let exchange = message::short(&rabbitmq.exchange)
            .ok_or_else(|| SetupError::new("`exchange` is longer than 255 bytes"))?;
        let patience = envelope::patience(sink.timeout);
        Ok(Self {
            place: Place {
                uri,
                exchange,
                stall: patience.max(STALL_MIN),
            },
            routing_key: rabbitmq.routing_key.clone(),
            persistent: rabbitmq.persistent,
            patience,
            link: Mutex::new(None),
        })
    }

    fn routing_key_of(&self, delivery: &Delivery) -> Result<lapin::types::ShortString, SinkError> {
        let context = Context {
            origin: &delivery.origin,
            message: &delivery.message,
            key: delivery.key.as_deref(),
        };
        let key = self.routing_key.render(context).ok_or_else(|| {
            let detail = "a placeholder of `routing_key` has no value in this message";
            SinkError::new(Class::Permanent, "no_routing_key", detail)
        })?;
        message::short(&key).ok_or_else(|| {
            let detail = "the routing key is longer than 255 bytes";
            SinkError::new(Class::Permanent, "bad_routing_key", detail)
        })
    }

    fn link(&self) -> Link {
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        link.get_or_insert_with(|| Link::start(self.place.clone()))
            .clone()
    }
}

#[async_trait]
impl Sink for RabbitMqSink {
    fn preview(&self, delivery: &Delivery, _now_ms: u64) -> Result<Preview, SinkError> {
        let routing_key = self.routing_key_of(delivery)?;
        let properties = message::properties(delivery, self.persistent)?;
        Ok(Preview {
            to: format!(
                "exchange `{}`, routing key `{}`",
                self.place.exchange.as_str(),
                routing_key.as_str()
            ),
            key: None,
            headers: message::shown(&properties),
            body: delivery.message.body.clone(),
        })
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, SinkError> {
        let deadline = Instant::now() + self.patience;
        let (done, confirmed) = oneshot::channel();
        let job = Job {
            routing_key: self.routing_key_of(delivery)?,
            properties: message::properties(delivery, self.persistent)?,
            message_id: delivery.message_id.clone(),
            body: delivery.message.body.clone(),
            done,
        };
        let link = self.link();
        match timeout_at(deadline, link.publish(job, confirmed)).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(link.why_late(self.patience)),
        }
    }

    async fn close(&self) {
        let link = {
            let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
            link.take()
        };
        if let Some(link) = link {
            link.close().await;
        }
    }
}
