//! Address space that the registries set apart.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::ident::Family;

/// A range of addresses that the registries set apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Space {
    pub(super) net: IpNet,
    /// What it is called, for people.
    pub(super) name: &'static str,
    pub(super) kind: SpaceKind,
}

/// Who may use a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SpaceKind {
    /// Every host, or nobody: no network answers for it to others.
    Special,
    /// Any network, for itself.
    Private,
}

/// All ranges that are set apart, except space for documentation: examples use it.
pub(super) const SPACES: [Space; 16] = [
    special(v4([0, 0, 0, 0], 8), "this host (RFC 1122)"),
    special(v4([127, 0, 0, 0], 8), "loopback (RFC 1122)"),
    special(v4([169, 254, 0, 0], 16), "link-local (RFC 3927)"),
    special(v4([224, 0, 0, 0], 4), "multicast (RFC 5771)"),
    special(v4([240, 0, 0, 0], 4), "reserved (RFC 1112)"),
    private(v4([10, 0, 0, 0], 8), "private (RFC 1918)"),
    private(v4([172, 16, 0, 0], 12), "private (RFC 1918)"),
    private(v4([192, 168, 0, 0], 16), "private (RFC 1918)"),
    private(v4([100, 64, 0, 0], 10), "shared (RFC 6598)"),
    // The unspecified and the loopback address, and IPv4-compatible ones.
    special(v6([0; 8], 96), "this host (RFC 4291)"),
    special(
        v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96),
        "IPv4-mapped (RFC 4291)",
    ),
    special(
        v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96),
        "translated IPv4 (RFC 6052)",
    ),
    special(
        v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48),
        "translated IPv4 (RFC 8215)",
    ),
    private(
        v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7),
        "unique local (RFC 4193)",
    ),
    special(
        v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
        "link-local (RFC 4291)",
    ),
    special(v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "multicast (RFC 4291)"),
];

const fn special(net: IpNet, name: &'static str) -> Space {
    Space {
        net,
        name,
        kind: SpaceKind::Special,
    }
}

const fn private(net: IpNet, name: &'static str) -> Space {
    Space {
        net,
        name,
        kind: SpaceKind::Private,
    }
}

const fn v4([a, b, c, d]: [u8; 4], len: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(
        std::net::Ipv4Addr::new(a, b, c, d),
        len,
    ))
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], len: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(
        std::net::Ipv6Addr::new(a, b, c, d, e, f, g, h),
        len,
    ))
}

/// Returns the length of the shortest prefix that a domain may state unless it is configured:
/// registries never gave anybody a shorter one.
pub(super) fn shortest(family: Family) -> u8 {
    match family {
        Family::V4 => 8,
        Family::V6 => 16,
    }
}
