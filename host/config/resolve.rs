//! Resolving: text to [`Config`](super::Config).
use std::path::Path;
use super::{Config, Diagnostics};
pub fn load(_file: &Path) -> Result<(Config, Diagnostics), Diagnostics> {
    Err(Diagnostics)
}
