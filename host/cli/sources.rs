//! `hookswitch sources`: work on the sources of a `routes.toml`.
//!
//! `new` writes a source for a provider, with a strong secret where the secret is the user's to choose. What is
//! written goes through the same check as `hookswitch check`. A secret is shown once, when it is made, and never
//! again.

mod insertion;
mod replace;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;

use crate::config::{self, Diagnostics};
use crate::provider::block::{Block, references};
use crate::provider::{Preset, SecretChoice, fresh};
use crate::server;

use super::USAGE;
use super::check::Report;
use super::verify::args::{self, Usage};
use insertion::{InsertError, Inserted};

/// Findings that writing the source would bring into the file, and that make it useless there.
const FATAL: [&str; 4] = ["bad_name", "bad_path", "path_clash", "duplicate_key"];

/// Bytes of a secret that is made: the 256 bits that HMAC-SHA256 can use.
const SECRET_BYTES: usize = 32;

const EXAMPLES: &str = "\
Examples:
  What would the source look like? Nothing is written.
    hookswitch sources new didit
  Add it to routes.toml; where you choose the secret, a strong one is made and shown once:
    hookswitch sources new github --name github-eu --path /hooks/github-eu --write

With --write the block is added after the last source, and the rest of the file stays as it is, byte for byte.
A secret that is made goes into a file that only you can read, `secrets/NAME` beside the configuration or
--secret-file; the user that runs hookswitch must be able to read it.

Exit code: 0 printed, or written and good; 1 written, but the configuration has errors; 64 nothing was written
(unknown provider, a name or path that is taken).";

/// Arguments of `hookswitch sources`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a source for a provider: print its block, or add it to the configuration
    New(New),
}

/// Arguments of `hookswitch sources new`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct New {
    /// The provider's preset, such as `didit` or `stripe`; `hookswitch providers list` has all
    #[arg(value_name = "PROVIDER")]
    provider: String,

    /// The source's name. Without it: the provider's
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// The path that the provider posts to. Without it: /hooks/ and the name
    #[arg(long, value_name = "PATH")]
    path: Option<String>,

    /// The configuration
    #[arg(
        long,
        short,
        value_name = "FILE",
        default_value = "routes.toml",
        env = "HOOKSWITCH_CONFIG"
    )]
    config: PathBuf,

    /// Add the source to the configuration
    #[arg(long)]
    write: bool,

    /// The file for the secret; it must not exist if a secret is made
    #[arg(long, value_name = "PATH")]
    secret_file: Option<PathBuf>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// If standard output or a file cannot be written.
pub async fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let Command::New(new) = args.command;
    let draft = match Draft::of(&new) {
        Ok(draft) => draft,
        Err(Refusal::Usage(usage)) => {
            writeln!(anstream::stderr(), "{usage}")?;
            return Ok(ExitCode::from(USAGE));
        }
        Err(Refusal::Findings(findings)) => {
            write!(anstream::stderr(), "{}", findings.render(true))?;
            return Ok(ExitCode::from(USAGE));
        }
    };
    draft.write_files(&new)?;
    let checked = match new.write {
        true => Some(Report::of(&new.config, &server::check(&new.config).await)),
        false => None,
    };
    let good = checked.as_ref().is_none_or(Report::is_ok);
    if new.json {
        writeln!(
            anstream::stdout(),
            "{:#}",
            draft.json(&new, checked.as_ref())
        )?;
    } else {
        write!(anstream::stdout(), "{}", draft.text(&new))?;
        if let Some(report) = &checked {
            writeln!(anstream::stdout())?;
            report.print()?;
        }
    }
    Ok(ExitCode::from(u8::from(!good)))
}

/// Why nothing is written.
enum Refusal {
    Usage(Usage),
    Findings(Diagnostics),
}

impl From<Usage> for Refusal {
    fn from(usage: Usage) -> Self {
        Self::Usage(usage)
    }
}

/// What is to be printed or written.
struct Draft {
    preset: &'static Preset,
    path: String,
    /// Where the source looks for its secrets.
    secrets: Vec<String>,
    block: String,
    /// The secret that was made, and the file that it goes into.
    made: Option<(String, PathBuf)>,
    /// The file's text before and with the block.
    change: Option<(String, Inserted)>,
}

impl Draft {
    fn of(new: &New) -> Result<Self, Refusal> {
        let preset = args::preset(&new.provider)?;
        let name = new.name.clone().unwrap_or_else(|| preset.name.to_owned());
        let path = new.path.clone().unwrap_or_else(|| format!("/hooks/{name}"));
        let made = made(new, preset, &name)?;
        let mut secrets = references(preset, &name);
        if let Some(file) = made
            .as_ref()
            .map(|(_, file)| file)
            .or(new.secret_file.as_ref())
            && !secrets.is_empty()
        {
            secrets = vec![format!("file:{}", from_config(&new.config, file))];
        }
        let block = Block {
            preset,
            name: &name,
            path: &path,
            secrets: secrets.clone(),
        };
        let block = block.render();
        let change = match new.write {
            true => Some(change(new, &name, &path, &block)?),
            false => None,
        };
        Ok(Self {
            preset,
            path,
            secrets,
            block,
            made,
            change,
        })
    }

    /// The secret first: a configuration must not name a file that is not there.
    fn write_files(&self, new: &New) -> anyhow::Result<()> {
        if let Some((secret, file)) = &self.made {
            replace::create_private(file, &format!("{secret}\n"))
                .with_context(|| format!("write the secret to `{}`", file.display()))?;
        }
        if let Some((before, inserted)) = &self.change {
            let written = replace::replace(&new.config, before, &inserted.text);
            if written.is_err()
                && let Some((_, file)) = &self.made
            {
                // Nobody has seen it yet; the error that counts is the one above.
                let _ = std::fs::remove_file(file);
            }
            written.with_context(|| format!("write `{}`", new.config.display()))?;
        }
        Ok(())
    }

    fn text(&self, new: &New) -> String {
        let mut text = String::new();
        if let Some((_, inserted)) = &self.change {
            let line = insertion::line_of(&inserted.text, inserted.at);
            text.push_str(&format!(
                "Added to {}, line {line}:\n\n",
                new.config.display()
            ));
        }
        text.push_str(&self.block);
        text.push('\n');
        match &self.made {
            Some((secret, file)) => text.push_str(&format!(
                "The secret, shown this once, to enter at {}:\n\n  {secret}\n\n\
                 It is in {}, which only you can read.\n",
                self.preset.title,
                file.display(),
            )),
            None => {
                for reference in &self.secrets {
                    text.push_str(&match reference.split_once(':') {
                        Some(("env", name)) => {
                            format!("Put the secret into the variable {name}.\n")
                        }
                        Some((_, file)) => format!("Put the secret into the file {file}.\n"),
                        None => String::new(),
                    });
                }
            }
        }
        text.push_str(&format!("Secret: {}\n", self.preset.secret));
        text.push_str(&format!("URL:    https://YOUR-HOST{}\n", self.path));
        if self.preset.secret_choice == SecretChoice::You && self.made.is_none() && !new.write {
            text.push_str("With --write or --secret-file a strong secret is made for you.\n");
        }
        if !self.preset.confirmed {
            text.push_str(&format!("Not certain: {}\n", self.preset.doubt));
        }
        text
    }

    fn json(&self, new: &New, checked: Option<&Report>) -> serde_json::Value {
        let line = self
            .change
            .as_ref()
            .map(|(_, inserted)| insertion::line_of(&inserted.text, inserted.at));
        json!({
            "provider": self.preset.name,
            "path": self.path,
            "block": self.block,
            "written": self.change.is_some(),
            "file": new.config.display().to_string(),
            "line": line,
            "secret": self.made.as_ref().map(|(secret, _)| secret),
            "secret_file": self.made.as_ref().map(|(_, file)| file.display().to_string()),
            "check": checked.map(Report::json),
        })
    }
}

/// A secret of the preset's form and the file for it, if the user chooses it and a file is to be written.
fn made(new: &New, preset: &Preset, name: &str) -> Result<Option<(String, PathBuf)>, Usage> {
    if preset.secret_choice != SecretChoice::You || !(new.write || new.secret_file.is_some()) {
        return Ok(None);
    }
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|error| Usage::new(format!("the system gives no random bytes: {error}")))?;
    let Some(secret) = fresh::secret(preset.secret_form, &bytes) else {
        return Ok(None);
    };
    let folder = new.config.parent().unwrap_or(Path::new(""));
    let file = match &new.secret_file {
        Some(file) => file.clone(),
        None => folder.join("secrets").join(name),
    };
    if file.exists() {
        let usage = Usage::new(format!("there is a file `{}` already", file.display()));
        return Err(usage.hint("it may be in use; name another one with `--secret-file`"));
    }
    Ok(Some((secret, file)))
}

/// A path as the configuration names it: from its folder on if it is below that.
fn from_config(config: &Path, file: &Path) -> String {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let file = absolute(file);
    let folder = absolute(config)
        .parent()
        .map(Path::to_owned)
        .unwrap_or_default();
    let shown = file.strip_prefix(&folder).unwrap_or(&file);
    shown.display().to_string()
}

/// The file's text before and with the block, if the block is good there.
fn change(new: &New, name: &str, path: &str, block: &str) -> Result<(String, Inserted), Refusal> {
    let file = new.config.display();
    let before = std::fs::read_to_string(&new.config).map_err(|error| {
        Usage::new(format!("cannot read `{file}`: {error}"))
            .hint("name another one with `--config`, or leave `--write` out")
    })?;
    let inserted = insertion::insert(&before, name, path, block).map_err(|error| {
        Usage::new(format!("nothing is written to `{file}`: {error}")).hint(match &error {
            InsertError::Syntax => "`hookswitch check` says where",
            InsertError::Name(_) => "choose another name with `--name`",
            InsertError::Path(..) => "choose another path with `--path`",
            InsertError::Inline => "leave `--write` out, and put in the source by hand",
        })
    })?;
    let findings = match config::examine(&new.config, &inserted.text) {
        Ok((_, warnings)) => warnings,
        Err(findings) => findings,
    };
    let within = inserted.at..inserted.at + inserted.length;
    let fatal = findings.only(|finding| {
        FATAL.contains(&finding.code)
            && finding
                .span
                .as_ref()
                .is_some_and(|span| within.contains(&span.start))
    });
    match fatal.is_empty() {
        true => Ok((before, inserted)),
        false => Err(Refusal::Findings(fatal)),
    }
}
