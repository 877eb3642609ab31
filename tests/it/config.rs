//! Golden diagnostics: every `tests/ui/config/NAME.toml` gives exactly `NAME.err`. `BLESS=1` writes them anew.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use hookswitch::config::codes::CODES;
use hookswitch::config::secrets::Lookup;
use hookswitch::config::{self, Diagnostics};

/// What every value of a secret contains, so that no output may.
const CANARY: &str = "canary";

/// The environment of these tests.
#[derive(Debug)]
struct Variables;

impl Lookup for Variables {
    fn variable(&self, name: &str) -> Option<OsString> {
        let value = match name {
            "GOOD" => "canary-value-with-enough-bytes",
            "SHORT" => "canary",
            "EMPTY" => "  ",
            "WHSEC_SHORT" => "whsec_Y2FuYXJ5",
            "WHSEC" => "whsec_Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5",
            // The shipped example.
            "DIDIT_WEBHOOK_SECRET"
            | "LEGAL_TALENT_WEBHOOK_SECRET"
            | "K_ID_WEBHOOK_SECRET"
            | "REDACT_PII_HASH_KEY" => "canary-value-with-enough-bytes",
            "IDWISE_WEBHOOK_CREDENTIALS" => "user:canary-value-with-enough-bytes",
            "BACKOFFICE_WEBHOOK_SECRET" => "whsec_Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5",
            _ => return None,
        };
        Some(value.into())
    }
}

fn findings(file: &Path) -> Diagnostics {
    match config::load_with(file, &Variables) {
        Ok((_, warnings)) => warnings,
        Err(diagnostics) => diagnostics,
    }
}

/// Paths from the package's folder on, where tests run, so that golden files name no machine.
fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = std::fs::read_dir("tests/ui/config")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    cases.sort();
    assert!(!cases.is_empty());
    cases
}

#[test]
fn every_bad_config_gives_exactly_its_golden_diagnostics() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut stale = Vec::new();
    for case in cases() {
        let rendered = findings(&case).render(false);
        let golden = case.with_extension("err");
        if bless {
            std::fs::write(&golden, &rendered).unwrap();
        }
        if std::fs::read_to_string(&golden).unwrap_or_default() != rendered {
            stale.push(format!("{}:\n{rendered}", golden.display()));
        }
    }
    assert!(
        stale.is_empty(),
        "these differ; BLESS=1 writes them anew:\n{}",
        stale.join("\n")
    );
}

#[test]
fn every_code_has_a_golden_config_and_every_golden_code_is_known() {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for case in cases().into_iter().chain(["tests/ui/config/none".into()]) {
        for finding in findings(&case).sorted() {
            seen.insert(finding.code);
        }
    }
    let known: BTreeSet<&str> = CODES.iter().map(|(code, _)| *code).collect();
    assert_eq!(seen, known);
}

#[test]
fn no_secret_is_ever_shown() {
    for case in cases() {
        let findings = findings(&case);
        for output in [
            findings.render(false),
            findings.render(true),
            findings.to_json().to_string(),
            findings.to_string(),
            format!("{findings:?}"),
        ] {
            assert!(!output.contains(CANARY), "{}: {output}", case.display());
        }
    }
}

#[test]
fn a_loaded_config_shows_no_secret_either() {
    let config = shipped();
    assert!(!format!("{config:?}").contains(CANARY));
}

#[test]
fn every_finding_but_of_an_unreadable_file_has_a_place_and_every_error_a_hint() {
    for case in cases() {
        for finding in findings(&case).sorted() {
            assert!(finding.span.is_some(), "{}: {finding:?}", case.display());
            let is_toml = matches!(finding.code, "syntax" | "duplicate_key");
            let is_setup = finding.code == "bad_verification";
            assert!(
                finding.hint.is_some() || is_toml || is_setup || finding.code == "wrong_type",
                "{}: {finding:?}",
                case.display()
            );
        }
    }
}

/// The shipped example with components in place.
fn shipped() -> config::Config {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("routes.toml");
    std::fs::copy("routes.toml", &file).unwrap();
    std::fs::create_dir(folder.path().join("plugins")).unwrap();
    for component in ["normalize_kyc.wasm", "redact_pii.wasm"] {
        std::fs::write(folder.path().join("plugins").join(component), "").unwrap();
    }
    match config::load_with(&file, &Variables) {
        Ok((config, warnings)) => {
            let codes: Vec<&str> = warnings
                .sorted()
                .iter()
                .map(|finding| finding.code)
                .collect();
            assert_eq!(codes, ["unconfirmed_preset"], "{warnings}");
            config
        }
        Err(diagnostics) => panic!("{diagnostics}"),
    }
}

#[test]
fn the_shipped_example_loads_and_means_what_it_says() {
    let config = shipped();
    let names: Vec<&str> = config.sources.iter().map(|source| &*source.name).collect();
    assert_eq!(names, ["didit", "idwise", "legal-talent", "k-id"]);
    let [route] = config.routes.as_slice() else {
        panic!("one route");
    };
    assert_eq!(route.from.len(), 4);
    assert!(route.when.is_some() && route.key.is_some());
    let plugins: Vec<&str> = route.plugins.iter().map(|name| &**name).collect();
    assert_eq!(plugins, ["normalize-kyc", "redact-pii"]);
    // A secret of a plugin is in what the plugin gets, and nowhere else.
    let redact_pii = &config.plugins.last().unwrap().spec.config;
    assert!(redact_pii.expose().contains(CANARY));
    assert!(config.sinks.iter().any(|sink| matches!(
        &sink.kind,
        config::SinkKind::Http(http) if http.sign.len() == 1 && http.url == "http://127.0.0.1:9099/hooks"
    )));
}

/// What is commented out in the example is right too.
#[test]
fn the_commented_sinks_of_the_shipped_example_load() {
    let text = std::fs::read_to_string("routes.toml").unwrap();
    let mut sinks = String::new();
    let mut within = false;
    for line in text.lines() {
        within = (within && line.starts_with("# ")) || line.starts_with("# [sinks.");
        if within {
            sinks.push_str(line.trim_start_matches("# "));
            sinks.push('\n');
        }
    }
    assert_eq!(sinks.matches("[sinks.").count(), 2);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("routes.toml");
    std::fs::write(&file, sinks).unwrap();
    let missing: Vec<&str> = findings(&file)
        .sorted()
        .iter()
        .map(|finding| finding.code)
        .collect();
    // Their variables are not set here, and no route uses them as they stand alone.
    assert_eq!(
        missing,
        [
            "unused_sink",
            "secret_missing",
            "unused_sink",
            "secret_missing"
        ]
    );
}
