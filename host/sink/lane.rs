//! Sink part: lane.
