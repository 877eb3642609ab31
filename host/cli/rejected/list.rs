//! `hookswitch rejected list`

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::admin::rejected::{Page, Rejected};
use crate::cli::remote::{Connection, Got, get};
use crate::cli::table;

const AFTER_HELP: &str = "\
A server keeps the last requests that got no 2xx, and those that a source with `enforce = false` let through,
in memory: up to ten a second of each source and reason, as many as `[server] rejected_log` has room for, until
it is stopped.

Examples:
  hookswitch rejected list --source didit --since 15m
  hookswitch rejected list --code bad_signature --limit 500
  hookswitch rejected list --json | jq -r '.rejected[] | \"\\(.source) \\(.code) \\(.detail)\"'";

/// Arguments of `hookswitch rejected list`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// Only requests to this source; `none` are those that met no source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only requests with this reason, such as bad_signature or rate_limited
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
    /// Only requests since then: an age (15m, 2h) or a time (2026-01-31T08:00:00Z)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Only requests before this one, which an earlier page's last line names
    #[arg(long, value_name = "NUMBER")]
    before: Option<u64>,
    #[command(flatten)]
    connection: Connection,
}

impl Args {
    fn target(&self) -> String {
        let mut target = format!("/rejected?limit={}", self.limit);
        let texts = [
            ("source", &self.source),
            ("code", &self.code),
            ("since", &self.since),
        ];
        for (name, value) in texts {
            if let Some(value) = value {
                // Writing into a `String` cannot fail.
                let _ = write!(
                    target,
                    "&{name}={}",
                    utf8_percent_encode(value, NON_ALPHANUMERIC)
                );
            }
        }
        if let Some(before) = self.before {
            let _ = write!(target, "&before={before}");
        }
        target
    }
}

/// Runs the command.
pub(super) async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let page: Page = match get(&args.connection, &args.target()).await? {
        Got::Value(page) => page,
        Got::Done(code) => return Ok(code),
    };
    let text = render(&page, jiff::Timestamp::now());
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn render(page: &Page, now: jiff::Timestamp) -> String {
    let mut text = if page.rejected.is_empty() {
        "no rejected requests\n".to_owned()
    } else {
        let rows: Vec<Vec<String>> = page.rejected.iter().map(|one| row(one, now)).collect();
        table::render(
            &["NUMBER", "AGE", "SOURCE", "CODE", "CLIENT", "DETAIL"],
            &rows,
        )
    };
    if page.skipped > 0 {
        let _ = writeln!(text, "{} more were only counted", page.skipped);
    }
    if let Some(next) = page.next {
        let _ = writeln!(text, "older ones: --before {next}");
    }
    text
}

fn row(one: &Rejected, now: jiff::Timestamp) -> Vec<String> {
    let at: Option<jiff::Timestamp> = one.at.parse().ok();
    let age = at.map(|at| table::age(now.as_second() - at.as_second()));
    let through = if one.enforced { "" } else { "let through: " };
    vec![
        one.number.to_string(),
        age.unwrap_or_default(),
        table::clean(&one.source, 24),
        table::clean(&one.code, 32),
        client(one),
        table::clean(&format!("{through}{}", one.detail), 100),
    ]
}

/// The client, or the proxy that did not name it.
pub(super) fn client(one: &Rejected) -> String {
    match &one.client {
        Some(client) => table::clean(client, 45),
        None => format!("? behind {}", table::clean(&one.peer, 45)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_a_table_with_what_was_left_out() {
        let one = |number, client: Option<&str>, enforced| Rejected {
            number,
            at: "2026-01-31T08:00:00.000Z".to_owned(),
            source: "didit".to_owned(),
            code: "stale".to_owned(),
            detail: "signed 400 s ago".to_owned(),
            status: 401,
            enforced,
            client: client.map(str::to_owned),
            peer: "10.0.0.1".to_owned(),
            method: "POST".to_owned(),
            path: "/hooks/didit".to_owned(),
            query: String::new(),
            body_bytes: Some(2),
            content: None,
        };
        let page = Page {
            rejected: vec![one(12, Some("203.0.113.9"), true), one(7, None, false)],
            skipped: 30,
            next: Some(7),
        };
        let now: jiff::Timestamp = "2026-01-31T08:05:00Z".parse().unwrap_or_default();
        let expected = "\
NUMBER  AGE  SOURCE  CODE   CLIENT             DETAIL
12      5m   didit   stale  203.0.113.9        signed 400 s ago
7       5m   didit   stale  ? behind 10.0.0.1  let through: signed 400 s ago
30 more were only counted
older ones: --before 7
";
        assert_eq!(render(&page, now), expected);
        assert_eq!(
            render(
                &Page {
                    rejected: vec![],
                    skipped: 0,
                    next: None
                },
                now
            ),
            "no rejected requests\n"
        );
    }
}
