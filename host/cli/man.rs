//! `hookswitch man`: manual pages, made from the same words as `--help`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::CommandFactory as _;

/// Arguments of `hookswitch man`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  hookswitch man ~/.local/share/man/man1 && man hookswitch-explain"
)]
pub struct Args {
    /// The folder for the pages, one for each command; it is made if it is not there
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// Runs the command.
pub fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let shown = args.folder.display();
    std::fs::create_dir_all(&args.folder)
        .and_then(|()| clap_mangen::generate_to(super::Cli::command(), &args.folder))
        .with_context(|| format!("write manual pages to `{shown}`"))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let folder = tempfile::tempdir().unwrap();
        let args = Args {
            folder: folder.path().join("man1"),
        };
        execute(args).unwrap();
        let pages = std::fs::read_dir(folder.path().join("man1")).unwrap();
        let pages: Vec<_> = pages
            .map(|page| page.unwrap().file_name().into_string().unwrap())
            .collect();
        for command in super::super::Cli::command().get_subcommands() {
            let page = format!("hookswitch-{}.1", command.get_name());
            assert!(pages.contains(&page), "{page} of {pages:?}");
        }
        let page = folder.path().join("man1/hookswitch-explain.1");
        let page = std::fs::read_to_string(page).unwrap();
        assert!(page.contains("no\\-verify"), "{page}");
    }
}
