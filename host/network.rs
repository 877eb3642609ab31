//! Network: what this program may connect to: addresses here, certificates in [`trust`].
//!
//! A webhook router that connects to whatever a name resolves to can be made to talk to the cloud's metadata
//! service or a neighbour's database, so only publicly routable addresses pass unless the operator named
//! their network. Whoever connects asks [`permitted`] with the very addresses it goes on to use: a name can
//! resolve to something else a minute later. Pure; ranges from the IANA special-purpose address registries
//! (RFC 6890). Addresses that carry an IPv4 address inside (mapped, NAT64, 6to4) are judged by that one.

pub mod trust;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

/// The name resolved to, or the URL is, an address that may not be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a public address; if that is meant, name its network in `allow_private`")]
pub struct PrivateAddress(pub IpAddr);

/// Those of `found` that may be connected to, in order.
///
/// # Errors
/// If there were only others: one of them.
pub fn permitted(
    found: impl Iterator<Item = SocketAddr>,
    allow_private: &[IpNet],
) -> Result<Vec<SocketAddr>, PrivateAddress> {
    let mut refused = None;
    let permitted: Vec<_> = found
        .filter(|address| {
            let ok = is_allowed(address.ip(), allow_private);
            if !ok {
                refused = Some(address.ip());
            }
            ok
        })
        .collect();
    match refused {
        Some(ip) if permitted.is_empty() => Err(PrivateAddress(ip)),
        _ => Ok(permitted),
    }
}

/// True if `address` is public, or in one of the networks that the operator named.
#[must_use]
pub fn is_allowed(address: IpAddr, allow_private: &[IpNet]) -> bool {
    let address = address.to_canonical();
    is_public(address) || allow_private.iter().any(|net| net.contains(&address))
}

/// True for an address that is routable on the public internet.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let octets = address.octets();
    !matches!(
        octets,
        [0 | 10 | 127, ..]               // this network, private, loopback
        | [100, 64..=127, ..]            // carrier-grade NAT (RFC 6598)
        | [169, 254, ..]                 // link-local, cloud metadata
        | [172, 16..=31, ..]             // private
        | [192, 0, 0 | 2, _]             // protocol assignments, documentation
        | [192, 88, 99, _]               // 6to4 relay anycast (deprecated, RFC 7526)
        | [192, 168, ..]                 // private
        | [198, 18..=19, ..]             // benchmarking
        | [198, 51, 100, _]              // documentation
        | [203, 0, 113, _]               // documentation
        | [224..=255, ..] // multicast, reserved, broadcast
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = embedded_v4(address) {
        return is_public_v4(inner);
    }
    match address.segments() {
        [0x2001, 0x0db8, ..] => false,     // documentation
        [0x2001, 0..=0x01ff, ..] => false, // protocol assignments, Teredo among them
        [0x3fff, 0..=0x0fff, ..] => false, // documentation (RFC 9637)
        // Global unicast is 2000::/3 and nothing else: this leaves out ::, ::1, fc00::/7, fe80::/10,
        // fec0::/10, multicast ff00::/8, discard-only 100::/64 and all that is unassigned.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// The IPv4 address inside an IPv6 one, where a gateway would connect to that.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] => Some(join(high, low)), // mapped
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => Some(join(high, low)), // NAT64 (RFC 6052)
        [0x2002, high, low, ..] => Some(join(high, low)),            // 6to4 (RFC 3056)
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn only_public_addresses_pass() {
        for (address, expected) in [
            ("1.1.1.1", true),
            ("18.203.201.92", true),
            ("172.15.255.255", true),
            ("172.32.0.1", true),
            ("100.63.255.255", true),
            ("223.255.255.255", true),
            ("2606:4700:4700::1111", true),
            ("2002:101:101::1", true),
            ("64:ff9b::1.1.1.1", true),
            ("::ffff:1.1.1.1", true),
            ("0.0.0.0", false),
            ("10.0.0.1", false),
            ("100.64.0.1", false),
            ("127.0.0.1", false),
            ("127.255.255.254", false),
            ("169.254.169.254", false),
            ("172.16.0.1", false),
            ("172.31.255.255", false),
            ("192.0.0.1", false),
            ("192.0.2.1", false),
            ("192.168.1.1", false),
            ("198.18.0.1", false),
            ("198.19.255.255", false),
            ("203.0.113.9", false),
            ("224.0.0.1", false),
            ("240.0.0.1", false),
            ("255.255.255.255", false),
            ("::", false),
            ("::1", false),
            ("::127.0.0.1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:10.1.2.3", false),
            ("64:ff9b::10.0.0.1", false),
            ("64:ff9b::169.254.169.254", false),
            ("64:ff9b:1::1.1.1.1", false),
            ("2002:a00:1::1", false),
            ("2002:7f00:1::", false),
            ("2001::1", false),
            ("2001:db8::1", false),
            ("fc00::1", false),
            ("fd12:3456::1", false),
            ("fe80::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
            ("100::1", false),
            ("3fff::1", false),
        ] {
            let parsed = address.parse().unwrap();
            assert_eq!(is_allowed(parsed, &[]), expected, "{address}");
        }
    }

    #[test]
    fn a_name_with_public_and_private_addresses_keeps_the_public_ones() {
        let found: Vec<SocketAddr> = ["10.0.0.1:0", "1.1.1.1:0", "[::1]:0"]
            .map(|a| a.parse().unwrap())
            .to_vec();
        let kept = permitted(found.into_iter(), &[]).unwrap();
        assert_eq!(kept, ["1.1.1.1:0".parse().unwrap()]);
    }

    #[test]
    fn a_name_with_only_private_addresses_is_refused() {
        let found = ["169.254.169.254:0".parse().unwrap()];
        let refused = permitted(found.into_iter(), &[]).unwrap_err();
        assert!(refused.to_string().contains("169.254.169.254"));
    }

    #[test]
    fn allow_private_opens_exactly_the_networks_it_names() {
        let allow = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        for (address, expected) in [
            ("10.200.0.1", true),
            ("::ffff:10.200.0.1", true),
            ("::1", true),
            ("127.0.0.1", false),
            ("192.168.0.1", false),
            ("2002:a00:1::1", false),
        ] {
            let parsed = address.parse().unwrap();
            assert_eq!(is_allowed(parsed, &allow), expected, "{address}");
        }
    }
}
