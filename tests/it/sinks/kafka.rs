//! The Kafka sink on a real broker.

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::join_all;
use hookswitch::config::{self, SinkKind};
use hookswitch::event::Header;
use hookswitch::secret::Secret;
use hookswitch::sink::kafka::KafkaSink;
use hookswitch::sink::{Class, Delivery, Sink};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use xtask::brokers::{self, Kafka};

use super::compliance::{self, Faulty, Rig, compliance_suite, mute};
use super::{TIMEOUT, config_of, constant, delivery, delivery_of, folder, unique};

/// The broker that the tests share; each has a topic of its own.
fn shared() -> Option<String> {
    static BROKER: OnceLock<Option<Mutex<Kafka>>> = OnceLock::new();
    let start = || brokers::available("Kafka", Kafka::start(folder("sinks-kafka"))).unwrap();
    let broker = BROKER.get_or_init(|| start().map(Mutex::new)).as_ref()?;
    Some(broker.lock().unwrap().bootstrap().to_owned())
}

struct KafkaRig {
    bootstrap: String,
    topic: String,
    /// For tests that stop it.
    own: Option<Mutex<Kafka>>,
}

async fn rig() -> Option<KafkaRig> {
    let bootstrap = tokio::task::spawn_blocking(shared).await.unwrap()?;
    Some(rig_at(&bootstrap, None).await)
}

async fn own_rig() -> Option<KafkaRig> {
    let start = || brokers::available("Kafka", Kafka::own(folder(&unique("kafka-own")))).unwrap();
    let broker = tokio::task::spawn_blocking(start).await.unwrap()?;
    let bootstrap = broker.bootstrap().to_owned();
    Some(rig_at(&bootstrap, Some(Mutex::new(broker))).await)
}

async fn rig_at(bootstrap: &str, own: Option<Mutex<Kafka>>) -> KafkaRig {
    let topic = unique("sinks");
    let admin: AdminClient<_> = client(bootstrap).create().unwrap();
    let new = NewTopic::new(&topic, 3, TopicReplication::Fixed(1));
    for result in admin
        .create_topics([&new], &AdminOptions::new())
        .await
        .unwrap()
    {
        result.unwrap();
    }
    KafkaRig {
        bootstrap: bootstrap.to_owned(),
        topic,
        own,
    }
}

fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    config
}

fn sink_to(bootstrap: &str, topic: &str, timeout: Duration) -> Arc<dyn Sink> {
    let kafka = config::Kafka {
        brokers: vec![bootstrap.to_owned()],
        topic: constant(topic),
        options: Vec::new(),
    };
    let config = config_of(SinkKind::Kafka(kafka.clone()), timeout);
    Arc::new(KafkaSink::new(&config, &kafka).unwrap())
}

/// Reads the topic from its start until `done` says so, for at most a minute.
async fn read<T: Default + Send + 'static>(
    rig: &KafkaRig,
    mut done: impl FnMut(&mut T, &BorrowedMessage<'_>) -> bool + Send + 'static,
) -> T {
    let (bootstrap, topic) = (rig.bootstrap.clone(), rig.topic.clone());
    let read = move || {
        let consumer: BaseConsumer = client(&bootstrap)
            .set("group.id", unique("reader"))
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .create()
            .unwrap();
        consumer.subscribe(&[&topic]).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut seen = T::default();
        while Instant::now() < deadline {
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(500))
                && done(&mut seen, &message)
            {
                break;
            }
        }
        seen
    };
    tokio::task::spawn_blocking(read).await.unwrap()
}

fn header(message: &BorrowedMessage<'_>, name: &str) -> Option<String> {
    let headers = message.headers()?;
    let found = headers.iter().find(|header| header.key == name)?;
    Some(String::from_utf8(found.value?.to_vec()).unwrap())
}

impl KafkaRig {
    /// Does something to the test's own broker that takes its time.
    async fn on_broker(&mut self, work: impl FnOnce(&mut Kafka) + Send + 'static) {
        let broker = self.own.take().unwrap();
        let work = move || {
            work(&mut broker.lock().unwrap());
            broker
        };
        self.own = Some(tokio::task::spawn_blocking(work).await.unwrap());
    }
}

#[async_trait]
impl Rig for KafkaRig {
    fn sink(&self, timeout: Duration) -> Arc<dyn Sink> {
        sink_to(&self.bootstrap, &self.topic, timeout)
    }

    async fn arrived(&self, at_least: &BTreeSet<String>) -> BTreeSet<String> {
        let wanted = at_least.clone();
        read(self, move |seen: &mut BTreeSet<String>, message| {
            seen.insert(header(message, "ce_id").unwrap());
            wanted.is_subset(seen)
        })
        .await
    }

    async fn misconfigured(&self) -> Faulty {
        (
            sink_to(&self.bootstrap, &unique("missing"), TIMEOUT),
            "unknown_topic",
        )
    }

    async fn silent(&self, timeout: Duration) -> (Arc<dyn Sink>, Box<dyn Any + Send>) {
        let (port, guard) = mute().await;
        (sink_to(&format!("127.0.0.1:{port}"), "any", timeout), guard)
    }

    fn unacceptable(&self) -> Option<(Delivery, &'static str)> {
        // Larger than the broker's default of 1 MiB, and not to be made smaller by compression.
        let mut random: u64 = 0x9e37_79b9_7f4a_7c15;
        let body: Vec<u8> = std::iter::repeat_with(|| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random.to_le_bytes()
        })
        .take(400_000)
        .flatten()
        .collect();
        Some((delivery_of("bad", "bad", body), "message_too_large"))
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
async fn a_record_is_a_cloud_event_in_binary_mode() {
    let Some(rig) = rig().await else { return };
    let sink = rig.sink(TIMEOUT);
    let mut sent = delivery_of("m-1", "subject-1", "{\"a\":1}");
    sent.message.headers.push(Header::new("x-team", "kyc"));
    sent.message.headers.push(Header::new("ce_id", "forged"));
    let receipt = sink.deliver(&sent).await.unwrap();
    assert!(receipt.code.starts_with("partition "), "{}", receipt.code);
    // An empty body is not a tombstone.
    sink.deliver(&delivery_of("m-2", "subject-1", ""))
        .await
        .unwrap();
    type Seen = Vec<(Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, String)>)>;
    let seen = read(&rig, |seen: &mut Seen, message| {
        let headers = message.headers().unwrap();
        let headers = headers.iter().map(|header| {
            let value = String::from_utf8(header.value.unwrap().to_vec()).unwrap();
            (header.key.to_owned(), value)
        });
        seen.push((
            message.key().map(<[u8]>::to_vec),
            message.payload().map(<[u8]>::to_vec),
            headers.collect(),
        ));
        seen.len() == 2
    })
    .await;
    let (key, payload, headers) = &seen[0];
    assert_eq!(key.as_deref(), Some(&b"subject-1"[..]));
    assert_eq!(payload.as_deref(), Some(&b"{\"a\":1}"[..]));
    let event_id = sent.origin.event_id.to_string();
    for (name, value) in [
        ("ce_specversion", "1.0"),
        ("ce_id", "m-1"),
        ("ce_source", "/sources/didit"),
        ("ce_type", "kyc.decided"),
        ("ce_time", "2026-11-20T12:00:00.250Z"),
        ("content-type", "application/json"),
        ("hookswitch-source", "didit"),
        ("hookswitch-event-id", &event_id),
        ("x-team", "kyc"),
    ] {
        let found: Vec<_> = headers.iter().filter(|(known, _)| known == name).collect();
        assert_eq!(found, [&(name.to_owned(), value.to_owned())]);
    }
    assert_eq!(seen[1].1.as_deref(), Some(&b""[..]));
    sink.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_goes_to_one_partition_in_order() {
    let Some(rig) = rig().await else { return };
    let sink = rig.sink(TIMEOUT);
    for n in 0..5 {
        let id = format!("m-{n}");
        sink.deliver(&delivery_of(&id, "subject-1", "{}"))
            .await
            .unwrap();
    }
    let seen = read(&rig, |seen: &mut Vec<(i32, String)>, message| {
        seen.push((message.partition(), header(message, "ce_id").unwrap()));
        seen.len() == 5
    })
    .await;
    let partition = seen[0].0;
    let expected: Vec<_> = (0..5).map(|n| (partition, format!("m-{n}"))).collect();
    assert_eq!(seen, expected);
    sink.close().await;
}

#[tokio::test]
async fn settings_that_cannot_work_are_named_without_their_values() {
    for (name, value, part) in [
        ("no.such.option", "s3cret", "not an option"),
        (
            "compression.type",
            "s3cret",
            "not one that librdkafka takes",
        ),
        ("acks", "1", "set by the sink"),
        ("enable.idempotence", "false", "set by the sink"),
    ] {
        let kafka = config::Kafka {
            brokers: vec!["127.0.0.1:1".to_owned()],
            topic: constant("t"),
            options: vec![(name.to_owned(), Secret::new(value))],
        };
        let config = config_of(SinkKind::Kafka(kafka.clone()), TIMEOUT);
        let error = KafkaSink::new(&config, &kafka).err().unwrap();
        assert!(
            error.detail.contains(part) && error.detail.contains(name),
            "{error}"
        );
        assert!(!error.detail.contains("s3cret"), "{error}");
    }
}

#[tokio::test]
async fn options_that_do_not_go_together_are_a_configuration_error() {
    let kafka = config::Kafka {
        brokers: vec!["127.0.0.1:1".to_owned()],
        topic: constant("t"),
        options: vec![
            ("security.protocol".to_owned(), Secret::new("ssl")),
            ("ssl.ca.location".to_owned(), Secret::new("/no/such/file")),
        ],
    };
    let config = config_of(SinkKind::Kafka(kafka.clone()), TIMEOUT);
    let sink = KafkaSink::new(&config, &kafka).unwrap();
    let error = sink.deliver(&delivery("m")).await.unwrap_err();
    assert_eq!(
        (error.class, error.code.as_str()),
        (Class::Configuration, "bad_options")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_makes_deliveries_wait_and_loses_none() {
    let Some(rig) = rig().await else { return };
    let kafka = config::Kafka {
        brokers: vec![rig.bootstrap.clone()],
        topic: constant(&rig.topic),
        options: vec![("queue.buffering.max.messages".to_owned(), Secret::new("10"))],
    };
    let config = config_of(SinkKind::Kafka(kafka.clone()), TIMEOUT);
    let sink = KafkaSink::new(&config, &kafka).unwrap();
    let sent: Vec<_> = (0..300).map(|n| delivery(&format!("q-{n}"))).collect();
    for outcome in join_all(sent.iter().map(|d| sink.deliver(d))).await {
        outcome.unwrap();
    }
    sink.close().await;
}
