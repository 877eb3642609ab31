//! Loading: what is refused with which words, the compiling child, and the cache.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use hookswitch::plugin::{Engine, Grants, LoadError, Plugin, PluginConfig, PluginSpec};
use hookswitch::secret::Secret;

use super::guests::{Memory, PROGRAM, config, engine, event, puppet_path, said, spec};
use super::hostile;

async fn load(engine: &Engine, spec: PluginSpec) -> Result<Plugin, LoadError> {
    Plugin::load(engine, spec, Arc::new(Memory::default())).await
}

#[tokio::test]
async fn what_is_no_plugin_is_refused_with_its_reason_and_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let text = |name: &str, text: &str| file(name, &wat::parse_str(text).unwrap());
    let table = [
        (
            folder.path().join("absent.wasm"),
            "cannot be read",
            "build the plugin first",
        ),
        (
            file("empty", b""),
            "is something else, not a WebAssembly component",
            "`.wasm` file",
        ),
        (
            file("text", b"(component)"),
            "is WebAssembly text",
            "wasm-tools parse",
        ),
        (
            text("module", "(module)"),
            "is a core WebAssembly module",
            "wasm32-wasip2",
        ),
        (
            file("cut", b"\0asm\x0d\0\x01\0\xff"),
            "does not compile",
            "",
        ),
        (
            file("huge", &vec![0; (32 << 20) + 1]),
            "has more than 32 MiB",
            "",
        ),
        (
            text("bare", "(component)"),
            "it exports nothing",
            "hookswitch:plugin/transformer",
        ),
        (
            text(
                "verifier",
                r#"(component (instance $i)
                    (export "hookswitch:plugin/lifecycle@0.1.0" (instance $i))
                    (export "hookswitch:plugin/verify@0.1.0" (instance $i)))"#,
            ),
            "is a verifier (it exports `hookswitch:plugin/verify`), not a transformer",
            "belongs to a source",
        ),
        (
            text(
                "half",
                r#"(component (instance $i) (export "hookswitch:plugin/verify@0.1.0" (instance $i)))"#,
            ),
            "exports `hookswitch:plugin/verify`, but not `hookswitch:plugin/lifecycle`",
            "or `verifier`",
        ),
        (
            text(
                "both",
                r#"(component (instance $i)
                    (export "hookswitch:plugin/lifecycle@0.1.0" (instance $i))
                    (export "hookswitch:plugin/transform@0.1.0" (instance $i))
                    (export "hookswitch:plugin/verify@0.1.0" (instance $i)))"#,
            ),
            "exports both",
            "two components",
        ),
        (
            text(
                "other",
                r#"(component (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))"#,
            ),
            "it exports `wasi:cli/run@0.2.0`",
            "hookswitch:plugin/transformer",
        ),
        (
            hostile::write(folder.path(), "newer", "0.2.0"),
            "was built for version 0.2.0 of `hookswitch:plugin`, and this program knows 0.1.x",
            "SDK of version 0.1",
        ),
        (
            text(
                "sockets",
                r#"(component
                    (import "wasi:sockets/tcp@0.2.6" (instance (export "f" (func))))
                    (import "wasi:http/outgoing-handler@0.2.6" (instance (export "f" (func))))
                    (instance $i)
                    (export "hookswitch:plugin/lifecycle@0.1.0" (instance $i))
                    (export "hookswitch:plugin/transform@0.1.0" (instance $i)))"#,
            ),
            "imports `wasi:sockets/tcp@0.2.6`, `wasi:http/outgoing-handler@0.2.6`, which plugins are not given",
            "no sockets",
        ),
        (
            text(
                "hollow",
                r#"(component (instance $i)
                    (export "hookswitch:plugin/lifecycle@0.1.0" (instance $i))
                    (export "hookswitch:plugin/transform@0.1.0" (instance $i)))"#,
            ),
            "does not fit the host",
            "",
        ),
    ];
    for (path, words, hint) in table {
        let name = path.display().to_string();
        let mut spec = spec();
        spec.component = path;
        let error = load(engine(), spec).await.unwrap_err();
        let message = error.to_string();
        assert!(message.contains(words), "{name}: {message}");
        assert!(message.contains(&name), "{name}: {message}");
        assert!(error.hint().contains(hint), "{name}: {:?}", error.hint());
    }
}

#[tokio::test]
async fn a_grant_that_is_missing_is_named() {
    let mut spec = spec();
    spec.grants = Grants::default();
    let error = load(engine(), spec).await.unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("uses `state`, which it is not granted"),
        "{error}"
    );
    assert_eq!(error.hint(), "if it may: `grants = { state = true }`");
}

#[tokio::test]
async fn a_plugin_may_refuse_its_config_in_its_own_words() {
    let with = |json: &str| {
        let mut spec = spec();
        spec.config = config(json);
        load(engine(), spec)
    };
    let table = [
        (
            r#"{"refuse":"no schema\nhere"}"#,
            "the plugin refuses its config: no schema here",
        ),
        (r#"{"panic":true}"#, "the plugin failed while it was loaded"),
        (
            r#"{"spin":true}"#,
            "ran for more than 5000 ms (plugin_timeout)",
        ),
    ];
    for (json, words) in table {
        let error = with(json).await.unwrap_err().to_string();
        assert!(error.contains(words), "{json}: {error}");
    }
    assert!(with("{}").await.is_ok());
}

#[tokio::test]
async fn a_secret_that_a_plugin_quotes_is_masked() {
    let json = serde_json::json!({ "refuse": "no `sesame-open-sesame` here" });
    let mut spec = spec();
    let secret = Secret::new("sesame-open-sesame");
    spec.config = PluginConfig::new(json.as_object().unwrap().clone(), [secret]);
    let error = load(engine(), spec).await.unwrap_err().to_string();
    assert_eq!(error, "the plugin refuses its config: no `****same` here");
}

/// A folder of its own, and how many components are in it.
fn entries(cache: &Path) -> usize {
    let names = fs::read_dir(cache).unwrap().flatten();
    names
        .filter(|entry| {
            entry
                .path()
                .extension()
                .is_some_and(|ending| ending == "cwasm")
        })
        .count()
}

#[tokio::test]
async fn a_component_is_compiled_once_and_a_damaged_copy_again() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("components");
    let mut spec = spec();
    spec.component = hostile::write(folder.path(), "good.wasm", "0.1.0");

    // No compiler, no plugin; with it, one entry, which then does without it.
    let without = Engine::with_compiler(&cache, "/nonexistent/compiler").unwrap();
    let error = load(&without, spec.clone()).await.unwrap_err().to_string();
    assert!(
        error.contains("start the compiler `/nonexistent/compiler`"),
        "{error}"
    );
    let with = Engine::with_compiler(&cache, PROGRAM).unwrap();
    load(&with, spec.clone()).await.unwrap();
    assert_eq!(entries(&cache), 1);
    load(&without, spec.clone()).await.unwrap();

    let code = fs::read_dir(&cache)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|ending| ending == "cwasm"))
        .unwrap();
    // Renamed over, as a mapped file must not be written.
    let mut bytes = fs::read(&code).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let damaged = folder.path().join("damaged");
    fs::write(&damaged, &bytes).unwrap();
    fs::rename(&damaged, &code).unwrap();
    assert!(load(&without, spec.clone()).await.is_err(), "is not mapped");
    let plugin = load(&with, spec).await.unwrap();
    assert!(plugin.handle(&event(""), 1).await.is_ok());
    assert_eq!(entries(&cache), 1);
}

#[tokio::test]
async fn a_changed_file_is_another_plugin_and_the_running_one_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plugin.wasm");
    fs::copy(puppet_path(), &path).unwrap();
    let mut spec = spec();
    spec.component = path.clone();
    let old = load(engine(), spec.clone()).await.unwrap();
    hostile::write(folder.path(), "plugin.wasm", "0.1.0");
    let new = load(engine(), spec).await.unwrap();
    assert_ne!(old.label(), new.label());
    assert_eq!(said(&old, "calls").await, "1");
    fs::remove_file(path).unwrap();
    assert_eq!(said(&old, "calls").await, "1");
}

#[tokio::test]
async fn a_compiler_that_dies_is_an_error_and_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("components");
    let mut spec = spec();
    spec.component = hostile::write(folder.path(), "good.wasm", "0.1.0");
    for compiler in ["/bin/false", "/bin/true"] {
        let engine = Engine::with_compiler(&cache, compiler).unwrap();
        assert!(load(&engine, spec.clone()).await.is_err(), "{compiler}");
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 0, "{compiler}");
    }
}

fn inspect(path: &Path) -> (Option<i32>, serde_json::Value) {
    let output = std::process::Command::new(PROGRAM)
        .args(["plugin", "inspect", "--json"])
        .arg(path)
        .output()
        .unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code(), report)
}

#[test]
fn inspect_says_what_a_component_is_and_whether_it_loads() {
    let (code, report) = inspect(&puppet_path());
    assert_eq!(code, Some(0));
    assert_eq!(report["world"], "transformer");
    assert_eq!(report["contract"], "0.1.0");
    assert_eq!(report["grants"], serde_json::json!(["state"]));
    assert_eq!(report["refused_imports"], serde_json::json!([]));
    assert_eq!(report["sha256"].as_str().unwrap().len(), 64);

    let folder = tempfile::tempdir().unwrap();
    let newer = hostile::write(folder.path(), "newer.wasm", "0.2.0");
    let (code, report) = inspect(&newer);
    assert_eq!(code, Some(1));
    assert!(report["world"].as_str().unwrap().contains("version 0.2.0"));
    let broken = folder.path().join("broken.wasm");
    fs::write(&broken, b"\0asm\x0d\0\x01\0\xff").unwrap();
    assert_eq!(inspect(&broken).0, Some(64));
}
