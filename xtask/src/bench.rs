//! `cargo xtask bench`: what Hookswitch does on this machine, as ratios to a bare server in the same run.
//!
//! Load generator, receiver and brokers share the machine with the host, so absolute figures say little and
//! ratios much. A full run writes `docs/performance.md`; a partial one only prints.

mod baseline;
mod counter;
mod job;
mod load;
mod parts;
mod report;
mod usage;

use std::{fs, time::Duration};

use anyhow::{Context, Result, bail};
use xtask::{
    brokers::{self, Kafka, RabbitMq},
    repository,
};

use self::{
    job::{Destination, Job, Measured},
    load::{Pace, Template},
};
use crate::{
    plugins, prerequisites,
    step::{Step, say},
    wasm_target,
};

pub(crate) use baseline::serve as serve_baseline;
pub(crate) use counter::serve as serve_counter;

/// Body size of every request.
pub(crate) const BODY_BYTES: usize = 1024;
/// The source's secret, in the environment of the host under this name.
const SECRET_VARIABLE: &str = "BENCH_SECRET";
pub(crate) const SECRET: &str = "not-a-secret-bench";
/// Pause of the machine between two jobs, so that one's late writes are not another's.
const SETTLE: Duration = Duration::from_secs(2);

/// What to measure.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Only these jobs
    #[arg(value_enum)]
    what: Vec<Destination>,
    /// Length of each job's load
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Connections of the closed loop, each with one request at a time
    #[arg(long, value_delimiter = ',', default_values_t = [64, 512])]
    connections: Vec<usize>,
    /// Requests a second in fixed-rate mode, over 64 connections
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: u64,
}

/// Builds, measures and reports.
///
/// # Errors
/// If something does not build or start, a request is refused, or an event is not settled.
pub(crate) fn run(options: &Options) -> Result<()> {
    prerequisites::check()?;
    if options.connections.contains(&0) {
        bail!("--connections: at least one");
    }
    let guest_cargo = wasm_target::ensure()?;
    plugins::build(&guest_cargo)?;
    Step::cargo()
        .args(["build", "--release", "--bin", "hookswitch"])
        .run()?;
    let folder = repository::target().join("bench");
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(&folder)?;

    let wanted = |destination| options.what.is_empty() || options.what.contains(&destination);
    let template = Template::new(BODY_BYTES, SECRET);
    let length = Duration::from_secs(options.seconds);
    let rate = Pace::Fixed {
        connections: 64,
        per_second: options.rate,
    };
    let closed = || {
        options
            .connections
            .iter()
            .map(|&connections| Pace::Closed { connections })
    };

    let mut results = Vec::new();
    for pace in closed() {
        results.push(announce(baseline::measure(
            &folder, &template, pace, length,
        )?));
    }
    for destination in Destination::ALL
        .into_iter()
        .filter(|&destination| wanted(destination))
    {
        // A broker runs only while it is measured: idle ones still take memory and wake up.
        let kafka = match destination {
            Destination::Kafka => {
                brokers::available("Kafka", Kafka::own_making_topics(folder.join("kafka")))?
            }
            _ => None,
        };
        let rabbit = match destination {
            Destination::Rabbitmq => {
                brokers::available("RabbitMQ", RabbitMq::own(folder.join("rabbitmq")))?
            }
            _ => None,
        };
        let paces: Vec<Pace> = match destination {
            Destination::Accept | Destination::Http => closed().chain([rate]).collect(),
            _ => closed().collect(),
        };
        for pace in paces {
            let job = Job {
                destination,
                pace,
                length,
                folder: &folder,
                kafka: kafka.as_ref(),
                rabbit: rabbit.as_ref(),
            };
            match job.measure(&template)? {
                Some(measured) => results.push(announce(measured)),
                None => say(&format!(
                    "{}: left out, there is no broker",
                    destination.title()
                )),
            }
            std::thread::sleep(SETTLE);
        }
    }
    say(&format!("\n{}", report::text(&results)));
    if options.what.is_empty() {
        let parts = parts::measure()?;
        say(&format!("\n{}", crate::table::aligned(&parts)));
        report::write(&results, &parts, options.seconds)?;
    }
    Ok(())
}

fn announce(measured: Measured) -> Measured {
    say(&format!(
        "{}, {}: {:.0} events/s acknowledged, p99 {:.1} ms",
        measured.title,
        measured.pace.title(),
        measured.acknowledged_per_second,
        measured.p99_ms
    ));
    measured
}
