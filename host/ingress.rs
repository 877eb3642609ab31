//! Ingress.

use std::sync::Arc;

use crate::config;

/// The sources of the running generation.
pub trait Sources: Send + Sync + 'static {
    /// The source whose path this is, exactly.
    fn by_path(&self, path: &str) -> Option<Arc<config::Source>>;
}
