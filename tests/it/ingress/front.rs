//! The webhook listener in this process, with a journal in memory.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hookswitch::config::{self, Admission, Rate, Source};
use hookswitch::fetch::Fetcher;
use hookswitch::handshake;
use hookswitch::ingress::{self, Deps, Intake, Limits, Listener, Proof, Sources, tls};
use hookswitch::metrics::Metrics;
use hookswitch::rejected::{Log, Query, Rejected};
use hookswitch::secret::Secret;
use hookswitch::shutdown::Shutdown;
use hookswitch::verify::{Params, Scheme, Verifier};
use tokio::task::JoinHandle;

use super::journal::FakeJournal;

/// The secret of `/hooks/signed`.
pub(crate) const SECRET: &str = "a-secret-that-is-long-enough";

struct Paths(HashMap<String, Arc<Intake>>);

impl Sources for Paths {
    fn by_path(&self, path: &str) -> Option<Arc<Intake>> {
        self.0.get(path).cloned()
    }
}

/// A running listener; stopped at once on drop.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    pub(crate) journal: Arc<FakeJournal>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) rejected: Arc<Log>,
    pub(crate) shutdown: Shutdown,
    served: Option<JoinHandle<()>>,
}

/// What a test may change before the start.
pub(crate) struct Setup {
    pub(crate) limits: Limits,
    /// `/hooks/open`, which lets everything through.
    pub(crate) open: Source,
    /// `/hooks/signed`, which takes what is signed with [`SECRET`].
    pub(crate) signed: Source,
    pub(crate) trusted_proxies: Vec<ipnet::IpNet>,
    pub(crate) reject_rate: Option<Rate>,
    pub(crate) tls: Option<Arc<tls::Identity>>,
}

impl Front {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup {
            limits: Limits {
                header_timeout: Duration::from_secs(20),
                body_timeout: Duration::from_secs(20),
                header_bytes_max: 16 * 1024,
                connections_max: 1000,
                dedupe_window: Duration::from_secs(60),
            },
            open: source(
                "open",
                "kind = 'unverified'\nevent_id = ['header:webhook-id']\nevent_type = ['json:/type']",
            ),
            signed: source(
                "signed",
                "kind = 'mac'\nalg = 'hmac-sha256'\nsigned = ['{body}']\n\
                 signature = { header = 'x-signature', encoding = 'hex' }\n\
                 event_id = ['header:webhook-id']\nevent_type = ['json:/type']",
            ),
            trusted_proxies: Vec::new(),
            reject_rate: None,
            tls: None,
        };
        change(&mut setup);
        let token = source(
            "token",
            "kind = 'static'\ncredential = { in = 'query', name = 'token' }",
        );
        let sources = [setup.open, setup.signed, token];
        let paths = sources
            .into_iter()
            .map(|source| (source.path.clone(), Arc::new(intake(source))))
            .collect();
        let journal = FakeJournal::new();
        let metrics = Arc::new(Metrics::new());
        let rejected = Arc::new(Log::new(1 << 20, 4096));
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let deps = Deps {
            sources: Arc::new(Paths(paths)),
            journal: journal.clone(),
            metrics: metrics.clone(),
            fetcher: Arc::new(Fetcher::new()),
            rejected: rejected.clone(),
            limits: setup.limits,
            trusted_proxies: setup.trusted_proxies,
            reject_rate: setup.reject_rate,
            clock: ingress::system_clock(),
            tls: setup.tls,
        };
        let served = tokio::spawn(ingress::serve(listener, Arc::new(deps), shutdown.clone()));
        Self {
            address,
            journal,
            metrics,
            rejected,
            shutdown,
            served: Some(served),
        }
    }

    /// Waits until the listener has ended.
    pub(crate) async fn ended(&mut self) {
        let served = self.served.take().unwrap();
        tokio::time::timeout(super::PATIENCE, served)
            .await
            .unwrap()
            .unwrap();
    }

    /// The requests that got no 2xx, newest first.
    pub(crate) fn rejected(&self) -> Vec<Arc<Rejected>> {
        let limit = usize::MAX;
        self.rejected
            .list(&Query {
                limit,
                ..Query::default()
            })
            .rejected
    }

    /// A counter's value.
    pub(crate) fn count(&self, series: &str) -> u64 {
        let page = self.metrics.render();
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().unwrap())
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.shutdown.force();
    }
}

/// The source with its scheme as the judge.
fn intake(source: Source) -> Intake {
    let proof = match &source.proof {
        config::Proof::Scheme(verifier) => Proof::Scheme(verifier.clone()),
        config::Proof::Plugin(by) => panic!("no plugin `{}` here", by.plugin),
    };
    let source = Arc::new(source);
    Intake { source, proof }
}

fn source(name: &str, scheme: &str) -> Source {
    let scheme: Scheme = toml::from_str(scheme).unwrap();
    let secrets: &[Secret] = if name == "open" {
        &[]
    } else {
        &[Secret::new(SECRET)]
    };
    let verifier = Verifier::new(&scheme, secrets, &Params::default()).unwrap();
    Source {
        name: name.into(),
        path: format!("/hooks/{name}"),
        provider: "custom".into(),
        proof: config::Proof::Scheme(Arc::new(verifier)),
        handshakes: handshake::none(),
        body_bytes_max: 64 * 1024,
        content_types: Vec::new(),
        in_flight_max: 100,
        ok_status: 200,
        reject_status: 401,
        busy_status: 503,
        dedupe: true,
        admission: Admission::default(),
    }
}
