//! Journal part: state.
