//! `cargo xtask test`: everything that can be tested on this machine, and one line about what could not.

use std::{collections::BTreeMap, fs};

use anyhow::{Context, Result};
use xtask::{
    brokers::{self, AMQP_ADDRESS, KAFKA_ADDRESS, Kafka, RabbitMq},
    repository, skipped,
};

use crate::{
    plugins, prerequisites,
    step::{Step, say},
    wasm_target,
};

/// Tells the tests where the components of the test guests are.
const GUESTS: &str = "HOOKSWITCH_GUESTS";

/// Builds, starts brokers and runs all tests whose names contain `filter`.
///
/// # Errors
/// If something is missing, does not build, or a test fails.
pub(crate) fn run(filter: &[String]) -> Result<()> {
    prerequisites::check()?;
    let guest_cargo = wasm_target::ensure()?;
    let list = repository::target().join("skipped.txt");
    fs::create_dir_all(repository::target())?;
    fs::write(&list, "").with_context(|| format!("cannot write {}", list.display()))?;
    let mut skips = Skips::new();

    plugins::build(&guest_cargo)?;
    let guests = plugins::build_test_guests(&guest_cargo)?;
    plugins::test(filter)?;
    // Built before the brokers start, so that they do not compete for the machine.
    Step::cargo()
        .args(["test", "--release", "--workspace", "--no-run"])
        .run()?;

    let folder = repository::target().join("brokers");
    let kafka = start(
        &mut skips,
        "Kafka",
        || Kafka::start(folder.join("kafka")),
        Kafka::origin,
    )?;
    let rabbit = start(
        &mut skips,
        "RabbitMQ",
        || RabbitMq::start(folder.join("rabbitmq")),
        RabbitMq::origin,
    )?;

    let tests = Step::cargo()
        .args(["test", "--release", "--workspace", "--no-fail-fast"])
        .args(filter);
    let tests = tests
        .env(
            KAFKA_ADDRESS,
            kafka.as_ref().map_or("none", Kafka::bootstrap),
        )
        .env(AMQP_ADDRESS, rabbit.as_ref().map_or("none", RabbitMq::url))
        .env(skipped::LIST, &list);
    let tests = match &guests {
        Some(folder) => tests.env(GUESTS, folder),
        None => tests,
    };
    let outcome = tests.run();

    for line in fs::read_to_string(&list).unwrap_or_default().lines() {
        let (what, reason) = line.split_once('\t').unwrap_or((line, ""));
        skips
            .entry(what.to_owned())
            .or_insert_with(|| reason.to_owned());
    }
    let skips: Vec<String> = skips
        .iter()
        .map(|(what, reason)| format!("{what} ({reason})"))
        .collect();
    say(&format!(
        "skipped: {}",
        if skips.is_empty() {
            "nothing".to_owned()
        } else {
            skips.join("; ")
        }
    ));
    outcome
}

/// What was skipped, with the first reason given.
type Skips = BTreeMap<String, String>;

fn start<T>(
    skips: &mut Skips,
    name: &str,
    start: impl Fn() -> Result<T>,
    origin: impl Fn(&T) -> &str,
) -> Result<Option<T>> {
    match start() {
        Ok(broker) => {
            say(&format!("{name}: {}", origin(&broker)));
            Ok(Some(broker))
        }
        Err(reason) if brokers::required() => Err(reason.context(format!("{name} is required"))),
        Err(reason) => {
            skips.insert(name.to_owned(), format!("{reason:#}").replace('\n', " "));
            Ok(None)
        }
    }
}
