//! Sink part: kafka.
