//! The integration tests, one program; a line for each module.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed assumption is a failed test"
)]

/// The admin listener and the commands that ask it.
mod admin;
/// Diagnostics of bad configs, word for word; the shipped example.
mod config;
/// kill -9 under load, with a ledger.
mod crash;
/// Dead letters: listed, replayed, discarded, over crashes and by two people at once.
mod dead_letters;
/// What stands around verification: shadow mode, allow-lists, certificates, rates, the log of rejections.
mod door;
/// What `explain` tells of a request, word for word.
mod explain;
/// What the guides tell to write and run, written and run.
mod guide;
/// What halts a sink and what makes it go on.
mod halts;
/// What providers ask before they send events: answers, hostile challenges, confirmations.
mod handshakes;
/// The webhook listener over raw sockets: limits, answers, HTTP/2, TLS, drain.
mod ingress;
/// The journal on real files: killed processes, torn logs, two at once.
mod journal;
/// The whole way on real brokers, each stopped and started again.
mod pipeline;
/// The plugin host with obedient and hostile guests; loading, compiling, the cache.
mod plugins;
/// What is known of providers, and sources that are made of it.
mod providers;
/// Reloads under load, swapped and broken components, hostile plugins beside good ones, drain.
mod reload;
/// Planted secrets, looked for in everything that is printed.
mod secrets;
/// Every kind of sink on the real thing: one compliance suite, and what is particular to each.
mod sinks;
/// What the tests share.
mod support;
/// The house rules: fences, sizes, heads, words, papers.
mod tidy;
/// Sources judged by a verifier plugin.
mod verifiers;
/// Every preset against published and independently signed test values.
mod verify;
