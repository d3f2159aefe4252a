//! The TLS of a client: whom it trusts, and which certificate it shows.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::runtime::pem;

/// The files of the certificate that a client shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// A PEM file of the certificate and those it was issued under.
    pub certificate: PathBuf,
    /// A PEM file of its private key.
    pub key: PathBuf,
}

/// Makes a configuration that trusts the certificate authorities in a PEM file, or the
/// system's, and shows a certificate, or none.
///
/// # Errors
/// What cannot be used, for people.
pub(super) fn config(
    cacert: Option<&Path>,
    identity: Option<&Identity>,
) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let verified = match cacert {
        Some(file) => {
            const KEY: &str = "cacert";
            let mut roots = RootCertStore::empty();
            for certificate in certificates(KEY, file)? {
                let added = roots.add(certificate);
                added.map_err(|error| unusable(KEY, &error))?;
            }
            builder.with_root_certificates(roots)
        }
        None => builder
            .with_platform_verifier()
            .map_err(|error| error.to_string())?,
    };
    let Some(Identity { certificate, key }) = identity else {
        return Ok(verified.with_no_client_auth());
    };
    const KEY: &str = "client_cert.cert";
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| {
        let fault = pem::fault(&error);
        format!("the file of client_cert.key: {fault}; give a PEM file of a key")
    })?;
    verified
        .with_client_auth_cert(certificates(KEY, certificate)?, secret)
        .map_err(|error| unusable(KEY, &error))
}

/// Reads the certificates in the file of an option, at least one.
fn certificates(key: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let found: Vec<_> = read.map_err(|error| unusable(key, &pem::fault(&error)))?;
    if found.is_empty() {
        Err(unusable(key, &"it holds no certificate"))
    } else {
        Ok(found)
    }
}

/// Names the option, not its path: what a configuration has there by mistake may be a key.
fn unusable(key: &str, error: &dyn std::fmt::Display) -> String {
    format!("the file of {key}: {error}; give a PEM file of certificates")
}
