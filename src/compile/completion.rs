//! What RFC 7285 §11.2.1.6 wants: every address of a family that has prefixes belongs to some PID.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::ident::Family;

/// The PID that addresses belong to which no stated prefix covers.
pub(super) const DEFAULT_PID: &str = "default";

/// The prefix of every address of a family.
pub(super) fn everything(family: Family) -> IpNet {
    match family {
        Family::V4 => Ipv4Net::default().into(),
        Family::V6 => Ipv6Net::default().into(),
    }
}
