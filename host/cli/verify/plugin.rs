//! `hookswitch verify --plugin`: a verifier plugin judges, as a source would have it.
//!
//! The component is loaded as the server loads it, into a folder of its own that is removed again.

use std::path::Path;
use std::sync::Arc;

use super::args::Usage;
use super::request::RawRequest;
use super::{Args, Outcome, Verdict, secret};
use crate::ingress::Proof;
use crate::ingress::proof::Unproven;
use crate::metrics::Metrics;
use crate::plugin::verifier::Setting;
use crate::plugin::{Engine, Grants, Limits, OnError, PluginConfig, PluginSpec, Verifier};
use crate::server::NoState;

/// The name of source and plugin, for the log.
const NAME: &str = "verify";

/// Loads the component and lets it judge the request.
///
/// # Errors
/// The component does not load, or the plugin refuses its config or the secrets.
pub(super) async fn judge(args: &Args, component: &Path) -> Result<Outcome, Usage> {
    let setting = Setting {
        source: NAME.into(),
        secrets: secret::read_all(&args.secrets)?,
        params: args.params.iter().cloned().collect(),
        tolerance: args.tolerance.and_then(|window| window.0),
        public_url: args.url.clone(),
    };
    let request = RawRequest::read(&args.request)?;
    let folder = tempfile::tempdir()
        .map_err(|error| Usage::new(format!("cannot make a temporary folder: {error}")))?;
    let engine = Engine::new(folder.path().join("components"))
        .map_err(|error| Usage::new(error.to_string()))?;
    let verifier = Verifier::load(&engine, spec(component, &args.config)?, Arc::new(NoState))
        .await
        .map_err(|error| Usage::new(error.to_string()).hint(error.hint()))?;
    match verifier.check(&setting).await {
        Ok(Ok(())) => {}
        Ok(Err(words)) => {
            let message = format!("the plugin refuses the settings: {words}");
            return Err(Usage::new(message).hint("see its README for the secrets that it wants"));
        }
        Err(failure) => return Err(Usage::new(format!("the plugin failed: {failure}"))),
    }
    let proof = Proof::Plugin(verifier, Arc::new(setting));
    let verdict = proof
        .judge(
            request.as_request(),
            args.now_ms(),
            &Metrics::new(),
            &crate::verify::NoKeys,
        )
        .await;
    let (verdict, attributes) = match verdict {
        Ok(proven) => (Verdict::Valid(proven.verified), proven.attributes),
        Err(Unproven::Rejected(rejection)) => (Verdict::Invalid(rejection), Vec::new()),
        Err(Unproven::Unknown(failure)) => (Verdict::None(failure), Vec::new()),
    };
    Ok(Outcome {
        verdict,
        attributes,
        needs: None,
    })
}

fn spec(component: &Path, config: &str) -> Result<PluginSpec, Usage> {
    let config: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(config).map_err(|error| {
            Usage::new(format!("`--config` is no JSON object: {error}"))
                .hint("such as `--config '{\"algorithm\":\"hmac-sha256\"}'`")
        })?;
    Ok(PluginSpec {
        name: NAME.into(),
        component: component.to_owned(),
        config: PluginConfig::new(config, []),
        limits: Limits::default(),
        grants: Grants::default(),
        on_error: OnError::default(),
    })
}
