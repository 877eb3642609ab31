//! Server: the parts put together.
