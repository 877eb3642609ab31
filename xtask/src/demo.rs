//! `cargo xtask demo`: Hookswitch as `routes.toml` describes it, with signed webhooks and one forged.
//!
//! Everything happens in `target/demo`, with secrets that are none. The demonstration is also a check: `--once`
//! fails if any event did not go the way it should.

mod follow;
mod setting;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use xtask::repository;

use self::{follow::Way, setting::Setting};
use crate::{
    http, plugins, prerequisites,
    step::{Running, Step, say, shown_path},
    wait_for_interrupt, wasm_target,
};

/// Providers whose webhooks are sent, in this order.
const PROVIDERS: [&str; 4] = ["didit", "idwise", "legal-talent", "k-id"];
/// Whose webhook is forged.
const FORGED: &str = "didit";
/// The first start compiles the plugins to machine code.
const PATIENCE_START: Duration = Duration::from_secs(120);

/// Builds, runs and shows everything; stays up until Ctrl-C unless `once`.
///
/// # Errors
/// If something is missing or does not build or start, or an event did not go its way.
pub(crate) fn run(once: bool) -> Result<()> {
    prerequisites::check()?;
    let guest_cargo = wasm_target::ensure()?;
    let components = plugins::build(&guest_cargo)?;
    let program = repository::target().join("release/hookswitch");
    if !program.is_file() {
        say("# the first build of the host takes about ten minutes on two cores");
    }
    Step::cargo()
        .args(["build", "--release", "--bin", "hookswitch"])
        .run()?;

    let folder = repository::target().join("demo");
    let setting = prepare(&folder, &components)?;
    let stage = Stage {
        program: program_seen_from(&folder, &program),
        folder,
        setting,
    };
    let outcome = stage.play();
    match outcome {
        Ok(running) if !once => {
            say(&format!(
                "\nwebhooks: http://{}   events, health, metrics: http://{}/events /readyz /metrics\nup until Ctrl-C",
                stage.setting.listen, stage.setting.admin
            ));
            let waited = wait_for_interrupt();
            drop(running);
            waited
        }
        Ok(_) => Ok(()),
        Err(error) => Err(error.context(format!(
            "what the host said is in {}",
            shown_path(&stage.log("run"))
        ))),
    }
}

/// Makes the folder of the demonstration anew: the configuration as it is, and the plugins beside it.
fn prepare(folder: &Path, components: &[PathBuf]) -> Result<Setting> {
    let source = repository::root().join("routes.toml");
    let text =
        fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
    let setting = Setting::read(&text)?;
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    let copies = folder.join("plugins");
    fs::create_dir_all(&copies).with_context(|| format!("cannot create {}", copies.display()))?;
    say(&format!(
        "$ mkdir -p {0}/plugins && cp routes.toml {0} && cp plugins/*.wasm {0}/plugins",
        shown_path(folder)
    ));
    for component in components {
        let name = component
            .file_name()
            .context("a component without a name")?;
        fs::copy(component, copies.join(name))
            .with_context(|| format!("cannot copy {}", component.display()))?;
    }
    for (from, to) in &setting.moved {
        say(&format!(
            "# {from} is taken on this machine: the copy of routes.toml says {to} instead"
        ));
    }
    fs::write(folder.join("routes.toml"), &setting.text)?;
    Ok(setting)
}

/// The program as typed in `folder`.
fn program_seen_from(folder: &Path, program: &Path) -> PathBuf {
    match (folder.parent(), program.strip_prefix(repository::root())) {
        (Some(target), Ok(_)) => {
            Path::new("..").join(program.strip_prefix(target).unwrap_or(program))
        }
        _ => program.to_path_buf(),
    }
}

/// The programs that run: dropped in this order, so that the host ends before the receiver.
struct Programs {
    _host: Running,
    _receiver: Option<Running>,
}

struct Stage {
    program: PathBuf,
    folder: PathBuf,
    setting: Setting,
}

impl Stage {
    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    fn hookswitch(&self) -> Step {
        Step::new(&self.program).in_folder(&self.folder)
    }

    fn play(&self) -> Result<Programs> {
        let setting = &self.setting;
        let receiver = match &setting.receiver {
            Some(receiver) => {
                let step = self
                    .hookswitch()
                    .args(["receive", "--listen", &receiver.address]);
                let secret = receiver
                    .secret
                    .as_ref()
                    .into_iter()
                    .flat_map(|secret| ["--secret", secret]);
                Some(step.args(secret).start(&self.log("receive"))?)
            }
            None => None,
        };
        let host = self
            .hookswitch()
            .args(["run", "--config", "routes.toml"])
            .envs(&setting.environment);
        let mut host = host.start(&self.log("run"))?;
        if let Err(error) =
            http::wait_until_ready(&setting.admin, "/readyz", PATIENCE_START, || {
                !host.has_ended()
            })
        {
            let said = fs::read_to_string(self.log("run")).unwrap_or_default();
            return Err(error.context(format!("the host did not start:\n{said}")));
        }
        say(&format!("# ready: http://{}/readyz", setting.admin));

        let mut seen = follow::known_events(&setting.admin)?;
        let mut ways = Vec::new();
        for provider in PROVIDERS {
            let source = setting.source(provider)?;
            let (code, said) = self.send(provider, &source.path, &source.secret)?;
            ways.push(follow::follow(
                setting,
                &self.folder,
                &source.name,
                code,
                &said,
                &mut seen,
            )?);
        }
        let source = setting.source(FORGED)?;
        let (code, said) = self.send(FORGED, &source.path, "not-the-secret")?;
        ways.push(follow::refused(setting, &source.name, code, &said, &seen)?);

        say(&format!("\n{}", follow::table(&ways)));
        let wrong: Vec<&str> = ways
            .iter()
            .filter(|way| !way.as_it_should)
            .map(Way::name)
            .collect();
        if !wrong.is_empty() {
            bail!("not as it should be: {}", wrong.join(", "));
        }
        Ok(Programs {
            _host: host,
            _receiver: receiver,
        })
    }

    fn send(&self, provider: &str, path: &str, secret: &str) -> Result<(Option<i32>, String)> {
        let url = format!("http://{}{path}", self.setting.listen);
        let step = self
            .hookswitch()
            .args(["send", provider, "--to", &url, "--secret", secret]);
        let (code, said) = step.try_read()?;
        for line in said.lines().filter(|line| !line.trim().is_empty()) {
            say(&format!("  {line}"));
        }
        Ok((code, said))
    }
}
