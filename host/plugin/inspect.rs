//! What a component is, read from its bytes and its type before anything of it runs.
//!
//! Tells a core module from a component, finds the world and its version by the exports, and names
//! the imports that plugins are not given. Runs nothing of
//! the guest; knows nothing of files, limits and calls.

use wasmtime::component::Component;
use wasmtime::component::types::{Component as Type, ComponentItem};

use super::{Grants, engine, wasi};

/// What the file is, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A component, as plugins are.
    Component,
    /// A core WebAssembly module.
    Module,
    /// WebAssembly text.
    Text,
    /// Something else.
    Other,
}

/// Tells what `bytes` are.
#[must_use]
pub fn kind(bytes: &[u8]) -> Kind {
    // Magic, then version and layer: 1 and 0 for modules, 13 and 1 for components.
    if let Some(rest) = bytes.strip_prefix(b"\0asm") {
        return match rest.get(..4) {
            Some([13, 0, 1, 0]) => Kind::Component,
            Some([1, 0, 0, 0]) => Kind::Module,
            _ => Kind::Other,
        };
    }
    let text = bytes.trim_ascii_start();
    if text.starts_with(b"(component") || text.starts_with(b"(module") || text.starts_with(b";;") {
        return Kind::Text;
    }
    Kind::Other
}

/// Names of a component's imports and exports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Imports that have functions; those of types only need nothing of the host.
    pub imports: Vec<String>,
    /// Exports.
    pub exports: Vec<String>,
}

impl Shape {
    /// Reads the names from the component `wasm` by compiling it in this process: for a command that
    /// limits itself first, never for a server.
    ///
    /// # Errors
    /// The component is invalid, in words for its author.
    pub fn read(wasm: &[u8]) -> Result<Self, String> {
        let engine = engine::compiling().map_err(|error| format!("{error:#}"))?;
        let component = Component::new(&engine, wasm).map_err(|error| format!("{error:#}"))?;
        Ok(Self::of(&component.component_type(), &engine))
    }

    /// The names in the component type `component`.
    pub(super) fn of(component: &Type, engine: &wasmtime::Engine) -> Self {
        let exports = component.exports(engine);
        let imports = component.imports(engine).filter(|(_, item)| match item.ty {
            ComponentItem::ComponentInstance(ref instance) => {
                let mut items = instance.exports(engine);
                items.any(|(_, item)| !matches!(item.ty, ComponentItem::Type(_)))
            }
            ComponentItem::Type(_) => false,
            _ => true,
        });
        Self {
            imports: imports.map(|(name, _)| name.to_owned()).collect(),
            exports: exports.map(|(name, _)| name.to_owned()).collect(),
        }
    }

    /// The world that this is, if it is one that plugins can have.
    ///
    /// # Errors
    /// Why it is none.
    pub fn world(&self) -> Result<World, Mismatch> {
        let (role, version) = match (
            self.exported("hookswitch:plugin/transform"),
            self.exported("hookswitch:plugin/verify"),
        ) {
            (Some(version), None) => (Role::Transformer, version),
            (None, Some(version)) => (Role::Verifier, version),
            (Some(_), Some(_)) => return Err(Mismatch::Both),
            (None, None) => return Err(Mismatch::World(self.exports.clone())),
        };
        if !is_0_1(version) {
            return Err(Mismatch::Version(version.to_owned()));
        }
        // A released world never loses an export, so a component without it was built by hand.
        if self.exported("hookswitch:plugin/lifecycle").is_none() {
            return Err(Mismatch::Lifecycle(role));
        }
        let version = version.to_owned();
        Ok(World { role, version })
    }

    /// Imports that plugins of this role are not given, whatever is granted.
    #[must_use]
    pub fn refused_imports(&self, role: Role) -> Vec<String> {
        let refused = self.imports.iter().filter(|name| !is_offered(name, role));
        refused.cloned().collect()
    }

    /// Grants that the imports need and `grants` does not have, by their names in `routes.toml`.
    #[must_use]
    pub fn missing_grants(&self, grants: &Grants) -> Vec<&'static str> {
        let mut missing = Vec::new();
        if !grants.state && self.imports("hookswitch:plugin/state") {
            missing.push("state");
        }
        missing
    }

    fn exported(&self, interface: &str) -> Option<&str> {
        let mut names = self.exports.iter().map(|name| split(name));
        names
            .find(|(name, _)| *name == interface)
            .map(|(_, version)| version)
    }

    fn imports(&self, interface: &str) -> bool {
        self.imports.iter().any(|name| split(name).0 == interface)
    }
}

/// What a plugin is for. A component has one role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Handles stored events, in a route.
    Transformer,
    /// Proves requests, for a source.
    Verifier,
}

impl Role {
    /// The name of its world in `wit/`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Transformer => "transformer",
            Self::Verifier => "verifier",
        }
    }

    /// The interface that tells it.
    fn interface(self) -> &'static str {
        match self {
            Self::Transformer => "hookswitch:plugin/transform",
            Self::Verifier => "hookswitch:plugin/verify",
        }
    }
}

/// A world that the host can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// Which one.
    pub role: Role,
    /// The version of the contract that the guest was built for.
    pub version: String,
}

/// Why a component is no plugin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The contract's version is not known here.
    #[error("was built for version {0} of `hookswitch:plugin`, and this program knows 0.1.x")]
    Version(String),
    /// It has the other role than the one wanted here.
    #[error("is a {} (it exports `{}`), not a {}", found.name(), found.interface(), wanted.name())]
    Role {
        /// Its role.
        found: Role,
        /// The one wanted.
        wanted: Role,
    },
    /// It has two roles.
    #[error("exports both `hookswitch:plugin/transform` and `hookswitch:plugin/verify`")]
    Both,
    /// Half of the world is missing.
    #[error("exports `{}`, but not `hookswitch:plugin/lifecycle`", .0.interface())]
    Lifecycle(Role),
    /// It is a component of another kind.
    #[error("exports neither `hookswitch:plugin/transform` nor `hookswitch:plugin/verify`; it exports {}", list(.0))]
    World(Vec<String>),
}

/// `` `a`, `b` and 3 more ``
pub(super) fn list(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).map(|name| format!("`{name}`"));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => "nothing".to_owned(),
        found if found > SHOWN => format!("{shown} and {} more", found - SHOWN),
        _ => shown,
    }
}

fn is_offered(import: &str, role: Role) -> bool {
    let (interface, version) = split(import);
    match interface {
        "hookswitch:plugin/types" | "hookswitch:plugin/log" => is_0_1(version),
        // A verifier is pure: config and time are arguments of each call.
        "hookswitch:plugin/config" | "hookswitch:plugin/clock" | "hookswitch:plugin/state" => {
            role == Role::Transformer && is_0_1(version)
        }
        _ => wasi::OFFERED.contains(&interface) && version.starts_with("0.2."),
    }
}

fn is_0_1(version: &str) -> bool {
    // A prerelease (`0.1.0-rc`) promises nothing.
    version
        .strip_prefix("0.1.")
        .is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit()))
}

/// `a:b/c@1.2.3` is `a:b/c` and `1.2.3`.
fn split(name: &str) -> (&str, &str) {
    name.split_once('@').unwrap_or((name, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(imports: &[&str], exports: &[&str]) -> Shape {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Shape {
            imports: owned(imports),
            exports: owned(exports),
        }
    }

    #[test]
    fn files_are_told_apart_by_their_first_bytes() {
        let table: [(&[u8], Kind); 7] = [
            (b"\0asm\x0d\0\x01\0rest", Kind::Component),
            (b"\0asm\x01\0\0\0rest", Kind::Module),
            (b"\0asm", Kind::Other),
            (b"  (component)", Kind::Text),
            (b"(module)", Kind::Text),
            (b"", Kind::Other),
            (b"\x7fELF", Kind::Other),
        ];
        for (bytes, expected) in table {
            assert_eq!(kind(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn the_world_is_read_from_the_exports() {
        for role in [Role::Transformer, Role::Verifier] {
            let whole = |version: &str| {
                let lifecycle = format!("hookswitch:plugin/lifecycle@{version}");
                let own = format!("{}@{version}", role.interface());
                shape(&[], &[&lifecycle, &own]).world()
            };
            for version in ["0.1.0", "0.1.17"] {
                let version = version.to_owned();
                assert_eq!(whole(&version), Ok(World { role, version }));
            }
            for version in ["0.2.0", "1.0.0", "0.1.0-rc.1", "0.1.", "0.10.0", ""] {
                let expected = Mismatch::Version(version.to_owned());
                assert_eq!(whole(version), Err(expected), "{version}");
            }
            let half = shape(&[], &[&format!("{}@0.1.0", role.interface())]);
            assert_eq!(half.world(), Err(Mismatch::Lifecycle(role)));
        }
        let both = [Role::Transformer, Role::Verifier].map(|role| role.interface());
        assert_eq!(shape(&[], &both).world(), Err(Mismatch::Both));
        let other = shape(&[], &["wasi:cli/run@0.2.0"]);
        let text = other.world().map_err(|error| error.to_string());
        assert!(text.is_err_and(|text| text.ends_with("it exports `wasi:cli/run@0.2.0`")));
    }

    #[test]
    fn imports_beyond_what_plugins_are_given_are_named() {
        let given = [
            "hookswitch:plugin/log@0.1.0",
            "hookswitch:plugin/state@0.1.3",
            "wasi:cli/stdout@0.2.6",
            "wasi:io/streams@0.2.12",
        ];
        let transformer = Role::Transformer;
        assert!(shape(&given, &[]).refused_imports(transformer).is_empty());
        for name in [
            "wasi:sockets/tcp@0.2.6",
            "wasi:http/outgoing-handler@0.2.0",
            "wasi:io/streams@0.3.0",
            "hookswitch:plugin/log@0.2.0",
            "hookswitch:plugin/secrets@0.1.0",
            "env",
        ] {
            let found = shape(&[given[0], name], &[]).refused_imports(transformer);
            assert_eq!(found, [name]);
        }
    }

    #[test]
    fn a_verifier_is_given_the_log_and_what_standard_libraries_ask_for() {
        let given = [
            "hookswitch:plugin/types@0.1.0",
            "hookswitch:plugin/log@0.1.0",
            "wasi:cli/stderr@0.2.6",
        ];
        let verifier = Role::Verifier;
        assert!(shape(&given, &[]).refused_imports(verifier).is_empty());
        for name in [
            "hookswitch:plugin/config@0.1.0",
            "hookswitch:plugin/clock@0.1.0",
            "hookswitch:plugin/state@0.1.0",
            "wasi:sockets/tcp@0.2.6",
        ] {
            let found = shape(&[given[1], name], &[]).refused_imports(verifier);
            assert_eq!(found, [name]);
        }
    }

    #[test]
    fn state_needs_its_grant() {
        let shape = shape(&["hookswitch:plugin/state@0.1.0"], &[]);
        assert_eq!(shape.missing_grants(&Grants::default()), ["state"]);
        assert!(shape.missing_grants(&Grants { state: true }).is_empty());
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..7).map(|number| number.to_string()).collect();
        assert_eq!(list(&names), "`0`, `1`, `2`, `3`, `4` and 2 more");
        assert_eq!(list(&[]), "nothing");
    }
}
