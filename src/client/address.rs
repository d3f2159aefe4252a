//! Decides which addresses a peer may have: those of the internet, or private ones if its
//! operator and ours agreed on that.
//!
//! The operator of a peer can point its name anywhere, at our own loopback or at a cloud's
//! metadata service. So each name is resolved here, each of its addresses is judged, and the
//! connection goes to an address that was judged.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// An address to which no connection is made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host} has the address {address}, which is {}{}", reach.name(), reach.mend())]
pub struct DeniedAddress {
    /// The name that was resolved, or the address as it stands in the URL.
    pub host: Arc<str>,
    /// The address.
    pub address: IpAddr,
    /// Why it is denied.
    pub reach: Reach,
}

/// From where an address can be reached, by IANA's registries of special-purpose addresses (RFC
/// 6890).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// From the internet.
    Global,
    /// From inside some network; the text says of which kind.
    Inside(&'static str),
    /// From no network that a peer could be in; the text says why.
    Never(&'static str),
}

impl Reach {
    /// Returns the reach of an address. One that embeds an IPv4 address is never better than
    /// that.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_ipv4(address),
            IpAddr::V6(address) => of_ipv6(address),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Reach::Global => "global",
            Reach::Inside(name) | Reach::Never(name) => name,
        }
    }

    fn mend(self) -> &'static str {
        match self {
            Reach::Inside(_) => "; if the peer is meant to be there, set allow_private_addresses",
            _ => "",
        }
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The addresses that a peer may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AddressPolicy {
    /// Whether they may be private ones.
    pub(super) allow_private: bool,
}

impl AddressPolicy {
    /// Judges one address of a host.
    ///
    /// # Errors
    /// No connection is made to it.
    pub(super) fn check(self, host: &str, address: IpAddr) -> Result<(), DeniedAddress> {
        match Reach::of(address) {
            Reach::Global => Ok(()),
            Reach::Inside(_) if self.allow_private => Ok(()),
            reach => Err(DeniedAddress {
                host: host.into(),
                address,
                reach,
            }),
        }
    }
}

/// Resolves each name anew for each connection. If one address of a name is denied, the name
/// is: an honest peer does not mix them.
impl Resolve for AddressPolicy {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = *self;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses: Vec<SocketAddr> = found.collect();
            for address in &addresses {
                policy.check(name.as_str(), address.ip())?;
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

fn of_ipv4(address: Ipv4Addr) -> Reach {
    match address.octets() {
        [0, ..] => Reach::Never("unspecified"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Reach::Inside("private"),
        [100, 64..=127, ..] => Reach::Inside("shared by a provider's customers"),
        [127, ..] => Reach::Inside("loopback"),
        [169, 254, ..] => Reach::Never("link-local"),
        [192, 0, 0, _] => Reach::Never("reserved"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Reach::Inside("for documentation"),
        [192, 88, 99, _] => Reach::Inside("of a 6to4 relay"),
        [198, 18..=19, ..] => Reach::Inside("for benchmarks"),
        [224..=239, ..] => Reach::Never("multicast"),
        [240..=255, ..] => Reach::Never("reserved"),
        _ => Reach::Global,
    }
}

fn of_ipv6(address: Ipv6Addr) -> Reach {
    let [.., a, b, c, d] = address.octets();
    let last = || Ipv4Addr::new(a, b, c, d);
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Reach::Never("unspecified"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Inside("loopback"),
        [0, 0, 0, 0, 0, 0xffff, _, _] => carrying(last(), "an IPv4-mapped address"),
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] => carrying(last(), "an address of a NAT64"),
        [0x64, 0xff9b, 1, ..] => carrying(last(), "an address of a local NAT64"),
        [0x2002, high, low, ..] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            carrying(Ipv4Addr::new(a, b, c, d), "a 6to4 address")
        }
        [0x2001, 0, ..] => Reach::Never("a Teredo address"),
        [0x2001, 0x2, 0, ..] => Reach::Inside("for benchmarks"),
        [0x2001, 0x10..=0x2f, ..] => Reach::Never("an ORCHID, not an address"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Reach::Inside("for documentation"),
        [0xfc00..=0xfdff, ..] => Reach::Inside("unique local"),
        [0xfe80..=0xfebf, ..] => Reach::Never("link-local"),
        [0xfec0..=0xfeff, ..] => Reach::Inside("site-local"),
        [0xff00..=0xffff, ..] => Reach::Never("multicast"),
        [0x2000..=0x3fff, ..] => Reach::Global,
        _ => Reach::Never("reserved"),
    }
}

/// Returns the reach of an IPv6 address of a kind that leads to an IPv4 address.
fn carrying(inside: Ipv4Addr, kind: &'static str) -> Reach {
    match of_ipv4(inside) {
        Reach::Never(name) => Reach::Never(name),
        _ => Reach::Inside(kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(text: &str, allow_private: bool) -> bool {
        let address = text.parse().expect("an address");
        let policy = AddressPolicy { allow_private };
        policy.check("peer.example", address).is_ok()
    }

    #[test]
    fn addresses_of_the_internet_are_allowed() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "169.253.255.255",
            "192.167.255.255",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860::8888",
            "2a00::1",
        ] {
            assert!(allowed(address, false), "{address}");
        }
    }

    #[test]
    fn addresses_inside_a_network_are_allowed_only_where_that_was_agreed() {
        for address in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "127.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "::1",
            "fd00::1",
            "fc00::1",
            "::ffff:10.0.0.1",
            "::ffff:1.1.1.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::1.1.1.1",
            "64:ff9b:1::127.0.0.1",
            "2002:7f00:1::1",
            "2001:db8::1",
            "fec0::1",
        ] {
            assert!(!allowed(address, false), "{address}");
            assert!(allowed(address, true), "{address}");
        }
    }

    #[test]
    fn addresses_that_no_peer_can_have_are_never_allowed() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "192.0.0.8",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::7f00:1",
            "fe80::1",
            "ff02::1",
            "2001::1",
            "2001:10::1",
            "100::1",
            "4000::1",
            "::ffff:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "2002:a9fe:a9fe::1",
            "::ffff:0.0.0.0",
        ] {
            assert!(!allowed(address, true), "{address}");
        }
    }

    #[test]
    fn a_denial_says_what_the_address_is_and_what_may_be_done() {
        let policy = AddressPolicy {
            allow_private: false,
        };
        let denied = |address: [u8; 4]| policy.check("peer.example", address.into()).unwrap_err();
        assert_eq!(
            denied([127, 0, 0, 1]).to_string(),
            "peer.example has the address 127.0.0.1, which is loopback; if the peer is meant to \
             be there, set allow_private_addresses"
        );
        assert_eq!(
            denied([169, 254, 169, 254]).to_string(),
            "peer.example has the address 169.254.169.254, which is link-local"
        );
    }
}
