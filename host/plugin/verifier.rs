//! The verifier's functions: an unverified request goes in, a claim or a rejection comes out.
//!
//! Senders wait for it, so it has instances of its own, as many at once as there are cores, and a bound on
//! the wait. What it returns is checked like any guest's output. It is handed secrets: wherever its words
//! go (the log, a rejection), the text of a secret is masked. Knows nothing of HTTP and of presets.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::bindings::since_v0_1_0::exports::hookswitch::plugin::verify as wit;
use super::bindings::since_v0_1_0::hookswitch::plugin::types as wit_types;
use super::call::{Failure, guarded, reason};
use super::loader::Verifier;
use super::log::Masks;
use super::{deadline, limits, output};
use crate::clock::unix_ms;
use crate::event::Header;
use crate::secret::Secret;

/// An unverified request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// Upper-case method.
    pub method: &'r str,
    /// Path and query as received.
    pub target: &'r str,
    /// Headers in order, names lower-case.
    pub headers: &'r [Header],
    /// The body's bytes as received.
    pub body: &'r [u8],
}

/// What a source gives its verifier to judge with.
#[derive(Clone, PartialEq)]
pub struct Setting {
    /// The source's name.
    pub source: Arc<str>,
    /// Any of them may be the right one.
    pub secrets: Vec<Secret>,
    /// Further values by name; some may be secrets.
    pub params: BTreeMap<String, String>,
    /// Greatest age of a request; none leaves it to the plugin.
    pub tolerance: Option<Duration>,
    /// The URL that the provider was given.
    pub public_url: Option<String>,
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setting")
            .field("source", &self.source)
            .field("secrets", &self.secrets)
            .field("params", &self.params.keys())
            .field("tolerance", &self.tolerance)
            .field("public_url", &self.public_url)
            .finish()
    }
}

/// How much of the body is proven to be the sender's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covers {
    /// All of it.
    Full,
    /// Some fields of it.
    Partial,
    /// Nothing of it.
    None,
}

/// What a verifier says of a request that it takes for authentic. `event_id` and `event_type` are as long
/// as the guest made them, within `limits.output`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// How much is proven.
    pub covers: Covers,
    /// The provider's id of the event.
    pub event_id: Option<String>,
    /// What happened, in the provider's words.
    pub event_type: String,
    /// Headers and query parameters that show a credential.
    pub credentials: Vec<String>,
    /// For the event.
    pub attributes: Vec<(String, String)>,
}

/// Why there is no claim.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoClaim {
    /// The request is not authentic.
    #[error("{detail}")]
    Rejected {
        /// In the guest's words, one line of bounded length.
        code: String,
        /// The same.
        detail: String,
    },
    /// The call failed, so nothing is known of the request; the sender must try again.
    #[error("{detail} ({code})")]
    Failed {
        /// Stable code: those of [`super::PluginError::Failed`] but `plugin_error`, and `plugin_busy`.
        code: &'static str,
        /// What happened, for a person.
        detail: String,
    },
}

impl From<Failure> for NoClaim {
    fn from(failure: Failure) -> Self {
        Self::Failed {
            code: failure.code,
            detail: failure.detail,
        }
    }
}

impl Verifier {
    /// Judges a request at `now_ms`. Waits for its turn, 5 s at most.
    ///
    /// # Errors
    /// See [`NoClaim`]. A failure, a panic of the host included, ends this call only.
    pub async fn verify(
        &self,
        request: Request<'_>,
        setting: &Setting,
        now_ms: u64,
    ) -> Result<Claim, NoClaim> {
        let masks = self.masks(setting);
        match guarded(self.call(request, setting, &masks, now_ms)).await? {
            Ok(verified) => self.claim(verified),
            Err(rejection) => Err(NoClaim::Rejected {
                code: reason(&masks.apply(&rejection.code)),
                detail: reason(&masks.apply(&rejection.detail)),
            }),
        }
    }

    async fn call(
        &self,
        request: Request<'_>,
        setting: &Setting,
        masks: &Masks,
        now_ms: u64,
    ) -> Result<Result<wit::Verified, wit::Rejection>, Failure> {
        let loaded = &*self.loaded;
        let Ok(_turn) = tokio::time::timeout(limits::VERIFIER_WAIT, loaded.turn()).await else {
            let seconds = limits::VERIFIER_WAIT.as_secs();
            let detail = format!("waited {seconds} s for its turn");
            return Err(Failure::new("plugin_busy", detail));
        };
        let bounds = &loaded.spec.limits;
        let mut store = loaded.store(None, now_ms, bounds.time);
        store.data_mut().lines.mask(masks.clone());
        store.set_hostcall_fuel(limits::HOST_CALL_BYTES + request.body.len() + bounds.output_bytes);
        let answer = deadline::within(bounds.time, async {
            let instance = loaded.pre.instantiate_async(&mut store).await?;
            let lowered = Lowered::new(request.headers, setting);
            self.verify
                .load(&mut store, &instance)?
                .call_verify(
                    &mut store,
                    lowered.request(request),
                    lowered.context(setting, loaded.spec.config.expose(), now_ms),
                )
                .await
        });
        let answer = answer.await;
        loaded.ended(answer, &mut store, bounds.time)
    }

    /// Asks the plugin what it thinks of a source's setting: its refusal is the inner error.
    ///
    /// # Errors
    /// The call failed.
    pub async fn check(&self, setting: &Setting) -> Result<Result<(), String>, NoClaim> {
        let masks = self.masks(setting);
        let loaded = &*self.loaded;
        let call = async {
            let _turn = loaded.loading_turn().await;
            let mut store = loaded.loading_store();
            store.data_mut().lines.mask(masks.clone());
            let answer = deadline::within(limits::VALIDATE_TIME, async {
                let instance = loaded.pre.instantiate_async(&mut store).await?;
                let lowered = Lowered::new(&[], setting);
                let context = lowered.context(setting, loaded.spec.config.expose(), unix_ms());
                self.verify
                    .load(&mut store, &instance)?
                    .call_check(&mut store, context)
                    .await
            });
            let answer = answer.await;
            loaded.ended(answer, &mut store, limits::VALIDATE_TIME)
        };
        let verdict = guarded(call).await?;
        Ok(verdict.map_err(|words| reason(&masks.apply(&words))))
    }

    /// True if both are one and the same loaded component.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.loaded, &other.loaded)
    }

    /// What must not be shown of what the guest is handed.
    fn masks(&self, setting: &Setting) -> Masks {
        let own = self.loaded.spec.config.secrets();
        let params = setting.params.values().map(|value| Secret::new(value));
        Masks::new(own.iter().chain(&setting.secrets).cloned().chain(params))
    }

    fn claim(&self, verified: wit::Verified) -> Result<Claim, NoClaim> {
        let claim = Claim {
            covers: match verified.coverage {
                wit::Coverage::Full => Covers::Full,
                wit::Coverage::Partial => Covers::Partial,
                wit::Coverage::None => Covers::None,
            },
            event_id: verified.event_id,
            event_type: verified.event_type,
            credentials: verified.credentials,
            attributes: verified.attributes,
        };
        match output::check_claim(&claim, &self.loaded.spec.limits) {
            Ok(()) => Ok(claim),
            Err(problem) => Err(Failure::new("plugin_output", problem).into()),
        }
    }
}

/// The lists of a request and a setting, pointing into them. Strings and body are lowered where they are.
struct Lowered<'l> {
    headers: Vec<wit_types::HeaderParam<'l>>,
    secrets: Vec<&'l [u8]>,
    params: Vec<(&'l str, &'l str)>,
}

impl<'l> Lowered<'l> {
    fn new(headers: &'l [Header], setting: &'l Setting) -> Self {
        let headers = headers.iter().map(|header| wit_types::HeaderParam {
            name: &header.name,
            value: &header.value,
        });
        let params = setting.params.iter();
        Self {
            headers: headers.collect(),
            secrets: setting.secrets.iter().map(Secret::expose).collect(),
            params: params
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect(),
        }
    }

    fn request(&'l self, request: Request<'l>) -> wit::Request<'l> {
        wit::Request {
            method: request.method,
            target: request.target,
            headers: &self.headers,
            body: request.body,
        }
    }

    fn context(&'l self, setting: &'l Setting, config: &'l str, now_ms: u64) -> wit::Context<'l> {
        let tolerance = setting.tolerance;
        wit::Context {
            source: &setting.source,
            now_ms,
            secrets: &self.secrets,
            params: &self.params,
            tolerance_ms: tolerance.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            public_url: setting.public_url.as_deref(),
            config,
        }
    }
}
