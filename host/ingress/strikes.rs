//! Strikes: an address that sends nothing but what is refused is let in less and less.
//!
//! Each refusal of a request as not authentic, or for a path that is none, is a strike against the client's
//! address. An address with more strikes than `[server] reject_rate` allows is refused (429) before its body
//! is read or anything is verified, until enough time has passed. Whoever sends genuine requests has no
//! strikes and never waits.
//!
//! One clock reading per address (GCRA): the time at which all strikes are forgotten. Bounded: at most
//! 65 536 addresses (about 4 MiB), of which those that are forgiven make room; where there is none, further
//! addresses are not watched, and the other limits hold. An IPv6 client owns at least a /64, so that counts
//! as one address.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::client::Client;
use crate::config::Rate;

const SHARDS: usize = 16;
const SHARD_MAX: usize = 4096;

/// Strikes of all addresses.
#[derive(Debug)]
pub(super) struct Strikes {
    rate: Rate,
    hasher: RandomState,
    /// By address, when its strikes are forgotten, in milliseconds since the Unix epoch.
    shards: [Mutex<HashMap<IpAddr, u64>>; SHARDS],
}

impl Strikes {
    /// None yet.
    #[must_use]
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            rate,
            hasher: RandomState::new(),
            shards: Default::default(),
        }
    }

    /// Lets the client in, or says how long it has to wait at `now_ms`. A client that is not known cannot be
    /// held to account: its address is that of a proxy, which others share.
    ///
    /// # Errors
    /// The time to wait.
    pub(super) fn check(&self, client: Client, now_ms: u64) -> Result<(), Duration> {
        if !client.is_known {
            return Ok(());
        }
        let address = group(client.address);
        let forgotten_at = self.shard(address).get(&address).copied();
        // There is room for one more strike when the debt is a burst less one.
        let room = self.debt_max_ms() - self.period_ms();
        match forgotten_at.and_then(|at| at.checked_sub(now_ms.saturating_add(room))) {
            None | Some(0) => Ok(()),
            Some(wait_ms) => Err(Duration::from_millis(wait_ms)),
        }
    }

    /// One strike at `now_ms`.
    pub(super) fn strike(&self, client: Client, now_ms: u64) {
        if !client.is_known {
            return;
        }
        let address = group(client.address);
        let mut shard = self.shard(address);
        if shard.len() >= SHARD_MAX && !shard.contains_key(&address) {
            shard.retain(|_, forgotten_at| *forgotten_at > now_ms);
            if shard.len() >= SHARD_MAX {
                return;
            }
        }
        let forgotten_at = shard.entry(address).or_insert(now_ms);
        // Requests that were let in together may strike together; the debt stays at the burst.
        let debt_max = now_ms.saturating_add(self.debt_max_ms());
        *forgotten_at = (*forgotten_at)
            .max(now_ms)
            .saturating_add(self.period_ms())
            .min(debt_max);
    }

    fn period_ms(&self) -> u64 {
        u64::try_from(self.rate.period.as_millis())
            .unwrap_or(u64::MAX)
            .max(1)
    }

    fn debt_max_ms(&self) -> u64 {
        self.period_ms()
            .saturating_mul(u64::from(self.rate.burst.get()))
    }

    fn shard(&self, address: IpAddr) -> MutexGuard<'_, HashMap<IpAddr, u64>> {
        let [first, ..] = &self.shards;
        let at = usize::try_from(self.hasher.hash_one(address)).unwrap_or_default() % SHARDS;
        let shard = self.shards.get(at).unwrap_or(first);
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What counts as one address.
fn group(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    /// Ten a second, three at once.
    fn strikes() -> Strikes {
        Strikes::new(Rate {
            period: Duration::from_millis(100),
            burst: 3.try_into().unwrap(),
        })
    }

    fn client(address: &str) -> Client {
        Client {
            address: address.parse().unwrap(),
            is_known: true,
        }
    }

    #[test]
    fn an_address_with_too_many_strikes_waits_and_others_do_not() {
        let (strikes, a, b) = (strikes(), client("192.0.2.1"), client("192.0.2.2"));
        for _ in 0..3 {
            assert_eq!(strikes.check(a, 1000), Ok(()));
            strikes.strike(a, 1000);
        }
        assert_eq!(strikes.check(a, 1000), Err(Duration::from_millis(100)));
        assert_eq!(strikes.check(b, 1000), Ok(()));
        assert_eq!(strikes.check(a, 1100), Ok(()));
        strikes.strike(a, 1100);
        assert_eq!(strikes.check(a, 1150), Err(Duration::from_millis(50)));
        assert_eq!(strikes.check(a, 10_000), Ok(()));
    }

    #[test]
    fn strikes_that_come_together_do_not_lock_out_for_longer_than_the_burst() {
        let (strikes, a) = (strikes(), client("192.0.2.1"));
        for _ in 0..1000 {
            strikes.strike(a, 1000);
        }
        assert_eq!(strikes.check(a, 1000), Err(Duration::from_millis(100)));
    }

    #[test]
    fn a_network_of_ipv6_is_one_address_and_an_unknown_client_is_none() {
        let strikes = strikes();
        for host in 1..=3 {
            strikes.strike(client(&format!("2001:db8:0:1::{host}")), 1000);
        }
        assert!(strikes.check(client("2001:db8:0:1::9"), 1000).is_err());
        assert!(strikes.check(client("2001:db8:0:2::9"), 1000).is_ok());
        let unknown = Client {
            is_known: false,
            ..client("10.0.0.1")
        };
        for _ in 0..10 {
            strikes.strike(unknown, 1000);
        }
        assert!(strikes.check(unknown, 1000).is_ok());
        assert!(strikes.check(client("10.0.0.1"), 1000).is_ok());
    }

    #[test]
    fn no_more_addresses_are_watched_than_there_is_room_for() {
        let strikes = strikes();
        let watched = || -> usize { strikes.shards.iter().map(|s| s.lock().unwrap().len()).sum() };
        for number in 0..200_000_u32 {
            let address = IpAddr::from(number.to_be_bytes());
            strikes.strike(
                Client {
                    address,
                    is_known: true,
                },
                1000,
            );
        }
        assert_eq!(watched(), SHARDS * SHARD_MAX);
        // Who is forgiven makes room.
        let late = client("203.0.113.9");
        for _ in 0..3 {
            strikes.strike(late, 2000);
        }
        assert!(strikes.check(late, 2000).is_err());
        assert!(watched() < SHARDS * SHARD_MAX);
    }
}
