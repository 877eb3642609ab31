//! Remote: asking the running server, for the commands that look at it or change it.
//!
//! Prints what went wrong, and the API's JSON where that is wanted; a command shows the rest.

use std::io::Write as _;
use std::process::ExitCode;

use http::{Method, StatusCode};
use serde::de::DeserializeOwned;

use super::USAGE;
use crate::admin::client::{self, Answer};

/// Where the running server is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Connection {
    /// The server's admin address, `[server] admin` in its configuration
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:9180",
        env = "HOOKSWITCH_ADMIN"
    )]
    admin: String,
    /// Print the API's JSON as it is
    #[arg(long)]
    json: bool,
}

/// What to do with an answer.
pub(crate) enum Got<T> {
    /// It is shown.
    Value(T),
    /// It has been printed: raw JSON, or what was wrong.
    Done(ExitCode),
}

/// Asks for `target`; prints errors and raw JSON.
pub(crate) async fn get<T: DeserializeOwned>(
    connection: &Connection,
    target: &str,
) -> anyhow::Result<Got<T>> {
    ask(connection, Method::GET, target).await
}

/// Posts to `target`, without a body; prints errors and raw JSON.
pub(crate) async fn post<T: DeserializeOwned>(
    connection: &Connection,
    target: &str,
) -> anyhow::Result<Got<T>> {
    ask(connection, Method::POST, target).await
}

async fn ask<T: DeserializeOwned>(
    connection: &Connection,
    method: Method,
    target: &str,
) -> anyhow::Result<Got<T>> {
    let Answer { status, body } = match client::ask(&connection.admin, method, target).await {
        Ok(answer) => answer,
        Err(error) => {
            writeln!(std::io::stderr(), "error: {error}")?;
            let usage = matches!(error, client::ClientError::Address(_));
            return Ok(Got::Done(ExitCode::from(if usage { USAGE } else { 1 })));
        }
    };
    if connection.json {
        std::io::stdout().write_all(&body)?;
        return Ok(Got::Done(exit_code(status)));
    }
    if status != StatusCode::OK {
        writeln!(std::io::stderr(), "error: {}", problem(status, &body))?;
        return Ok(Got::Done(exit_code(status)));
    }
    Ok(Got::Value(serde_json::from_slice(&body)?))
}

fn exit_code(status: StatusCode) -> ExitCode {
    match status {
        StatusCode::OK => ExitCode::SUCCESS,
        StatusCode::BAD_REQUEST => ExitCode::from(USAGE),
        _ => ExitCode::FAILURE,
    }
}

fn problem(status: StatusCode, body: &[u8]) -> String {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let message = body
        .pointer("/error/message")
        .and_then(serde_json::Value::as_str);
    message.map_or_else(
        || format!("the admin listener answered {status}"),
        str::to_owned,
    )
}
