//! Remote: asking the running server, for the commands that look at it or change it.
//!
//! Prints what went wrong, and the API's JSON where that is wanted; a command shows the rest.

use std::io::Write as _;
use std::process::ExitCode;

use http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;

use super::USAGE;
use crate::admin::client::{self, Answer, ClientError};

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
    pub(crate) admin: String,
    /// Print JSON, the API's own where there is one
    #[arg(long)]
    pub(crate) json: bool,
}

/// Who does it.
#[derive(Debug, clap::Args)]
pub(crate) struct By {
    /// Your name for the audit log, if it is not the name you are logged in with
    #[arg(long, value_name = "NAME", env = "HOOKSWITCH_ACTOR")]
    actor: Option<String>,
}

impl By {
    /// The name that was given, else the one of the login.
    pub(crate) fn name(&self) -> String {
        let login = || {
            // Whoever runs as root by way of sudo is asked for by the own name.
            ["SUDO_USER", "USER", "LOGNAME"]
                .into_iter()
                .find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()))
        };
        self.actor
            .clone()
            .or_else(login)
            .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
    }
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
    let Answer { status, body } = match client::get(&connection.admin, target).await {
        Ok(answer) => answer,
        Err(error) => return Ok(Got::Done(no_answer(&error)?)),
    };
    if connection.json {
        std::io::stdout().write_all(&body)?;
        return Ok(Got::Done(exit_code(status)));
    }
    read(status, &body)
}

/// Has something done, without a body, as `actor`; prints errors and raw JSON.
pub(crate) async fn post<T: DeserializeOwned>(
    connection: &Connection,
    target: &str,
    actor: &str,
) -> anyhow::Result<Got<T>> {
    let Answer { status, body } = match client::post(&connection.admin, target, actor).await {
        Ok(answer) => answer,
        Err(error) => return Ok(Got::Done(no_answer(&error)?)),
    };
    if connection.json {
        std::io::stdout().write_all(&body)?;
        return Ok(Got::Done(exit_code(status)));
    }
    read(status, &body)
}

/// Asks for `target` and prints nothing but errors.
pub(crate) async fn fetch<T: DeserializeOwned>(
    connection: &Connection,
    target: &str,
) -> anyhow::Result<Got<T>> {
    match client::get(&connection.admin, target).await {
        Ok(Answer { status, body }) => read(status, &body),
        Err(error) => Ok(Got::Done(no_answer(&error)?)),
    }
}

/// The value in a good answer; prints the error of another.
pub(crate) fn read<T: DeserializeOwned>(status: StatusCode, body: &[u8]) -> anyhow::Result<Got<T>> {
    if status != StatusCode::OK {
        writeln!(std::io::stderr(), "error: {}", problem(status, body))?;
        return Ok(Got::Done(exit_code(status)));
    }
    Ok(Got::Value(serde_json::from_slice(body)?))
}

/// Says that there was no answer.
pub(crate) fn no_answer(error: &ClientError) -> anyhow::Result<ExitCode> {
    writeln!(std::io::stderr(), "error: {error}")?;
    let is_usage = matches!(error, ClientError::Address(_));
    Ok(ExitCode::from(if is_usage { USAGE } else { 1 }))
}

/// The exit code for an answer.
pub(crate) fn exit_code(status: StatusCode) -> ExitCode {
    match status {
        StatusCode::OK => ExitCode::SUCCESS,
        StatusCode::BAD_REQUEST => ExitCode::from(USAGE),
        _ => ExitCode::FAILURE,
    }
}

/// The sentence in an error's body.
pub(crate) fn problem(status: StatusCode, body: &[u8]) -> String {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let message = body
        .pointer("/error/message")
        .and_then(serde_json::Value::as_str);
    message.map_or_else(
        || format!("the admin listener answered {status}"),
        str::to_owned,
    )
}

/// A path with a query.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    text: String,
    separator: char,
}

impl Target {
    /// This path, without a query yet.
    pub(crate) fn new(path: impl Into<String>) -> Self {
        Self {
            text: path.into(),
            separator: '?',
        }
    }

    /// With a parameter.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.text.push(self.separator);
        self.text.push_str(name);
        self.text.push('=');
        self.text
            .extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
        self.separator = '&';
        self
    }

    /// With a parameter, if there is a value.
    pub(crate) fn maybe(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Path and query.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_its_parameters_encoded() {
        let target = Target::new("/events")
            .with("source", "a b&c")
            .maybe("type", None)
            .maybe("state", Some("dead"));
        assert_eq!(target.as_str(), "/events?source=a%20b%26c&state=dead");
    }
}
