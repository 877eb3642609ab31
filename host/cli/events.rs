//! `hookswitch events`: what a running server took in, through its admin API.

mod list;
mod show;
mod table;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Subcommand;
use http::StatusCode;
use serde::de::DeserializeOwned;

use super::USAGE;
use crate::admin::client::{self, Answer};

/// Arguments of `hookswitch events`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List events, newest first
    List(list::Args),
    /// Tell one event's way, with every attempt
    Show(show::Args),
}

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

/// Runs the command.
pub async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::List(args) => list::execute(args).await,
        Command::Show(args) => show::execute(args).await,
    }
}

/// What to do with an answer.
enum Got<T> {
    /// It is shown.
    Value(T),
    /// It has been printed: raw JSON, or what was wrong.
    Done(ExitCode),
}

/// Asks for `target`; prints errors and raw JSON.
async fn get<T: DeserializeOwned>(connection: &Connection, target: &str) -> anyhow::Result<Got<T>> {
    let Answer { status, body } = match client::get(&connection.admin, target).await {
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
