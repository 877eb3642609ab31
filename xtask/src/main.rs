//! The developer commands: `cargo xtask demo | test | plugins | brokers | bench | ci`.
//!
//! They print every step they run as a person could type it. What can be a test is a test; only what builds,
//! starts or measures programs is here.

mod bench;
mod ci;
mod demo;
mod http;
mod plugins;
mod prerequisites;
mod step;
mod table;
mod test_command;
mod wasm_target;

use std::{net::SocketAddr, process::ExitCode};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use xtask::{
    brokers::{AMQP_ADDRESS, KAFKA_ADDRESS, Kafka, RabbitMq},
    repository,
};

/// Developer commands of Hookswitch.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Build everything, run it with routes.toml, send it signed webhooks and show what became of them
    Demo {
        /// End after the last event: 0 if all went as it should, 1 otherwise
        #[arg(long)]
        once: bool,
    },
    /// Build plugins and test guests, start what brokers there are, run every test
    Test {
        /// Only tests whose names contain this; more arguments go to `cargo test` as they are
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        filter: Vec<String>,
    },
    /// Build the plugins and put them where routes.toml looks: plugins/*.wasm
    Plugins,
    /// Start Kafka and RabbitMQ, print their addresses, stay up until Ctrl-C
    Brokers,
    /// Measure throughput, latency and CPU per event against a bare server; a full run writes docs/performance.md
    Bench(bench::Options),
    /// Everything that must pass before a change is taken
    Ci,
    /// The bare server that `bench` compares with
    #[command(hide = true)]
    ServeBaseline {
        #[arg(long)]
        listen: SocketAddr,
    },
    /// The HTTP receiver of `bench`
    #[command(hide = true)]
    ServeCounter {
        #[arg(long)]
        listen: SocketAddr,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb) -> Result<()> {
    match verb {
        Verb::Demo { once } => demo::run(once),
        Verb::Test { filter } => test_command::run(&filter),
        Verb::Plugins => plugins::build(&wasm_target::ensure()?).map(drop),
        Verb::Brokers => stay_up_with_brokers(),
        Verb::Bench(options) => bench::run(&options),
        Verb::Ci => ci::run(),
        Verb::ServeBaseline { listen } => bench::serve_baseline(listen),
        Verb::ServeCounter { listen } => bench::serve_counter(listen),
    }
}

fn stay_up_with_brokers() -> Result<()> {
    let folder = repository::target().join("brokers");
    let kafka = Kafka::start(folder.join("kafka")).context("Kafka")?;
    let rabbit = RabbitMq::start(folder.join("rabbitmq")).context("RabbitMQ")?;
    step::say(&format!("export {KAFKA_ADDRESS}={}", kafka.bootstrap()));
    step::say(&format!("export {AMQP_ADDRESS}={}", rabbit.url()));
    step::say("# up until Ctrl-C");
    wait_for_interrupt()
}

/// Returns at Ctrl-C or SIGTERM, so that what runs is ended in good order.
pub(crate) fn wait_for_interrupt() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminate.recv() => Ok(()),
        }
    })?;
    Ok(())
}
