//! A manifest that came from a peer.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::alto::json::{Tree, read};
use crate::api::s2s::{Manifest, ManifestEntry};
use crate::federation::import_error::ImportError;
use crate::ident::{Digest, DomainLabel};

use super::key::PublicKey;
use super::sign::Compact;
use super::validity::TOLERANCE;

/// A manifest that came from a peer.
#[derive(Debug, Clone)]
pub struct Received {
    /// What it says.
    pub manifest: Manifest,
    /// The domains it came through: the origin first, the sender last.
    pub path: Vec<DomainLabel>,
    /// As it was signed.
    pub text: String,
    compact: Compact,
}

/// What a manifest is held against as it is received.
#[derive(Debug, Clone, Copy)]
pub struct Reception<'a> {
    /// Our domain.
    pub own: &'a DomainLabel,
    /// The peer that passes it.
    pub sender: &'a DomainLabel,
    /// How many domains it may have come through.
    pub max_path: usize,
    /// How many bytes it may have.
    pub max_bytes: usize,
}

impl Reception<'_> {
    /// Takes what a peer passes, as far as that can be judged without a key.
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
        // A member that stands twice would be read differently elsewhere.
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
    /// Until when it counts: those before it count no longer.
    pub until: Timestamp,
}

impl Received {
    /// The key that signed it, of those given.
    ///
    /// # Errors
    /// None of them has the thumbprint that the manifest names; or the one
    /// that has did not sign it; or the manifest itself does not state it.
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

    /// The keys that it states: an unknown kind of key, or one whose
    /// thumbprint is another's, is none.
    pub fn stated_keys(&self) -> Vec<PublicKey> {
        let keys = self.manifest.keys.iter();
        keys.filter_map(|key| PublicKey::from_document(key).ok())
            .collect()
    }

    /// Whether `own` may have it by the way that it came. Asked once it is known who
    /// signed it: what a domain leaves us out of is withdrawn.
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

    /// Holds it against our clock.
    ///
    /// # Errors
    /// It is signed too far ahead, or stopped counting.
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

    /// Holds it against the newest one seen under its key.
    ///
    /// # Errors
    /// It is older, or as new and another.
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

    /// What is remembered of it.
    pub fn mark(&self) -> Highest {
        Highest {
            serial: self.manifest.serial,
            payload: Digest::of(self.compact.unverified()),
            until: self.manifest.end(),
        }
    }
}
