//! Loading: from a file to a plugin that has said that it likes its config.
//!
//! Read, hash, compile in a child or take from the cache, check world, imports and grants, link, and
//! call `lifecycle.validate` once. Invariant: a plugin that exists has been instantiated at least once
//! with its own limits. Calls are in [`super::call`] and [`super::verifier`].

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime::component::{Component, InstancePre};

use super::bindings::since_v0_1_0::exports::hookswitch::plugin::{lifecycle, transform, verify};
use super::cache::{self, CacheError, Sha};
use super::compile::{self, CompileError};
use super::host::Call;
use super::inspect::{self, Kind, Mismatch, Role, Shape, list};
use super::limits::{CALLS_PER_PLUGIN, CALLS_PER_VERIFIER, COMPONENT_BYTES_MAX};
use super::{Engine, PluginError, PluginSpec, State};

/// Why a plugin was not loaded. Each says what is wrong with which plugin or file; [`LoadError::hint`]
/// says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("the component `{}` cannot be read: {source}", path.display())]
    Read {
        /// The component.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is too large.
    #[error("the component `{}` has more than {} MiB", path.display(), COMPONENT_BYTES_MAX >> 20)]
    TooLarge {
        /// The component.
        path: PathBuf,
    },
    /// The file is no component.
    #[error("`{}` is {}, not a WebAssembly component", path.display(), describe(*kind))]
    NotAComponent {
        /// The file.
        path: PathBuf,
        /// What it is.
        kind: Kind,
    },
    /// The component does not compile.
    #[error("the component `{}` does not compile: {source}", path.display())]
    Compile {
        /// The component.
        path: PathBuf,
        /// Why.
        source: CompileError,
    },
    /// The cache of compiled components failed.
    #[error("the plugin cache failed: {0}")]
    Cache(#[from] CacheError),
    /// The component is no plugin, or for another version of the contract.
    #[error("the component `{}` {mismatch}", path.display())]
    World {
        /// The component.
        path: PathBuf,
        /// What does not fit.
        mismatch: Mismatch,
    },
    /// The component imports what plugins are not given.
    #[error("the component `{}` imports {}, which plugins are not given", path.display(), list(imports))]
    Imports {
        /// The component.
        path: PathBuf,
        /// What it imports.
        imports: Vec<String>,
    },
    /// The component uses what it was not granted.
    #[error("the component `{}` uses `{}`, which it is not granted", path.display(), missing.join("`, `"))]
    Grants {
        /// The component.
        path: PathBuf,
        /// The missing grants, by their names in `grants`.
        missing: Vec<&'static str>,
    },
    /// The component's types do not fit the contract, or it needs more than the pool has.
    #[error("the component `{}` does not fit the host: {detail}", path.display())]
    Link {
        /// The component.
        path: PathBuf,
        /// What wasmtime said.
        detail: String,
    },
    /// `lifecycle.validate` refused the config.
    #[error("the plugin refuses its config: {0}")]
    Refused(String),
    /// `lifecycle.validate`, or what runs before it, failed.
    #[error("the plugin failed while it was loaded: {0}")]
    Start(PluginError),
    /// Loading was cut off, or a bug.
    #[error("loading the plugin was interrupted")]
    Interrupted,
}

impl LoadError {
    /// A stable code for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } | Self::TooLarge { .. } => "plugin_file",
            Self::NotAComponent { .. } => "plugin_not_a_component",
            Self::Compile { .. } => "plugin_compile",
            Self::Cache(_) => "plugin_cache",
            Self::World { .. } => "plugin_world",
            Self::Imports { .. } => "plugin_imports",
            Self::Grants { .. } => "plugin_grants",
            Self::Link { .. } => "plugin_link",
            Self::Refused(_) => "plugin_config",
            Self::Start(_) | Self::Interrupted => "plugin_start",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        let hint = match self {
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "build the plugin first: `cargo build --release --target wasm32-wasip2`"
            }
            Self::Read { .. } => "the file must be readable by the user that runs hookswitch",
            Self::TooLarge { .. } => "build with `--release`, and strip debug information",
            Self::NotAComponent { kind, .. } => match kind {
                Kind::Module => "build for `wasm32-wasip2`, or run `wasm-tools component new`",
                Kind::Text => "turn the text into binary with `wasm-tools parse`",
                Kind::Component | Kind::Other => {
                    "`component` names the `.wasm` file that the build gives"
                }
            },
            Self::Compile { .. } => "is the file whole? build it again",
            Self::Cache(_) => "compiled plugins are kept in a folder of the storage path",
            Self::World { mismatch, .. } => match mismatch {
                Mismatch::Version(_) => {
                    "build the plugin with an SDK of version 0.1, or update hookswitch"
                }
                Mismatch::Role { found, .. } => match found {
                    Role::Verifier => "a verifier belongs to a source, not to a route",
                    Role::Transformer => "a transformer belongs to a route, not to a source",
                },
                Mismatch::Both => "build two components, one for each role",
                Mismatch::Lifecycle(_) | Mismatch::World(_) => {
                    "a plugin exports the world `hookswitch:plugin/transformer`, or `verifier`"
                }
            },
            Self::Imports { .. } => {
                "plugins have no sockets and no HTTP, and verifiers nothing but the log; the list of what they have is in `wit/`"
            }
            Self::Grants { missing, .. } => {
                let grants = missing.iter().map(|grant| format!("{grant} = true"));
                let grants = grants.collect::<Vec<_>>().join(", ");
                return format!("if it may: `grants = {{ {grants} }}`");
            }
            Self::Link { .. } => "build the plugin against the `wit/` folder of this version",
            Self::Refused(_) => "change the plugin's `config`",
            Self::Start(PluginError::Failed { code, .. }) if *code == "plugin_memory" => {
                "raise `limits.memory`"
            }
            Self::Start(PluginError::Failed { code, .. }) if *code == "plugin_timeout" => {
                "look for endless work in `validate`, or before it at start"
            }
            Self::Start(_) => "`HOOKSWITCH_LOG=debug` shows where in the guest it failed",
            Self::Interrupted => "try again",
        };
        hint.to_owned()
    }
}

fn describe(kind: Kind) -> &'static str {
    match kind {
        Kind::Module => "a core WebAssembly module",
        Kind::Text => "WebAssembly text",
        Kind::Component | Kind::Other => "something else",
    }
}

/// A loaded transformer. Cheap to clone; calls may run at the same time.
#[derive(Clone)]
pub struct Plugin {
    pub(super) loaded: Arc<Loaded>,
    pub(super) transform: transform::GuestIndices,
}

/// A loaded verifier. Cheap to clone; calls may run at the same time.
#[derive(Clone)]
pub struct Verifier {
    pub(super) loaded: Arc<Loaded>,
    pub(super) verify: verify::GuestIndices,
}

/// A component that is loaded, whatever it is for.
#[derive(Clone, Debug)]
pub enum AnyPlugin {
    /// For routes.
    Transformer(Plugin),
    /// For sources.
    Verifier(Verifier),
}

/// What plugins of both roles have.
pub(super) struct Loaded {
    pub(super) spec: Arc<PluginSpec>,
    pub(super) role: Role,
    sha: Sha,
    label: String,
    pub(super) pre: InstancePre<Call>,
    pub(super) lifecycle: lifecycle::GuestIndices,
    pub(super) engine: Engine,
    pub(super) state: Arc<dyn State>,
    /// A permit for each call of this plugin at once.
    pub(super) slots: Semaphore,
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Plugin").field(&self.loaded.label).finish()
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Verifier").field(&self.loaded.label).finish()
    }
}

impl AnyPlugin {
    /// Loads the component of `spec`: the first time by compiling it, which takes from 0.1 s (Rust) to
    /// 20 s (Python), later from the engine's cache in milliseconds.
    ///
    /// # Errors
    /// See [`LoadError`]. Nothing is left behind.
    pub async fn load(
        engine: &Engine,
        spec: PluginSpec,
        state: Arc<dyn State>,
    ) -> Result<Self, LoadError> {
        load(engine, spec, state, None).await
    }

    /// What it was loaded from.
    #[must_use]
    pub fn spec(&self) -> &PluginSpec {
        &self.loaded().spec
    }

    /// `name@` and the first 12 hex digits of the component's SHA-256.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.loaded().label
    }

    /// True if the file still holds the component that was loaded. Reads the file.
    #[must_use]
    pub fn is_current(&self) -> bool {
        let loaded = self.loaded();
        std::fs::read(&loaded.spec.component).is_ok_and(|wasm| cache::sha256(&wasm) == loaded.sha)
    }

    fn loaded(&self) -> &Loaded {
        match self {
            Self::Transformer(plugin) => &plugin.loaded,
            Self::Verifier(verifier) => &verifier.loaded,
        }
    }
}

impl Plugin {
    /// As [`AnyPlugin::load`], for a transformer.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub async fn load(
        engine: &Engine,
        spec: PluginSpec,
        state: Arc<dyn State>,
    ) -> Result<Self, LoadError> {
        match load(engine, spec, state, Some(Role::Transformer)).await? {
            AnyPlugin::Transformer(plugin) => Ok(plugin),
            AnyPlugin::Verifier(_) => Err(LoadError::Interrupted),
        }
    }

    /// What it was loaded from.
    #[must_use]
    pub fn spec(&self) -> &PluginSpec {
        &self.loaded.spec
    }

    /// `name@` and the first 12 hex digits of the component's SHA-256.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.loaded.label
    }
}

impl Verifier {
    /// As [`AnyPlugin::load`], for a verifier.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub async fn load(
        engine: &Engine,
        spec: PluginSpec,
        state: Arc<dyn State>,
    ) -> Result<Self, LoadError> {
        match load(engine, spec, state, Some(Role::Verifier)).await? {
            AnyPlugin::Verifier(verifier) => Ok(verifier),
            AnyPlugin::Transformer(_) => Err(LoadError::Interrupted),
        }
    }

    /// What it was loaded from.
    #[must_use]
    pub fn spec(&self) -> &PluginSpec {
        &self.loaded.spec
    }

    /// `name@` and the first 12 hex digits of the component's SHA-256.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.loaded.label
    }
}

/// Loads a component, which must have the role `wanted` if one is given.
async fn load(
    engine: &Engine,
    spec: PluginSpec,
    state: Arc<dyn State>,
    wanted: Option<Role>,
) -> Result<AnyPlugin, LoadError> {
    let (component, sha) = tokio::task::spawn_blocking({
        let (engine, path) = (engine.clone(), spec.component.clone());
        move || component(&engine, &path)
    })
    .await
    .map_err(|_| LoadError::Interrupted)??;

    let path = spec.component.clone();
    let shape = Shape::of(&component.component_type(), engine.wasm());
    let role = role_of(&shape, wanted).map_err(|mismatch| LoadError::World {
        path: path.clone(),
        mismatch,
    })?;
    let imports = shape.refused_imports(role);
    if !imports.is_empty() {
        return Err(LoadError::Imports { path, imports });
    }
    let missing = shape.missing_grants(&spec.grants);
    if !missing.is_empty() {
        return Err(LoadError::Grants { path, missing });
    }

    let misfit = |error: wasmtime::Error| LoadError::Link {
        path: path.clone(),
        detail: format!("{error:#}"),
    };
    let pre = engine
        .linker()
        .instantiate_pre(&component)
        .map_err(misfit)?;
    let lifecycle = lifecycle::GuestIndices::new(&pre).map_err(misfit)?;
    let functions = Functions::of(role, &pre).map_err(misfit)?;
    let digits = hex::encode(sha);
    let loaded = Arc::new(Loaded {
        label: format!("{}@{}", spec.name, digits.get(..12).unwrap_or_default()),
        spec: Arc::new(spec),
        role,
        sha,
        pre,
        lifecycle,
        engine: engine.clone(),
        state,
        slots: Semaphore::new(match role {
            Role::Transformer => CALLS_PER_PLUGIN,
            Role::Verifier => calls_per_verifier(),
        }),
    });
    match loaded.validate().await {
        Ok(Ok(())) => Ok(functions.into_plugin(loaded)),
        Ok(Err(words)) => Err(LoadError::Refused(words)),
        Err(failure) => Err(LoadError::Start(failure.into())),
    }
}

/// The functions of a role, found in a component and checked against the contract.
enum Functions {
    Transform(transform::GuestIndices),
    Verify(verify::GuestIndices),
}

impl Functions {
    fn of(role: Role, pre: &InstancePre<Call>) -> wasmtime::Result<Self> {
        Ok(match role {
            Role::Transformer => Self::Transform(transform::GuestIndices::new(pre)?),
            Role::Verifier => Self::Verify(verify::GuestIndices::new(pre)?),
        })
    }

    fn into_plugin(self, loaded: Arc<Loaded>) -> AnyPlugin {
        match self {
            Self::Transform(transform) => AnyPlugin::Transformer(Plugin { loaded, transform }),
            Self::Verify(verify) => AnyPlugin::Verifier(Verifier { loaded, verify }),
        }
    }
}

fn role_of(shape: &Shape, wanted: Option<Role>) -> Result<Role, Mismatch> {
    let found = shape.world()?.role;
    match wanted {
        Some(wanted) if wanted != found => Err(Mismatch::Role { found, wanted }),
        _ => Ok(found),
    }
}

/// See [`CALLS_PER_VERIFIER`].
fn calls_per_verifier() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    cores.min(CALLS_PER_VERIFIER)
}

/// The compiled component at `path`, and the SHA-256 of its source. Blocks.
fn component(engine: &Engine, path: &Path) -> Result<(Component, Sha), LoadError> {
    let wasm = read(path)?;
    match inspect::kind(&wasm) {
        Kind::Component => {}
        kind => {
            let path = path.to_owned();
            return Err(LoadError::NotAComponent { path, kind });
        }
    }
    let sha = cache::sha256(&wasm);
    if let Some(code) = engine.cache().find(&sha)? {
        match map(engine, &code) {
            Ok(component) => return Ok((component, sha)),
            // Made by another build of wasmtime, say; the new one takes its place.
            Err(error) => tracing::info!(%error, "compile a plugin again"),
        }
    }
    let draft = engine.cache().draft(&sha);
    compile::in_child(engine.compiler(), &wasm, draft.path()).map_err(|source| {
        LoadError::Compile {
            path: path.to_owned(),
            source,
        }
    })?;
    let code = engine.cache().store(&sha, draft)?;
    let component = map(engine, &code).map_err(|error| LoadError::Link {
        path: path.to_owned(),
        detail: format!("{error:#}"),
    })?;
    Ok((component, sha))
}

/// The bytes of the component, if they are not too many.
fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let mut wasm = Vec::new();
    File::open(path)
        .and_then(|file| {
            file.take(COMPONENT_BYTES_MAX as u64 + 1)
                .read_to_end(&mut wasm)
        })
        .map_err(|source| LoadError::Read {
            path: path.to_owned(),
            source,
        })?;
    if wasm.len() > COMPONENT_BYTES_MAX {
        return Err(LoadError::TooLarge {
            path: path.to_owned(),
        });
    }
    Ok(wasm)
}

/// Maps compiled code into this process.
#[allow(
    unsafe_code,
    reason = "mapping code that was compiled before is what keeps the compiler out of the server"
)]
fn map(engine: &Engine, code: &Path) -> wasmtime::Result<Component> {
    // SAFETY: `deserialize_file` trusts its file to be what wasmtime wrote. `code` comes from
    // `Cache::find` or `Cache::store`: it lies in a folder that only this user can enter and whose owner
    // and mode were just checked, was written by our own compiler under another name and renamed when
    // whole, is never written again (replacing renames over it, pruning unlinks it, and both leave the
    // mapping alone), and has the SHA-256 that was stored when it was written. Who can break this is
    // already able to change this program. wasmtime itself refuses code made with other settings.
    unsafe { Component::deserialize_file(engine.wasm(), code) }
}
