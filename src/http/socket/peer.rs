//! Who is at the other end of a connection.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use aws_lc_rs::digest;
use rustls_pki_types::CertificateDer;

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

/// The subject's common name in a certificate (RFC 5280, section 4.1), if it is UTF-8 or ASCII.
fn common_name(certificate: &[u8]) -> Option<String> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    /// 2.5.4.3, as DER.
    const COMMON_NAME: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x03];
    const UTF8_STRING: u8 = 0x0c;
    const PRINTABLE_STRING: u8 = 0x13;

    let (SEQUENCE, certificate, _) = element(certificate)? else {
        return None;
    };
    let (SEQUENCE, mut fields, _) = element(certificate)? else {
        return None;
    };
    if let (VERSION, _, rest) = element(fields)? {
        fields = rest;
    }
    // serialNumber, signature, issuer and validity come before the subject.
    for _ in 0..4 {
        fields = element(fields)?.2;
    }
    let (SEQUENCE, mut names, _) = element(fields)? else {
        return None;
    };
    while let Some((_, set, rest)) = element(names) {
        names = rest;
        let Some((SEQUENCE, attribute, _)) = element(set) else {
            continue;
        };
        let Some(value) = attribute.strip_prefix(COMMON_NAME) else {
            continue;
        };
        if let Some((UTF8_STRING | PRINTABLE_STRING, text, _)) = element(value) {
            return String::from_utf8(text.to_vec()).ok();
        }
    }
    None
}

/// The first DER element of `bytes`: its tag, its content, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // Longer than three octets of length no certificate is.
        0x81..=0x83 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = octets
                .iter()
                .fold(0, |length, &o| length << 8 | usize::from(o));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

    fn certificate(build: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        build(&mut params);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

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

    #[test]
    fn the_common_name_is_read_from_the_subject() {
        let named = certificate(|params| {
            let name = &mut params.distinguished_name;
            name.push(DnType::OrganizationName, "ISP B");
            name.push(DnType::CommonName, "node.isp-b.example");
        });
        let read = ClientCertificate::new(&named);
        assert_eq!(read.common_name.as_deref(), Some("node.isp-b.example"));
        let digest = digest::digest(&digest::SHA256, &named);
        assert_eq!(read.sha256, digest.as_ref());
    }

    #[test]
    fn a_certificate_without_a_common_name_has_none() {
        let nameless = certificate(|params| params.distinguished_name = Default::default());
        assert_eq!(ClientCertificate::new(&nameless).common_name, None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_the_common_name_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..64),
            cut in any::<proptest::sample::Index>(),
            flip in any::<(proptest::sample::Index, u8)>(),
        ) {
            common_name(&bytes);
            let mut real = certificate(|_| ()).to_vec();
            let at = flip.0.index(real.len());
            real[at] ^= flip.1;
            common_name(&real);
            common_name(&real[..cut.index(real.len())]);
        }
    }
}
