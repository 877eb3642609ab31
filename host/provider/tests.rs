//! Every preset is whole.
