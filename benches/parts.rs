//! What the parts of an event's way cost alone, each beside its baseline: verification beside a bare HMAC, a
//! plugin's call beside the same edit in the host.
//!
//! `cargo xtask bench` runs it and shows the ratios; `cargo bench --bench parts` shows more. The plugin is read from
//! `plugins/redact_pii.wasm`, which `cargo xtask plugins` builds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed assumption ends the measurement"
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use hmac::{Hmac, KeyInit, Mac};
use hookswitch::event::{Event, EventId, Header};
use hookswitch::plugin::{
    Engine, Grants, Limits, OnError, Outcome, Plugin, PluginConfig, PluginSpec, State, StateError,
};
use hookswitch::provider;
use hookswitch::secret::Secret;
use hookswitch::verify::{Params, Request, Verifier, sign};
use sha2::Sha256;

/// Size of every body.
const BODY_BYTES: usize = 1024;
const NOW_MS: u64 = 1_800_000_000_000;

/// Presets of different shapes: body alone, timestamp before it, pairs in one header, a list of versions.
const PRESETS: [(&str, &str); 4] = [
    ("github", "a-secret-of-some-length"),
    ("didit", "a-secret-of-some-length"),
    ("stripe", "whsec_a-secret-of-some-length"),
    (
        "standard-webhooks",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ),
];

fn body() -> Vec<u8> {
    let head = format!(
        r#"{{"id":"evt_1","type":"status.updated","timestamp":{},"subject":{{"email":"a@example.com","name":"A B"}},"padding":""#,
        NOW_MS / 1000
    );
    let tail = "\"}";
    let padding = "x".repeat(BODY_BYTES - head.len() - tail.len());
    format!("{head}{padding}{tail}").into_bytes()
}

fn verification(c: &mut Criterion) {
    let mut group = c.benchmark_group("verify");
    let body = body();
    group.bench_function("bare-hmac", |b| {
        let key = Hmac::<Sha256>::new_from_slice(b"a-secret-of-some-length").unwrap();
        let tag = key.clone().chain_update(&body).finalize().into_bytes();
        b.iter(|| {
            let mac = key.clone().chain_update(black_box(&body));
            mac.verify_slice(&tag).is_ok()
        });
    });
    for (name, secret) in PRESETS {
        let preset = provider::preset(name).unwrap();
        let secrets = [Secret::new(secret)];
        let params = Params {
            values: BTreeMap::new(),
            ..Params::default()
        };
        let mut headers = vec![
            Header::new("content-type", "application/json"),
            Header::new("user-agent", "bench/1.0"),
            Header::new("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
            Header::new("x-github-event", "push"),
            Header::new("webhook-id", "msg_1"),
        ];
        let unsigned = Request {
            method: "POST",
            target: "/hooks",
            headers: &headers,
            body: &body,
        };
        let signed = sign::sign(&preset.scheme, &secrets, &params, unsigned, NOW_MS).unwrap();
        for (name, value) in signed.headers {
            headers.push(Header::new(name, value));
        }
        let verifier = Verifier::new(&preset.scheme, &secrets, &params).unwrap();
        group.bench_with_input(BenchmarkId::new("preset", name), &headers, |b, headers| {
            b.iter(|| {
                let request = Request {
                    method: "POST",
                    target: "/hooks",
                    headers: black_box(headers),
                    body: black_box(&body),
                };
                verifier.verify(request, NOW_MS).expect("authentic")
            });
        });
    }
    group.finish();
}

/// The same edit in the host: parse, change two fields, write.
fn edited(body: &[u8]) -> Vec<u8> {
    let mut value: serde_json::Value = serde_json::from_slice(body).unwrap();
    if let Some(subject) = value
        .pointer_mut("/subject")
        .and_then(serde_json::Value::as_object_mut)
    {
        subject.remove("name");
        subject.insert("email".to_owned(), "****".into());
    }
    serde_json::to_vec(&value).unwrap()
}

fn plugin(c: &mut Criterion) {
    let mut group = c.benchmark_group("plugin");
    let body = body();
    group.bench_function("native", |b| b.iter(|| edited(black_box(&body))));

    let component = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/redact_pii.wasm");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let cache = tempfile::tempdir().unwrap();
    let engine = Engine::with_compiler(cache.path(), compiler()).unwrap();
    let config = r#"{"mask":["/subject/email"],"drop":["/subject/name"]}"#;
    let config = serde_json::from_str(config).unwrap();
    let spec = PluginSpec {
        name: "redact-pii".into(),
        component,
        config: PluginConfig::new(config, []),
        limits: Limits {
            // The measurement itself keeps both cores busy; what is measured is not the limit.
            time: Duration::from_secs(1),
            ..Limits::default()
        },
        grants: Grants::default(),
        on_error: OnError::DeadLetter,
    };
    let loaded = runtime.block_on(Plugin::load(&engine, spec, Arc::new(NoState)));
    let plugin = loaded.unwrap();
    let event = Event {
        id: EventId::now(),
        source: "bench".into(),
        provider: "github".into(),
        kind: "push".to_owned(),
        provider_event_id: None,
        received_at_ms: NOW_MS,
        method: "POST".to_owned(),
        path: "/hooks".to_owned(),
        query: String::new(),
        headers: vec![Header::new("content-type", "application/json")],
        content_type: Some("application/json".to_owned()),
        body: Bytes::from(body),
        attributes: Vec::new(),
    };
    group.bench_function("fresh", |b| {
        b.iter(|| {
            let outcome = runtime.block_on(plugin.handle(black_box(&event), 1));
            assert!(matches!(outcome, Ok(Outcome::Forward(_))));
        });
    });
    // Two callers at once: how much of a second core a call gets.
    group.bench_function("fresh-two-threads", |b| {
        b.iter_custom(|calls| {
            let begin = std::time::Instant::now();
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    let (plugin, event, handle) = (&plugin, &event, runtime.handle());
                    scope.spawn(move || {
                        for _ in 0..calls.div_ceil(2) {
                            let _ = black_box(handle.block_on(plugin.handle(event, 1)));
                        }
                    });
                }
            });
            begin.elapsed()
        });
    });
    group.finish();
}

/// The program that compiles components; built beside this one.
fn compiler() -> &'static str {
    env!("CARGO_BIN_EXE_hookswitch")
}

struct NoState;

#[async_trait]
impl State for NoState {
    async fn get(&self, _: &str, _: &str) -> Result<Option<Vec<u8>>, StateError> {
        Ok(None)
    }

    async fn set(
        &self,
        _: &str,
        _: &str,
        _: Vec<u8>,
        _: Option<Duration>,
    ) -> Result<(), StateError> {
        Ok(())
    }

    async fn delete(&self, _: &str, _: &str) -> Result<(), StateError> {
        Ok(())
    }

    async fn increment(
        &self,
        _: &str,
        _: &str,
        delta: i64,
        _: Option<Duration>,
    ) -> Result<i64, StateError> {
        Ok(delta)
    }

    async fn compare_and_set(
        &self,
        _: &str,
        _: &str,
        _: Option<Vec<u8>>,
        _: Vec<u8>,
        _: Option<Duration>,
    ) -> Result<bool, StateError> {
        Ok(true)
    }
}

criterion_group! {
    name = parts;
    config = Criterion::default()
        .without_plots()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = verification, plugin
}
criterion_main!(parts);
