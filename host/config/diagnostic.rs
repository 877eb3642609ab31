//! Diagnostics: what is wrong in a config, where, and what to do.
#[derive(Clone, Debug)]
pub struct Diagnostic;
#[derive(Clone, Debug)]
pub struct Diagnostics;
