//! Manifests that peers pass on, and the checks that they undergo.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::alto::json::{Tree, read};
use crate::api::s2s::{Manifest, ManifestEntry};
use crate::federation::import_error::ImportError;
use crate::ident::{Digest, DomainLabel};

use super::key::PublicKey;
use super::sign::Compact;
use super::validity::TOLERANCE;

/// A manifest that a peer passed on.
#[derive(Debug, Clone)]
pub struct Received {
    /// Its content.
    pub manifest: Manifest,
    /// The domains that it came through: the origin first, the sender last.
    pub path: Vec<DomainLabel>,
    /// The signed text.
    pub text: String,
    compact: Compact,
}

/// What a manifest is checked against when it is received.
#[derive(Debug, Clone, Copy)]
pub struct Reception<'a> {
    /// Our domain.
    pub own: &'a DomainLabel,
    /// The peer that passes it on.
    pub sender: &'a DomainLabel,
    /// The most domains that it may have come through.
    pub max_path: usize,
    /// The most bytes that its text may have.
    pub max_bytes: usize,
}

impl Reception<'_> {
    /// Reads what a peer passes on, and checks all that can be checked without a key.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(&self, entry: &ManifestEntry) -> Result<Received, ImportError> {
        self.check_path(entry)?;
        if entry.manifest.len() > self.max_bytes {
            return Err(ImportError::Limit(format!(
                "the manifest has {} bytes; at most {} are taken",
                entry.manifest.len(),
                self.max_bytes
            )));
        }
        let form = |error: &dyn std::fmt::Display| ImportError::Form(error.to_string());
        let compact = Compact::parse(&entry.manifest).map_err(|error| form(&error))?;
        // Another reader might take the other one of two members with the same name.
        read(compact.unverified(), Tree).map_err(|faults| form(&faults))?;
        let manifest: Manifest =
            serde_json::from_slice(compact.unverified()).map_err(|error| form(&error))?;
        if manifest.domain != entry.domain || manifest.serial != entry.serial {
            return Err(ImportError::Mismatch(format!(
                "the manifest is of {} with serial {}, not of {} with serial {} as the peer says",
                manifest.domain, manifest.serial, entry.domain, entry.serial
            )));
        }
        Ok(Received {
            manifest,
            path: entry.path.clone(),
            text: entry.manifest.clone(),
            compact,
        })
    }

    fn check_path(&self, entry: &ManifestEntry) -> Result<(), ImportError> {
        let path = &entry.path;
        if entry.domain == *self.own || path.contains(self.own) {
            return Err(ImportError::Loop(self.own.clone()));
        }
        let wrong = |text: String| Err(ImportError::Path(text));
        if path.len() > self.max_path {
            let (hops, most) = (path.len(), self.max_path);
            return wrong(format!(
                "its path has {hops} domains; at most {most} are taken"
            ));
        }
        if path.first() != Some(&entry.domain) {
            return wrong(format!("its path does not begin with {}", entry.domain));
        }
        if path.last() != Some(self.sender) {
            return wrong(format!(
                "its path does not end with the peer {}",
                self.sender
            ));
        }
        let twice =
            |at: usize, label: &DomainLabel| path.iter().skip(at + 1).any(|other| *other == *label);
        match path
            .iter()
            .enumerate()
            .find(|(at, label)| twice(*at, label))
        {
            Some((_, label)) => wrong(format!("its path has {label} twice")),
            None => Ok(()),
        }
    }
}

/// The newest manifest that was seen under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Highest {
    /// Its serial.
    pub serial: u64,
    /// The digest of its payload.
    pub payload: Digest,
    /// Until when it counts. Those before it do not count any more.
    pub until: Timestamp,
}

impl Received {
    /// Finds the key that signed the manifest, among those given.
    ///
    /// # Errors
    /// None of them has the thumbprint that the manifest names; or the one that has it did not
    /// sign the manifest; or the manifest does not state that key itself.
    pub fn verify(&self, keys: &[PublicKey]) -> Result<PublicKey, ImportError> {
        let kid = self.compact.kid();
        let Some(key) = keys.iter().find(|key| key.kid() == kid) else {
            return Err(ImportError::Key(format!(
                "it is signed with the key {kid}, which is not one that counts for {}; if the \
                 domain has a new key, pin it, or drop the known one with `altofed peer NAME \
                 --forget-key`",
                self.manifest.domain
            )));
        };
        self.compact.verify(key).map_err(ImportError::Signature)?;
        if self.stated_keys().contains(key) {
            Ok(*key)
        } else {
            Err(ImportError::Key(
                "it is signed with a key that it does not state itself".to_owned(),
            ))
        }
    }

    /// Returns the keys that the manifest states, without those of an unknown kind and those
    /// with a wrong thumbprint.
    pub fn stated_keys(&self) -> Vec<PublicKey> {
        let keys = self.manifest.keys.iter();
        keys.filter_map(|key| PublicKey::from_document(key).ok())
            .collect()
    }

    /// Checks that `own` may have the manifest by the path that it came. Call this once it is
    /// known who signed it, since a copy whose new scope leaves us out is withdrawn first.
    ///
    /// # Errors
    /// It may not.
    pub fn check_scope(&self, own: &DomainLabel) -> Result<(), ImportError> {
        if self.manifest.scope.admits(own, self.path.len() == 1) {
            Ok(())
        } else {
            Err(ImportError::Scope(own.clone()))
        }
    }

    /// Checks the manifest against our clock.
    ///
    /// # Errors
    /// It is signed too far in the future, or has stopped counting.
    pub fn check_clock(&self, now: Timestamp) -> Result<(), ImportError> {
        let (issued, end) = (self.manifest.issued, self.manifest.end());
        let tolerance: SignedDuration = TOLERANCE.try_into().unwrap_or_default();
        if issued.duration_since(now) > tolerance {
            return Err(ImportError::Clock {
                text: format!(
                    "it says that it was signed at {issued}, and here it is {now}: one of the \
                     clocks is wrong"
                ),
                until: issued.saturating_sub(tolerance).unwrap_or(Timestamp::MAX),
            });
        }
        if end <= now {
            return Err(ImportError::Expired {
                text: format!(
                    "it stopped counting at {end}, and here it is {now}: the origin is out of \
                     reach, or one of the clocks is wrong"
                ),
                since: end,
            });
        }
        Ok(())
    }

    /// Checks the manifest against the newest one that was seen under its key.
    ///
    /// # Errors
    /// Its serial is lower, or it is the same and the content is not.
    pub fn check_serial(&self, highest: Option<&Highest>) -> Result<(), ImportError> {
        let Some(highest) = highest else {
            return Ok(());
        };
        let mine = self.mark();
        match mine.serial.cmp(&highest.serial) {
            std::cmp::Ordering::Less => Err(ImportError::OldSerial {
                serial: mine.serial,
                highest: highest.serial,
            }),
            std::cmp::Ordering::Equal if mine.payload != highest.payload => {
                Err(ImportError::Equivocation(mine.serial))
            }
            _ => Ok(()),
        }
    }

    /// Returns what is remembered of the manifest.
    pub fn mark(&self) -> Highest {
        Highest {
            serial: self.manifest.serial,
            payload: Digest::of(self.compact.unverified()),
            until: self.manifest.end(),
        }
    }
}
