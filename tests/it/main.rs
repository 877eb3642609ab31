//! The integration tests, one program; a line for each module.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed assumption is a failed test"
)]

/// Every preset against published and independently signed test values.
mod verify;
