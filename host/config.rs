//! Configuration: `routes.toml` as meant.
//!
//! [`load`] reads the file, resolves secrets, compiles filters, templates and verification schemes, and
//! reports every problem at once with its place. What it returns is complete: nobody further down
//! parses text or looks at the environment. It opens no socket and loads no component.

pub mod admission;
pub mod codes;
pub mod diagnostic;
pub mod inventory;
pub mod keys;
mod mask;
pub mod read;
pub mod resolve;
pub mod secrets;
mod units;

use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::delivery::throttle::ThrottlePolicy;
use crate::handshake::Handshakes;
use crate::plugin::PluginSpec;
use crate::plugin::verifier::Setting;
use crate::retry::RetryPolicy;
use crate::route::Filter;
use crate::secret::Secret;
use crate::template::Template;
use crate::verify::Verifier;

pub use admission::{Admission, ClientName, Rate};
pub use diagnostic::{Diagnostic, Diagnostics};
pub use resolve::{examine, load, load_with};

/// A whole, valid configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    /// The files that its secrets were read from.
    pub secret_files: Vec<PathBuf>,
    /// Listeners and their limits.
    pub server: Server,
    /// The journal.
    pub storage: Storage,
    /// Where webhooks come in, in the order of the file.
    pub sources: Vec<Source>,
    /// Plugins, in the order of the file.
    pub plugins: Vec<Plugin>,
    /// Sinks, in the order of the file.
    pub sinks: Vec<Sink>,
    /// Routes, in the order of the file.
    pub routes: Vec<Route>,
}

impl Config {
    /// What of `new` a reload cannot bring about, a line each; empty if it can bring about all.
    #[must_use]
    pub fn restart_needed(&self, new: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        let (old_server, new_server) = (&self.server, &new.server);
        if old_server.listen != new_server.listen {
            let (old, new) = (old_server.listen, new_server.listen);
            lines.push(format!("`[server] listen` changes from {old} to {new}"));
        }
        if old_server.admin != new_server.admin {
            let name = |admin: Option<SocketAddr>| {
                admin.map_or_else(|| "off".to_owned(), |admin| admin.to_string())
            };
            let (old, new) = (name(old_server.admin), name(new_server.admin));
            lines.push(format!("`[server] admin` changes from {old} to {new}"));
        }
        if old_server.tls != new_server.tls {
            lines.push("`[server] tls` changes".to_owned());
        }
        for (key, changes) in old_server.fixed_at_start(new_server) {
            if changes {
                lines.push(format!("`[server] {key}` changes"));
            }
        }
        if self.storage != new.storage {
            lines.push("`[storage]` changes".to_owned());
        }
        lines
    }

    /// The files whose change is a reason to read the config again: itself, components, certificates and
    /// secrets.
    #[must_use]
    pub fn watched_files(&self) -> Vec<PathBuf> {
        let mut files = vec![self.file.clone()];
        files.extend(
            self.plugins
                .iter()
                .map(|plugin| plugin.spec.component.clone()),
        );
        files.extend(self.secret_files.iter().cloned());
        if let Some(tls) = &self.server.tls {
            files.extend([tls.cert.clone(), tls.key.clone()]);
            files.extend(tls.client_ca.clone());
        }
        files
    }
}

/// `[server]`. Changes of the addresses need a restart; a reload says so.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Where webhooks come in.
    pub listen: SocketAddr,
    /// Health, metrics and API; `None` switches it off.
    pub admin: Option<SocketAddr>,
    /// TLS on `listen`.
    pub tls: Option<Tls>,
    /// Time for a request's headers to arrive; then 408 and the connection is closed.
    pub header_timeout: Duration,
    /// Time for a request's body to arrive; then 408 and the connection is closed.
    pub body_timeout: Duration,
    /// Bytes of a request's head; then 431.
    pub header_bytes_max: usize,
    /// Connections at a time; further ones wait to be accepted.
    pub connections_max: usize,
    /// Proxies whose word on the client's address is taken.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// Refusals that one client's address may cause; `None` watches none.
    pub reject_rate: Option<Rate>,
    /// Memory for requests that got no 2xx; 0 keeps none.
    pub rejected_bytes_max: usize,
    /// Bytes of a rejected request's body that are kept.
    pub rejected_body_bytes_max: usize,
    /// How long running requests and deliveries may go on after SIGTERM.
    pub drain: Duration,
}

impl Server {
    /// True if clients may show a certificate.
    #[must_use]
    pub fn has_client_ca(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some())
    }

    /// Keys that the listener reads once, and whether they differ in `new`.
    fn fixed_at_start(&self, new: &Self) -> [(&'static str, bool); 8] {
        [
            ("header_timeout", self.header_timeout != new.header_timeout),
            ("body_timeout", self.body_timeout != new.body_timeout),
            ("max_header", self.header_bytes_max != new.header_bytes_max),
            (
                "max_connections",
                self.connections_max != new.connections_max,
            ),
            (
                "trusted_proxies",
                self.trusted_proxies != new.trusted_proxies,
            ),
            ("reject_rate", self.reject_rate != new.reject_rate),
            (
                "rejected_log",
                self.rejected_bytes_max != new.rejected_bytes_max,
            ),
            (
                "rejected_body",
                self.rejected_body_bytes_max != new.rejected_body_bytes_max,
            ),
        ]
    }
}

/// `[server] tls`. The files are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// PEM certificate chain.
    pub cert: PathBuf,
    /// PEM private key.
    pub key: PathBuf,
    /// PEM certificates that a client's must be signed by; `None` asks for no client certificate.
    pub client_ca: Option<PathBuf>,
    /// Whether a client may come without a certificate, where there is a `client_ca`.
    pub client_auth: ClientAuth,
}

/// Whether every client needs a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// Each.
    Required,
    /// Those of sources with `client_names`.
    Optional,
}

/// `[storage]`. Changes need a restart; a reload says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// The journal's folder.
    pub path: PathBuf,
    /// How long finished events, their attempts and bodies are kept.
    pub retain: Duration,
    /// How long dead letters are kept.
    pub retain_dead_letters: Duration,
    /// Size of the journal at which new events get 503.
    pub size_bytes_max: u64,
    /// Free space on the disk below which new events get 503.
    pub free_bytes_min: u64,
    /// How long a provider's event id is remembered.
    pub dedupe_window: Duration,
    /// How many of them at most; the oldest are forgotten first.
    pub dedupe_ids_max: usize,
}

/// `[sources.NAME]`
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Its name.
    pub name: Arc<str>,
    /// The exact path of its requests.
    pub path: String,
    /// The preset's name, or `custom`.
    pub provider: Arc<str>,
    /// Proves that a request is authentic, and finds its event id and type.
    pub proof: Proof,
    /// What its provider asks before it sends events, and the answers.
    pub handshakes: Arc<Handshakes>,
    /// Bytes of a body; then 413.
    pub body_bytes_max: usize,
    /// Media types that are accepted, lower-case, without parameters; empty accepts all. Others get 415.
    pub content_types: Vec<String>,
    /// Events that may wait for their 2xx at a time; then 503. Bounds what one source can take of the memory.
    pub in_flight_max: usize,
    /// Status of a stored event's answer, 200 to 299.
    pub ok_status: u16,
    /// Status of the answer to a request that is not authentic, 400 to 499.
    pub reject_status: u16,
    /// Status of the answer to an event that cannot be stored just now, 429 to 599.
    pub busy_status: u16,
    /// False switches deduplication off.
    pub dedupe: bool,
    /// Who may post, and how often.
    pub admission: Admission,
}

/// What proves a source's requests.
#[derive(Clone, Debug, PartialEq)]
pub enum Proof {
    /// `provider` or `scheme`, with the source's secrets.
    Scheme(Arc<Verifier>),
    /// `verifier`, a plugin.
    Plugin(PluginProof),
}

/// The plugin that proves a source's requests.
#[derive(Clone)]
pub struct PluginProof {
    /// Its name, which is that of a plugin of this config.
    pub plugin: Arc<str>,
    /// What it is to judge with.
    pub setting: Arc<Setting>,
    /// Where it is named in the file, for errors that loading it brings.
    pub span: Range<usize>,
}

impl Proof {
    /// The scheme with its secrets; `None` where a plugin judges.
    #[must_use]
    pub fn verifier(&self) -> Option<&Verifier> {
        match self {
            Self::Scheme(verifier) => Some(verifier),
            Self::Plugin(_) => None,
        }
    }

    /// The source's secrets.
    #[must_use]
    pub fn secrets(&self) -> &[Secret] {
        match self {
            Self::Scheme(verifier) => verifier.secrets(),
            Self::Plugin(by) => &by.setting.secrets,
        }
    }
}

/// Without the place: a source that moved within the file has not changed.
impl PartialEq for PluginProof {
    fn eq(&self, other: &Self) -> bool {
        self.plugin == other.plugin && self.setting == other.setting
    }
}

impl fmt::Debug for PluginProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginProof")
            .field("plugin", &self.plugin)
            .field("setting", &self.setting)
            .finish_non_exhaustive()
    }
}

/// `[plugins.NAME]`
#[derive(Clone, Debug)]
pub struct Plugin {
    /// What the plugin host needs.
    pub spec: PluginSpec,
    /// Where `component` stands in the file, for errors that loading it brings.
    pub component_span: Range<usize>,
}

/// `[sinks.NAME]`
#[derive(Clone, Debug, PartialEq)]
pub struct Sink {
    /// Its name.
    pub name: Arc<str>,
    /// Where it goes.
    pub kind: SinkKind,
    /// When a failed delivery is tried again.
    pub retry: RetryPolicy,
    /// How many attempts may be under way.
    pub throttle: ThrottlePolicy,
    /// Time for one attempt.
    pub timeout: Duration,
    /// Deliveries that wait in memory; further ones wait in the journal.
    pub queue_max: usize,
}

/// The kinds of sink.
#[derive(Clone, Debug, PartialEq)]
pub enum SinkKind {
    /// `type = "kafka"`
    Kafka(Kafka),
    /// `type = "rabbitmq"`
    RabbitMq(RabbitMq),
    /// `type = "http"`
    Http(Http),
    /// `type = "file"`
    File(File),
}

/// A Kafka topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Kafka {
    /// `host:port` of some brokers.
    pub brokers: Vec<String>,
    /// Topic; may use the message's `{type}`, `{source}`, `{provider}`.
    pub topic: Template,
    /// Further librdkafka settings; values may be `env:` or `file:` references, hence secrets.
    pub options: Vec<(String, Secret)>,
}

/// A RabbitMQ exchange.
#[derive(Clone, Debug, PartialEq)]
pub struct RabbitMq {
    /// `amqp://` or `amqps://`, with credentials.
    pub url: Secret,
    /// Exchange; empty is the default exchange, where the routing key names a queue.
    pub exchange: String,
    /// Routing key; may use `{type}`, `{source}`, `{provider}`, `{key}`, `{json:/pointer}`.
    pub routing_key: Template,
    /// Whether a full queue or unroutable message must count as a failure. Always true today.
    pub persistent: bool,
}

/// An HTTP endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    /// Where to POST; `https` or `http`.
    pub url: http::Uri,
    /// `POST` or `PUT`.
    pub method: http::Method,
    /// Headers to send with each request; values may be secrets.
    pub headers: Vec<(String, Secret)>,
    /// Sign requests as Standard Webhooks does, with each of these secrets (`whsec_...`).
    pub sign: Vec<Secret>,
    /// Private addresses that may be connected to although they are not public.
    pub allow_private: Vec<ipnet::IpNet>,
}

/// A file of JSON lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Path of the current file; older ones get a number appended.
    pub path: PathBuf,
    /// Size at which it is rotated.
    pub rotate_bytes: u64,
    /// Older files that are kept.
    pub keep: usize,
}

/// `[[routes]]`
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Its name.
    pub name: Arc<str>,
    /// Sources.
    pub from: Vec<Arc<str>>,
    /// Filter; `None` takes all.
    pub when: Option<Arc<Filter>>,
    /// Plugins, in order.
    pub plugins: Vec<Arc<str>>,
    /// Sinks.
    pub to: Vec<Arc<str>>,
    /// Order and partition key.
    pub key: Option<Template>,
}
