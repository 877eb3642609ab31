//! The whole way on real parts: a signed event through a plugin to Kafka, RabbitMQ and HTTP, and each of
//! the three stopped and started again in mid-run.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{
    BasicConsumeOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties, ExchangeKind};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use xtask::brokers::{self, Kafka, RabbitMq};

use crate::support::host::Host;
use crate::support::receiver::Receiver;
use crate::support::sender::{Client, didit_approved};
use crate::support::{PATIENCE, eventually, plugin};

const SECRET: &str = "didit-test-secret";
const TOPIC: &str = "kyc.decisions";
const QUEUE: &str = "kyc.decisions";
const EXCHANGE: &str = "kyc";

fn config(kafka: &Kafka, crm: &Receiver) -> String {
    format!(
        r#"
[storage]
path = "data"

[sources.didit]
path = "/hooks/didit"
provider = "didit"
secrets = ["env:DIDIT_SECRET"]

[plugins.normalize-kyc]
component = "{plugin}"

[sinks.topic]
type = "kafka"
brokers = ["{kafka}"]
topic = "{TOPIC}"
timeout = "5s"
retry = {{ attempts = 1000, base = "100ms", max = "1s" }}

[sinks.queue]
type = "rabbitmq"
url = "env:AMQP_URL"
exchange = "{EXCHANGE}"
routing_key = "{{type}}"
timeout = "5s"
pause = "1s"
retry = {{ attempts = 1000, base = "100ms", max = "1s" }}

[sinks.crm]
type = "http"
url = "{crm}"
sign = {{ scheme = "standard-webhooks", secret = "env:CRM_SECRET" }}
allow_private = ["127.0.0.0/8"]
retry = {{ attempts = 1000, base = "100ms", max = "1s" }}

[[routes]]
name = "kyc"
from = ["didit"]
plugins = ["normalize-kyc"]
to = ["topic", "queue", "crm"]
key = "{{json:/subject}}"
"#,
        plugin = plugin("normalize_kyc").display(),
        kafka = kafka.bootstrap(),
        crm = crm.url(),
    )
}

/// What a consumer saw of one message.
#[derive(Clone, Debug)]
struct Seen {
    id: String,
    key: Option<String>,
    body: serde_json::Value,
}

/// Everything in the topic, read from the beginning by a consumer of its own.
async fn in_kafka(bootstrap: &str) -> Vec<Seen> {
    let bootstrap = bootstrap.to_owned();
    let read = move || {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &bootstrap)
            .set("group.id", format!("test-{:x}", fastrand::u64(..)))
            .set("enable.partition.eof", "true")
            .create()
            .unwrap();
        let mut partitions = rdkafka::TopicPartitionList::new();
        partitions
            .add_partition_offset(TOPIC, 0, rdkafka::Offset::Beginning)
            .unwrap();
        consumer.assign(&partitions).unwrap();
        let mut seen = Vec::new();
        loop {
            match consumer.poll(Duration::from_secs(30)) {
                Some(Ok(message)) => {
                    let headers = message.headers().unwrap();
                    let id = headers.iter().find(|h| h.key == "ce_id").unwrap();
                    seen.push(Seen {
                        id: String::from_utf8(id.value.unwrap().to_vec()).unwrap(),
                        key: message
                            .key()
                            .map(|k| String::from_utf8(k.to_vec()).unwrap()),
                        body: serde_json::from_slice(message.payload().unwrap()).unwrap(),
                    });
                }
                Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => return seen,
                Some(Err(error)) => panic!("reading the topic: {error}"),
                None => panic!("the topic gave neither a message nor its end"),
            }
        }
    };
    tokio::task::spawn_blocking(read).await.unwrap()
}

/// Takes `count` different messages out of the queue; redelivered and repeated ones count once.
async fn from_rabbitmq(url: &str, count: usize) -> Vec<Seen> {
    let connection = Connection::connect(url, ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    let mut consumer = channel
        .basic_consume(
            QUEUE.into(),
            "test".into(),
            BasicConsumeOptions {
                no_ack: true,
                ..BasicConsumeOptions::default()
            },
            FieldTable::default(),
        )
        .await
        .unwrap();
    let mut seen = Vec::new();
    let mut ids = HashSet::new();
    while ids.len() < count {
        let next = tokio::time::timeout(PATIENCE, consumer.next()).await;
        let delivery = match next {
            Ok(delivery) => delivery.unwrap().unwrap(),
            Err(_) => panic!("{} of {count} messages in the queue", ids.len()),
        };
        let id = delivery
            .properties
            .message_id()
            .as_ref()
            .unwrap()
            .to_string();
        if ids.insert(id.clone()) {
            seen.push(Seen {
                id,
                key: None,
                body: serde_json::from_slice(&delivery.data).unwrap(),
            });
        }
    }
    connection.close(200, "done".into()).await.unwrap();
    seen
}

/// A quorum queue bound to the exchange for every routing key.
async fn declare(url: &str) {
    let connection = Connection::connect(url, ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let none = FieldTable::default();
    channel
        .exchange_declare(EXCHANGE.into(), ExchangeKind::Topic, durable, none.clone())
        .await
        .unwrap();
    let mut quorum = FieldTable::default();
    quorum.insert(
        "x-queue-type".into(),
        AMQPValue::LongString("quorum".into()),
    );
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(QUEUE.into(), durable, quorum)
        .await
        .unwrap();
    channel
        .queue_bind(
            QUEUE.into(),
            EXCHANGE.into(),
            "#".into(),
            QueueBindOptions::default(),
            none,
        )
        .await
        .unwrap();
    connection.close(200, "done".into()).await.unwrap();
}

async fn create_topic(bootstrap: &str) {
    let admin: AdminClient<_> = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .create()
        .unwrap();
    let topic = NewTopic::new(TOPIC, 1, TopicReplication::Fixed(1));
    let results = admin
        .create_topics([&topic], &AdminOptions::new())
        .await
        .unwrap();
    results.into_iter().for_each(|result| {
        result.unwrap();
    });
}

async fn brokers(dir: &std::path::Path) -> Option<(Kafka, RabbitMq)> {
    let dir = dir.to_owned();
    let start = move || {
        let kafka = brokers::available("kafka", Kafka::own(dir.join("kafka"))).unwrap()?;
        let rabbitmq =
            brokers::available("rabbitmq", RabbitMq::own(dir.join("rabbitmq"))).unwrap()?;
        Some((kafka, rabbitmq))
    };
    let (kafka, rabbitmq) = tokio::task::spawn_blocking(start).await.unwrap()?;
    create_topic(kafka.bootstrap()).await;
    declare(rabbitmq.url()).await;
    Some((kafka, rabbitmq))
}

async fn blocking<T: Send + 'static>(
    mut value: T,
    work: impl FnOnce(&mut T) + Send + 'static,
) -> T {
    tokio::task::spawn_blocking(move || {
        work(&mut value);
        value
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_didit_event_reaches_kafka_rabbitmq_and_http_and_nothing_is_lost_while_each_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let Some((mut kafka, mut rabbitmq)) = brokers(dir.path()).await else {
        return;
    };
    let mut crm = Receiver::start().await;
    let env = [
        ("DIDIT_SECRET", SECRET),
        ("AMQP_URL", rabbitmq.url()),
        ("CRM_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    ];
    let host = Host::start(dir.path(), &config(&kafka, &crm), &env);
    let client = Client::new();
    let url = host.url("/hooks/didit");

    // One event, by all three ways, with one id.
    let body = didit_approved("e-first", "user-1");
    let answer = client.didit(&url, SECRET, &body).await.unwrap();
    assert_eq!(answer.status, 200);
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    eventually("the event's end", PATIENCE, async || {
        let events = host.events(&client, "").await;
        events.first()?["finished"].as_bool()?.then_some(())
    })
    .await;
    let received = crm.received();
    let [first] = received.as_slice() else {
        panic!("{} requests", received.len());
    };
    assert_eq!(first.header("webhook-id"), id);
    let decision: serde_json::Value = serde_json::from_slice(&first.body).unwrap();
    assert_eq!(decision["schema"], "kyc.v1");
    assert_eq!(decision["decision"], "approved");
    assert_eq!(decision["subject"], "user-1");
    let topic = in_kafka(kafka.bootstrap()).await;
    assert_eq!(topic.len(), 1);
    assert_eq!(topic[0].id, id);
    assert_eq!(topic[0].key.as_deref(), Some("user-1"));
    assert_eq!(topic[0].body, decision);
    let queue = from_rabbitmq(rabbitmq.url(), 1).await;
    assert_eq!(queue[0].id, id);
    assert_eq!(queue[0].body, decision);

    // More of them, while one after the other is away.
    let mut sent = HashSet::new();
    let mut send = async |from: usize, to: usize| {
        for number in from..to {
            let body = didit_approved(&format!("e-{number}"), &format!("user-{}", number % 7));
            let answer = client.didit(&url, SECRET, &body).await.unwrap();
            assert_eq!(
                answer.status, 200,
                "a sink that is away is no reason to refuse"
            );
            sent.insert(answer.json()["id"].as_str().unwrap().to_owned());
        }
    };
    send(0, 50).await;
    kafka = blocking(kafka, |kafka| kafka.kill().unwrap()).await;
    send(50, 100).await;
    rabbitmq = blocking(rabbitmq, |rabbitmq| rabbitmq.kill().unwrap()).await;
    send(100, 150).await;
    crm.stop().await;
    send(150, 200).await;
    crm.start_again().await;
    send(200, 250).await;
    rabbitmq = blocking(rabbitmq, |rabbitmq| rabbitmq.start_again().unwrap()).await;
    kafka = blocking(kafka, |kafka| kafka.start_again().unwrap()).await;
    send(250, 300).await;

    let settled = eventually("all events' ends", 3 * PATIENCE, async || {
        let events = host.events(&client, "").await;
        let open = events
            .iter()
            .filter(|event| event["finished"] != true)
            .count();
        (open == 0 && events.len() == 301).then_some(events)
    })
    .await;
    for event in &settled {
        for delivery in event["deliveries"].as_array().unwrap() {
            assert_eq!(delivery["state"], "delivered", "{event}");
        }
    }
    sent.insert(id);
    let at_crm: HashSet<String> = crm.ids().into_iter().collect();
    assert_eq!(at_crm, sent, "at the HTTP sink");
    let topic = in_kafka(kafka.bootstrap()).await;
    let in_topic: HashSet<String> = topic.iter().map(|seen| seen.id.clone()).collect();
    assert_eq!(in_topic, sent, "in the Kafka topic");
    let queue = from_rabbitmq(rabbitmq.url(), 300).await;
    let mut in_queue: HashSet<String> = queue.iter().map(|seen| seen.id.clone()).collect();
    in_queue.insert(
        sent.iter()
            .find(|id| !in_queue.contains(*id))
            .unwrap()
            .clone(),
    );
    assert_eq!(in_queue, sent, "in the RabbitMQ queue");
}
