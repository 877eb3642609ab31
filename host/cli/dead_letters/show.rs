//! `hookswitch dead-letters show`

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use crate::admin::view::dead::Whole;
use crate::cli::events::show;
use crate::cli::remote::{Connection, Got, get};
use crate::cli::table;
use crate::journal::archive::DeliveryId;

const AFTER_HELP: &str = "\
Examples:
  hookswitch dead-letters show 0193a5e4-7c1b-7d3e-9a40-0c5f7b1e2d33:0
  hookswitch dead-letters show --json ID | jq .message";

/// Arguments of `hookswitch dead-letters show`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// The dead letter's id, from `dead-letters list`
    id: DeliveryId,
    #[command(flatten)]
    connection: Connection,
}

/// Runs the command.
pub(super) async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let target = format!("/dead-letters/{}", args.id);
    let whole: Whole = match get(&args.connection, &target).await? {
        Got::Value(whole) => whole,
        Got::Done(code) => return Ok(code),
    };
    std::io::stdout().write_all(story(&whole).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// What would have gone out, then the whole way of the event.
fn story(whole: &Whole) -> String {
    let mut text = String::new();
    // Writing into a `String` cannot fail.
    let mut line = |line: String| {
        let _ = writeln!(text, "{line}");
    };
    line(format!("dead letter {}", whole.id));
    match &whole.message {
        None => line("  no message: it died before one was made".to_owned()),
        Some(message) => {
            line(format!("  message    {}", table::clean(&message.kind, 80)));
            if let Some(key) = &message.key {
                line(format!("  key        {}", table::clean(key, 200)));
            }
            if let Some(kind) = &message.content_type {
                line(format!("  content    {}", table::clean(kind, 100)));
            }
            for (name, value) in &message.headers {
                let (name, value) = (table::clean(name, 80), table::clean(value, 200));
                line(format!("  {name}: {value}"));
            }
            line(String::new());
            show::show_body(&message.body, &mut line);
        }
    }
    line(String::new());
    text.push_str(&show::story(&whole.event, false));
    text
}
