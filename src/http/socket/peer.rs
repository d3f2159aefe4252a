//! Who is at the other end of a connection.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use aws_lc_rs::digest;
use rustls_pki_types::CertificateDer;

use super::x509::common_name;

/// The other end of the connection that a request came over; an extension of every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address; an IPv4 client of a dual-stack socket appears as plain IPv4.
    pub addr: SocketAddr,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The certificate that it proved to hold, issued by a CA that this node trusts for clients.
    pub certificate: Option<Arc<ClientCertificate>>,
}

/// A client certificate that passed the TLS handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The SHA-256 of the certificate's DER form: what people compare and pin.
    pub sha256: [u8; 32],
    /// The common name of its subject, for people to read; not a proof of anything by itself.
    pub common_name: Option<String>,
}

/// What counts as one client in limits: an IPv4 address, or an IPv6 /64, since a single host
/// commonly has 2⁶⁴ addresses to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client(IpAddr);

impl Peer {
    /// The peer at `addr`, with IPv4-mapped IPv6 brought to IPv4.
    pub(super) fn new(addr: SocketAddr) -> Peer {
        Peer {
            addr: SocketAddr::new(addr.ip().to_canonical(), addr.port()),
            tls: false,
            certificate: None,
        }
    }

    /// The client that this peer counts as in limits.
    pub fn client(&self) -> Client {
        Client::from(self.addr.ip())
    }
}

impl ClientCertificate {
    /// Takes what is needed from a certificate that the TLS handshake has verified.
    pub(super) fn new(der: &CertificateDer<'_>) -> ClientCertificate {
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest::digest(&digest::SHA256, der).as_ref());
        ClientCertificate {
            sha256,
            common_name: common_name(der),
        }
    }
}

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Client {
        Client(match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !0 << 64)),
            v4 => v4,
        })
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(v4) => v4.fmt(f),
            IpAddr::V6(v6) => write!(f, "{v6}/64"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_client_of_a_dual_stack_socket_appears_as_ipv4() {
        let peer = Peer::new("[::ffff:198.51.100.7]:4711".parse().unwrap());
        assert_eq!(peer.addr, "198.51.100.7:4711".parse().unwrap());
        assert_eq!(peer.client().to_string(), "198.51.100.7");
    }

    #[test]
    fn a_client_is_an_ipv4_address_or_an_ipv6_64() {
        let client = |text: &str| Client::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(client("2001:db8:1:2::1"), client("2001:db8:1:2:ffff::9"));
        assert_ne!(client("2001:db8:1:2::1"), client("2001:db8:1:3::1"));
        assert_ne!(client("198.51.100.7"), client("198.51.100.8"));
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
        assert_eq!(client("2001:db8:1:2::1").to_string(), "2001:db8:1:2::/64");
    }
}
