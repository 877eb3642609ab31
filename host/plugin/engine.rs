//! The engine: wasmtime's configuration, its instance pool, the epoch ticker, the linker with what
//! plugins are given, and the folder of compiled components.
//!
//! One per process. Knows no single plugin. Every setting here is part of the name that a compiled
//! component is stored under, so changing one recompiles and never maps code made for another setting.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime::component::Linker;
use wasmtime::{
    Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig, WasmFeatures,
};

use super::cache::Cache;
use super::host::{self, Call};
use super::inspect::Role;
use super::limits;
use super::ticker::Ticker;

/// Bytes of a linear memory that stay resident between calls and are reset in place. Rust guests have a
/// 1 MiB stack at the bottom of their memory; less than what a call dirties costs more than it saves.
const KEEP_RESIDENT_BYTES: usize = 2 << 20;
/// The same for a table.
const TABLE_KEEP_RESIDENT_BYTES: usize = 64 << 10;
/// Slots that keep the image of a component they do not run at the moment.
const WARM_SLOTS: u32 = 32;

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The folder for compiled components is unusable.
    #[error("open the plugin cache: {0}")]
    Cache(#[from] super::cache::CacheError),
    /// The path of this program is unknown, so it cannot be started to compile.
    #[error("find the path of this program, which compiles plugins in a child process")]
    Executable(#[source] io::Error),
    /// No thread for the ticker.
    #[error("start the thread that enforces plugin deadlines")]
    Thread(#[source] io::Error),
    /// wasmtime refused, mostly for want of address space.
    #[error(
        "set up the WebAssembly engine: {0:#} (it reserves about 1.7 TiB of address space; is `ulimit -v` set?)"
    )]
    Wasm(wasmtime::Error),
}

/// What all plugins share. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

struct Shared {
    wasm: wasmtime::Engine,
    linker: Linker<Call>,
    ticker: Ticker,
    slots: Semaphore,
    verifying: Semaphore,
    cache: Cache,
    compiler: PathBuf,
}

impl Engine {
    /// An engine that keeps compiled components in the folder `cache` (made with mode 0700 if missing)
    /// and starts this very program to compile.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn new(cache: impl Into<PathBuf>) -> Result<Self, EngineError> {
        let compiler = std::env::current_exe().map_err(EngineError::Executable)?;
        Self::with_compiler(cache, compiler)
    }

    /// Like [`Engine::new`], with the path of the `hookswitch` program given: tests are another program.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn with_compiler(
        cache: impl Into<PathBuf>,
        compiler: impl Into<PathBuf>,
    ) -> Result<Self, EngineError> {
        let mut config = code_config();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool_config(
            pagemap_scan_is_safe(),
        )));
        let wasm = wasmtime::Engine::new(&config).map_err(EngineError::Wasm)?;
        let mut hasher = DefaultHasher::new();
        wasm.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self(Arc::new(Shared {
            linker: host::linker(&wasm).map_err(EngineError::Wasm)?,
            ticker: Ticker::start(&wasm)?,
            slots: Semaphore::new(limits::INSTANCES_MAX as usize),
            verifying: Semaphore::new(limits::VERIFYING_MAX as usize),
            cache: Cache::open(cache.into(), hasher.finish())?,
            compiler: compiler.into(),
            wasm,
        })))
    }

    pub(super) fn wasm(&self) -> &wasmtime::Engine {
        &self.0.wasm
    }

    pub(super) fn linker(&self) -> &Linker<Call> {
        &self.0.linker
    }

    pub(super) fn ticker(&self) -> &Ticker {
        &self.0.ticker
    }

    /// A permit for each instance that the pool holds for plugins of this role: calls wait for one
    /// instead of failing. Verifiers have their own, so that no transformer keeps a sender waiting.
    pub(super) fn slots(&self, role: Role) -> &Semaphore {
        match role {
            Role::Transformer => &self.0.slots,
            Role::Verifier => &self.0.verifying,
        }
    }

    pub(super) fn cache(&self) -> &Cache {
        &self.0.cache
    }

    pub(super) fn compiler(&self) -> &PathBuf {
        &self.0.compiler
    }
}

/// An engine that compiles and runs nothing: the same code settings, but no pool, which would need more
/// address space than a compiling child is allowed.
///
/// # Errors
/// wasmtime refuses the settings, which would be a bug here.
pub(super) fn compiling() -> wasmtime::Result<wasmtime::Engine> {
    wasmtime::Engine::new(&code_config())
}

/// All that has a bearing on compiled code.
fn code_config() -> Config {
    let mut config = Config::new();
    // Three times cheaper calls; components with the async ABI of WASI 0.3 are refused.
    config.concurrency_support(false);
    config.epoch_interruption(true);
    config.max_wasm_stack(limits::STACK_BYTES);
    // Less that guests can ask of the compiler and runtime. multi-memory stays: QuickJS adapters use it.
    for feature in [
        WasmFeatures::GC,
        WasmFeatures::FUNCTION_REFERENCES,
        WasmFeatures::EXCEPTIONS,
        WasmFeatures::THREADS,
        WasmFeatures::MEMORY64,
        WasmFeatures::RELAXED_SIMD,
        WasmFeatures::TAIL_CALL,
        WasmFeatures::WIDE_ARITHMETIC,
        WasmFeatures::STACK_SWITCHING,
    ] {
        config.wasm_features(feature, false);
    }
    config.gc_support(false);
    config
}

/// Caps are per component as well as in total, so that one component with many memories cannot empty
/// the pool.
fn pool_config(pagemap_scan: bool) -> PoolingAllocationConfig {
    let instances = limits::INSTANCES_MAX + limits::VERIFYING_MAX;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_stacks(instances)
        .total_core_instances(instances * limits::CORE_INSTANCES_MAX)
        .total_memories(instances * limits::MEMORIES_MAX)
        .total_tables(instances * limits::TABLES_MAX)
        .max_core_instances_per_component(limits::CORE_INSTANCES_MAX)
        .max_memories_per_component(limits::MEMORIES_MAX)
        .max_tables_per_component(limits::TABLES_MAX)
        .max_memory_size(limits::MEMORY_BYTES_MAX)
        .table_elements(limits::TABLE_ELEMENTS_MAX)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(TABLE_KEEP_RESIDENT_BYTES)
        .max_unused_warm_slots(WARM_SLOTS)
        .pagemap_scan(if pagemap_scan {
            Enabled::Auto
        } else {
            Enabled::No
        });
    pool
}

/// wasmtime 48 resets only dirty pages that are present: one that was swapped out would show the next
/// call the bytes of this one. So the faster reset is used only where nothing can be swapped.
fn pagemap_scan_is_safe() -> bool {
    match fs::read_to_string("/proc/swaps") {
        Ok(swaps) => has_no_swap(&swaps),
        // No such file: not Linux, or a kernel without swap. The ioctl itself decides then, and the
        // careful answer costs only speed.
        Err(_) => false,
    }
}

/// `/proc/swaps` has one line of headings and then one for each swap area.
fn has_no_swap(swaps: &str) -> bool {
    swaps.lines().skip(1).all(|line| line.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swap_is_found_in_proc_swaps() {
        let head = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
        assert!(has_no_swap(head));
        assert!(has_no_swap(""));
        assert!(!has_no_swap(&format!(
            "{head}/dev/sda2 partition 999 0 -2\n"
        )));
    }
}
