//! Plugin part: host.
