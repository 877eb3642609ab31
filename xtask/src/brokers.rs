//! Real message brokers for tests, demonstrations and benchmarks: Apache Kafka and RabbitMQ.
//!
//! Each is taken from the first source that has it:
//!
//! 1. an address in the environment (`HOOKSWITCH_TEST_KAFKA=host:port`, `HOOKSWITCH_TEST_AMQP=amqp://...`);
//! 2. Docker, if an engine answers;
//! 3. a local installation (`KAFKA_HOME`; `rabbitmq-server` where packages put it);
//! 4. Apache Kafka's own jars through Maven; the distribution's `rabbitmq-server` package through `apt-get`,
//!    when we are root.
//!
//! A test that stops, kills and starts a broker asks for one of its own ([`Kafka::own`], [`RabbitMq::own`]):
//! what an address names belongs to somebody else. `none` as an address switches a broker off.
//!
//! # Invariants
//! - Nothing stays behind: each broker is a process group (or a container) that ends when its value is dropped,
//!   and also when this process is killed outright, because a guardian shell waits for our end of its pipe to
//!   close. Erlang's port mapper is a private one on a free port, in a group of its own; a system's `epmd` on
//!   port 4369 is neither used nor touched.
//! - Everything listens on 127.0.0.1, on free ports that stay the same over restarts.
//! - Calls block. From async code use `spawn_blocking`, or start brokers before the runtime.

mod container;
mod kafka;
mod process;
mod rabbitmq;
#[cfg(test)]
mod tests;

use std::{env, net::TcpListener};

use anyhow::{Context, Result, bail};

use crate::skipped;
pub use kafka::{KAFKA_ADDRESS, Kafka};
pub use rabbitmq::{AMQP_ADDRESS, RabbitMq};

/// Set to `required`, makes a broker that cannot be had an error instead of a skipped test.
pub const BROKERS: &str = "HOOKSWITCH_BROKERS";

/// True if a missing broker is an error ([`BROKERS`]).
pub fn required() -> bool {
    env::var(BROKERS).is_ok_and(|value| value == "required")
}

/// Turns a broker that cannot be had into `None`, recorded as skipped, unless brokers are [`required`].
///
/// # Errors
/// The reason, if brokers are required.
pub fn available<T>(name: &str, started: Result<T>) -> Result<Option<T>> {
    match started {
        Ok(broker) => Ok(Some(broker)),
        Err(reason) if required() => {
            Err(reason.context(format!("{name} is required ({BROKERS}=required)")))
        }
        Err(reason) => {
            skipped::record(name, &format!("{reason:#}"));
            Ok(None)
        }
    }
}

/// An address from the environment; `None` if the variable is unset or empty.
fn address(variable: &str) -> Result<Option<String>> {
    match env::var(variable) {
        Ok(value) if value == "none" => bail!("switched off by {variable}=none"),
        Ok(value) if !value.is_empty() => Ok(Some(value)),
        _ => Ok(None),
    }
}

/// A port that was free a moment ago.
///
/// The system hands out ephemeral ports in turn, so a second caller is not given the same one at once.
///
/// # Errors
/// If no port can be bound on 127.0.0.1.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}
