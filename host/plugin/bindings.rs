//! Plugin part: bindings.
