//! Apache Kafka: one node, broker and controller in one process (KRaft, no ZooKeeper).

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::{
    address,
    container::Container,
    free_port,
    process::{Group, output_of, wait_for_port},
};
use crate::repository;

/// The variable with the address of a Kafka that runs already (`host:port`), or `none`.
pub const KAFKA_ADDRESS: &str = "HOOKSWITCH_TEST_KAFKA";

/// The version fetched through Maven and run in Docker.
const VERSION: &str = "4.1.1";
const LOG4J: &str = "2.24.3";
const READY: &str = "Kafka Server started";
/// Three seconds on a quiet machine; a loaded one with two cores needs many times that.
const PATIENCE_START: Duration = Duration::from_secs(90);
const PATIENCE_STOP: Duration = Duration::from_secs(15);

/// A Kafka broker; dropped, it ends.
pub struct Kafka {
    bootstrap: String,
    origin: String,
    run: Run,
}

enum Run {
    Address,
    Docker(Container),
    Java {
        folder: PathBuf,
        jars: String,
        port: u16,
        group: Option<Group>,
    },
}

impl Kafka {
    /// Starts a broker whose data go to the folder `dir`, or takes the one at [`KAFKA_ADDRESS`].
    ///
    /// # Errors
    /// What each source lacked, if none has one.
    pub fn start(dir: impl AsRef<Path>) -> Result<Self> {
        match address(KAFKA_ADDRESS)? {
            Some(bootstrap) => Ok(Self {
                bootstrap,
                origin: format!("address in {KAFKA_ADDRESS}"),
                run: Run::Address,
            }),
            None => Self::own(dir),
        }
    }

    /// Starts a broker of the caller's own, which it may stop, kill and start again. The folder `dir` is emptied.
    /// As in production, a topic that nobody created does not exist.
    ///
    /// # Errors
    /// What each source lacked, if none has one.
    pub fn own(dir: impl AsRef<Path>) -> Result<Self> {
        Self::own_with(dir, false)
    }

    /// Like [`Kafka::own`], but a topic comes into being when it is first written to.
    ///
    /// # Errors
    /// What each source lacked, if none has one.
    pub fn own_making_topics(dir: impl AsRef<Path>) -> Result<Self> {
        Self::own_with(dir, true)
    }

    fn own_with(dir: impl AsRef<Path>, makes_topics: bool) -> Result<Self> {
        if env::var(KAFKA_ADDRESS).is_ok_and(|value| value == "none") {
            bail!("switched off by {KAFKA_ADDRESS}=none");
        }
        let port = free_port()?;
        let docker = if Container::engine_answers() {
            match in_docker(port, makes_topics) {
                Ok(kafka) => return Ok(kafka),
                Err(error) => format!("{error:#}"),
            }
        } else {
            "no Docker engine answers".to_owned()
        };
        let jars = jars().with_context(|| docker.clone())?;
        // An absolute path, since Java runs in another folder than we do.
        let folder = std::path::absolute(dir)?;
        format(&folder, &jars, port, makes_topics).with_context(|| docker)?;
        let origin = format!("Java, jars in {}", jars.trim_end_matches("/*"));
        let mut kafka = Self {
            bootstrap: format!("127.0.0.1:{port}"),
            origin,
            run: Run::Java {
                folder,
                jars,
                port,
                group: None,
            },
        };
        kafka.start_again()?;
        Ok(kafka)
    }

    /// `host:port` for `bootstrap.servers`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Where this broker came from, in words.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Stops the broker in good order: SIGTERM, and SIGKILL if it takes more than 15 seconds.
    ///
    /// # Errors
    /// If the broker is somebody else's.
    pub fn stop(&mut self) -> Result<()> {
        match &mut self.run {
            Run::Address => not_ours(),
            Run::Docker(container) => container.stop(),
            Run::Java { group, .. } => {
                if let Some(group) = group.take() {
                    group.stop(PATIENCE_STOP);
                }
                Ok(())
            }
        }
    }

    /// Kills the broker (SIGKILL).
    ///
    /// # Errors
    /// If the broker is somebody else's.
    pub fn kill(&mut self) -> Result<()> {
        match &mut self.run {
            Run::Address => not_ours(),
            Run::Docker(container) => container.kill(),
            Run::Java { group, .. } => {
                if let Some(group) = group.take() {
                    group.kill();
                }
                Ok(())
            }
        }
    }

    /// Starts a stopped or killed broker with the same port and data, and waits until it serves.
    ///
    /// # Errors
    /// If the broker is somebody else's, or does not come up; the end of its log is quoted.
    pub fn start_again(&mut self) -> Result<()> {
        match &mut self.run {
            Run::Address => not_ours(),
            Run::Docker(container) => container.start_again(PATIENCE_START),
            Run::Java {
                folder,
                jars,
                port,
                group,
            } => {
                if group.is_some() {
                    return Ok(());
                }
                let mut command = java(jars);
                command.current_dir(&*folder).args([
                    "-Xmx512m",
                    "-Xms256m",
                    "-Dlog4j2.configurationFile=log4j2.properties",
                ]);
                command.args(["kafka.Kafka", "server.properties"]);
                let mut started = Group::spawn(command, &folder.join("kafka.log"))
                    .context("cannot start Kafka")?;
                started
                    .wait_for_line(READY, PATIENCE_START)
                    .context("Kafka did not start")?;
                wait_for_port(*port, PATIENCE_START)?;
                *group = Some(started);
                Ok(())
            }
        }
    }
}

fn not_ours() -> Result<()> {
    bail!("the broker at {KAFKA_ADDRESS} is not ours to stop or start; use `Kafka::own`")
}

fn in_docker(port: u16, makes_topics: bool) -> Result<Kafka> {
    let mut arguments = vec!["--publish".to_owned(), format!("127.0.0.1:{port}:{port}")];
    for (key, value) in settings(port, 9093, makes_topics) {
        let variable = format!("KAFKA_{}", key.replace('.', "_").to_uppercase());
        arguments.extend(["--env".to_owned(), format!("{variable}={value}")]);
    }
    // Inside, the broker has to listen on the container's own address.
    arguments.extend([
        "--env".to_owned(),
        format!("KAFKA_LISTENERS=PLAINTEXT://:{port},CONTROLLER://:9093"),
    ]);
    arguments.extend(["--env".to_owned(), "KAFKA_HEAP_OPTS=-Xmx512m".to_owned()]);
    let image = format!("apache/kafka:{VERSION}");
    let container = Container::start(&image, &arguments, READY, PATIENCE_START)?;
    wait_for_port(port, PATIENCE_START)?;
    Ok(Kafka {
        bootstrap: format!("127.0.0.1:{port}"),
        origin: format!("Docker, {image}"),
        run: Run::Docker(container),
    })
}

/// The broker's settings, but for the folder of its data.
fn settings(port: u16, controller_port: u16, makes_topics: bool) -> Vec<(&'static str, String)> {
    let one = || "1".to_owned();
    vec![
        ("process.roles", "broker,controller".to_owned()),
        ("node.id", one()),
        (
            "controller.quorum.voters",
            format!("1@127.0.0.1:{controller_port}"),
        ),
        (
            "listeners",
            format!("PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}"),
        ),
        (
            "advertised.listeners",
            format!("PLAINTEXT://127.0.0.1:{port}"),
        ),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        (
            "listener.security.protocol.map",
            "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned(),
        ),
        // One node can keep one copy of its own topics, where the defaults ask for three.
        ("offsets.topic.replication.factor", one()),
        ("offsets.topic.num.partitions", one()),
        ("transaction.state.log.replication.factor", one()),
        ("transaction.state.log.min.isr", one()),
        ("transaction.state.log.num.partitions", one()),
        ("share.coordinator.state.topic.replication.factor", one()),
        ("share.coordinator.state.topic.min.isr", one()),
        ("share.coordinator.state.topic.num.partitions", one()),
        ("group.initial.rebalance.delay.ms", "0".to_owned()),
        ("auto.create.topics.enable", makes_topics.to_string()),
    ]
}

/// Writes the settings and makes the data folder Kafka's own.
fn format(folder: &Path, jars: &str, port: u16, makes_topics: bool) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut text = String::new();
    for (key, value) in settings(port, free_port()?, makes_topics) {
        text += &format!("{key}={value}\n");
    }
    text += &format!("log.dirs={}\n", folder.join("data").display());
    fs::write(folder.join("server.properties"), text)?;
    fs::write(folder.join("log4j2.properties"), LOGGING)?;
    let id = output_of(java(jars).args(["kafka.tools.StorageTool", "random-uuid"]))?;
    output_of(java(jars).current_dir(folder).args([
        "kafka.tools.StorageTool",
        "format",
        "-t",
        id.trim(),
        "-c",
        "server.properties",
    ]))?;
    Ok(())
}

/// Without a configuration log4j prints errors only, and the line that says "started" is not one.
const LOGGING: &str = "\
rootLogger.level=INFO
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %m (%c)%n
";

fn java(jars: &str) -> Command {
    let program = match env::var_os("JAVA_HOME") {
        Some(home) if !home.is_empty() => Path::new(&home).join("bin/java"),
        _ => PathBuf::from("java"),
    };
    let mut command = Command::new(program);
    command.args(["-cp", jars]);
    command
}

/// The class path of Kafka's jars: an installation's, or fetched once into `target/brokers`.
fn jars() -> Result<String> {
    output_of(java(".").arg("-version"))
        .context("no Java (17 or later) on the PATH or in JAVA_HOME")?;
    if let Some(home) = env::var_os("KAFKA_HOME").filter(|home| !home.is_empty()) {
        let libs = Path::new(&home).join("libs");
        if !libs.is_dir() {
            bail!("KAFKA_HOME has no folder `libs`");
        }
        return Ok(format!("{}/*", libs.display()));
    }
    let cache = repository::target()
        .join("brokers")
        .join(format!("kafka-{VERSION}"));
    if !cache.is_dir() {
        fetch(&cache).context("cannot fetch Kafka's jars through Maven")?;
    }
    Ok(format!("{}/*", cache.display()))
}

fn fetch(cache: &Path) -> Result<()> {
    // Into a folder of this process, renamed when it is whole: several test programs may start at once.
    let work = cache.with_extension(format!("{}.part", std::process::id()));
    fs::create_dir_all(&work)?;
    let dependency = |group: &str, artifact: &str, version: &str| {
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>"
        )
    };
    let pom = format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>hookswitch</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>\
         <dependencies>{}{}{}</dependencies></project>\n",
        dependency("org.apache.kafka", "kafka_2.13", VERSION),
        dependency("org.apache.logging.log4j", "log4j-core", LOG4J),
        dependency("org.apache.logging.log4j", "log4j-slf4j-impl", LOG4J),
    );
    fs::write(work.join("pom.xml"), pom)?;
    eprintln!("fetching Kafka {VERSION} through Maven (43 MB) ...");
    let mut maven = Command::new("mvn");
    maven.args([
        "-q",
        "-B",
        "dependency:copy-dependencies",
        "-DincludeScope=runtime",
        "-DoutputDirectory=libs",
    ]);
    let fetched = output_of(maven.current_dir(&work));
    let renamed = fetched.and_then(|_| match fs::rename(work.join("libs"), cache) {
        Err(error) if !cache.is_dir() => Err(error.into()),
        _ => Ok(()),
    });
    fs::remove_dir_all(&work).ok();
    renamed
}
