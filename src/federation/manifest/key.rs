//! The keys that manifests are signed with: Ed25519 (RFC 8032).

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::api::s2s::KeyDocument;
use crate::runtime::pem;

use super::validity::VALID_FOR;

/// The prefix of a public key in text.
const PREFIX: &str = "ed25519:";

/// A public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

/// Error: a text is not a public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no key; write `ed25519:` and 43 characters of base64url, as `altofed keygen` does"
)]
pub struct InvalidKey(String);

impl PublicKey {
    /// Makes a key from its 32 bytes (RFC 8032 §5.1.5).
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the key that a document states, if the thumbprint in it is right.
    ///
    /// # Errors
    /// The document has no key, or the thumbprint of another key.
    pub fn from_document(document: &KeyDocument) -> Result<Self, InvalidKey> {
        let key = Self::decode(&document.ed25519);
        key.filter(|key| key.kid() == document.kid)
            .ok_or_else(|| InvalidKey(shorten(&document.ed25519)))
    }

    /// Returns the thumbprint of the key as a JSON Web Key (RFC 7638, RFC 8037 §2).
    pub fn kid(&self) -> String {
        let key = URL_SAFE_NO_PAD.encode(self.0);
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{key}"}}"#);
        URL_SAFE_NO_PAD.encode(crate::ident::Digest::of(canonical.as_bytes()).as_bytes())
    }

    /// Returns the key in base64url, as documents state it.
    pub fn encoded(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Whether the key signed this message.
    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, &self.0);
        key.verify(message, signature).is_ok()
    }

    fn decode(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.encoded())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        text.strip_prefix(PREFIX)
            .and_then(Self::decode)
            .ok_or_else(|| InvalidKey(shorten(text)))
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A private key that we sign with.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

/// Why a key cannot be made, read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The system gives no random numbers.
    #[error("no key can be made: the system gives no random numbers")]
    Random,
    /// The file cannot be read or written.
    #[error("{file}: {source}")]
    File {
        /// The path of the file, or the key of the configuration that names it.
        file: String,
        /// The error of the system.
        source: io::Error,
    },
    /// The file exists already.
    #[error("{0} is there already; name another file, or move it away")]
    Exists(String),
    /// The file contains no key.
    #[error(
        "{file} holds no Ed25519 key in PEM (PKCS #8): {fault}; write it again from its source, \
         or make one with `altofed keygen`"
    )]
    NoKey {
        /// The path of the file, or the key of the configuration that names it.
        file: String,
        /// What is wrong with it.
        fault: String,
    },
    /// Everybody can read the file.
    #[error("{0} can be read by everybody; `chmod 600` it")]
    Open(String),
}

impl KeyError {
    /// Returns the same error about a file that the configuration names, with that key in place
    /// of the path: what is written there may be a secret that got into the wrong place.
    pub fn of_key(self, key: &str) -> Self {
        let file = format!("the file of {key}");
        match self {
            KeyError::Random => KeyError::Random,
            KeyError::File { source, .. } => KeyError::File { file, source },
            KeyError::Exists(_) => KeyError::Exists(file),
            KeyError::NoKey { fault, .. } => KeyError::NoKey { file, fault },
            KeyError::Open(_) => KeyError::Open(file),
        }
    }
}

impl SigningKey {
    /// Generates a key.
    ///
    /// # Errors
    /// [`KeyError::Random`].
    pub fn generate() -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| KeyError::Random)?;
        Self::of(pair).ok_or(KeyError::Random)
    }

    /// Reads a key from a PEM file.
    ///
    /// # Errors
    /// The file cannot be read, contains something else, or can be read by everybody.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let file = || path.display().to_string();
        let failed = |source| KeyError::File {
            file: file(),
            source,
        };
        let no_key = |fault: &str| KeyError::NoKey {
            file: file(),
            fault: fault.to_owned(),
        };
        if is_open(path).map_err(failed)? {
            return Err(KeyError::Open(file()));
        }
        let pem = fs::read(path).map_err(failed)?;
        let der = PrivatePkcs8KeyDer::from_pem_slice(&pem);
        let der = der.map_err(|error| no_key(&pem::fault(&error)))?;
        let other = "its key is of another kind";
        let pair = Ed25519KeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| no_key(other))?;
        Self::of(pair).ok_or_else(|| no_key(other))
    }

    /// Writes the key to a new PEM file that only its owner can read.
    ///
    /// # Errors
    /// The file exists, or cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), KeyError> {
        let file = || path.display().to_string();
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => KeyError::Exists(file()),
            _ => KeyError::File {
                file: file(),
                source,
            },
        };
        let pkcs8 = self.pair.to_pkcs8v1().map_err(|_| KeyError::Random)?;
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode(pkcs8.as_ref())
        );
        let mut file = create_private(path).map_err(failed)?;
        let written = file.write_all(pem.as_bytes());
        written.and_then(|()| file.sync_all()).map_err(|source| {
            // A file without a key would be in the way of the next attempt.
            let _left = fs::remove_file(path);
            failed(source)
        })
    }

    /// Returns the public key.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }

    fn of(pair: Ed25519KeyPair) -> Option<Self> {
        let public = PublicKey(pair.public_key().as_ref().try_into().ok()?);
        Some(Self { pair, public })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public)
    }
}

/// The keys that a node signs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySettings {
    /// The file of the key.
    pub key: PathBuf,
    /// The keys before it that still count.
    pub old: Vec<OldKey>,
}

/// A key that is being replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldKey {
    /// Its file.
    pub key: PathBuf,
    /// When it stops counting.
    pub not_after: Timestamp,
}

/// The keys of a node.
///
/// While an old key counts, it signs, and its manifests name the new key beside it, since
/// receivers accept a new key only from one that they trust. The two must overlap for longer
/// than any peer is out of touch.
#[derive(Debug)]
pub struct Keyring {
    current: SigningKey,
    /// The old keys and when they stop counting, the soonest first.
    old: Vec<(SigningKey, Timestamp)>,
}

impl Keyring {
    /// How long before its end an old key stops signing, so that no manifest outlives the key
    /// that signed it.
    pub const MARGIN: Duration = VALID_FOR;

    /// Makes a ring of these keys.
    pub fn new(current: SigningKey, mut old: Vec<(SigningKey, Timestamp)>) -> Self {
        old.sort_by_key(|(_, not_after)| *not_after);
        Self { current, old }
    }

    /// Loads the keys from their files.
    ///
    /// # Errors
    /// As for [`SigningKey::load`], but the error names the key of the configuration.
    pub fn load(settings: &KeySettings) -> Result<Self, KeyError> {
        let current = SigningKey::load(&settings.key);
        let old = settings.old.iter().enumerate().map(|(index, old)| {
            let key = SigningKey::load(&old.key).map_err(|error| {
                let key = format!("federation.old_keys[{}].key", index + 1);
                error.of_key(&key)
            });
            Ok((key?, old.not_after))
        });
        Ok(Self::new(
            current.map_err(|error| error.of_key("federation.key"))?,
            old.collect::<Result<_, KeyError>>()?,
        ))
    }

    /// Whether another ring has the same keys, with the same ends.
    pub fn is_same(&self, other: &Keyring) -> bool {
        let all = Timestamp::MIN;
        self.documents(all) == other.documents(all)
    }

    /// Returns the key to sign with now.
    pub fn signer(&self, now: Timestamp) -> &SigningKey {
        let counts = |not_after: &Timestamp| {
            not_after.duration_since(now) > Self::MARGIN.try_into().unwrap_or_default()
        };
        let old = self.old.iter().find(|(_, not_after)| counts(not_after));
        old.map_or(&self.current, |(key, _)| key)
    }

    /// Returns the keys that count now, the current one first, as documents state them.
    pub fn documents(&self, now: Timestamp) -> Vec<KeyDocument> {
        let document = |key: &SigningKey, not_after| KeyDocument {
            kid: key.public().kid(),
            ed25519: key.public().encoded(),
            not_after,
        };
        let old = self.old.iter().filter(|(_, not_after)| *not_after > now);
        let old = old.map(|(key, not_after)| document(key, Some(*not_after)));
        [document(&self.current, None)]
            .into_iter()
            .chain(old)
            .collect()
    }
}

#[cfg(unix)]
fn is_open(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::metadata(path)?.permissions().mode() & 0o007 != 0)
}

#[cfg(not(unix))]
fn is_open(_path: &Path) -> io::Result<bool> {
    Ok(false)
}

fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(hours)
    }

    #[test]
    fn signing_and_thumbprint_are_those_of_rfc_8037() {
        let bytes = |text: &str| -> [u8; 32] {
            let bytes = URL_SAFE_NO_PAD.decode(text).expect("base64url");
            bytes.try_into().expect("32 bytes")
        };
        let seed = bytes("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
        let public = bytes("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        let pair = Ed25519KeyPair::from_seed_and_public_key(&seed, &public).expect("a pair");
        let key = SigningKey::of(pair).expect("a key");
        assert_eq!(
            key.public().kid(),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
        let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        assert_eq!(
            URL_SAFE_NO_PAD.encode(key.sign(message)),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        );
    }

    #[test]
    fn a_public_key_has_one_text() {
        let key = *SigningKey::generate().expect("a key").public();
        let text = key.to_string();
        assert_eq!(text.parse(), Ok(key));
        for wrong in [
            text.replace("ed25519:", ""),
            text.replace("ed25519:", "ED25519:"),
            format!("{text}="),
            text[..text.len() - 1].to_owned(),
            "ed25519:".to_owned(),
        ] {
            assert!(wrong.parse::<PublicKey>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_key_whose_thumbprint_is_another_is_refused() {
        let ring = |key| Keyring::new(key, Vec::new()).documents(at(0)).remove(0);
        let key = SigningKey::generate().expect("a key");
        let public = *key.public();
        let document = ring(key);
        assert_eq!(PublicKey::from_document(&document), Ok(public));
        let other = ring(SigningKey::generate().expect("a key"));
        let wrong = KeyDocument {
            kid: other.kid,
            ..document
        };
        assert!(PublicKey::from_document(&wrong).is_err());
    }

    #[test]
    fn a_saved_key_signs_as_before_and_is_never_overwritten() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("key.pem");
        let key = SigningKey::generate().expect("a key");
        key.save(&path).expect("saved");
        let loaded = SigningKey::load(&path).expect("loaded");
        assert_eq!(loaded.public(), key.public());
        assert!(key.public().has_signed(b"m", &loaded.sign(b"m")));
        assert!(matches!(key.save(&path), Err(KeyError::Exists(_))));
    }

    #[test]
    fn a_file_without_a_key_says_how_to_make_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("key.pem");
        assert!(matches!(
            SigningKey::load(&path),
            Err(KeyError::File { .. })
        ));
        let mut file = create_private(&path).expect("a file");
        file.write_all(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
            .expect("written");
        assert!(matches!(
            SigningKey::load(&path),
            Err(KeyError::NoKey { .. })
        ));
    }

    #[cfg(unix)]
    #[test]
    fn a_key_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("key.pem");
        let key = SigningKey::generate().expect("a key");
        key.save(&path).expect("saved");
        let mode = || fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("changed");
        assert!(matches!(SigningKey::load(&path), Err(KeyError::Open(_))));
    }

    #[test]
    fn an_old_key_signs_until_what_it_signs_would_outlive_it() {
        let (new, old) = (
            SigningKey::generate().expect("a key"),
            SigningKey::generate().expect("a key"),
        );
        let (new_key, old_key) = (*new.public(), *old.public());
        let ring = Keyring::new(new, vec![(old, at(48))]);
        assert_eq!(*ring.signer(at(0)).public(), old_key);
        assert_eq!(*ring.signer(at(41)).public(), old_key);
        assert_eq!(*ring.signer(at(42)).public(), new_key);
        let named = |now| -> Vec<String> {
            let documents = ring.documents(now).into_iter();
            documents.map(|document| document.kid).collect()
        };
        assert_eq!(named(at(47)), [new_key.kid(), old_key.kid()]);
        assert_eq!(named(at(48)), [new_key.kid()]);
    }
}
