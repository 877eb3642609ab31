//! Sink part: http.
