//! One measurement of the host: a configuration, a load, and the wait until the last event is settled.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use xtask::{
    brokers::{Kafka, RabbitMq, free_port},
    repository,
};

use super::{
    SECRET, SECRET_VARIABLE,
    load::{self, Pace, Sent, Template},
    usage::Usage,
};
use crate::{
    http, plugins,
    step::{Running, Step},
};

const PATIENCE_START: Duration = Duration::from_secs(120);
/// The longest wait for the backlog that a closed loop leaves behind.
const PATIENCE_SETTLE: Duration = Duration::from_secs(600);
/// The longest wait for a queue's length to be right.
const PATIENCE_COUNT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);
/// Queue, topic and exchange have one name.
const NAME: &str = "hookswitch-bench";
/// The counter of delivery attempts, and its label for those that came to their end.
const ATTEMPTS: (&str, &str) = ("hookswitch_sink_attempts_total", "result=\"delivered\"");
/// The gauge of events that are not finished; published once in a while.
const OPEN_EVENTS: &str = "hookswitch_journal_open_events";

/// Where a job's events go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Destination {
    /// Nowhere: verified, stored, acknowledged
    Accept,
    /// Through a plugin to an HTTP endpoint
    Http,
    /// Through a plugin to a Kafka topic
    Kafka,
    /// Through a plugin to a RabbitMQ quorum queue, with confirms
    Rabbitmq,
    /// Through a plugin to a file
    File,
}

impl Destination {
    pub(super) const ALL: [Self; 5] = [
        Self::Accept,
        Self::Http,
        Self::Kafka,
        Self::Rabbitmq,
        Self::File,
    ];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Http => "plugin -> HTTP",
            Self::Kafka => "plugin -> Kafka",
            Self::Rabbitmq => "plugin -> RabbitMQ",
            Self::File => "plugin -> file",
        }
    }
}

/// A measurement to make.
pub(super) struct Job<'a> {
    pub(super) destination: Destination,
    pub(super) pace: Pace,
    pub(super) length: Duration,
    pub(super) folder: &'a Path,
    pub(super) kafka: Option<&'a Kafka>,
    pub(super) rabbit: Option<&'a RabbitMq>,
}

/// What a job came to.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) title: &'static str,
    pub(super) pace: Pace,
    /// Answered with 2xx, a second.
    pub(super) acknowledged_per_second: f64,
    /// Settled, a second, from the first request to the last settlement.
    pub(super) settled_per_second: f64,
    pub(super) refused: u64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    /// CPU time of the measured process per event, in total.
    pub(super) cpu_us: f64,
    /// The same by stage, the largest first.
    pub(super) stages_us: Vec<(String, f64)>,
    pub(super) peak_mib: f64,
}

impl Measured {
    pub(super) fn new(
        title: &'static str,
        pace: Pace,
        sent: &Sent,
        settled_after: Duration,
        used: Usage,
    ) -> Self {
        let events = sent.acknowledged.max(1) as f64;
        let quantile = |quantile| sent.latency_us.value_at_quantile(quantile) as f64 / 1e3;
        let mut stages_us: Vec<(String, f64)> = used
            .threads_us
            .iter()
            .map(|(name, cpu)| (name.clone(), *cpu as f64 / events))
            .collect();
        stages_us.sort_by(|one, other| other.1.total_cmp(&one.1));
        Self {
            title,
            pace,
            acknowledged_per_second: sent.acknowledged as f64 / sent.elapsed.as_secs_f64(),
            settled_per_second: sent.acknowledged as f64 / settled_after.as_secs_f64(),
            refused: sent.refused,
            p50_ms: quantile(0.5),
            p99_ms: quantile(0.99),
            cpu_us: used.cpu_us as f64 / events,
            stages_us,
            peak_mib: used.peak_kib as f64 / 1024.0,
        }
    }
}

impl Job<'_> {
    /// Runs it; `None` if it needs a broker that is not there.
    ///
    /// # Errors
    /// If the host does not start or settle, or the receiver does not have every event.
    pub(super) fn measure(&self, template: &Template) -> Result<Option<Measured>> {
        let listen = format!("127.0.0.1:{}", free_port()?);
        let admin = format!("127.0.0.1:{}", free_port()?);
        let receiver = format!("127.0.0.1:{}", free_port()?);
        let Some(sink) = self.sink(&receiver)? else {
            return Ok(None);
        };
        let folder = self.fresh_folder()?;
        fs::write(
            folder.join("routes.toml"),
            self.config(&listen, &admin, &sink),
        )?;

        let mut receiving = None;
        if self.destination == Destination::Http {
            let step =
                Step::new(std::env::current_exe()?).args(["serve-counter", "--listen", &receiver]);
            let mut running = step.start_silently(&folder.join("counter.log"))?;
            http::wait_until_ready(&receiver, "/", PATIENCE_START, || !running.has_ended())?;
            receiving = Some(running);
        }
        let program = repository::target().join("release/hookswitch");
        let step = Step::new(program)
            .args(["run", "--config", "routes.toml"])
            .env(SECRET_VARIABLE, SECRET);
        let log = folder.join("host.log");
        let mut host = step.in_folder(&folder).start_silently(&log)?;
        let ready = http::wait_until_ready(&admin, "/readyz", PATIENCE_START, || !host.has_ended());
        ready.with_context(|| format!("the host did not start; see {}", log.display()))?;

        let before = Usage::of(host.id());
        let start = Instant::now();
        let sent = load::run(&listen, "/hooks", template, self.pace, self.length)?;
        if self.destination != Destination::Accept {
            let delivered = |page: &str| {
                counter(page, ATTEMPTS).is_some_and(|count| count >= sent.acknowledged as f64)
            };
            wait_until(&admin, &mut host, "deliveries", delivered)?;
        }
        let settled_after = start.elapsed();
        wait_until(&admin, &mut host, "settlements", |page| {
            gauge(page, OPEN_EVENTS) == Some(0.0)
        })?;
        let used = Usage::of(host.id()).since(&before);
        if receiving.is_some() {
            let received: u64 = http::page(&receiver, "/")?.trim().parse()?;
            if received < sent.acknowledged {
                bail!(
                    "{} events were acknowledged, but only {received} received",
                    sent.acknowledged
                );
            }
        }
        if let Some(rabbit) = self.rabbit {
            self.drain(rabbit, sent.acknowledged)?;
        }
        Ok(Some(Measured::new(
            self.destination.title(),
            self.pace,
            &sent,
            settled_after,
            used,
        )))
    }

    fn fresh_folder(&self) -> Result<PathBuf> {
        let name = format!("{}-{}", self.destination.title(), self.pace.title())
            .replace([' ', '>', '.', ',', '/'], "");
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(folder)
    }

    /// The sink's table; `None` if it needs a broker that is not there.
    fn sink(&self, receiver: &str) -> Result<Option<String>> {
        Ok(Some(match self.destination {
            Destination::Accept | Destination::File => {
                "type = \"file\"\npath = \"out.jsonl\"\n".to_owned()
            }
            Destination::Http => format!(
                "type = \"http\"\nurl = \"http://{receiver}/\"\nallow_private = [\"127.0.0.1\"]\nconcurrency = 64\n"
            ),
            Destination::Kafka => match self.kafka {
                Some(kafka) => format!(
                    "type = \"kafka\"\nbrokers = [\"{}\"]\ntopic = \"{NAME}\"\nconcurrency = 1024\nmax_queue = 4096\n",
                    kafka.bootstrap()
                ),
                None => return Ok(None),
            },
            Destination::Rabbitmq => match self.rabbit {
                Some(rabbit) => {
                    declare(rabbit, self.folder)?;
                    // Without credentials in the URL there is nothing to hide: `guest` is RabbitMQ's own default.
                    format!(
                        "type = \"rabbitmq\"\nurl = \"{}\"\nrouting_key = \"{NAME}\"\nconcurrency = 512\nmax_queue = 4096\n",
                        rabbit.url().replace("guest:guest@", "")
                    )
                }
                None => return Ok(None),
            },
        }))
    }

    fn config(&self, listen: &str, admin: &str, sink: &str) -> String {
        let component = plugins::folder().join("redact_pii.wasm");
        // To accept only, no route takes the event: it is recorded as dropped in the same way as a delivery.
        let (from, chain) = match self.destination {
            Destination::Accept => ("elsewhere", "[]"),
            _ => ("bench", "[\"redact-pii\"]"),
        };
        format!(
            "[server]\nlisten = \"{listen}\"\nadmin = \"{admin}\"\n\n\
             [storage]\npath = \"data\"\n\n\
             [sources.bench]\npath = \"/hooks\"\nprovider = \"github\"\nsecrets = [\"env:{SECRET_VARIABLE}\"]\n\n\
             [sources.elsewhere]\npath = \"/elsewhere\"\nprovider = \"github\"\nsecrets = [\"env:{SECRET_VARIABLE}\"]\n\n\
             [plugins.redact-pii]\ncomponent = \"{}\"\n{PLUGIN_CONFIG}\n\
             [sinks.bench]\n{sink}\n\
             [[routes]]\nname = \"bench\"\nfrom = [\"{from}\"]\nplugins = {chain}\nto = [\"bench\"]\n",
            component.display()
        )
    }

    /// Counts what is in the queue, by RabbitMQ's own word, and empties it.
    fn drain(&self, rabbit: &RabbitMq, acknowledged: u64) -> Result<()> {
        // A quorum queue tells its length a while after it confirmed.
        let deadline = Instant::now() + PATIENCE_COUNT;
        loop {
            let listing = rabbit.ctl(&[
                "list_queues",
                "--quiet",
                "--no-table-headers",
                "name",
                "messages_ready",
            ])?;
            let ready = listing
                .lines()
                .find_map(|line| line.strip_prefix(NAME)?.trim().parse::<u64>().ok());
            let ready = ready.with_context(|| format!("rabbitmqctl does not list {NAME}"))?;
            if ready >= acknowledged {
                break;
            }
            if Instant::now() >= deadline {
                bail!("{acknowledged} events were acknowledged, but only {ready} are in the queue");
            }
        }
        rabbit.ctl(&["purge_queue", NAME]).map(drop)
    }
}

/// A quorum queue, through a file of definitions: a broker without its HTTP API has no other command for it.
fn declare(rabbit: &RabbitMq, folder: &Path) -> Result<()> {
    let path = folder.join("definitions.json");
    let definitions = serde_json::json!({"queues": [{
        "name": NAME, "vhost": "/", "durable": true, "auto_delete": false,
        "arguments": {"x-queue-type": "quorum"},
    }]});
    fs::write(&path, definitions.to_string())?;
    rabbit
        .ctl(&["import_definitions", &path.display().to_string()])
        .map(drop)
}

/// The example plugin that edits JSON, on fields that the body has.
const PLUGIN_CONFIG: &str =
    "config = { mask = [\"/subject/email\"], drop = [\"/subject/name\"] }\n";

/// Waits until a page of metrics says so.
fn wait_until(
    admin: &str,
    host: &mut Running,
    what: &str,
    done: impl Fn(&str) -> bool,
) -> Result<()> {
    let deadline = Instant::now() + PATIENCE_SETTLE;
    loop {
        let page = http::page(admin, "/metrics")?;
        if done(&page) {
            return Ok(());
        }
        if host.has_ended() {
            bail!("the host ended");
        }
        if Instant::now() >= deadline {
            bail!(
                "waited {} s for {what}; the last metrics:\n{page}",
                PATIENCE_SETTLE.as_secs()
            );
        }
        std::thread::sleep(POLL);
    }
}

/// The sum of a metric's series that have a label.
fn counter(page: &str, (name, label): (&str, &str)) -> Option<f64> {
    let series = page
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.split_once("} "));
    let values = series.filter(|(labels, _)| labels.split(',').any(|one| one == label));
    let values: Vec<f64> = values
        .filter_map(|(_, value)| value.split(' ').next()?.parse().ok())
        .collect();
    (!values.is_empty()).then(|| values.iter().sum())
}

/// The value of a metric without labels.
fn gauge(page: &str, name: &str) -> Option<f64> {
    page.lines().find_map(|line| {
        line.strip_prefix(name)?
            .strip_prefix(' ')?
            .split(' ')
            .next()?
            .parse()
            .ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_a_page_of_metrics() {
        let page = "# TYPE a gauge\na_b 1\na 2.5\nc{x=\"1\"} 3\n# EOF\n";
        assert_eq!(gauge(page, "a"), Some(2.5));
        assert_eq!(gauge(page, "c"), None);
        let page =
            "n_total{a=\"1\",b=\"x\"} 3\nn_total{a=\"2\",b=\"x\"} 4\nn_total{a=\"2\",b=\"y\"} 9\n";
        assert_eq!(counter(page, ("n_total", "b=\"x\"")), Some(7.0));
        assert_eq!(counter(page, ("n_total", "b=\"z\"")), None);
    }
}
