//! RabbitMQ: one node, in the foreground, with a private port mapper.

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

/// The variable with the URL of a RabbitMQ that runs already (`amqp://user:password@host:port/%2f`), or `none`.
pub const AMQP_ADDRESS: &str = "HOOKSWITCH_TEST_AMQP";

const IMAGE: &str = "rabbitmq:3.13";
const READY_LOCAL: &str = "completed with";
const READY_DOCKER: &str = "Server startup complete";
/// Seven seconds on a quiet machine; a loaded one with two cores needs many times that.
const PATIENCE_START: Duration = Duration::from_secs(120);
const PATIENCE_STOP: Duration = Duration::from_secs(20);

/// A RabbitMQ broker; dropped, it ends.
pub struct RabbitMq {
    url: String,
    origin: String,
    run: Run,
}

enum Run {
    Address,
    Docker(Container),
    Local(Node),
}

impl RabbitMq {
    /// Starts a broker whose data go to the folder `dir`, or takes the one at [`AMQP_ADDRESS`].
    ///
    /// # Errors
    /// What each source lacked, if none has one.
    pub fn start(dir: impl AsRef<Path>) -> Result<Self> {
        match address(AMQP_ADDRESS)? {
            Some(url) => Ok(Self {
                url,
                origin: format!("address in {AMQP_ADDRESS}"),
                run: Run::Address,
            }),
            None => Self::own(dir),
        }
    }

    /// Starts a broker of the caller's own, which it may stop, kill and start again. The folder `dir` is emptied.
    ///
    /// # Errors
    /// What each source lacked, if none has one.
    pub fn own(dir: impl AsRef<Path>) -> Result<Self> {
        if env::var(AMQP_ADDRESS).is_ok_and(|value| value == "none") {
            bail!("switched off by {AMQP_ADDRESS}=none");
        }
        let port = free_port()?;
        let url = format!("amqp://guest:guest@127.0.0.1:{port}/%2f");
        let docker = if Container::engine_answers() {
            let arguments = ["--publish".to_owned(), format!("127.0.0.1:{port}:5672")];
            match Container::start(IMAGE, &arguments, READY_DOCKER, PATIENCE_START) {
                Ok(container) => {
                    return Ok(Self {
                        url,
                        origin: format!("Docker, {IMAGE}"),
                        run: Run::Docker(container),
                    });
                }
                Err(error) => format!("{error:#}"),
            }
        } else {
            "no Docker engine answers".to_owned()
        };
        let programs = programs().with_context(|| docker.clone())?;
        let origin = format!("installed, {}", programs.display());
        let mut node =
            Node::new(programs, std::path::absolute(dir)?, port).with_context(|| docker)?;
        node.start()?;
        Ok(Self {
            url,
            origin,
            run: Run::Local(node),
        })
    }

    /// The AMQP URL, with user, password and virtual host.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where this broker came from, in words.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Runs `rabbitmqctl` against this broker (`["list_queues", "name", "messages"]`); its standard output.
    ///
    /// # Errors
    /// If the broker is somebody else's, or the command fails.
    pub fn ctl(&self, arguments: &[&str]) -> Result<String> {
        match &self.run {
            Run::Address => not_ours().map(|()| String::new()),
            Run::Docker(container) => container.run("rabbitmqctl", arguments),
            Run::Local(node) => output_of(node.command("rabbitmqctl").args(arguments)),
        }
    }

    /// Stops the broker in good order: SIGTERM, and SIGKILL if it takes more than 20 seconds.
    ///
    /// # Errors
    /// If the broker is somebody else's.
    pub fn stop(&mut self) -> Result<()> {
        match &mut self.run {
            Run::Address => not_ours(),
            Run::Docker(container) => container.stop(),
            Run::Local(node) => {
                if let Some(group) = node.group.take() {
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
            Run::Local(node) => {
                if let Some(group) = node.group.take() {
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
            Run::Local(node) => node.start(),
        }
    }
}

fn not_ours() -> Result<()> {
    bail!("the broker at {AMQP_ADDRESS} is not ours to stop, start or control; use `RabbitMq::own`")
}

/// An installed RabbitMQ run under a folder of ours.
struct Node {
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
    distribution_port: u16,
    mapper_port: u16,
    // Declared before the mapper, so that the broker ends first.
    group: Option<Group>,
    _mapper: Group,
}

impl Node {
    fn new(programs: PathBuf, folder: PathBuf, port: u16) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot empty {}", folder.display()))?;
        }
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        fs::write(
            folder.join("rabbitmq.conf"),
            format!("listeners.tcp.1 = 127.0.0.1:{port}\n"),
        )?;
        fs::write(folder.join("enabled_plugins"), "[].\n")?;

        // The broker would start a port mapper of its own, as a daemon that outlives it; so there is one already.
        let mapper_port = free_port()?;
        let mut mapper = Command::new("epmd");
        mapper.args(["-port", &mapper_port.to_string(), "-address", "127.0.0.1"]);
        let mapper = Group::spawn(mapper, &folder.join("epmd.log"))
            .context("cannot start Erlang's port mapper")?;
        wait_for_port(mapper_port, PATIENCE_START)?;
        Ok(Self {
            programs,
            folder,
            port,
            distribution_port: free_port()?,
            mapper_port,
            group: None,
            _mapper: mapper,
        })
    }

    fn start(&mut self) -> Result<()> {
        if self.group.is_some() {
            return Ok(());
        }
        let log = self.folder.join("rabbitmq.log");
        let mut group =
            Group::spawn(self.command("rabbitmq-server"), &log).context("cannot start RabbitMQ")?;
        group
            .wait_for_line(READY_LOCAL, PATIENCE_START)
            .context("RabbitMQ did not start")?;
        wait_for_port(self.port, PATIENCE_START)?;
        self.group = Some(group);
        Ok(())
    }

    /// One of the installation's programs, with the environment that makes it speak of this node.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command
            .current_dir(&self.folder)
            .env("HOME", &self.folder)
            .env(
                "RABBITMQ_NODENAME",
                format!("hookswitch-{}@localhost", self.port),
            )
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", self.distribution_port.to_string())
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1}",
            )
            .env("RABBITMQ_MNESIA_BASE", self.folder.join("mnesia"))
            .env("RABBITMQ_LOG_BASE", self.folder.join("log"))
            .env("RABBITMQ_PID_FILE", self.folder.join("pid"))
            .env("RABBITMQ_CONFIG_FILE", self.folder.join("rabbitmq"))
            .env(
                "RABBITMQ_CONF_ENV_FILE",
                self.folder.join("rabbitmq-env.conf"),
            )
            .env(
                "RABBITMQ_ENABLED_PLUGINS_FILE",
                self.folder.join("enabled_plugins"),
            )
            // Makes the script turn into the broker instead of starting it, so that ours is the process that listens.
            .env("RUNNING_UNDER_SYSTEMD", "true")
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", self.mapper_port.to_string());
        command
    }
}

/// The folder of the installed programs. Not the wrappers in `/usr/sbin`: those change to a user of their own.
fn programs() -> Result<PathBuf> {
    if let Some(folder) = installed() {
        return Ok(folder);
    }
    install()?;
    installed()
        .context("rabbitmq-server is installed, but its programs are not where they were expected")
}

fn installed() -> Option<PathBuf> {
    let versioned = fs::read_dir("/usr/lib/rabbitmq/lib")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("sbin"));
    let on_path = env::var_os("PATH")
        .into_iter()
        .flat_map(|path| env::split_paths(&path).collect::<Vec<_>>());
    versioned
        .chain([
            PathBuf::from("/opt/homebrew/opt/rabbitmq/sbin"),
            PathBuf::from("/usr/local/opt/rabbitmq/sbin"),
        ])
        .chain(on_path.filter(|folder| folder != Path::new("/usr/sbin")))
        .find(|folder| {
            folder.join("rabbitmq-server").is_file() && folder.join("rabbitmqctl").is_file()
        })
}

fn install() -> Result<()> {
    if !rustix::process::geteuid().is_root()
        || output_of(Command::new("apt-get").arg("--version")).is_err()
    {
        bail!(
            "RabbitMQ is not installed (Debian: sudo apt-get install rabbitmq-server; Fedora: sudo dnf install rabbitmq-server; macOS: brew install rabbitmq)"
        );
    }
    eprintln!("installing rabbitmq-server through apt-get ...");
    let apt = |arguments: &[&str]| {
        output_of(
            Command::new("apt-get")
                .env("DEBIAN_FRONTEND", "noninteractive")
                .args(arguments),
        )
    };
    apt(&["update", "-q"])?;
    apt(&[
        "install",
        "-q",
        "-y",
        "--no-install-recommends",
        "rabbitmq-server",
    ])?;
    Ok(())
}
