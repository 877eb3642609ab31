//! The scheme language against small cases; published vectors are in `tests/it/verify.rs`.
