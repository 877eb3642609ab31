//! `hookswitch check`: would `hookswitch run` start with this config?
//!
//! Does what `run` does before it opens a port, and says all that is wrong. Diagnostics go to standard
//! error, for people, the summary to standard output; with `--json` all goes to standard output.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::table;
use crate::config::diagnostic::Severity;
use crate::config::inventory::Entry;
use crate::config::{Config, Diagnostics};
use crate::server::{self, StartError};

/// The exit code for a config that cannot be used (`EX_USAGE` of BSD's sysexits).
const UNUSABLE: u8 = 64;

const EXAMPLES: &str = "\
Examples:
  hookswitch check
  hookswitch check --config /etc/hookswitch/routes.toml
  hookswitch check --secrets        was the rotated secret read?
  hookswitch check --json | jq -r '.diagnostics[] | \"\\(.file):\\(.line): \\(.message)\"'

Exit code: 0 the config can be used, 64 it cannot.";

/// Arguments of `hookswitch check`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Say whether a configuration would start, and what is wrong with it",
    after_help = EXAMPLES
)]
pub struct Args {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "routes.toml")]
    config: PathBuf,

    /// Also print which secret each part has, by its last four characters
    #[arg(long)]
    secrets: bool,

    /// Print one JSON object: `ok`, `errors`, `warnings`, `diagnostics`, `summary`, `secrets`
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// If standard output or standard error cannot be written to.
pub async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let outcome = server::check(&args.config).await;
    let report = Report::of(&args.config, &outcome);
    if args.json {
        writeln!(anstream::stdout(), "{:#}", report.json)?;
    } else {
        report.print()?;
        if args.secrets {
            write!(anstream::stdout(), "{}", report.secrets)?;
        }
    }
    Ok(if report.ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(UNUSABLE)
    })
}

/// What there is to say.
#[derive(Debug)]
pub(crate) struct Report {
    ok: bool,
    /// For people, with colours.
    text: String,
    summary: String,
    /// A table, for people.
    secrets: String,
    json: serde_json::Value,
}

impl Report {
    /// True if the configuration can be used.
    pub(crate) fn is_ok(&self) -> bool {
        self.ok
    }

    /// As `--json` prints it.
    pub(crate) fn json(&self) -> &serde_json::Value {
        &self.json
    }

    /// Prints it for people.
    pub(crate) fn print(&self) -> std::io::Result<()> {
        // The stream takes the colours out where nobody would see them, and where NO_COLOR is set.
        write!(anstream::stderr(), "{}", self.text)?;
        if self.ok {
            writeln!(anstream::stdout(), "{}", self.summary)
        } else {
            writeln!(anstream::stderr(), "{}", self.summary)
        }
    }

    /// The report on `file`, of what [`server::check`] said.
    pub(crate) fn of(file: &Path, outcome: &Result<(Config, Diagnostics), StartError>) -> Self {
        let shown = file.display();
        let (ok, text, summary, diagnostics) = match outcome {
            Ok((config, warnings)) => {
                let mut summary = format!("{shown}: {}: ok", parts(config));
                let count = warnings.count(Severity::Warning);
                if count > 0 {
                    let _ = write!(summary, ", {}", counted(count, "warning"));
                }
                (true, warnings.render(true), summary, Some(warnings))
            }
            Err(StartError::Config(diagnostics)) => {
                let mut summary = format!(
                    "{shown}: {}",
                    counted(diagnostics.count(Severity::Error), "error")
                );
                let count = diagnostics.count(Severity::Warning);
                if count > 0 {
                    let _ = write!(summary, ", {}", counted(count, "warning"));
                }
                (false, diagnostics.render(true), summary, Some(diagnostics))
            }
            Err(other) => {
                let mut text = format!("error: {other}");
                let mut cause = other.source();
                while let Some(error) = cause {
                    let _ = write!(text, ": {error}");
                    cause = error.source();
                }
                text.push_str("\n\n");
                (false, text, format!("{shown}: 1 error"), None)
            }
        };
        let list = match diagnostics {
            Some(diagnostics) => diagnostics.to_json(),
            None => serde_json::json!([{
                "code": "start", "severity": "error", "message": text.trim_start_matches("error: ").trim_end(),
                "file": file.display().to_string(), "line": null, "column": null, "hint": null,
            }]),
        };
        let entries = outcome
            .as_ref()
            .map_or_else(|_| Vec::new(), |(config, _)| config.inventory());
        let secrets: Vec<_> = entries
            .iter()
            .map(|entry| {
                serde_json::json!({
                    "of": entry.of, "key": entry.key, "secret": entry.secret.to_string(),
                })
            })
            .collect();
        let severity = |wanted: &str| {
            let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
            list.iter()
                .filter(|one| one.get("severity").is_some_and(|is| is == wanted))
                .count()
        };
        let json = serde_json::json!({
            "ok": ok,
            "errors": severity("error"),
            "warnings": severity("warning"),
            "diagnostics": list,
            "summary": summary,
            "secrets": secrets,
        });
        Self {
            ok,
            text,
            summary,
            secrets: table_of(&entries),
            json,
        }
    }
}

fn table_of(entries: &[Entry]) -> String {
    let rows: Vec<Vec<String>> = entries
        .iter()
        .map(|entry| {
            let secret = entry.secret.to_string();
            vec![entry.of.clone(), entry.key.clone(), secret]
        })
        .collect();
    table::render(&["OF", "KEY", "SECRET"], &rows)
}

fn parts(config: &Config) -> String {
    [
        counted(config.sources.len(), "source"),
        counted(config.plugins.len(), "plugin"),
        counted(config.sinks.len(), "sink"),
        counted(config.routes.len(), "route"),
    ]
    .join(", ")
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;

    fn report(text: &str) -> Report {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("routes.toml");
        std::fs::write(&file, text).unwrap();
        let outcome = crate::config::load(&file).map_err(StartError::Config);
        Report::of(Path::new("routes.toml"), &outcome)
    }

    #[test]
    fn a_good_config_is_summed_up() {
        let report = report(
            "[sources.a]\npath = '/a'\nprovider = 'unverified'\n[sinks.f]\ntype = 'file'\npath = 'f'\n[[routes]]\nname = 'r'\nfrom = ['a']\nto = ['f']\n",
        );
        assert!(report.ok);
        assert_eq!(
            report.summary,
            "routes.toml: 1 source, 0 plugins, 1 sink, 1 route: ok, 1 warning"
        );
        assert_eq!(report.json["ok"], true);
        assert_eq!(report.json["warnings"], 1);
    }

    #[test]
    fn a_bad_config_is_refused_with_all_that_is_wrong() {
        let report = report("[server]\nlisten = 1\ndrain = 2\n");
        assert!(!report.ok);
        assert_eq!(report.summary, "routes.toml: 2 errors");
        assert_eq!(report.json["errors"], 2);
        assert_eq!(report.json["diagnostics"][0]["code"], "wrong_type");
        assert_eq!(report.json["diagnostics"][0]["line"], 2);
    }
}
