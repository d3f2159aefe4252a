//! Completing a network map: every address of a family that has prefixes belongs to some PID
//! (RFC 7285 §11.2.1.6).

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::ident::Family;

/// The PID of the addresses that no stated prefix covers.
pub(super) const DEFAULT_PID: &str = "default";

/// Returns the prefix that covers every address of a family.
pub(super) fn everything(family: Family) -> IpNet {
    match family {
        Family::V4 => Ipv4Net::default().into(),
        Family::V6 => Ipv6Net::default().into(),
    }
}
