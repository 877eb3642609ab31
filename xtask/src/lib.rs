//! What the tests borrow from the development commands: real brokers.
//!
//! The commands themselves (`cargo xtask demo | test | plugins | brokers | bench | ci`) are in `main.rs` and
//! its modules. This library knows nothing of the host; it must build in seconds, without wasmtime and
//! librdkafka, because every developer command waits for it.

pub mod brokers;
pub mod repository;
pub mod skipped;
