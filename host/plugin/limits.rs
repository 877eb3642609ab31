//! Plugin part: limits.
