//! Hostile components, written by hand because no compiler would: they loop before they are called,
//! grow without end, and lie about lengths, text and pointers.

use std::path::Path;
use std::sync::Arc;

use hookswitch::plugin::{Limits, LoadError, Outcome, Plugin, PluginError};

use super::guests::{Memory, code_of, engine, event, puppet, said, spec};

/// A well-behaved core module in which each part can be replaced.
#[derive(Clone, Copy)]
struct Core {
    /// Between the brackets of the memory.
    memory: &'static str,
    /// Before the functions.
    head: &'static str,
    /// Body of `realloc`, which gets old pointer, old size, alignment and new size.
    realloc: &'static str,
    /// Body of `handle`, which gets the event's pointer.
    handle: &'static str,
}

/// Hands out memory from 64 KiB on, without a care for the end; `handle` answers `unchanged`.
const GOOD: Core = Core {
    memory: "4 64",
    head: "",
    realloc: "
        (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
        (global.get $next)
        (global.set $next (i32.add (global.get $next) (local.get 3)))",
    handle: "(i32.const 1024)",
};

impl Core {
    /// The component, at `version` of the contract.
    fn component(self, version: &str) -> Vec<u8> {
        let Self {
            memory,
            head,
            realloc,
            handle,
        } = self;
        let core = format!(
            r#"(core module $m
                (memory (export "memory") {memory})
                (global $next (mut i32) (i32.const 65536))
                {head}
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) {realloc})
                (func (export "validate") (param i32 i32) (result i32) (i32.const 1024))
                (func (export "handle") (param i32) (result i32) {handle}))"#
        );
        let text = include_str!("../../fixtures/guests/hostile.wat")
            .replace("VERSION", version)
            .replace("\n  CORE\n", &format!("\n  {core}\n"));
        wat::parse_str(&text).unwrap()
    }
}

pub(super) async fn load(wasm: &[u8], limits: Limits) -> Result<Plugin, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guest.wasm");
    std::fs::write(&path, wasm).unwrap();
    let mut spec = spec();
    spec.name = Arc::from("hostile");
    spec.component = path;
    spec.limits = limits;
    Plugin::load(engine(), spec, Arc::new(Memory::default())).await
}

async fn call(core: Core) -> Result<Outcome, PluginError> {
    let plugin = load(&core.component("0.1.0"), Limits::default()).await;
    plugin.unwrap().handle(&event("a body"), 1).await
}

#[tokio::test]
async fn the_good_one_is_good_and_a_later_patch_version_too() {
    assert_eq!(call(GOOD).await, Ok(Outcome::Unchanged));
    let plugin = load(&GOOD.component("0.1.9"), Limits::default()).await;
    let outcome = plugin.unwrap().handle(&event(""), 1).await;
    assert_eq!(outcome, Ok(Outcome::Unchanged));
}

#[tokio::test]
async fn a_hostile_call_ends_with_its_code_and_a_neighbour_goes_on() {
    let neighbour = puppet().await;
    let handle = |handle| Core { handle, ..GOOD };
    let table = [
        ("spins", handle("(loop (br 0)) (unreachable)"), "plugin_timeout"),
        (
            "spins in realloc",
            Core {
                // Only with an event: `validate` gets its config through realloc too.
                realloc: "(if (i32.gt_u (local.get 3) (i32.const 30)) (then (loop (br 0))))
                          (i32.const 65536)",
                ..GOOD
            },
            "plugin_timeout",
        ),
        ("traps", handle("(unreachable)"), "plugin_trap"),
        (
            "divides by zero",
            handle("(i32.div_u (i32.const 1) (i32.const 0))"),
            "plugin_trap",
        ),
        (
            "recurses",
            Core {
                head: "(func $deep (param i64) (result i64)
                         (i64.add (call $deep (i64.add (local.get 0) (i64.const 1))) (i64.const 1)))",
                handle: "(drop (call $deep (i64.const 0))) (i32.const 1024)",
                ..GOOD
            },
            "plugin_trap",
        ),
        (
            "memory bomb",
            Core {
                memory: "4",
                handle: "(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
                         (unreachable)",
                ..GOOD
            },
            "plugin_memory",
        ),
        (
            "table bomb",
            Core {
                head: "(table $t 1 funcref)",
                handle: "(loop (br_if 0 (i32.ne
                           (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1))))
                         (unreachable)",
                ..GOOD
            },
            "plugin_memory",
        ),
        (
            "answers at an odd address",
            handle("(i32.const 1025)"),
            "plugin_trap",
        ),
        (
            "answers outside of its memory",
            handle("(i32.const 0x7ffffff8)"),
            "plugin_trap",
        ),
        (
            "answers with an unknown case",
            handle("(i32.store8 (i32.const 1032) (i32.const 9)) (i32.const 1024)"),
            "plugin_trap",
        ),
        (
            "drops for a reason longer than its memory",
            handle(
                "(i32.store8 (i32.const 1032) (i32.const 2))
                 (i32.store (i32.const 1036) (i32.const 0))
                 (i32.store (i32.const 1040) (i32.const 0x7fffffff)) (i32.const 1024)",
            ),
            "plugin_trap",
        ),
        (
            "drops for a reason that is not UTF-8",
            handle(
                "(i32.store8 (i32.const 1032) (i32.const 2))
                 (i32.store (i32.const 1036) (i32.const 2048))
                 (i32.store (i32.const 1040) (i32.const 4))
                 (i32.store (i32.const 2048) (i32.const -1)) (i32.const 1024)",
            ),
            "plugin_trap",
        ),
        (
            "forwards more messages than its memory holds",
            handle(
                "(i32.store8 (i32.const 1032) (i32.const 1))
                 (i32.store (i32.const 1036) (i32.const 0))
                 (i32.store (i32.const 1040) (i32.const 0x0fffffff)) (i32.const 1024)",
            ),
            "plugin_trap",
        ),
        (
            "forwards the same bytes a thousand times",
            Core {
                memory: "64 64",
                // Message records of zeroes from 1 MiB on, each with its body at 0, 1 MiB long.
                handle: "(local i32)
                 (loop
                   (i32.store offset=1048632 (i32.mul (local.get 1) (i32.const 68)) (i32.const 1048576))
                   (br_if 0 (i32.lt_u
                     (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (i32.const 1000))))
                 (i32.store8 (i32.const 1032) (i32.const 1))
                 (i32.store (i32.const 1036) (i32.const 1048576))
                 (i32.store (i32.const 1040) (i32.const 1000)) (i32.const 1024)",
                ..GOOD
            },
            "plugin_output",
        ),
        (
            "takes the event outside of its memory",
            Core {
                realloc: "(if (result i32) (i32.gt_u (local.get 3) (i32.const 30))
                            (then (i32.const 0x7ffffff8)) (else (i32.const 65536)))",
                ..GOOD
            },
            "plugin_trap",
        ),
    ];
    for (name, core, code) in table {
        let outcome = call(core).await;
        assert_eq!(code_of(&outcome), code, "{name}: {outcome:?}");
        assert_eq!(said(&neighbour, "calls").await, "1", "after {name}");
    }
}

#[tokio::test]
async fn one_that_fails_before_it_is_called_is_not_loaded() {
    let start = |head| Core { head, ..GOOD };
    let table = [
        (
            "loops at start",
            start("(func $s (loop (br 0))) (start $s)"),
            "plugin_timeout",
        ),
        (
            "traps at start",
            start("(func $s (unreachable)) (start $s)"),
            "plugin_trap",
        ),
        (
            "begins with more memory than its limit",
            Core {
                memory: "1000 1000",
                ..GOOD
            },
            "plugin_memory",
        ),
    ];
    for (name, core, code) in table {
        match load(&core.component("0.1.0"), Limits::default()).await {
            Err(LoadError::Start(PluginError::Failed { code: found, .. })) => {
                assert_eq!(found, code, "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_the_pool_cannot_hold_is_not_loaded() {
    let module = |inner: &str| {
        let text = include_str!("../../fixtures/guests/hostile.wat").replace("VERSION", "0.1.0");
        let core = r#"(core module $m (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
            (func (export "validate") (param i32 i32) (result i32) (i32.const 1024))
            (func (export "handle") (param i32) (result i32) (i32.const 1024)))"#;
        let text = text.replace("\n  CORE\n", &format!("\n  {core} {inner}\n"));
        wat::parse_str(&text).unwrap()
    };
    let memories = "(core module $one (memory 1))".to_owned()
        + &"(core instance (instantiate $one))".repeat(300);
    let table = [
        ("300 memories", module(&memories)),
        (
            "4 GiB at once",
            module("(core module $x (memory 65536)) (core instance (instantiate $x))"),
        ),
        (
            "10 M table elements",
            module("(core module $x (table 10000000 funcref)) (core instance (instantiate $x))"),
        ),
        (
            "shared memory",
            module("(core module $x (memory 1 1 shared)) (core instance (instantiate $x))"),
        ),
        (
            "64-bit memory",
            module("(core module $x (memory i64 1)) (core instance (instantiate $x))"),
        ),
    ];
    for (name, wasm) in table {
        match load(&wasm, Limits::default()).await {
            Err(LoadError::Link { .. } | LoadError::Compile { .. }) => {}
            other => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!(said(&puppet().await, "calls").await, "1");
}

/// Every page of a big memory is written by one event and must be blank for the next one.
#[tokio::test]
async fn no_byte_of_one_event_is_left_for_the_next() {
    let core = Core {
        memory: "4 64",
        // Drops with reason "stale" if any byte from 128 KiB on is not 0, and then fills it all.
        handle: "(local i32)
            (if (i32.ne (memory.grow (i32.const 60)) (i32.const 4)) (then (unreachable)))
            (local.set 1 (i32.const 131072))
            (loop
              (if (i64.ne (i64.load (local.get 1)) (i64.const 0)) (then (unreachable)))
              (i64.store (local.get 1) (i64.const -1))
              (br_if 0 (i32.lt_u
                (local.tee 1 (i32.add (local.get 1) (i32.const 8))) (i32.const 4194304))))
            (i32.const 1024)",
        ..GOOD
    };
    let plugin = load(&core.component("0.1.0"), Limits::default())
        .await
        .unwrap();
    for _ in 0..50 {
        assert_eq!(plugin.handle(&event("x"), 1).await, Ok(Outcome::Unchanged));
    }
}

#[tokio::test]
async fn ten_spinning_guests_at_once_all_end_in_time() {
    let core = Core {
        handle: "(loop (br 0)) (unreachable)",
        ..GOOD
    };
    let plugin = load(&core.component("0.1.0"), Limits::default())
        .await
        .unwrap();
    let calls = (0..10).map(|_| {
        let plugin = plugin.clone();
        tokio::spawn(async move { plugin.handle(&event(""), 1).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(code_of(&call.await.unwrap()), "plugin_timeout");
    }
}

pub(super) fn write(folder: &Path, name: &str, version: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, GOOD.component(version)).unwrap();
    path
}
