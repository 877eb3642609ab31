//! Admission: may this client post to this source now? Decided from the head alone, before a byte of the
//! body is read, in the order of the price: address, certificate, rate.
//!
//! The rate comes last, so that strangers who an allow-list keeps out do not use it up. All of it holds for
//! sources that do not enforce as well: those only let through what is not signed as it should be.

use std::time::Duration;

use super::answer::Refusal;
use super::client::Client;
use super::request::Link;
use crate::config::Source;

/// Lets the request in, or says why not, and when there is room where that can be said.
pub(super) fn check(
    link: &Link,
    client: Client,
    source: &Source,
) -> Result<(), (Refusal, Option<Duration>)> {
    let admission = &source.admission;
    if !client.is_allowed(&admission.allow_ips) {
        return Err((Refusal::AddressNotAllowed, None));
    }
    if !admission.client_names.is_empty() && named(link, source).is_none() {
        return Err((Refusal::ClientNotAllowed, None));
    }
    match admission.rate {
        None => Ok(()),
        Some(rate) => link
            .door
            .rates
            .take(&source.name, rate)
            .map_err(|wait| (Refusal::RateLimited, Some(wait))),
    }
}

/// What the client's certificate calls it: the name that the source asks for, or the first one.
pub(super) fn named<'l>(link: &'l Link, source: &Source) -> Option<&'l str> {
    let identity = link.identity.as_ref()?;
    match source.admission.client_names.as_slice() {
        [] => identity.first(),
        wanted => identity.named(wanted),
    }
}
