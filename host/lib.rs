//! Hookswitch: a webhook router with WebAssembly plugins.
//!
//! The modules are declared in the order an event travels:
//!
//! ```text
//! socket -> ingress (limits) -> source (by path) -> handshake? -> verify -> journal.append (fsync; only now 2xx)
//!        -> dispatch -> route match -> plugin chain -> sink.deliver -> settle
//!                                        |reject       |transient: park, retry with backoff
//!                                        +--> dead letter <--permanent, or attempts/age spent
//! ```
//!
//! Imports go down this list only. `ARCHITECTURE.md` says what each module may know.

pub mod cli;
pub mod config;

pub mod clock;
pub mod event;
pub mod network;
#[cfg(feature = "planted-bugs")]
pub mod planted;
pub mod secret;

pub mod handshake;
pub mod ingress;
pub mod provider;
pub mod verify;

pub mod fetch;

pub mod journal;

pub mod dispatch;
pub mod route;
pub mod template;

pub mod plugin;

pub mod dead_letter;
pub mod delivery;
pub mod retry;
pub mod sink;

pub mod admin;
pub mod generation;
pub mod metrics;
pub mod rejected;
pub mod reload;
pub mod server;
pub mod shutdown;
