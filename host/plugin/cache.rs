//! Plugin part: cache.
