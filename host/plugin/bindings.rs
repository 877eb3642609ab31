//! Rust types and calls of the plugin contract, one module per released version of `wit/`.
//!
//! Generated from the WIT files at compile time. A guest's version is read from the names of its exports
//! (see [`super::inspect`]) before it is instantiated; within 0.1 any patch version links, because a
//! released variant or record never changes.

/// `hookswitch:plugin@0.1.x`, both worlds: a component has the exports of one, which are looked up one by
/// one, and types and imports are the same in both.
///
/// `Borrowing`: an event is lowered straight from the host's own strings and buffers, so the one copy
/// is that into the guest's memory.
#[allow(missing_docs, reason = "generated; documented in wit/")]
pub(super) mod since_v0_1_0 {
    wasmtime::component::bindgen!({
        path: "wit/since_v0_1_0",
        inline: "
            package hookswitch:host;
            world plugin {
                include hookswitch:plugin/transformer@0.1.0;
                include hookswitch:plugin/verifier@0.1.0;
            }
        ",
        world: "hookswitch:host/plugin",
        imports: {
            "hookswitch:plugin/state": async | trappable,
            default: trappable,
        },
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}
