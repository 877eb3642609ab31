//! `hookswitch verify`: would this request be accepted?
//!
//! Judges a recorded request with the code that the server uses, and says why not. It opens no socket. What the
//! request file means is in [`request`], what a secret's text means in [`secret`]; `hookswitch send` shares both.

pub(crate) mod args;
mod plugin;
pub(crate) mod request;
pub(crate) mod secret;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use crate::clock::unix_ms;
use crate::provider::Preset;
use crate::verify::{Coverage, Params, Rejection, Verified, Verifier, Window};

use request::RawRequest;

/// The exit code for a command that was used wrongly (`EX_USAGE` of BSD's sysexits).
pub(crate) const USAGE: u8 = 64;

const EXAMPLES: &str = "\
Examples:
  Judge a recorded delivery at the time when it came, not today:
    hookswitch verify --provider github --secret env:GITHUB_SECRET delivery.http
    hookswitch verify --provider stripe --secret whsec_... --at 1760000000 delivery.http

  A request file is what came over the wire, the body byte for byte:
    POST /hooks/github HTTP/1.1
    X-Hub-Signature-256: sha256=...
    X-GitHub-Event: ping

    {\"zen\":\"...\"}

  What a verifier plugin says, with the `config` and `secrets` that routes.toml would give it:
    hookswitch verify --plugin plugins/http_signatures.wasm --config '{\"algorithm\":\"hmac-sha256\"}' \\
      --secret env:PARTNER_SECRET delivery.http

  Several secrets are tried in turn, as during a rotation; providers that sign their URL need --url:
    hookswitch verify --provider square --secret env:OLD --secret env:NEW --url https://hooks.example.com/square -

Exit code: 0 valid, 1 invalid or no verdict (the plugin failed), 64 the command itself was wrong (unknown provider,
a plugin that does not load, empty secret, unreadable file).";

/// Arguments of `hookswitch verify`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Say whether a recorded request is authentic, and why not",
    long_about = "Say whether a recorded request is authentic, and why not.\n\nPrints `valid` with the event's id, \
                  type and coverage, or `invalid: reason`. The checks are those of the server; nothing is stored \
                  or sent.",
    after_help = EXAMPLES
)]
pub struct Args {
    /// The provider's preset, such as `didit`, `legal-talent` or `standard-webhooks`
    #[arg(long, value_name = "P", required_unless_present = "plugin")]
    provider: Option<String>,

    /// A verifier plugin's component, instead of a preset
    #[arg(long, value_name = "FILE", conflicts_with = "provider")]
    plugin: Option<PathBuf>,

    /// The plugin's `config`, as JSON
    #[arg(long, value_name = "JSON", requires = "plugin", default_value = "{}")]
    config: String,

    /// A secret: its text, `env:NAME` or `file:PATH`. Repeat it for several; any may match
    #[arg(long = "secret", value_name = "S", allow_hyphen_values = true)]
    secrets: Vec<String>,

    /// The URL that the provider posts to, for those that sign it
    #[arg(long, value_name = "U")]
    url: Option<String>,

    /// Judge as if it were this time, in Unix seconds. Without it: now
    #[arg(long, value_name = "UNIX")]
    at: Option<u64>,

    /// Greatest difference between the request's time and now, such as `5m`; `none` allows any. Without it: the
    /// provider's own
    #[arg(long, value_name = "5m")]
    tolerance: Option<Window>,

    /// A parameter of the preset, such as `username=hook` for idwise. `hookswitch providers show P` lists them
    #[arg(long = "param", value_name = "K=V", value_parser = args::param)]
    params: Vec<(String, String)>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    /// A file with the raw HTTP/1.1 request, or `-` for standard input
    #[arg(value_name = "REQUEST")]
    request: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// If standard output cannot be written. What is wrong with the arguments is printed, and gives exit code 64.
pub async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let outcome = match judge(&args).await {
        Ok(outcome) => outcome,
        Err(usage) => {
            anstream::eprintln!("{usage}");
            return Ok(ExitCode::from(USAGE));
        }
    };
    let text = if args.json {
        outcome.json()
    } else {
        outcome.text()
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .context("write to standard output")?;
    Ok(match outcome.verdict {
        Verdict::Valid(_) => ExitCode::SUCCESS,
        Verdict::Invalid(_) | Verdict::None(_) => ExitCode::from(1),
    })
}

/// What the judge said.
#[derive(Debug)]
enum Verdict {
    Valid(Verified),
    Invalid(Rejection),
    /// The plugin failed; a server answers 503.
    None(Rejection),
}

impl From<Result<Verified, Rejection>> for Verdict {
    fn from(verdict: Result<Verified, Rejection>) -> Self {
        match verdict {
            Ok(verified) => Self::Valid(verified),
            Err(rejection) => Self::Invalid(rejection),
        }
    }
}

/// What is to be printed.
#[derive(Debug)]
struct Outcome {
    verdict: Verdict,
    /// What a plugin adds to the event's attributes.
    attributes: Vec<(String, String)>,
    /// The parameter without which a source would refuse the request.
    needs: Option<String>,
}

async fn judge(args: &Args) -> Result<Outcome, args::Usage> {
    if let Some(component) = &args.plugin {
        return plugin::judge(args, component).await;
    }
    let preset = args::preset(args.provider.as_deref().unwrap_or_default())?;
    let secrets = secret::read_all(&args.secrets)?;
    let params = Params {
        values: args.params.iter().cloned().collect(),
        tolerance: args.tolerance,
        public_url: args.url.clone(),
        fetch_keys: false,
    };
    let now_ms = args.now_ms();
    let verifier = Verifier::new(&preset.scheme, &secrets, &params).map_err(args::Usage::setup)?;
    let request = RawRequest::read(&args.request)?;
    let verdict = verifier.verify(request.as_request(), now_ms);
    if verdict.is_err() {
        // A person who asks wants to know that the provider did sign, even where a source must be told to
        // accept this scheme of it.
        for needs in opt_ins(preset, &params) {
            let mut params = params.clone();
            params.values.insert(needs.clone(), "true".to_owned());
            if let Ok(verifier) = Verifier::new(&preset.scheme, &secrets, &params)
                && let Ok(verified) = verifier.verify(request.as_request(), now_ms)
            {
                return Ok(Outcome {
                    verdict: Verdict::Valid(verified),
                    attributes: Vec::new(),
                    needs: Some(needs),
                });
            }
        }
    }
    Ok(Outcome {
        verdict: verdict.into(),
        attributes: Vec::new(),
        needs: None,
    })
}

impl Args {
    /// When to judge.
    fn now_ms(&self) -> u64 {
        match self.at {
            Some(seconds) => seconds.saturating_mul(1000),
            None => unix_ms(),
        }
    }
}

/// Parameters that switch a scheme on, and are not given.
fn opt_ins(preset: &Preset, params: &Params) -> Vec<String> {
    let mut names: Vec<_> = preset
        .scheme
        .any_of
        .iter()
        .filter_map(|one| one.opt_in.clone())
        .filter(|name| !params.values.contains_key(name))
        .collect();
    names.dedup();
    names
}

impl Outcome {
    fn text(&self) -> String {
        let verified = match &self.verdict {
            Verdict::Valid(verified) => verified,
            Verdict::Invalid(rejection) => {
                return format!("invalid: {}: {rejection}", rejection.code);
            }
            Verdict::None(failure) => {
                return format!("no verdict: {}: the plugin {failure}", failure.code);
            }
        };
        let covers = match verified.coverage {
            Coverage::Full => "the signature covers the whole body",
            Coverage::Partial => "the signature covers only some fields of the body",
            Coverage::None => "nothing protects the body against change",
        };
        let kind = match verified.event_type.as_str() {
            "" => "(none)",
            kind => kind,
        };
        let mut text = format!(
            "valid\n  event id:   {}\n  event type: {kind}\n  coverage:   {} ({covers})",
            verified.event_id.as_deref().unwrap_or("(none)"),
            verified.coverage,
        );
        for (name, value) in &self.attributes {
            text.push_str(&format!("\n  attribute:  {name} = {value}"));
        }
        if let Some(name) = &self.needs {
            text.push_str(&format!(
                "\n  note:       a source accepts this scheme only with the parameter `{name} = \"true\"`"
            ));
        }
        text
    }

    fn json(&self) -> String {
        match &self.verdict {
            Verdict::Valid(verified) => serde_json::json!({
                "valid": true,
                "event_id": verified.event_id,
                "event_type": verified.event_type,
                "coverage": verified.coverage.as_str(),
                "attributes": self.attributes.iter().cloned().collect::<BTreeMap<_, _>>(),
                "needs_param": self.needs,
            }),
            Verdict::Invalid(rejection) => serde_json::json!({
                "valid": false,
                "code": rejection.code,
                "reason": rejection.detail,
            }),
            Verdict::None(failure) => serde_json::json!({
                "valid": null,
                "code": failure.code,
                "reason": failure.detail,
            }),
        }
        .to_string()
    }
}
