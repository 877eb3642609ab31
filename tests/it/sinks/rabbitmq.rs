//! The RabbitMQ sink on a real broker.

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt};
use hookswitch::config::{self, SinkKind};
use hookswitch::event::Header;
use hookswitch::secret::Secret;
use hookswitch::sink::rabbitmq::RabbitMqSink;
use hookswitch::sink::{Class, Delivery, Sink};
use hookswitch::template::Template;
use lapin::message::Delivery as Consumed;
use lapin::options::{
    BasicConsumeOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties, ExchangeKind};
use xtask::brokers::{self, RabbitMq};

use super::compliance::{self, Faulty, Rig, compliance_suite, mute};
use super::{TIMEOUT, config_of, delivery, delivery_of, folder, unique};
use crate::support::{PATIENCE, eventually};

/// The broker that the tests share; each has an exchange and a queue of its own.
fn shared() -> Option<String> {
    static BROKER: OnceLock<Option<Mutex<RabbitMq>>> = OnceLock::new();
    let start =
        || brokers::available("RabbitMQ", RabbitMq::start(folder("sinks-rabbitmq"))).unwrap();
    let broker = BROKER.get_or_init(|| start().map(Mutex::new)).as_ref()?;
    Some(broker.lock().unwrap().url().to_owned())
}

/// An exchange and a queue, both called `name`, bound for routing keys that begin with `m`.
struct RabbitRig {
    url: String,
    name: String,
    /// For tests that stop it.
    own: Option<Mutex<RabbitMq>>,
}

async fn rig() -> Option<RabbitRig> {
    let url = tokio::task::spawn_blocking(shared).await.unwrap()?;
    Some(rig_at(&url, None).await)
}

async fn own_rig() -> Option<RabbitRig> {
    let own = || RabbitMq::own(folder(&unique("rabbitmq-own")));
    let start = move || brokers::available("RabbitMQ", own()).unwrap();
    let broker = tokio::task::spawn_blocking(start).await.unwrap()?;
    let url = broker.url().to_owned();
    Some(rig_at(&url, Some(Mutex::new(broker))).await)
}

async fn rig_at(url: &str, own: Option<Mutex<RabbitMq>>) -> RabbitRig {
    let name = unique("sinks");
    let (_connection, channel) = open(url).await;
    declare_exchange(&channel, &name).await;
    // A quorum queue that is killed within moments of its making never finds a leader again (seen with
    // RabbitMQ 3.10), so the broker that will be killed gets a classic one.
    let kind = if own.is_some() { "classic" } else { "quorum" };
    declare_queue(&channel, &name, "m.#", [("x-queue-type", text(kind))]).await;
    RabbitRig {
        url: url.to_owned(),
        name,
        own,
    }
}

async fn open(url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

async fn declare_exchange(channel: &Channel, name: &str) {
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    channel
        .exchange_declare(
            name.into(),
            ExchangeKind::Topic,
            durable,
            FieldTable::default(),
        )
        .await
        .unwrap();
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

/// A durable queue called like its exchange, bound for `key`.
async fn declare_queue<const N: usize>(
    channel: &Channel,
    name: &str,
    key: &str,
    arguments: [(&str, AMQPValue); N],
) {
    let mut table = FieldTable::default();
    table.insert(
        "x-queue-type".into(),
        AMQPValue::LongString("quorum".into()),
    );
    for (name, value) in arguments {
        table.insert(name.into(), value);
    }
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(name.into(), durable, table)
        .await
        .unwrap();
    let options = QueueBindOptions::default();
    channel
        .queue_bind(
            name.into(),
            name.into(),
            key.into(),
            options,
            FieldTable::default(),
        )
        .await
        .unwrap();
}

fn settings(url: &str, exchange: &str) -> config::RabbitMq {
    config::RabbitMq {
        url: Secret::new(url),
        exchange: exchange.to_owned(),
        routing_key: Template::parse("{key}", &["key"]).unwrap(),
        persistent: true,
    }
}

fn sink_to(url: &str, exchange: &str, timeout: Duration) -> Arc<dyn Sink> {
    let rabbitmq = settings(url, exchange);
    let config = config_of(SinkKind::RabbitMq(rabbitmq.clone()), timeout);
    Arc::new(RabbitMqSink::new(&config, &rabbitmq).unwrap())
}

/// A delivery that the rig's queue takes.
fn routable(id: &str) -> Delivery {
    delivery_of(id, &format!("m.{id}"), "{}")
}

/// Takes everything there is in the queue until `done` says so, for at most a minute.
async fn consume(rig: &RabbitRig, mut done: impl FnMut(Consumed) -> bool) {
    let (_connection, channel) = open(&rig.url).await;
    let options = BasicConsumeOptions {
        no_ack: false,
        ..BasicConsumeOptions::default()
    };
    let mut consumer = channel
        .basic_consume(
            rig.name.as_str().into(),
            "test".into(),
            options,
            FieldTable::default(),
        )
        .await
        .unwrap();
    let all = async { while !done(consumer.next().await.unwrap().unwrap()) {} };
    // What was not acknowledged goes back, so that a second look sees the same.
    let _ = tokio::time::timeout(PATIENCE, all).await;
}

fn id_of(consumed: &Consumed) -> String {
    consumed
        .properties
        .message_id()
        .as_ref()
        .unwrap()
        .to_string()
}

impl RabbitRig {
    /// Does something to the test's own broker that takes its time.
    async fn on_broker(&mut self, work: impl FnOnce(&mut RabbitMq) + Send + 'static) {
        let broker = self.own.take().unwrap();
        let work = move || {
            work(&mut broker.lock().unwrap());
            broker
        };
        self.own = Some(tokio::task::spawn_blocking(work).await.unwrap());
    }
}

#[async_trait]
impl Rig for RabbitRig {
    fn sink(&self, timeout: Duration) -> Arc<dyn Sink> {
        sink_to(&self.url, &self.name, timeout)
    }

    async fn arrived(&self, at_least: &BTreeSet<String>) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        consume(self, |consumed| {
            seen.insert(id_of(&consumed));
            at_least.is_subset(&seen)
        })
        .await;
        seen
    }

    async fn misconfigured(&self) -> Faulty {
        (
            sink_to(&self.url, &unique("missing"), TIMEOUT),
            "unknown_exchange",
        )
    }

    async fn silent(&self, timeout: Duration) -> (Arc<dyn Sink>, Box<dyn Any + Send>) {
        let (port, guard) = mute().await;
        let url = format!("amqp://guest:guest@127.0.0.1:{port}/%2f");
        (sink_to(&url, "any", timeout), guard)
    }

    fn unacceptable(&self) -> Option<(Delivery, &'static str)> {
        let key = format!("m.{}", "k".repeat(300));
        Some((delivery_of("bad", &key, "{}"), "bad_routing_key"))
    }

    async fn stop(&mut self) {
        self.on_broker(|broker| broker.kill().unwrap()).await;
    }

    async fn start(&mut self) {
        self.on_broker(|broker| broker.start_again().unwrap()).await;
    }
}

compliance_suite!(rig());

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reconnects() {
    if let Some(mut rig) = own_rig().await {
        compliance::reconnects(&mut rig).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_carries_its_envelope() {
    let Some(rig) = rig().await else { return };
    let sink = rig.sink(TIMEOUT);
    let mut sent = delivery_of("m-1", "m.a", "{\"a\":1}");
    sent.message.headers.push(Header::new("x-team", "kyc"));
    assert_eq!(sink.deliver(&sent).await.unwrap().code, "ack");
    let mut seen = None;
    consume(&rig, |consumed| {
        seen = Some(consumed);
        true
    })
    .await;
    let consumed = seen.unwrap();
    let properties = &consumed.properties;
    assert_eq!(consumed.data, b"{\"a\":1}");
    assert_eq!(properties.message_id().as_ref().unwrap().as_str(), "m-1");
    assert_eq!(properties.kind().as_ref().unwrap().as_str(), "kyc.decided");
    assert_eq!(
        properties.content_type().as_ref().unwrap().as_str(),
        "application/json"
    );
    assert_eq!(*properties.timestamp(), Some(1_795_176_000));
    assert_eq!(*properties.delivery_mode(), Some(2));
    let headers = properties.headers().as_ref().unwrap().inner();
    for (name, value) in [
        ("ce_id", "m-1"),
        ("ce_specversion", "1.0"),
        ("ce_source", "/sources/didit"),
        ("ce_type", "kyc.decided"),
        ("ce_time", "2026-11-20T12:00:00.250Z"),
        ("hookswitch-source", "didit"),
        ("x-team", "kyc"),
    ] {
        assert_eq!(headers.get(name), Some(&text(value)), "{name}");
    }
    sink.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledged_message_that_no_queue_takes_is_not_delivered() {
    let Some(rig) = rig().await else { return };
    let sink = rig.sink(TIMEOUT);
    // Many at once: the client library gives returned messages to the wrong confirms.
    let sent: Vec<_> = (0..600)
        .map(|n| match n % 10 {
            0 => delivery_of(&format!("lost-{n}"), "nowhere", "{}"),
            _ => routable(&format!("good-{n}")),
        })
        .collect();
    let outcomes = join_all(sent.iter().map(|d| sink.deliver(d).map(move |o| (d, o)))).await;
    let mut confirmed = BTreeSet::new();
    let mut doubtful = 0;
    for (delivery, outcome) in outcomes {
        let lost = delivery.message_id.starts_with("lost");
        match outcome {
            Ok(_) => {
                assert!(!lost, "{} was counted as delivered", delivery.message_id);
                confirmed.insert(delivery.message_id.clone());
            }
            Err(error) => match error.code.as_str() {
                "unroutable" => assert!(lost && error.class == Class::Configuration),
                "unknown_outcome" => {
                    assert_eq!(error.class, Class::Transient);
                    doubtful += 1;
                }
                _ => panic!("{error}"),
            },
        }
    }
    eprintln!("{} confirmed, {doubtful} doubtful", confirmed.len());
    assert!(confirmed.is_subset(&rig.arrived(&confirmed).await));
    sink.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_is_back_pressure() {
    let Some(rig) = rig().await else { return };
    let name = unique("full");
    let (_connection, channel) = open(&rig.url).await;
    declare_exchange(&channel, &name).await;
    let full = [
        ("x-max-length", AMQPValue::LongInt(5)),
        ("x-overflow", text("reject-publish")),
    ];
    declare_queue(&channel, &name, "#", full).await;
    let sink = sink_to(&rig.url, &name, TIMEOUT);
    let refused = eventually("a refusal", PATIENCE, async || {
        sink.deliver(&routable("m")).await.err()
    })
    .await;
    assert_eq!(
        (refused.class, refused.code.as_str()),
        (Class::Transient, "nacked")
    );
    sink.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_exchange_is_found_once_it_is_there() {
    let Some(rig) = rig().await else { return };
    let name = unique("late");
    let sink = sink_to(&rig.url, &name, TIMEOUT);
    let error = sink.deliver(&routable("m")).await.unwrap_err();
    assert_eq!(
        (error.class, error.code.as_str()),
        (Class::Configuration, "unknown_exchange")
    );
    assert!(error.detail.contains(&name), "{error}");
    let (_connection, channel) = open(&rig.url).await;
    declare_exchange(&channel, &name).await;
    declare_queue(&channel, &name, "#", []).await;
    eventually("a delivery", PATIENCE, async || {
        sink.deliver(&routable("m")).await.ok()
    })
    .await;
    sink.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchange_that_goes_away_ends_in_a_configuration_error() {
    let Some(rig) = rig().await else { return };
    let sink = rig.sink(TIMEOUT);
    sink.deliver(&routable("m")).await.unwrap();
    let (_connection, channel) = open(&rig.url).await;
    channel
        .exchange_delete(rig.name.as_str().into(), Default::default())
        .await
        .unwrap();
    let error = eventually("an error that does not pass", PATIENCE, async || {
        let error = sink.deliver(&routable("m")).await.unwrap_err();
        (error.class != Class::Transient).then_some(error)
    })
    .await;
    assert_eq!(
        (error.class, error.code.as_str()),
        (Class::Configuration, "unknown_exchange")
    );
    sink.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_a_configuration_error_and_is_not_shown() {
    let Some(rig) = rig().await else { return };
    let (_, place) = rig.url.rsplit_once('@').unwrap();
    let sink = sink_to(&format!("amqp://guest:s3cret@{place}"), &rig.name, TIMEOUT);
    let error = sink.deliver(&delivery("m")).await.unwrap_err();
    assert_eq!(error.class, Class::Configuration, "{error}");
    assert!(!error.to_string().contains("s3cret"), "{error}");
    sink.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_short_of_memory_pauses_the_sink() {
    let Some(rig) = own_rig().await else { return };
    let broker = rig.own.as_ref().unwrap();
    let watermark = |limit: &str| {
        let arguments = ["set_vm_memory_high_watermark", limit];
        tokio::task::block_in_place(|| broker.lock().unwrap().ctl(&arguments)).unwrap();
    };
    let sink = rig.sink(Duration::from_secs(3));
    sink.deliver(&routable("m-1")).await.unwrap();
    watermark("0");
    let blocked = eventually("a blocked delivery", PATIENCE, async || {
        sink.deliver(&routable("m-2")).await.err()
    })
    .await;
    assert_eq!(
        (blocked.class, blocked.code.as_str()),
        (Class::Transient, "blocked")
    );
    watermark("0.6");
    eventually("a delivery", PATIENCE, async || {
        sink.deliver(&routable("m-3")).await.ok()
    })
    .await;
    sink.close().await;
}

#[test]
fn settings_that_cannot_work_are_named_without_the_password() {
    for (url, exchange, part) in [
        ("http://u:s3cret@h/", "e", "amqp://"),
        ("amqp://u:s3cret@h:port/", "e", "amqp://"),
        ("amqp://u:s3cret@h/", &*"e".repeat(256), "exchange"),
    ] {
        let rabbitmq = settings(url, exchange);
        let config = config_of(SinkKind::RabbitMq(rabbitmq.clone()), TIMEOUT);
        let error = RabbitMqSink::new(&config, &rabbitmq).err().unwrap();
        assert!(error.detail.contains(part), "{error}");
        assert!(!error.detail.contains("s3cret"), "{error}");
    }
}
