//! `hookswitch verify`: would this request be accepted?
//!
//! Judges a recorded request with the code that the server uses, and says why not. It opens no socket. What the
//! request file means is in [`request`], what a secret's text means in [`secret`]; `hookswitch send` shares both.

pub(crate) mod args;
pub(crate) mod request;
pub(crate) mod secret;
#[cfg(test)]
mod tests;

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

  Several secrets are tried in turn, as during a rotation; providers that sign their URL need --url:
    hookswitch verify --provider square --secret env:OLD --secret env:NEW --url https://hooks.example.com/square -

Exit code: 0 valid, 1 invalid, 64 the command itself was wrong (unknown provider, empty secret, unreadable file).";

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
    #[arg(long, value_name = "P")]
    provider: String,

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
    let outcome = match judge(&args) {
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
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(1),
    })
}

/// What is to be printed.
#[derive(Debug)]
struct Outcome {
    verdict: Result<Verified, Rejection>,
    /// The parameter without which a source would refuse the request.
    needs: Option<String>,
}

fn judge(args: &Args) -> Result<Outcome, args::Usage> {
    let preset = args::preset(&args.provider)?;
    let secrets = secret::read_all(&args.secrets)?;
    let params = Params {
        values: args.params.iter().cloned().collect(),
        tolerance: args.tolerance,
        public_url: args.url.clone(),
    };
    let now_ms = match args.at {
        Some(seconds) => seconds.saturating_mul(1000),
        None => unix_ms(),
    };
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
                    verdict: Ok(verified),
                    needs: Some(needs),
                });
            }
        }
    }
    Ok(Outcome {
        verdict,
        needs: None,
    })
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
            Ok(verified) => verified,
            Err(rejection) => return format!("invalid: {}: {rejection}", rejection.code),
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
        if let Some(name) = &self.needs {
            text.push_str(&format!(
                "\n  note:       a source accepts this scheme only with the parameter `{name} = \"true\"`"
            ));
        }
        text
    }

    fn json(&self) -> String {
        match &self.verdict {
            Ok(verified) => serde_json::json!({
                "valid": true,
                "event_id": verified.event_id,
                "event_type": verified.event_type,
                "coverage": verified.coverage.as_str(),
                "needs_param": self.needs,
            }),
            Err(rejection) => serde_json::json!({
                "valid": false,
                "code": rejection.code,
                "reason": rejection.detail,
            }),
        }
        .to_string()
    }
}
