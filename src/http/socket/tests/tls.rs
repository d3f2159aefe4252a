//! TLS with real certificates and clients.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::http::{ClientAuth, Peer, TlsError, TlsFiles};
use aws_lc_rs::digest;
use axum::Extension;
use axum::routing::get;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{AlertDescription, ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tempfile::TempDir;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

type Authority = CertifiedIssuer<'static, KeyPair>;
type Identity = (CertificateDer<'static>, PrivateKeyDer<'static>);

/// A directory with a CA's certificate, and a server's certificate and key issued by it.
struct Files {
    directory: TempDir,
    authority: Authority,
}

impl Files {
    fn new() -> Files {
        let files = Files {
            directory: TempDir::new().unwrap(),
            authority: authority("CA of the test"),
        };
        files.issue("node.example");
        files.write("ca.pem", &files.authority.pem());
        files
    }

    /// Issues the server's certificate again, for `name`.
    fn issue(&self, name: &str) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let cert = params.signed_by(&key, &self.authority).unwrap();
        self.write("cert.pem", &cert.pem());
        self.write("key.pem", &key.serialize_pem());
    }

    fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.path(file), text).unwrap();
    }

    fn names(&self) -> TlsFiles {
        TlsFiles {
            cert: self.path("cert.pem"),
            key: self.path("key.pem"),
            client_ca: None,
            client_auth: ClientAuth::Optional,
        }
    }

    fn mutual(&self, client_auth: ClientAuth) -> TlsFiles {
        TlsFiles {
            client_ca: Some(self.path("ca.pem")),
            client_auth,
            ..self.names()
        }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        roots
    }

    /// Does a handshake as a client that offers HTTP/1.1.
    async fn connect(
        &self,
        site: &Site,
        name: &'static str,
        identity: Option<Identity>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(site.addr).await.unwrap();
        let mut config = client_config(self.roots(), identity);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let name = ServerName::try_from(name).unwrap();
        soon(TlsConnector::from(Arc::new(config)).connect(name, tcp)).await
    }
}

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn client_identity(authority: &Authority) -> Identity {
    dated_identity(authority, 4000)
}

/// Makes a client's certificate that is valid to the first second of a year.
fn dated_identity(authority: &Authority, year: i32) -> Identity {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.not_after = rcgen::date_time_ymd(year, 1, 1);
    let name = &mut params.distinguished_name;
    name.push(DnType::CommonName, "node.isp-b.example");
    let cert = params.signed_by(&key, authority).unwrap();
    (cert.der().clone(), PrivateKeyDer::from(key))
}

pub fn client_config(roots: RootCertStore, identity: Option<Identity>) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    match identity {
        Some((cert, key)) => builder.with_client_auth_cert(vec![cert], key).unwrap(),
        None => builder.with_no_client_auth(),
    }
}

/// Makes a router that tells the client what the node knows about it.
fn whoami() -> Router {
    let handler = async |Extension(peer): Extension<Peer>, version: http::Version| {
        let certificate = peer.certificate.as_deref();
        let sha256 = certificate.map(|certificate| certificate.sha256);
        let name = certificate.and_then(|certificate| certificate.common_name.clone());
        format!("{version:?} {} {sha256:?} {name:?}", peer.tls)
    };
    Router::new().route("/", get(handler))
}

async fn site(files: &TlsFiles) -> Site {
    let tls = Tls::load(files).unwrap();
    Site::with(whoami(), Settings::default(), Some(tls)).await
}

async fn ask(stream: &mut TlsStream<TcpStream>) -> String {
    stream.write_all(GET).await.unwrap();
    String::from_utf8(response(stream).await.1).unwrap()
}

fn load(files: &TlsFiles) -> String {
    Tls::load(files).unwrap_err().to_string()
}

#[tokio::test]
async fn alpn_chooses_between_http2_and_http1() {
    let files = Files::new();
    let site = site(&files.names()).await;
    for (http1_only, version) in [(false, "HTTP/2.0"), (true, "HTTP/1.1")] {
        let mut config = client_config(files.roots(), None);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        if !http1_only {
            config.alpn_protocols.insert(0, b"h2".to_vec());
        }
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_backend_preconfigured(config)
            .resolve("node.example", site.addr)
            .build()
            .unwrap();
        let url = format!("https://node.example:{}/", site.addr.port());
        let answer = soon(client.get(url).send()).await.unwrap();
        let answer = answer.text().await.unwrap();
        assert_eq!(answer, format!("{version} true None None"));
    }
}

#[tokio::test]
async fn a_client_certificate_is_told_to_handlers_by_its_sha256_and_name() {
    let files = Files::new();
    let site = site(&files.mutual(ClientAuth::Optional)).await;
    let identity = client_identity(&files.authority);
    let sha256 = digest::digest(&digest::SHA256, &identity.0);
    let stream = files.connect(&site, "node.example", Some(identity)).await;
    let answer = ask(&mut stream.unwrap()).await;
    let expected = format!(
        "HTTP/1.1 true Some({:?}) Some(\"node.isp-b.example\")",
        sha256.as_ref()
    );
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn a_client_without_a_certificate_is_served_where_it_is_optional() {
    let files = Files::new();
    let site = site(&files.mutual(ClientAuth::Optional)).await;
    let mut stream = files.connect(&site, "node.example", None).await.unwrap();
    assert_eq!(ask(&mut stream).await, "HTTP/1.1 true None None");
}

#[tokio::test]
async fn a_client_without_a_certificate_fails_where_it_is_required() {
    let files = Files::new();
    let site = site(&files.mutual(ClientAuth::Required)).await;
    // In TLS 1.3 the client learns of the refusal with its first read.
    let mut stream = files.connect(&site, "node.example", None).await.unwrap();
    stream.write_all(GET).await.ok();
    assert_eq!(rest(&mut stream).await, "");
    site.until(|counts| counts.failed_handshakes == 1).await;
}

#[tokio::test]
async fn a_certificate_of_a_foreign_ca_fails_even_where_none_is_required() {
    let files = Files::new();
    let site = site(&files.mutual(ClientAuth::Optional)).await;
    let foreign = client_identity(&authority("another CA"));
    let stream = files.connect(&site, "node.example", Some(foreign)).await;
    let mut stream = stream.unwrap();
    stream.write_all(GET).await.ok();
    assert_eq!(rest(&mut stream).await, "");
    site.until(|counts| counts.failed_handshakes == 1).await;
}

#[tokio::test]
async fn a_client_hello_that_never_ends_is_cut_by_the_handshake_timeout() {
    let files = Files::new();
    let site = site(&files.names()).await;
    let mut client = site.connect().await;
    client.write_all(&[22, 3, 1, 1, 0, 1, 0]).await.unwrap();
    site.pass(10 * SECOND).await;
    assert_eq!(rest(&mut client).await, "");
    assert_eq!(site.until(|c| c.open == 0).await.failed_handshakes, 1);
}

#[tokio::test]
async fn a_handshake_under_way_does_not_hold_the_drain() {
    let files = Files::new();
    let site = site(&files.names()).await;
    let mut client = site.connect().await;
    assert_eq!(site.drain(30 * SECOND).await, Ok(()));
    assert_eq!(rest(&mut client).await, "");
}

#[tokio::test]
async fn the_handshake_takes_from_the_time_for_the_first_head() {
    let files = Files::new();
    let site = site(&files.names()).await;
    site.settings
        .send_modify(|settings| settings.handshake_timeout = 9 * SECOND);
    let tcp = site.connect().await;
    site.hand.advance(6 * SECOND);
    let config = Arc::new(client_config(files.roots(), None));
    let name = ServerName::try_from("node.example").unwrap();
    let stream = TlsConnector::from(config).connect(name, tcp);
    let mut stream = soon(stream).await.unwrap();
    // Not 3 s: the handshake is over.
    site.pass(4 * SECOND).await;
    assert_eq!(rest(&mut stream).await, "");
    let counts = site.until(|counts| counts.open == 0).await;
    assert_eq!((counts.overdue_header, counts.failed_handshakes), (1, 0));
}

#[tokio::test]
async fn a_newcomer_above_the_limit_is_told_by_an_alert() {
    let files = Files::new();
    let site = site(&files.names()).await;
    site.settings
        .send_modify(|settings| settings.max_connections = 1);
    let _first = files.connect(&site, "node.example", None).await.unwrap();
    let refused = files
        .connect(&site, "node.example", None)
        .await
        .unwrap_err();
    let error = refused.into_inner().unwrap();
    assert_eq!(
        error.downcast_ref::<rustls::Error>(),
        Some(&rustls::Error::AlertReceived(
            AlertDescription::InternalError
        ))
    );
}

#[tokio::test]
async fn a_reload_holds_for_new_connections_and_a_bad_file_for_none() {
    let files = Files::new();
    let tls = Tls::load(&files.names()).unwrap();
    let site = Site::with(whoami(), Settings::default(), Some(tls.clone())).await;
    let mut before = files.connect(&site, "node.example", None).await.unwrap();
    assert!(files.connect(&site, "new.example", None).await.is_err());

    files.issue("new.example");
    tls.reload(&files.names()).unwrap();
    let mut after = files.connect(&site, "new.example", None).await.unwrap();
    assert!(files.connect(&site, "node.example", None).await.is_err());

    files.write("key.pem", "");
    assert!(tls.reload(&files.names()).is_err());
    let mut still = files.connect(&site, "new.example", None).await.unwrap();
    for stream in [&mut before, &mut after, &mut still] {
        assert_eq!(ask(stream).await, "HTTP/1.1 true None None");
    }
}

#[test]
fn a_bad_file_is_named_with_the_mend() {
    let files = Files::new();
    let names = files.names();
    let with = |cert: &str, key: &str| TlsFiles {
        cert: files.path(cert),
        key: files.path(key),
        ..names.clone()
    };
    files.write("empty.pem", "");
    files.write("der.pem", "\u{30}\u{82}");
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    files.write("locked.pem", encrypted);
    files.write("cut.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    files.write(
        "junk.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    files.write(
        "junkkey.pem",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    );
    for (names, file, told) in [
        (
            with("none.pem", "key.pem"),
            "node.tls.cert",
            "check the path",
        ),
        (
            with("cert.pem", "none.pem"),
            "node.tls.key",
            "check the path",
        ),
        (
            with("empty.pem", "key.pem"),
            "node.tls.cert",
            "holds nothing, but no certificate",
        ),
        (
            with("key.pem", "key.pem"),
            "node.tls.cert",
            "holds a private key, but no certificate",
        ),
        (
            with("cert.pem", "cert.pem"),
            "node.tls.key",
            "holds a certificate, but no unencrypted",
        ),
        (
            with("cert.pem", "locked.pem"),
            "node.tls.key",
            "holds an encrypted key",
        ),
        (
            with("der.pem", "key.pem"),
            "node.tls.cert",
            "DER is not read",
        ),
        (
            with("cut.pem", "key.pem"),
            "node.tls.cert",
            "is not whole PEM",
        ),
        (with("junk.pem", "key.pem"), "node.tls.cert", "issued anew"),
        (
            with("cert.pem", "junkkey.pem"),
            "node.tls.key",
            "use an RSA, ECDSA or Ed25519 key",
        ),
        (
            with("ca.pem", "key.pem"),
            "node.tls.cert",
            "put the server's own certificate first",
        ),
    ] {
        let error = load(&names);
        assert!(error.contains(file) && error.contains(told), "{error}");
        // A file named by mistake may be a key: its text must not be shown.
        assert!(!error.contains(".pem"), "{error}");
    }
    let empty_ca = TlsFiles {
        client_ca: Some(files.path("key.pem")),
        ..names
    };
    assert!(load(&empty_ca).contains("holds a private key, but no certificate"));
}

/// Starts a site with mutual TLS in a year, whose clock stands still.
async fn site_in(tls: &Tls, year: i16) -> Site {
    let settings = Settings {
        idle_timeout: 100 * 3600 * SECOND,
        ..Settings::default()
    };
    let site = Site::with(whoami(), settings, Some(tls.clone())).await;
    let date = jiff::civil::date(year, 12, 31).at(23, 0, 0, 0);
    let date = date.to_zoned(jiff::tz::TimeZone::UTC).unwrap();
    site.hand.set_date(date.timestamp());
    site
}

async fn lapsed(site: &Site, count: u64) -> Counts {
    let counts = site.until(|counts| counts.lapsed_proofs >= count);
    counts.await
}

#[tokio::test]
async fn a_connection_ends_when_the_clients_certificate_expires() {
    let files = Files::new();
    let tls = Tls::load(&files.mutual(ClientAuth::Optional)).unwrap();
    let site = site_in(&tls, 2098).await;
    let identity = |year| Some(dated_identity(&files.authority, year));
    let mut ending = files
        .connect(&site, "node.example", identity(2099))
        .await
        .unwrap();
    let mut lasting = files
        .connect(&site, "node.example", identity(2200))
        .await
        .unwrap();
    let mut nobody = files.connect(&site, "node.example", None).await.unwrap();
    for client in [&mut ending, &mut lasting, &mut nobody] {
        ask(client).await;
    }
    // Midnight is the last second of the certificate.
    site.hand.advance(3600 * SECOND);
    assert!(ask(&mut ending).await.contains("Some"));
    site.pass(SECOND).await;
    assert_eq!(rest(&mut ending).await, "");
    assert_eq!(lapsed(&site, 1).await.lapsed_proofs, 1);
    for client in [&mut lasting, &mut nobody] {
        ask(client).await;
    }
}

#[tokio::test]
async fn a_session_is_not_resumed_with_a_certificate_that_has_expired() {
    let files = Files::new();
    let tls = Tls::load(&files.mutual(ClientAuth::Optional)).unwrap();
    let site = site_in(&tls, 2098).await;
    let identity = dated_identity(&files.authority, 2099);
    let config = Arc::new(client_config(files.roots(), Some(identity)));
    let connect = async || {
        let tcp = TcpStream::connect(site.addr).await.unwrap();
        let name = ServerName::try_from("node.example").unwrap();
        let connected = soon(TlsConnector::from(config.clone()).connect(name, tcp)).await;
        connected.unwrap()
    };
    let mut first = connect().await;
    ask(&mut first).await;
    let mut again = connect().await;
    assert!(ask(&mut again).await.contains("Some"));
    let kind = again.get_ref().1.handshake_kind();
    assert_eq!(kind, Some(rustls::HandshakeKind::Resumed));
    site.hand.advance(3601 * SECOND);
    lapsed(&site, 2).await;
    let mut late = connect().await;
    assert_eq!(rest(&mut late).await, "");
    lapsed(&site, 3).await;
}

#[tokio::test]
async fn connections_end_whose_authority_is_believed_no_more_and_no_others() {
    let files = Files::new();
    let other = authority("another CA");
    let both = files.authority.pem() + &other.pem();
    files.write("ca.pem", &both);
    let optional = files.mutual(ClientAuth::Optional);
    let tls = Tls::load(&optional).unwrap();
    let site = site_in(&tls, 2030).await;
    let identity = |authority| Some(client_identity(authority));
    let mut ours = files
        .connect(&site, "node.example", identity(&files.authority))
        .await
        .unwrap();
    let mut theirs = files
        .connect(&site, "node.example", identity(&other))
        .await
        .unwrap();
    let mut nobody = files.connect(&site, "node.example", None).await.unwrap();
    for client in [&mut ours, &mut theirs, &mut nobody] {
        ask(client).await;
    }
    // Reading the same authorities again ends nothing.
    tls.reload(&optional).unwrap();
    assert!(ask(&mut theirs).await.contains("Some"));
    files.write("ca.pem", &files.authority.pem());
    tls.reload(&optional).unwrap();
    assert_eq!(rest(&mut theirs).await, "");
    assert_eq!(lapsed(&site, 1).await.lapsed_proofs, 1);
    for client in [&mut ours, &mut nobody] {
        ask(client).await;
    }
    // If each client must show a certificate, one that has shown none is cut.
    tls.reload(&files.mutual(ClientAuth::Required)).unwrap();
    assert_eq!(rest(&mut nobody).await, "");
    ask(&mut ours).await;
    // If no certificates are asked for, none is trusted.
    tls.reload(&files.names()).unwrap();
    assert_eq!(rest(&mut ours).await, "");
    assert_eq!(lapsed(&site, 3).await.lapsed_proofs, 3);
}

#[test]
fn the_error_for_an_unreadable_file_keeps_its_cause() {
    let nowhere = Path::new("nowhere").to_owned();
    let files = TlsFiles {
        cert: nowhere.clone(),
        key: nowhere,
        client_ca: None,
        client_auth: ClientAuth::Required,
    };
    let error = Tls::load(&files).unwrap_err();
    assert!(
        matches!(error, TlsError::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    );
}
