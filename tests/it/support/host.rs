//! The real program as a child process.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use super::PATIENCE;
use super::sender::Client;

/// A running `hookswitch run`, killed on drop.
pub(crate) struct Host {
    child: Child,
    dir: PathBuf,
    env: HashMap<String, String>,
    /// Where webhooks go.
    pub(crate) listen: SocketAddr,
    /// Where the admin API is.
    pub(crate) admin: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

impl Host {
    /// Starts in `dir` with this config, below a `[server]` table with free ports, and waits until ready.
    pub(crate) fn start(dir: &Path, config: &str, env: &[(&str, &str)]) -> Self {
        let (listen, admin) = (free_address(), free_address());
        let head = format!("[server]\nlisten = \"{listen}\"\nadmin = \"{admin}\"\n\n");
        std::fs::write(dir.join("routes.toml"), head + config).unwrap();
        let env = env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let log = Arc::new(Mutex::new(Vec::new()));
        let child = spawn(dir, &env, &log);
        Self {
            child,
            dir: dir.to_owned(),
            env,
            listen,
            admin,
            log,
        }
    }

    /// The URL of a path on the webhook listener.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.listen)
    }

    /// Replaces the config below `[server]` by a rename, as an editor does.
    pub(crate) fn rewrite(&self, config: &str) {
        let head = format!(
            "[server]\nlisten = \"{}\"\nadmin = \"{}\"\n\n",
            self.listen, self.admin
        );
        let next = self.dir.join("routes.toml.next");
        std::fs::write(&next, head + config).unwrap();
        std::fs::rename(next, self.dir.join("routes.toml")).unwrap();
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts again after [`Host::kill`] or [`Host::stop`], on the same ports and data.
    pub(crate) fn start_again(&mut self) {
        self.child = spawn(&self.dir, &self.env, &self.log);
    }

    /// SIGTERM, and the exit status.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.child.wait().unwrap()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status();
        assert!(sent.unwrap().success());
    }

    /// JSON from the admin API.
    pub(crate) async fn admin_json(&self, client: &Client, path: &str) -> serde_json::Value {
        let answer = client
            .get(&format!("http://{}{path}", self.admin))
            .await
            .unwrap();
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// The events that the admin API lists, newest first.
    pub(crate) async fn events(&self, client: &Client, query: &str) -> Vec<serde_json::Value> {
        let page = self
            .admin_json(client, &format!("/events?limit=1000{query}"))
            .await;
        page["events"].as_array().unwrap().clone()
    }

    /// A metric's value, all labels added up; 0 if it is not there.
    pub(crate) async fn metric(&self, client: &Client, name: &str) -> f64 {
        let answer = client
            .get(&format!("http://{}/metrics", self.admin))
            .await
            .unwrap();
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        text.lines()
            .filter(|line| {
                line.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with(['{', ' ']))
            })
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// One series of a metric, labels and all; 0 if it is not there.
    pub(crate) async fn metric_of(&self, client: &Client, series: &str) -> f64 {
        let answer = client
            .get(&format!("http://{}/metrics", self.admin))
            .await
            .unwrap();
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        text.lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
            .unwrap_or_default()
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("--- the host's log ---\n{}", self.log());
        }
    }
}

fn free_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], xtask::brokers::free_port().unwrap()))
}

fn spawn(dir: &Path, env: &HashMap<String, String>, log: &Arc<Mutex<Vec<String>>>) -> Child {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hookswitch"))
        .args(["run", "--config", "routes.toml"])
        .current_dir(dir)
        .envs(env)
        .env("NO_COLOR", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let (ready, is_ready) = mpsc::channel();
    let (log, output) = (log.clone(), log);
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if line.contains("ready") && line.contains("generation") {
                ready.send(()).ok();
            }
            log.lock().unwrap().push(line);
        }
    });
    if is_ready.recv_timeout(PATIENCE).is_err() {
        child.kill().ok();
        panic!(
            "the host did not become ready:\n{}",
            output.lock().unwrap().join("\n")
        );
    }
    child
}
