//! Plugin part: output.
