//! Journal part: sqlite.
