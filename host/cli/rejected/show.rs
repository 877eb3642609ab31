//! `hookswitch rejected show`

use std::io::Write as _;
use std::process::ExitCode;

use super::list::client;
use crate::admin::rejected::{Content, Rejected};
use crate::cli::remote::{Connection, Got, get};
use crate::cli::table;

const AFTER_HELP: &str = "\
Numbers are those of `hookswitch rejected list`. Credentials and signatures are masked: ****a1b2 is the end of
one. The body is cut at `[server] rejected_body`.

Examples:
  hookswitch rejected show 17
  hookswitch rejected show 17 --json | jq -r .body.text";

/// Characters of a body's text.
const TEXT_CHARS_MAX: usize = 64 * 1024;

/// Arguments of `hookswitch rejected show`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// The request's number
    number: u64,
    #[command(flatten)]
    connection: Connection,
}

/// Runs the command.
pub(super) async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let target = format!("/rejected/{}", args.number);
    let one: Rejected = match get(&args.connection, &target).await? {
        Got::Value(one) => one,
        Got::Done(code) => return Ok(code),
    };
    std::io::stdout().write_all(story(&one).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn story(one: &Rejected) -> String {
    let mut lines = vec![
        format!("rejected request {}", one.number),
        format!("  at       {}", table::clean(&one.at, 40)),
        format!("  source   {}", table::clean(&one.source, 80)),
        format!("  code     {}", table::clean(&one.code, 80)),
    ];
    if !one.detail.is_empty() {
        lines.push(format!("  detail   {}", table::clean(&one.detail, 600)));
    }
    lines.push(match one.enforced {
        true => format!("  answer   {}", one.status),
        false => format!(
            "  answer   {}, let through: the source does not enforce",
            one.status
        ),
    });
    lines.push(format!("  client   {}", client(one)));
    if one.client.as_deref() != Some(&*one.peer) {
        lines.push(format!("  peer     {}", table::clean(&one.peer, 45)));
    }
    lines.push(match one.body_bytes {
        Some(bytes) => format!("  body     {bytes} bytes"),
        None => "  body     not read".to_owned(),
    });
    if let Some(content) = &one.content {
        lines.push(String::new());
        request(one, content, &mut lines);
    }
    lines.push(String::new());
    lines.join("\n")
}

fn request(one: &Rejected, content: &Content, lines: &mut Vec<String>) {
    if one.method.is_empty() {
        lines.push("  no head was understood".to_owned());
        return;
    }
    let query = if one.query.is_empty() {
        String::new()
    } else {
        format!("?{}", one.query)
    };
    let target = table::clean(&format!("{}{query}", one.path), 2048);
    lines.push(format!("  {} {target}", table::clean(&one.method, 32)));
    for (name, value) in &content.headers {
        lines.push(format!(
            "  {}: {}",
            table::clean(name, 80),
            table::clean(value, 1100)
        ));
    }
    if content.headers_cut {
        lines.push("  (there was more)".to_owned());
    }
    if content.body.text.is_empty() {
        return;
    }
    lines.push(String::new());
    if content.body.encoding == "base64" {
        lines.push("  (not text; Base64)".to_owned());
    }
    for text in content.body.text.lines() {
        lines.push(format!("  {}", table::clean(text, TEXT_CHARS_MAX)));
    }
    if content.body.truncated {
        lines.push("  (there was more)".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::view::Body;

    #[test]
    fn a_rejected_request_is_told_with_its_reason_and_no_control_character() {
        let one = Rejected {
            number: 17,
            at: "2026-01-31T08:00:00.000Z".to_owned(),
            source: "didit".to_owned(),
            code: "bad_signature".to_owned(),
            detail: "the signature in header `x-signature` was not made with the secret".to_owned(),
            status: 401,
            enforced: true,
            client: Some("203.0.113.9".to_owned()),
            peer: "10.0.0.1".to_owned(),
            method: "POST".to_owned(),
            path: "/hooks/didit".to_owned(),
            query: "a=1".to_owned(),
            body_bytes: Some(5000),
            content: Some(Content {
                headers: vec![("x-signature".to_owned(), "****a1b2".to_owned())],
                headers_cut: false,
                body: Body {
                    encoding: "utf-8".to_owned(),
                    text: "{\n\u{1b}[2J".to_owned(),
                    truncated: true,
                },
            }),
        };
        let expected = "\
rejected request 17
  at       2026-01-31T08:00:00.000Z
  source   didit
  code     bad_signature
  detail   the signature in header `x-signature` was not made with the secret
  answer   401
  client   203.0.113.9
  peer     10.0.0.1
  body     5000 bytes

  POST /hooks/didit?a=1
  x-signature: ****a1b2

  {
  \u{fffd}[2J
  (there was more)
";
        assert_eq!(story(&one), expected);
    }
}
