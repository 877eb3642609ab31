//! Sink part: worker.
