//! Certificates of private authorities, and clients that show them.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::client_with;

/// An authority that issues certificates.
pub type Authority = CertifiedIssuer<'static, KeyPair>;

/// Makes an authority with this name.
pub fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    CertifiedIssuer::self_signed(params, key).expect("an authority")
}

/// A certificate and its key.
pub struct Identity {
    cert: rcgen::Certificate,
    key: KeyPair,
}

impl Identity {
    /// Makes a certificate that an authority issues for some names.
    pub fn new(authority: &Authority, names: &[&str]) -> Self {
        Self::with(authority, names, |_| {})
    }

    /// Makes a certificate in which something else is stated too.
    pub fn with(
        authority: &Authority,
        names: &[&str],
        state: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let key = KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("parameters");
        state(&mut params);
        let cert = params.signed_by(&key, authority).expect("a certificate");
        Self { cert, key }
    }

    /// Returns the SHA-256 of the certificate, in hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.cert.der());
        digest
            .as_ref()
            .iter()
            .fold(String::new(), |mut text, byte| {
                write!(text, "{byte:02x}").expect("a string takes all");
                text
            })
    }

    /// Writes `cert.pem` and `key.pem`; returns their paths.
    pub fn write(&self, directory: &Path) -> [PathBuf; 2] {
        let write = |file: &str, text: String| {
            let path = directory.join(file);
            std::fs::write(&path, text).expect("a file");
            path
        };
        [
            write("cert.pem", self.cert.pem()),
            write("key.pem", self.key.serialize_pem()),
        ]
    }
}

/// Makes a client that trusts the authority and shows this certificate.
pub fn client(authority: &Authority, identity: Option<&Identity>) -> reqwest::Client {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    client_with(match identity {
        Some(identity) => {
            let key = PrivateKeyDer::try_from(identity.key.serialize_der()).expect("a key");
            let chain: Vec<CertificateDer<'static>> = vec![identity.cert.der().clone()];
            builder.with_client_auth_cert(chain, key).expect("sound")
        }
        None => builder.with_no_client_auth(),
    })
}
