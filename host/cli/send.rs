//! `hookswitch send`: a signed sample event, as the provider would send it.
//!
//! For trying out a source without the provider. The signature is made by [`crate::verify::sign`] from the same
//! data that verification uses, and goes over real HTTP.

mod shake;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::clock::unix_ms;
use crate::event::Header;
use crate::handshake;
use crate::verify::{Params, Rejection, Request, Verified, Verifier, sign};

use super::verify::{USAGE, args, secret};

/// Time for the whole exchange. Providers give up sooner than that, with few exceptions.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of the answer's body that are read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

const EXAMPLES: &str = "\
Examples:
  hookswitch send didit --to http://127.0.0.1:8080/hooks/didit --secret env:DIDIT_WEBHOOK_SECRET
  hookswitch send idwise --to http://127.0.0.1:8080/hooks/idwise --secret user:password
  hookswitch send stripe --to https://hooks.example.com/stripe --secret file:stripe.secret --body event.json

  Ask as the provider does before it sends events, and see whether the answer is right:
  hookswitch send slack --to http://127.0.0.1:8080/hooks/slack --secret env:SLACK_SECRET --handshake url_verification
  hookswitch send meta --to http://127.0.0.1:8080/hooks/meta --secret env:META_SECRET --param verify_token=T --handshake subscribe

  See that a forgery is refused:
  hookswitch send github --to http://127.0.0.1:8080/hooks/github --secret env:GITHUB_SECRET --tamper

Each call sends a new event id, so that no two are duplicates. A body from --body is sent as it is; if the provider
puts a signed time into the body (didit, linear), an old body is refused as stale.

Exit code: 0 answered 2xx (a handshake: answered right), 1 any other answer or none, 64 the command itself was wrong.";

/// Arguments of `hookswitch send`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Send a signed sample event, as the provider would",
    after_help = EXAMPLES
)]
pub struct Args {
    /// The provider's preset, such as `didit` or `stripe`
    #[arg(value_name = "PROVIDER")]
    provider: String,

    /// Where to post it: `http://` or `https://`
    #[arg(long, value_name = "URL")]
    to: String,

    /// The secret: its text, `env:NAME` or `file:PATH`; for providers with a public key, the private one in PEM.
    /// Repeat it for providers that sign with two keys
    #[arg(long = "secret", value_name = "S", allow_hyphen_values = true)]
    secrets: Vec<String>,

    /// Send this file's bytes instead of the preset's sample
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,

    /// The URL to sign, for providers that sign it. Without it: the one of --to
    #[arg(long, value_name = "U")]
    url: Option<String>,

    /// A parameter of the preset, such as `username=hook` for idwise
    #[arg(long = "param", value_name = "K=V", value_parser = args::param)]
    params: Vec<(String, String)>,

    /// Change the request after signing it, as a forger would; a source has to refuse it
    #[arg(long)]
    tamper: bool,

    /// Send no event, but what the provider asks before it sends any, and check the answer. A wrong name lists them
    #[arg(long, value_name = "NAME", conflicts_with = "body")]
    handshake: Option<String>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// If standard output cannot be written. What is wrong with the arguments is printed, and gives exit code 64.
pub async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    if let Some(name) = &args.handshake {
        return shake::execute(&args, name).await;
    }
    let outgoing = match Outgoing::new(&args, unix_ms()) {
        Ok(outgoing) => outgoing,
        Err(usage) => {
            anstream::eprintln!("{usage}");
            return Ok(ExitCode::from(USAGE));
        }
    };
    let answer = tokio::time::timeout(TIMEOUT, outgoing.post())
        .await
        .unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {} s", TIMEOUT.as_secs())));
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            anstream::eprintln!("error: no answer from {}: {error:#}", args.to);
            return Ok(ExitCode::from(1));
        }
    };
    let text = if args.json {
        outgoing.json(&answer)
    } else {
        outgoing.text(&answer)
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .context("write to standard output")?;
    Ok(if answer.status.is_success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

/// A request that is ready to go out.
#[derive(Debug)]
struct Outgoing {
    method: http::Method,
    uri: http::Uri,
    headers: Vec<Header>,
    body: Bytes,
    event_id: Option<String>,
    event_type: String,
    tampered: bool,
}

/// What came back.
#[derive(Debug)]
struct Answer {
    status: http::StatusCode,
    headers: http::HeaderMap,
    body: String,
}

impl Outgoing {
    fn new(args: &Args, now_ms: u64) -> Result<Self, args::Usage> {
        let preset = args::preset(&args.provider)?;
        let secrets = secret::read_all(&args.secrets)?;
        let mut uri = target(&args.to)?;
        let mut params = params(args);
        // What belongs to handshakes alone does not matter to an event.
        handshake::take_values(&preset.handshake, &preset.scheme, &mut params);
        let filled = preset
            .sample
            .fill(&uuid::Uuid::now_v7().to_string(), now_ms);
        let body = match &args.body {
            None => Bytes::from(filled.body),
            Some(path) => std::fs::read(path).map(Bytes::from).map_err(|error| {
                args::Usage::new(format!(
                    "cannot read the body `{}`: {error}",
                    path.display()
                ))
            })?,
        };
        let mut headers = filled.headers;
        let path = path_of(&uri);
        let request = Request {
            method: "POST",
            target: &path,
            headers: &headers,
            body: &body,
        };
        let signed =
            sign::sign(&preset.scheme, &secrets, &params, request, now_ms).map_err(sign_usage)?;
        for (name, value) in signed.headers {
            headers.push(Header::new(name, value));
        }
        if !signed.query.is_empty() {
            uri = with_query(&args.to, &signed.query)?;
        }
        let body = signed.body.map_or(body, Bytes::from);
        let mut outgoing = Self {
            method: http::Method::POST,
            uri,
            headers,
            body,
            event_id: None,
            event_type: String::new(),
            tampered: args.tamper,
        };
        // The receiver has the public half of a private key.
        let secrets = sign::checking(&secrets);
        if let Ok(verifier) = Verifier::new(&preset.scheme, &secrets, &params) {
            if let Ok(verified) = outgoing.judge(&verifier, now_ms) {
                outgoing.event_id = verified.event_id;
                outgoing.event_type = verified.event_type;
            }
            if args.tamper {
                outgoing.tamper(&verifier, now_ms);
            }
        }
        Ok(outgoing)
    }

    /// What a source will make of it.
    fn judge(&self, verifier: &Verifier, now_ms: u64) -> Result<Verified, Rejection> {
        let request = Request {
            method: "POST",
            target: &path_of(&self.uri),
            headers: &self.headers,
            body: &self.body,
        };
        verifier.verify(request, now_ms)
    }

    /// Changes one thing that is proven: the last digit of the body that is, so that JSON remains JSON; where none
    /// is, the proof itself.
    fn tamper(&mut self, verifier: &Verifier, now_ms: u64) {
        let genuine = self.body.clone();
        for at in (0..genuine.len()).rev() {
            let mut body = genuine.to_vec();
            match body.get_mut(at) {
                Some(digit) if *digit == b'1' => *digit = b'2',
                Some(digit) if digit.is_ascii_digit() => *digit = b'1',
                _ => continue,
            }
            self.body = Bytes::from(body);
            if self.judge(verifier, now_ms).is_err() {
                return;
            }
        }
        self.body = genuine;
        for index in 0..self.headers.len() {
            let Some(header) = self.headers.get_mut(index) else {
                continue;
            };
            let value = std::mem::take(&mut header.value);
            header.value = Bytes::from([value.as_ref(), b"A"].concat());
            if self.judge(verifier, now_ms).is_err() {
                return;
            }
            if let Some(header) = self.headers.get_mut(index) {
                header.value = value;
            }
        }
        let changed = format!("{}A", self.uri);
        if self.uri.query().is_some()
            && let Ok(uri) = changed.parse()
        {
            self.uri = uri;
        }
    }

    /// Changes a digit of the body, and a credential's end, without a look at what proves what.
    fn tamper_blindly(&mut self) {
        let mut body = self.body.to_vec();
        match body.iter_mut().rev().find(|byte| byte.is_ascii_digit()) {
            Some(digit) if *digit == b'1' => *digit = b'2',
            Some(digit) => *digit = b'1',
            None => body.push(b' '),
        }
        self.body = Bytes::from(body);
        for header in &mut self.headers {
            if header.name == "authorization" || header.name.ends_with("-token") {
                header.value = Bytes::from([header.value.as_ref(), b"A"].concat());
            }
        }
    }

    async fn post(&self) -> anyhow::Result<Answer> {
        let mut request = http::Request::builder()
            .method(self.method.clone())
            .uri(self.uri.clone());
        for header in &self.headers {
            request = request.header(header.name.as_str(), header.value.as_ref());
        }
        let request = request
            .body(Full::new(self.body.clone()))
            .context("build the request")?;
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
            .context("load the system's root certificates")?
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let response = client.request(request).await.context("connect and send")?;
        let status = response.status();
        let headers = response.headers().clone();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| anyhow::anyhow!("{error}"))
            .context("read the answer")?
            .to_bytes();
        Ok(Answer {
            status,
            headers,
            body: String::from_utf8_lossy(&body).trim().to_owned(),
        })
    }

    fn text(&self, answer: &Answer) -> String {
        let mut text = format!(
            "POST {} ({} bytes{})\n  event id:   {}\n  event type: {}\n-> {}",
            without_query(&self.uri),
            self.body.len(),
            if self.tampered { ", tampered with" } else { "" },
            self.event_id.as_deref().unwrap_or("(none)"),
            match self.event_type.as_str() {
                "" => "(none)",
                kind => kind,
            },
            answer.status,
        );
        if !answer.body.is_empty() {
            text.push('\n');
            text.push_str(&answer.body);
        }
        text
    }

    fn json(&self, answer: &Answer) -> String {
        serde_json::json!({
            "url": without_query(&self.uri),
            "event_id": self.event_id,
            "event_type": self.event_type,
            "tampered": self.tampered,
            "status": answer.status.as_u16(),
            "body": answer.body,
        })
        .to_string()
    }
}

fn params(args: &Args) -> Params {
    Params {
        values: args.params.iter().cloned().collect(),
        tolerance: None,
        public_url: Some(args.url.clone().unwrap_or_else(|| args.to.clone())),
        fetch_keys: false,
    }
}

fn sign_usage(error: sign::SignError) -> args::Usage {
    match error {
        sign::SignError::Setup(errors) => args::Usage::setup(errors),
        sign::SignError::Request(rejection) => {
            args::Usage::new(format!("this request cannot be signed: {rejection}"))
        }
    }
}

fn target(to: &str) -> Result<http::Uri, args::Usage> {
    let wrong = || {
        args::Usage::new(format!("`{to}` is no URL to post to"))
            .hint("it begins with `http://` or `https://` and a host")
    };
    let uri: http::Uri = to.parse().map_err(|_| wrong())?;
    if uri.host().is_none() || !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong());
    }
    Ok(uri)
}

fn with_query(to: &str, query: &[(String, String)]) -> Result<http::Uri, args::Usage> {
    let mut url = to.to_owned();
    for (name, value) in query {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(name);
        url.push('=');
        url.extend(percent_encoding::utf8_percent_encode(
            value,
            percent_encoding::NON_ALPHANUMERIC,
        ));
    }
    target(&url)
}

fn path_of(uri: &http::Uri) -> String {
    uri.path_and_query()
        .map_or_else(|| "/".to_owned(), ToString::to_string)
}

/// The query can hold a credential.
fn without_query(uri: &http::Uri) -> String {
    uri.to_string()
        .split('?')
        .next()
        .unwrap_or_default()
        .to_owned()
}
