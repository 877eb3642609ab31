//! Each broker is really stopped, started, killed and started again, with the same address and its data.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed assumption is a failed test"
)]

use std::net::TcpStream;

use super::*;
use crate::repository;

/// True if something accepts connections at `host:port`.
fn listens(address: &str) -> bool {
    TcpStream::connect(address).is_ok()
}

#[test]
fn kafka_stops_and_starts_with_the_same_port_and_leaves_nothing_behind() {
    let folder = repository::target().join("brokers/own-kafka");
    let Some(mut kafka) = available("Kafka", Kafka::own(&folder)).unwrap() else {
        return;
    };
    let address = kafka.bootstrap().to_owned();
    assert!(listens(&address));
    kafka.stop().unwrap();
    assert!(!listens(&address));
    kafka.start_again().unwrap();
    kafka.kill().unwrap();
    assert!(!listens(&address));
    kafka.start_again().unwrap();
    assert!(listens(&address));
    drop(kafka);
    assert!(!listens(&address));
}

#[test]
fn rabbitmq_stops_and_starts_with_the_same_port_and_data_and_leaves_nothing_behind() {
    let folder = repository::target().join("brokers/own-rabbitmq");
    let Some(mut rabbit) = available("RabbitMQ", RabbitMq::own(&folder)).unwrap() else {
        return;
    };
    let address = rabbit
        .url()
        .split(['@', '/'])
        .find(|part| part.contains("127.0.0.1:"))
        .unwrap()
        .to_owned();
    rabbit.ctl(&["add_vhost", "kept"]).unwrap();
    rabbit.stop().unwrap();
    assert!(!listens(&address));
    rabbit.start_again().unwrap();
    rabbit.kill().unwrap();
    assert!(!listens(&address));
    rabbit.start_again().unwrap();
    assert!(rabbit.ctl(&["list_vhosts"]).unwrap().contains("kept"));
    drop(rabbit);
    assert!(!listens(&address));
}
