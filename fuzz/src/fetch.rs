//! As much of the host's client as verification knows: which URLs may be fetched.

#[path = "../../host/fetch/policy.rs"]
mod policy;

pub use policy::{BadHostRule, HostRule, check_url};

/// Why nothing would be fetched.
#[derive(Debug)]
pub enum FetchError {
    /// No URL.
    BadUrl(&'static str),
    /// Not one of the hosts.
    ForeignHost(String),
}
