//! A clock that stands still during a call, so that a replayed event is handled the same way again.

/// When the event was received, in milliseconds since the Unix epoch.
#[must_use]
pub fn now_ms() -> u64 {
    #[cfg(target_arch = "wasm32")]
    {
        crate::guest::now_ms()
    }
    #[cfg(not(target_arch = "wasm32"))]
    {
        crate::testing::world::now_ms()
    }
}
