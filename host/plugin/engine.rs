//! Plugin part: engine.
pub struct Engine;
