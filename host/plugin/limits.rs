//! Bounds: the defaults and ceilings of a plugin's [`Limits`], the fixed caps that nobody configures,
//! and the limiter that wasmtime asks before a guest grows.
//!
//! Sources of the fixed caps: what Rust, C, JavaScript (QuickJS, StarlingMonkey) and CPython components
//! were measured to need, rounded up. Knows nothing of events.

use std::time::Duration;

use wasmtime::ResourceLimiter;

use super::Limits;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Largest component file in bytes. CPython components have about 20 MiB.
pub const COMPONENT_BYTES_MAX: usize = 32 * MIB;
/// Largest linear memory of an instance in bytes; the slots of the pool have this size.
pub const MEMORY_BYTES_MAX: usize = 128 * MIB;
/// Core instances of a component. CPython has 14.
pub const CORE_INSTANCES_MAX: u32 = 20;
/// Linear memories of a component. QuickJS has 3.
pub const MEMORIES_MAX: u32 = 4;
/// Tables of a component. QuickJS has 3.
pub const TABLES_MAX: u32 = 8;
/// Elements of a table. StarlingMonkey has 7 695.
pub const TABLE_ELEMENTS_MAX: usize = 20_000;
/// Native stack of guest code in bytes.
pub const STACK_BYTES: usize = 512 * KIB;
/// Instances of transformers alive at once in an engine.
pub const INSTANCES_MAX: u32 = 64;
/// Calls of one transformer at once: half of the instances, so that one plugin cannot starve the others.
pub const CALLS_PER_PLUGIN: usize = 32;
/// Instances of verifiers alive at once in an engine, beside the transformers': senders wait for these.
pub const VERIFYING_MAX: u32 = 32;
/// Calls of one verifier at once, at most; and never more than there are cores. A verifier only computes,
/// so more would make nothing faster, while one that spins would take the other sources' share.
pub const CALLS_PER_VERIFIER: usize = 8;
/// How long a request waits for its verifier's turn.
pub const VERIFIER_WAIT: Duration = Duration::from_secs(5);
/// Component handles and host resources of a call.
pub const HANDLES_MAX: usize = 1_000;
/// Bytes that a guest may hand to the host in one host call, beyond its event and its output limit.
pub const HOST_CALL_BYTES: usize = 4 * MIB;
/// Bytes of a log line that are kept.
pub const LOG_LINE_BYTES: usize = 4 * KIB;
/// Bytes of a reason (`drop`, `reject`, `retry`, `other`) that are kept.
pub const REASON_BYTES: usize = KIB;
/// Random bytes that a guest may ask for at once.
pub const RANDOM_BYTES_MAX: u64 = 64 * KIB as u64;
/// Bytes of a state key.
pub const STATE_KEY_BYTES: usize = 256;
/// Bytes of a state value.
pub const STATE_VALUE_BYTES: usize = 64 * KIB;
/// Time for `lifecycle.validate`, which may do more than a call and runs once per load.
pub const VALIDATE_TIME: Duration = Duration::from_secs(5);
/// Longest time that a plugin may ask to be left alone by `failure.retry`.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

impl Limits {
    /// The most that config can ask for.
    pub const CEILING: Self = Self {
        time: Duration::from_secs(30),
        memory_bytes: MEMORY_BYTES_MAX,
        output_bytes: 64 * MIB,
        messages: 1024,
        log_lines: 4096,
        host_calls: 1 << 20,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_millis(50),
            memory_bytes: 32 * MIB,
            output_bytes: MIB,
            messages: 16,
            log_lines: 64,
            host_calls: 4096,
        }
    }
}

/// The guest ran for longer than it may.
#[derive(Debug, thiserror::Error)]
#[error("time spent")]
pub struct Expired;

/// The call took too long, though its guest did not run for all that time.
#[derive(Debug, thiserror::Error)]
#[error("waited too long")]
pub struct Late;

/// The call spent its budget of host calls.
#[derive(Debug, thiserror::Error)]
#[error("budget of host calls spent")]
pub struct HostCallsSpent;

/// What the instances of one call may grow to.
#[derive(Debug)]
pub struct Growth {
    memory_bytes: usize,
    used_bytes: usize,
    pending_bytes: usize,
    refused: bool,
}

impl Growth {
    /// Up to `memory_bytes` over all memories together.
    #[must_use]
    pub fn new(memory_bytes: usize) -> Self {
        Self {
            memory_bytes: memory_bytes.min(MEMORY_BYTES_MAX),
            used_bytes: 0,
            pending_bytes: 0,
            refused: false,
        }
    }

    /// True once a memory or table was refused; a trap after that is put down to it.
    #[must_use]
    pub fn refused(&self) -> bool {
        self.refused
    }
}

impl ResourceLimiter for Growth {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let fits = self.used_bytes.saturating_add(more) <= self.memory_bytes;
        if fits {
            self.used_bytes = self.used_bytes.saturating_add(more);
            self.pending_bytes = more;
        } else {
            self.pending_bytes = 0;
            self.refused = true;
        }
        Ok(fits)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        // Called after a refusal too, when nothing is pending.
        self.used_bytes = self.used_bytes.saturating_sub(self.pending_bytes);
        self.pending_bytes = 0;
        Ok(())
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let fits = desired <= TABLE_ELEMENTS_MAX;
        self.refused |= !fits;
        Ok(fits)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES_MAX as usize
    }

    fn tables(&self) -> usize {
        TABLES_MAX as usize
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX as usize
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn memory_counts_over_all_memories_and_a_failed_growth_gives_it_back() {
        let mut growth = Growth::new(MIB);
        assert!(growth.memory_growing(0, MIB / 2, None).unwrap());
        assert!(growth.memory_growing(0, MIB / 2, None).unwrap());
        growth
            .memory_grow_failed(wasmtime::Error::msg("no"))
            .unwrap();
        assert!(growth.memory_growing(0, MIB / 4, None).unwrap());
        assert!(!growth.refused());
        assert!(!growth.memory_growing(0, MIB, None).unwrap());
        assert!(growth.refused());
    }

    #[test]
    fn a_refused_growth_is_not_given_back_twice() {
        let mut growth = Growth::new(MIB);
        assert!(growth.memory_growing(0, MIB, None).unwrap());
        assert!(!growth.memory_growing(MIB, 2 * MIB, None).unwrap());
        growth
            .memory_grow_failed(wasmtime::Error::msg("no"))
            .unwrap();
        assert!(!growth.memory_growing(MIB, MIB + 1, None).unwrap());
    }

    #[test]
    fn the_defaults_are_below_the_ceilings() {
        let (some, most) = (Limits::default(), Limits::CEILING);
        assert!(some.time < most.time && some.memory_bytes < most.memory_bytes);
        assert!(some.output_bytes < most.output_bytes && some.messages < most.messages);
        assert!(some.log_lines < most.log_lines && some.host_calls < most.host_calls);
    }
}
