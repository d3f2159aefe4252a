//! The other end of a connection.

use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::digest;
use rustls_pki_types::CertificateDer;

use super::x509::common_name;
use crate::ident::Client;

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
    /// The SHA-256 of the certificate in DER: what people compare and pin.
    pub sha256: [u8; 32],
    /// The common name of its subject, for people to read; it proves nothing by itself.
    pub common_name: Option<String>,
}

impl Peer {
    /// Makes the peer at `addr`; an IPv4-mapped IPv6 address becomes IPv4.
    pub(super) fn new(addr: SocketAddr) -> Peer {
        Peer {
            addr: SocketAddr::new(addr.ip().to_canonical(), addr.port()),
            tls: false,
            certificate: None,
        }
    }

    /// Returns the client that limits count this peer as.
    pub fn client(&self) -> Client {
        Client::from(self.addr.ip())
    }
}

impl ClientCertificate {
    /// Extracts what is needed from a certificate that the TLS handshake has verified.
    pub(super) fn new(der: &CertificateDer<'_>) -> ClientCertificate {
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest::digest(&digest::SHA256, der).as_ref());
        ClientCertificate {
            sha256,
            common_name: common_name(der),
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
}
