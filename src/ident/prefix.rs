//! Addresses and prefixes as RFC 7285 §10.4 writes them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use thiserror::Error;

/// An address family, which ALTO calls an address type (RFC 7285 §10.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// `ipv4`
    V4,
    /// `ipv6`
    V6,
}

impl Family {
    /// Both families, in canonical order.
    pub const ALL: [Family; 2] = [Family::V4, Family::V6];

    /// Returns the registered identifier, `ipv4` or `ipv6`.
    pub fn as_str(self) -> &'static str {
        match self {
            Family::V4 => "ipv4",
            Family::V6 => "ipv6",
        }
    }

    /// Finds the family with this identifier, if there is one (case matters).
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.as_str() == text)
    }

    /// Returns the family of an address.
    pub fn of(addr: IpAddr) -> Self {
        match addr {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text is not a prefix or an address; the message says how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PrefixError {
    /// The text is not of the form `address/length`.
    #[error("not an {family} prefix; write it like {example}")]
    Syntax {
        /// The family that was expected.
        family: Family,
        /// A prefix as it should look.
        example: &'static str,
    },
    /// Bits beyond the prefix length are set.
    #[error("host bits set; did you mean {suggestion}?")]
    HostBits {
        /// The prefix without its host bits.
        suggestion: String,
    },
    /// The text is not a typed endpoint address.
    #[error("not a typed address; write it like ipv4:192.0.2.1 or ipv6:2001:db8::1")]
    Address,
}

/// Parses an IPv4 prefix (RFC 4632 §3.1).
///
/// # Errors
/// The syntax is wrong or host bits are set.
pub fn parse_ipv4_prefix(text: &str) -> Result<Ipv4Net, PrefixError> {
    let net = split(text)
        .and_then(|(address, length)| Ipv4Net::new(address, length).ok())
        .ok_or(PrefixError::Syntax {
            family: Family::V4,
            example: "192.0.2.0/24",
        })?;
    if net.trunc() != net {
        return Err(PrefixError::HostBits {
            suggestion: net.trunc().to_string(),
        });
    }
    Ok(net)
}

/// Parses an IPv6 prefix in any text form of RFC 4291. [`Ipv6Net`] is written in the form of RFC
/// 5952.
///
/// # Errors
/// The syntax is wrong or host bits are set.
pub fn parse_ipv6_prefix(text: &str) -> Result<Ipv6Net, PrefixError> {
    let net = split(text)
        .and_then(|(address, length)| Ipv6Net::new(address, length).ok())
        .ok_or(PrefixError::Syntax {
            family: Family::V6,
            example: "2001:db8::/32",
        })?;
    if net.trunc() != net {
        return Err(PrefixError::HostBits {
            suggestion: net.trunc().to_string(),
        });
    }
    Ok(net)
}

/// Splits a prefix into the address, parsed by the strict rules of the standard library (`ipnet`
/// accepts leading zeros), and the length, a number without sign or leading zero.
fn split<A: std::str::FromStr>(text: &str) -> Option<(A, u8)> {
    let (address, length) = text.rsplit_once('/')?;
    let plain = length.bytes().all(|b| b.is_ascii_digit());
    let leading_zero = length.len() > 1 && length.starts_with('0');
    if !plain || leading_zero {
        return None;
    }
    Some((address.parse().ok()?, length.parse().ok()?))
}

/// A typed endpoint address (RFC 7285 §10.4.1), such as `ipv4:192.0.2.1` or `ipv6:2001:db8::1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypedAddress(pub IpAddr);

impl TypedAddress {
    /// Parses a typed address; the type ends at the first colon.
    ///
    /// # Errors
    /// The type is not `ipv4` or `ipv6`, or the rest is not an address of that type: a prefix
    /// length, a zone, brackets and a port are all refused.
    pub fn parse(text: &str) -> Result<Self, PrefixError> {
        let (family, address) = text.split_once(':').ok_or(PrefixError::Address)?;
        match Family::parse(family) {
            Some(Family::V4) => address.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            Some(Family::V6) => address.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            None => None,
        }
        .map(Self)
        .ok_or(PrefixError::Address)
    }
}

impl fmt::Display for TypedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", Family::of(self.0), self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_bits_are_refused_with_the_prefix_that_was_meant() {
        let error = parse_ipv4_prefix("198.51.100.128/24").expect_err("host bits");
        assert_eq!(
            error.to_string(),
            "host bits set; did you mean 198.51.100.0/24?"
        );
        let error = parse_ipv6_prefix("2001:db8::1/32").expect_err("host bits");
        assert_eq!(
            error.to_string(),
            "host bits set; did you mean 2001:db8::/32?"
        );
    }

    #[test]
    fn prefixes_are_written_one_way() {
        let net = parse_ipv6_prefix("2001:0DB8:0:0::/32").expect("valid");
        assert_eq!(net.to_string(), "2001:db8::/32");
        assert!(parse_ipv4_prefix("0.0.0.0/0").is_ok());
        assert!(parse_ipv6_prefix("::/0").is_ok());
        for bad in [
            "192.0.2.0",
            "192.0.2.0/33",
            "192.0.2.0/-1",
            "192.0.2.0/+8",
            "192.0.2.0/024",
            "192.0.2/24",
            "01.2.3.0/24",
            "::/0",
            "192.0.2.0/24 ",
            "",
        ] {
            assert!(parse_ipv4_prefix(bad).is_err(), "{bad:?}");
        }
        for bad in [
            "2001:db8::/129",
            "2001:db8::",
            "fe80::%eth0/64",
            "192.0.2.0/24",
        ] {
            assert!(parse_ipv6_prefix(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn typed_addresses_split_at_the_first_colon() {
        let parse = TypedAddress::parse;
        assert_eq!(parse("ipv6:::1").expect("valid").to_string(), "ipv6:::1");
        assert_eq!(
            parse("ipv6:2001:DB8:0::1").expect("valid").to_string(),
            "ipv6:2001:db8::1"
        );
        for bad in [
            "192.0.2.1",
            "ipv4:192.0.2.0/24",
            "IPv4:192.0.2.1",
            "ipv4:192.0.2.01",
            "ipv4:::1",
            "ipv6:[::1]",
            "ipv6:fe80::1%1",
            "ipv4:1.2.3.4:80",
            "eth:00",
            "ipv4:",
            "",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
