//! `hookswitch receive`: a small HTTP server that prints and verifies what it gets, one line a message.

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Map, Value, json};

use crate::secret::Secret;
use crate::sink::http::excerpt;
use crate::sink::http::receiver::{Received, Receiver};
use crate::sink::http::signature::SigningKey;

/// Prints and verifies the messages that an HTTP sink sends.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:9000", value_name = "ADDR")]
    listen: SocketAddr,

    /// Standard Webhooks secret (`whsec_...`) that messages must be signed with; may be repeated.
    /// Without one, nothing is checked.
    #[arg(
        long = "secret",
        value_name = "SECRET",
        env = "HOOKSWITCH_RECEIVE_SECRET",
        hide_env_values = true
    )]
    secrets: Vec<String>,

    /// How old a signature may be.
    #[arg(long, default_value = "5m", value_parser = humantime::parse_duration, value_name = "TIME")]
    tolerance: Duration,

    /// Print each message as one line of JSON.
    #[arg(long)]
    json: bool,
}

/// Runs until Ctrl-C.
///
/// # Errors
/// If the address cannot be bound.
pub async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let mut keys = Vec::with_capacity(args.secrets.len());
    for secret in &args.secrets {
        match SigningKey::new(&Secret::new(secret)) {
            Ok(key) => keys.push(key),
            Err(error) => {
                anstream::eprintln!("error: --secret: {error}");
                return Ok(ExitCode::from(64));
            }
        }
    }
    let receiver = Receiver::bind(args.listen, keys, args.tolerance)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    anstream::eprintln!("listening on http://{}", receiver.local_addr()?);
    let print = move |received: Received| {
        let line = if args.json {
            json_line(&received).to_string()
        } else {
            text_line(&received)
        };
        // Nobody reads any more, as after `| head`: go on answering, so that the sender sees no error.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    };
    let stop = async {
        // Without a signal handler there is still the default one, which ends the process.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    receiver.serve(print, stop).await;
    Ok(ExitCode::SUCCESS)
}

fn verdict(received: &Received) -> (&'static str, Option<String>) {
    match &received.verdict {
        None => ("unchecked", None),
        Some(Ok(())) => ("valid", None),
        Some(Err(reason)) => ("invalid", Some(reason.to_string())),
    }
}

/// `valid kyc.decided from /sources/didit id 0199... 512 bytes: {"..."}`
fn text_line(received: &Received) -> String {
    let (verdict, reason) = verdict(received);
    let reason = reason
        .map(|reason| format!(" ({reason})"))
        .unwrap_or_default();
    let field = |name: &str| excerpt(received.header(name).unwrap_or("-").as_bytes());
    format!(
        "{verdict}{reason} {kind} from {source} id {id} {size} bytes: {body}",
        kind = field("ce-type"),
        source = field("ce-source"),
        id = field("webhook-id"),
        size = received.body.len(),
        body = excerpt(&received.body),
    )
}

fn json_line(received: &Received) -> Value {
    let (verdict, reason) = verdict(received);
    let headers: Map<String, Value> = received
        .headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.to_string(), Value::String(value))
        })
        .collect();
    let body = match serde_json::from_slice::<Value>(&received.body) {
        Ok(value) => value,
        Err(_) => Value::String(String::from_utf8_lossy(&received.body).into_owned()),
    };
    json!({
        "verdict": verdict,
        "reason": reason,
        "id": received.header("webhook-id"),
        "type": received.header("ce-type"),
        "source": received.header("ce-source"),
        "method": received.method.as_str(),
        "path": received.uri.path(),
        "headers": headers,
        "body": body,
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, Method, Uri};

    use super::*;
    use crate::sink::http::signature::Invalid;

    fn received(verdict: Option<Result<(), Invalid>>) -> Received {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("ce-type", "kyc.decided"),
            ("ce-source", "/sources/didit"),
            ("webhook-id", "m-1"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Received {
            method: Method::POST,
            uri: Uri::from_static("/hooks"),
            headers,
            body: Bytes::from_static(b"{\n \"a\": 1}"),
            verdict,
        }
    }

    #[test]
    fn a_message_is_one_line_of_text() {
        for (verdict, expected) in [
            (
                None,
                "unchecked kyc.decided from /sources/didit id m-1 10 bytes: { \"a\": 1}",
            ),
            (
                Some(Ok(())),
                "valid kyc.decided from /sources/didit id m-1 10 bytes: { \"a\": 1}",
            ),
            (
                Some(Err(Invalid::Mismatch)),
                "invalid (no signature matches) kyc.decided from /sources/didit id m-1 10 bytes: { \"a\": 1}",
            ),
        ] {
            assert_eq!(text_line(&received(verdict)), expected);
        }
    }

    #[test]
    fn a_message_is_one_line_of_json() {
        let line = json_line(&received(Some(Err(Invalid::Stale)))).to_string();
        assert!(!line.contains('\n'));
        for part in [
            "\"verdict\":\"invalid\"",
            "\"a\":1",
            "\"id\":\"m-1\"",
            "tolerance",
        ] {
            assert!(line.contains(part), "{part} in {line}");
        }
    }
}
