//! Sink part: file.
