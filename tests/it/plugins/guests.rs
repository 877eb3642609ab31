//! What the tests of the plugin host share: one engine, the guests, a store in memory.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use hookswitch::event::{Event, EventId};
use hookswitch::plugin::{
    Engine, Grants, Limits, OnError, Outcome, Plugin, PluginConfig, PluginError, PluginSpec, State,
    StateError,
};

/// The program that compiles.
pub(super) const PROGRAM: &str = env!("CARGO_BIN_EXE_hookswitch");

/// One engine for all tests, with a cache that outlives the run.
pub(super) fn engine() -> &'static Engine {
    static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin-components");
        Engine::with_compiler(cache, PROGRAM).unwrap()
    });
    &ENGINE
}

/// The puppet component, built before the tests.
pub(crate) fn puppet_path() -> PathBuf {
    guest_path("puppet.wasm")
}

/// The judge component, a verifier, built before the tests.
pub(crate) fn judge_path() -> PathBuf {
    guest_path("judge.wasm")
}

fn guest_path(name: &str) -> PathBuf {
    let folder = std::env::var_os("HOOKSWITCH_GUESTS").map_or_else(
        || {
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("tests/fixtures/guests/target/wasm32-wasip2/release")
        },
        PathBuf::from,
    );
    let path = folder.join(name);
    assert!(
        path.exists(),
        "`{}` is missing; build the test guests first: `cargo build --release --target wasm32-wasip2 \
         --manifest-path tests/fixtures/guests/Cargo.toml`, or run `cargo xtask test`",
        path.display()
    );
    path
}

/// This JSON text as a plugin's configuration.
pub(super) fn config(json: &str) -> PluginConfig {
    PluginConfig::new(serde_json::from_str(json).unwrap(), [])
}

pub(super) fn spec() -> PluginSpec {
    PluginSpec {
        name: Arc::from("puppet"),
        component: puppet_path(),
        config: config(r#"{"some":"config"}"#),
        limits: Limits::default(),
        grants: Grants { state: true },
        on_error: OnError::DeadLetter,
    }
}

pub(super) async fn puppet() -> Plugin {
    puppet_with(|_| {}, Arc::default()).await
}

pub(super) async fn puppet_with(
    change: impl FnOnce(&mut PluginSpec),
    state: Arc<Memory>,
) -> Plugin {
    let mut spec = spec();
    change(&mut spec);
    Plugin::load(engine(), spec, state).await.unwrap()
}

pub(super) fn event(body: &str) -> Event {
    Event {
        id: EventId::now(),
        source: Arc::from("test"),
        provider: Arc::from("custom"),
        kind: String::new(),
        provider_event_id: None,
        received_at_ms: 1_700_000_000_000,
        method: "POST".to_owned(),
        path: "/hooks/test".to_owned(),
        query: String::new(),
        headers: Vec::new(),
        content_type: None,
        body: body.to_owned().into(),
        attributes: Vec::new(),
    }
}

/// The body of the one message that the plugin answers `command` with.
#[track_caller]
pub(super) fn said(plugin: &Plugin, command: &str) -> impl Future<Output = String> {
    let (plugin, event) = (plugin.clone(), event(command));
    async move {
        match plugin.handle(&event, 1).await {
            Ok(Outcome::Forward(messages)) => {
                String::from_utf8_lossy(&messages[0].body).into_owned()
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The code of a failed call.
#[track_caller]
pub(super) fn code_of(outcome: &Result<Outcome, PluginError>) -> &'static str {
    match outcome {
        Err(PluginError::Failed { code, .. }) => code,
        other => panic!("{other:?}"),
    }
}

/// A store in memory. The key `broken` fails, the key `panic` panics.
#[derive(Default)]
pub(super) struct Memory(Mutex<HashMap<(String, String), Vec<u8>>>);

impl Memory {
    fn with<T>(
        &self,
        plugin: &str,
        key: &str,
        act: impl FnOnce(&mut HashMap<(String, String), Vec<u8>>, (String, String)) -> T,
    ) -> Result<T, StateError> {
        assert_ne!(key, "panic", "told to");
        if key == "broken" {
            return Err(StateError::Unavailable("disk on fire".to_owned()));
        }
        let id = (plugin.to_owned(), key.to_owned());
        Ok(act(&mut self.0.lock().unwrap(), id))
    }
}

#[async_trait]
impl State for Memory {
    async fn get(&self, plugin: &str, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        self.with(plugin, key, |all, id| all.get(&id).cloned())
    }

    async fn set(
        &self,
        plugin: &str,
        key: &str,
        value: Vec<u8>,
        _ttl: Option<Duration>,
    ) -> Result<(), StateError> {
        self.with(plugin, key, |all, id| drop(all.insert(id, value)))
    }

    async fn delete(&self, plugin: &str, key: &str) -> Result<(), StateError> {
        self.with(plugin, key, |all, id| drop(all.remove(&id)))
    }

    async fn increment(
        &self,
        plugin: &str,
        key: &str,
        delta: i64,
        _ttl: Option<Duration>,
    ) -> Result<i64, StateError> {
        self.with(plugin, key, |all, id| {
            let value = all.entry(id).or_insert_with(|| b"0".to_vec());
            let number = String::from_utf8_lossy(value).parse::<i64>();
            let sum = number.map_err(|_| StateError::NotANumber)? + delta;
            *value = sum.to_string().into_bytes();
            Ok(sum)
        })?
    }

    async fn compare_and_set(
        &self,
        plugin: &str,
        key: &str,
        expected: Option<Vec<u8>>,
        new: Vec<u8>,
        _ttl: Option<Duration>,
    ) -> Result<bool, StateError> {
        self.with(plugin, key, |all, id| {
            let same = all.get(&id) == expected.as_ref();
            if same {
                all.insert(id, new);
            }
            same
        })
    }
}
