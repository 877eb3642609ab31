//! `hookswitch providers` and `hookswitch sources`: golden output, blocks that pass the check, and files that keep
//! what is theirs.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use hookswitch::provider::block::{Block, references};
use hookswitch::provider::{self, Preset, SecretForm, fresh};

/// Runs the program in `folder`.
fn run(folder: &Path, args: &[&str], env: &BTreeMap<String, String>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hookswitch"))
        .args(args)
        .current_dir(folder)
        .envs(env)
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
}

fn plainly(args: &[&str]) -> Output {
    run(Path::new("."), args, &BTreeMap::new())
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
fn golden(name: &str, text: &str) {
    let file = Path::new("tests/ui/providers").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
    }
    let wanted = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        wanted == text,
        "{} differs; BLESS=1 writes it anew:\n{text}",
        file.display()
    );
}

fn presets() -> impl Iterator<Item = &'static Preset> {
    provider::names().filter_map(provider::preset)
}

#[test]
fn the_list_fits_a_terminal_and_names_every_preset() {
    let output = plainly(&["providers", "list"]);
    let text = stdout(&output);
    golden("list.txt", &text);
    assert_eq!(text.lines().count(), presets().count() + 1);
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let json: serde_json::Value =
        serde_json::from_slice(&plainly(&["providers", "list", "--json"]).stdout).unwrap();
    let listed: Vec<&str> = json
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(listed, provider::names().collect::<Vec<_>>());
}

#[test]
fn a_provider_is_shown_on_one_page() {
    for name in [
        "didit",
        "github",
        "legal-talent",
        "box",
        "twilio",
        "idwise",
        "meta",
        "zoom",
        "unverified",
    ] {
        let output = plainly(&["providers", "show", name]);
        golden(&format!("show_{name}.txt"), &stdout(&output));
        assert_eq!(output.status.code(), Some(0));
    }
    golden(
        "show_stripe.json",
        &stdout(&plainly(&["providers", "show", "stripe", "--json"])),
    );
}

#[test]
fn every_page_fits_a_terminal_up_to_the_block() {
    for preset in presets() {
        let text = stdout(&plainly(&["providers", "show", preset.name]));
        let (page, _) = text.split_once("For routes.toml:").unwrap();
        for line in page.lines().filter(|line| !line.contains("http")) {
            assert!(
                line.chars().count() <= 80 || !line.trim().contains(' '),
                "{line}"
            );
        }
    }
}

#[test]
fn an_unknown_provider_gets_the_nearest_one_suggested() {
    for args in [
        &["providers", "show", "githb"][..],
        &["sources", "new", "githb"],
    ] {
        let output = plainly(args);
        assert_eq!(
            stderr(&output),
            "error: there is no provider `githb`\n  hint: did you mean `github`?\n"
        );
        assert_eq!(output.status.code(), Some(64));
    }
}

/// A value that the preset's scheme takes: fresh, or for public keys one of the published test values'.
fn secret(preset: &Preset) -> String {
    let of_vectors = || {
        let text = std::fs::read_to_string("tests/fixtures/verify/published.json").unwrap();
        let vectors: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        let vector = vectors.into_iter().find(|vector| {
            let provider = vector["provider"].as_str().unwrap().replace('_', "-");
            preset.name.starts_with(&provider) || provider.ends_with(preset.name)
        });
        let vector = vector.unwrap_or_else(|| panic!("no test value for {}", preset.name));
        vector["secrets"][0].as_str().unwrap().to_owned()
    };
    match preset.secret_form {
        SecretForm::PublicKey | SecretForm::Certificate => of_vectors(),
        form => fresh::secret(form, &[7; 32]).unwrap(),
    }
}

/// The variables that a block names, with good values.
fn environment(preset: &Preset, block: &str) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let secrets = references(preset, preset.name);
    for part in block.split("\"env:").skip(1) {
        let name = part.split('"').next().unwrap();
        let value = match secrets.contains(&format!("env:{name}")) {
            true => secret(preset),
            false => "some-value-of-a-parameter".to_owned(),
        };
        variables.insert(name.to_owned(), value);
    }
    variables
}

#[test]
fn every_presets_block_passes_the_check_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = String::new();
    let mut env = BTreeMap::new();
    let mut unconfirmed = 0;
    for preset in presets() {
        let path = format!("/hooks/{}", preset.name);
        let block = Block::usual(preset, &path).render();
        // The same text that people see.
        let shown = stdout(&plainly(&["providers", "show", preset.name]));
        assert!(shown.ends_with(&format!("\n\n{block}")), "{shown}");
        env.extend(environment(preset, &block));
        unconfirmed += usize::from(!preset.confirmed);
        config.push_str(&block);
        config.push('\n');
    }
    let names: Vec<String> = provider::names()
        .map(|name| format!("\"{name}\""))
        .collect();
    config.push_str(&format!(
        "[sinks.audit]\ntype = \"file\"\npath = \"out/audit.jsonl\"\n[[routes]]\nname = \"all\"\nfrom = [{}]\nto = [\"audit\"]\n",
        names.join(", ")
    ));
    std::fs::write(folder.path().join("routes.toml"), config).unwrap();
    let output = run(folder.path(), &["check", "--json"], &env);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"], true, "{report:#}");
    // Of what is a guess, and of the source that is open, there is a warning each. The certificates that the blocks are
    // filled with here were made for tests, and have run out.
    let warnings = report["diagnostics"].as_array().unwrap();
    let warnings = warnings
        .iter()
        .filter(|one| one["code"] != "key_out_of_date");
    assert_eq!(warnings.count(), unconfirmed + 1, "{report:#}");
}

/// A config with comments in every place where they can be lost.
const CONFIG: &str = "\
# Our webhooks.   \n\
\n\
[server]\n\
listen = \"127.0.0.1:8080\" # ours\n\
\n\
[sources.stripe]   # payments\n\
path      = \"/hooks/stripe\"\n\
provider = 'stripe'\n\
secrets = [\n\
  \"env:STRIPE_SECRET\", # the new one\n\
]\n\
# tolerance = \"5m\"\n\
\n\
\n\
# Where it goes.\n\
\n\
[sinks.audit]\n\
type = \"file\"\n\
path = \"out/audit.jsonl\"\n\
\n\
[[routes]]\n\
name = \"all\" # and nothing else\n\
from = [\"stripe\"]\n\
to = [\"audit\"]\n\
# the end";

struct Setting {
    folder: tempfile::TempDir,
    env: BTreeMap<String, String>,
}

impl Setting {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("routes.toml"), CONFIG).unwrap();
        let stripe = (
            "STRIPE_SECRET".to_owned(),
            "whsec_some-stripe-secret".to_owned(),
        );
        Self {
            folder,
            env: BTreeMap::from([stripe]),
        }
    }

    fn run(&self, args: &[&str]) -> Output {
        run(self.folder.path(), args, &self.env)
    }

    fn config(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("routes.toml")).unwrap()
    }

    fn files(&self) -> Vec<String> {
        let mut files: Vec<String> = std::fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        files
    }
}

#[test]
fn a_source_is_printed_and_nothing_is_written() {
    let setting = Setting::new();
    let output = setting.run(&["sources", "new", "didit"]);
    golden("new_didit.txt", &stdout(&output));
    assert_eq!(output.status.code(), Some(0));
    let output = setting.run(&[
        "sources",
        "new",
        "github",
        "--name",
        "github-eu",
        "--path",
        "/eu",
    ]);
    golden("new_github.txt", &stdout(&output));
    assert_eq!(setting.files(), ["routes.toml"]);
    assert_eq!(setting.config(), CONFIG);
}

#[test]
fn a_source_with_a_fresh_secret_is_added_and_the_rest_stays_byte_for_byte() {
    let setting = Setting::new();
    let output = setting.run(&["sources", "new", "github", "--write"]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}{}", stderr(&output));

    let file = setting.folder.path().join("secrets/github");
    let secret = std::fs::read_to_string(&file).unwrap();
    let secret = secret.trim_end();
    assert_eq!(secret.len(), 64);
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(text.matches(secret).count(), 1, "shown once:\n{text}");
    golden("new_github_written.txt", &text.replace(secret, "SECRET"));

    let config = setting.config();
    let block = "[sources.github]\npath = \"/hooks/github\"\nprovider = \"github\"\nsecrets = [\"file:secrets/github\"]\n";
    let (before, after) = config.split_once(block).unwrap();
    assert_eq!(
        format!("{}{after}", before.strip_suffix('\n').unwrap()),
        CONFIG
    );
    assert!(before.ends_with("# tolerance = \"5m\"\n\n"), "{config}");
    assert!(!config.contains(secret));

    // Again: the name is taken, and the secret in use is not touched.
    let output = setting.run(&["sources", "new", "github", "--write"]);
    assert_eq!(output.status.code(), Some(64));
    assert_eq!(setting.config(), config);
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim_end(), secret);
}

#[test]
fn a_secret_of_the_providers_is_asked_for_and_the_check_says_that_it_is_missing() {
    let setting = Setting::new();
    let output = setting.run(&["sources", "new", "didit", "--write"]);
    assert_eq!(output.status.code(), Some(1));
    golden(
        "new_didit_written.txt",
        &(stdout(&output) + "---\n" + &stderr(&output)),
    );
    assert!(setting.config().contains("[sources.didit]"));
    assert_eq!(setting.files(), ["routes.toml"]);
}

#[test]
fn a_secret_in_a_file_of_ones_own_is_named_as_the_config_sees_it() {
    let setting = Setting::new();
    let args = ["sources", "new", "svix", "--secret-file", "keys/svix.key"];
    let output = setting.run(&args);
    let text = stdout(&output);
    assert!(
        text.contains("secrets = [\"file:keys/svix.key\"]"),
        "{text}"
    );
    let made = setting.folder.path().join("keys/svix.key").exists();
    let choice = provider::preset("svix").unwrap().secret_choice;
    assert_eq!(made, choice == provider::SecretChoice::You, "{text}");
}

#[test]
fn what_clashes_or_cannot_be_is_refused_and_nothing_is_written() {
    let setting = Setting::new();
    let mut told = String::new();
    for args in [
        &["stripe"][..],
        &["github", "--path", "/hooks/stripe"],
        &["github", "--name", "not a name"],
        &["github", "--path", "no-slash"],
        &["github", "--config", "none.toml"],
        &["github", "--secret-file", "routes.toml"],
    ] {
        let output = setting.run(&[&["sources", "new", "--write"], args].concat());
        assert_eq!(output.status.code(), Some(64), "{args:?}");
        told.push_str(&format!(
            "$ sources new --write {}\n{}\n",
            args.join(" "),
            stderr(&output)
        ));
        assert_eq!(setting.config(), CONFIG);
        assert_eq!(setting.files(), ["routes.toml"], "{args:?}");
    }
    golden("new_refused.txt", &told);
}

#[test]
fn the_answer_for_programs_is_one_object() {
    let setting = Setting::new();
    let output = setting.run(&["sources", "new", "github", "--write", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["written"], true);
    assert_eq!(json["secret"].as_str().unwrap().len(), 64);
    assert_eq!(json["check"]["ok"], true, "{json:#}");
    let line = json["line"].as_u64().unwrap();
    let config = setting.config();
    let header = config.lines().nth(usize::try_from(line).unwrap() - 1);
    assert_eq!(header, Some("[sources.github]"));
}
