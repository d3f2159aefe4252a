//! The TLS configuration of a listener: certificate, key and client CA from PEM files, which can
//! be replaced while it serves.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier, danger::ClientCertVerifier};
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls::{InconsistentKeys, RootCertStore, ServerConfig};
use rustls_pki_types::pem::{PemObject, SectionKind};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::runtime::pem;

/// The files of a TLS server, all PEM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The certificate chain: the server's own first, then the issuer of each.
    pub cert: PathBuf,
    /// The private key of the first certificate: PKCS #8, PKCS #1 or SEC 1, not encrypted.
    pub key: PathBuf,
    /// The CAs whose client certificates are trusted; without it no certificate is asked for.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// Whether a client must have a certificate.
    #[serde(default)]
    pub client_auth: ClientAuth,
}

/// What happens to a client without a certificate, if there is a `client_ca`. A client with a
/// certificate of another CA fails the handshake in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// It is served, and each request decides what it may do.
    #[default]
    Optional,
    /// It fails the handshake.
    Required,
}

/// The TLS configuration in force. Clones share one configuration.
#[derive(Clone, Debug)]
pub struct Tls(Arc<watch::Sender<Terms>>);

/// A configuration, and the verifier of client certificates.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub config: Arc<ServerConfig>,
    pub clients: Arc<dyn ClientCertVerifier>,
}

/// The configuration keys of the files.
const CERT: &str = "node.tls.cert";
const KEY: &str = "node.tls.key";
const CLIENT_CA: &str = "node.tls.client_ca";

/// Why files do not make a TLS configuration. A file is named by its configuration key and not
/// by its path: a path that was entered by mistake may be the text of a key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read the file of {file}: {source}; check the path and the permissions")]
    Read {
        /// The configuration key of the file.
        file: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file is damaged.
    #[error("the file of {file} is not whole PEM: {fault}; write it again from its source")]
    Pem {
        /// The configuration key of the file.
        file: &'static str,
        /// What is wrong with it.
        fault: String,
    },
    /// A file does not contain what it must.
    #[error("the file of {file} holds {found}, but no {wanted}; name the file that holds one")]
    Missing {
        /// The configuration key of the file.
        file: &'static str,
        /// What it contains instead.
        found: &'static str,
        /// What it should contain.
        wanted: &'static str,
    },
    /// A file contains a key that cannot be used.
    #[error("the key of {file} cannot be used: {source}; use an RSA, ECDSA or Ed25519 key")]
    Key {
        /// The configuration key of the file.
        file: &'static str,
        /// The error of rustls.
        source: rustls::Error,
    },
    /// A file contains a certificate that cannot be used.
    #[error("a certificate of {file} cannot be used: {source}; have it issued anew")]
    Certificate {
        /// The configuration key of the file.
        file: &'static str,
        /// The error of rustls.
        source: rustls::Error,
    },
    /// The key belongs to another certificate.
    #[error(
        "the key of {KEY} is not that of the first certificate of {CERT}; put the server's own \
         certificate first, or name its key"
    )]
    Mismatch,
    /// No verifier can be made of the client CAs.
    #[error("the client CAs of {CLIENT_CA} cannot be used: {source}")]
    ClientCa {
        /// The error of rustls.
        source: VerifierBuilderError,
    },
    /// The TLS library refuses its own algorithms.
    #[error("no TLS version can be offered: {0}; this is a defect, please report it")]
    Versions(rustls::Error),
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`], which names the file and how to mend it.
    pub fn load(files: &TlsFiles) -> Result<Tls, TlsError> {
        let config = configuration(files)?;
        Ok(Tls(Arc::new(watch::Sender::new(config))))
    }

    /// Reads the files again, for connections that are accepted from now on. Open connections
    /// continue with the certificate that they were shown, and end if what their client proved
    /// is not valid any more.
    ///
    /// # Errors
    /// [`TlsError`]; the former configuration stays in force.
    pub fn reload(&self, files: &TlsFiles) -> Result<(), TlsError> {
        self.0.send_replace(configuration(files)?);
        Ok(())
    }

    /// Returns a channel with the configuration in force.
    pub(super) fn terms(&self) -> watch::Receiver<Terms> {
        self.0.subscribe()
    }
}

fn configuration(files: &TlsFiles) -> Result<Terms, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let identity = identity(files, &provider)?;
    let clients = verifier(files, &provider)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Versions)?
        .with_client_cert_verifier(clients.clone())
        .with_cert_resolver(Arc::new(identity));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Terms {
        config: Arc::new(config),
        clients,
    })
}

/// Reads the server's certificate chain and key.
fn identity(files: &TlsFiles, provider: &CryptoProvider) -> Result<SingleCertAndKey, TlsError> {
    let chain = certificates(CERT, &files.cert)?;
    let key = key(&files.key, provider)?;
    let identity = CertifiedKey::new(chain, key);
    match identity.keys_match() {
        // A key that does not reveal its public half is trusted.
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
            Ok(identity.into())
        }
        Err(rustls::Error::InconsistentKeys(_)) => Err(TlsError::Mismatch),
        Err(source) => Err(TlsError::Certificate { file: CERT, source }),
    }
}

fn verifier(
    files: &TlsFiles,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let Some(file) = &files.client_ca else {
        return Ok(WebPkiClientVerifier::no_client_auth());
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(CLIENT_CA, file)? {
        roots
            .add(certificate)
            .map_err(|source| TlsError::Certificate {
                file: CLIENT_CA,
                source,
            })?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let builder = match files.client_auth {
        ClientAuth::Optional => builder.allow_unauthenticated(),
        ClientAuth::Required => builder,
    };
    let built = builder.build();
    built.map_err(|source| TlsError::ClientCa { source })
}

/// Reads the certificates in the file of a configuration key, at least one.
fn certificates(file: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(file, path)?;
    let sections = sections(file, &text)?;
    let certificates: Vec<_> = sections
        .iter()
        .filter(|(kind, _)| *kind == SectionKind::Certificate)
        .map(|(_, der)| CertificateDer::from(der.clone()))
        .collect();
    if certificates.is_empty() {
        return Err(missing(file, &text, &sections, "certificate"));
    }
    Ok(certificates)
}

/// Reads the first private key in a file.
fn key(path: &Path, provider: &CryptoProvider) -> Result<Arc<dyn SigningKey>, TlsError> {
    let file = KEY;
    let text = read(file, path)?;
    let sections = sections(file, &text)?;
    let key = sections
        .iter()
        .find_map(|(kind, der)| PrivateKeyDer::from_pem(*kind, der.clone()))
        .ok_or_else(|| missing(file, &text, &sections, "unencrypted private key"))?;
    provider
        .key_provider
        .load_private_key(key)
        .map_err(|source| TlsError::Key { file, source })
}

fn read(file: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { file, source })
}

fn sections(file: &'static str, text: &[u8]) -> Result<Vec<(SectionKind, Vec<u8>)>, TlsError> {
    <(SectionKind, Vec<u8>)>::pem_slice_iter(text)
        .collect::<Result<_, _>>()
        .map_err(|error| TlsError::Pem {
            file,
            fault: pem::fault(&error),
        })
}

/// Makes the error for a file that does not contain what it must, by what it contains instead.
fn missing(
    file: &'static str,
    text: &[u8],
    sections: &[(SectionKind, Vec<u8>)],
    wanted: &'static str,
) -> TlsError {
    let encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
    let found = match sections.first() {
        Some((SectionKind::Certificate, _)) => "a certificate",
        Some((
            SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey,
            _,
        )) => "a private key",
        Some((SectionKind::Csr, _)) => "a request for a certificate",
        Some(_) => "PEM of another kind",
        None if text.is_empty() => "nothing",
        None if text.windows(encrypted.len()).any(|part| part == encrypted) => "an encrypted key",
        None => "no PEM of a known kind (DER is not read)",
    };
    TlsError::Missing {
        file,
        found,
        wanted,
    }
}
