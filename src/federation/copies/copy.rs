//! A domain as it was imported from one peer.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::api::s2s::{Ignored, KeyStatus, KeyTrust, Manifest};
use crate::facts::Interconnects;
use crate::federation::manifest::Signer;
use crate::ident::{Digest, DomainLabel, ResourceId, Tag};
use crate::publish::View;

use super::amount::Amount;

/// Which peer passes which domain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CopyName {
    /// The peer.
    pub sender: DomainLabel,
    /// The domain.
    pub domain: DomainLabel,
}

impl CopyName {
    /// The name of its rows.
    pub(in crate::federation) fn key(&self) -> Vec<u8> {
        format!("{}/{}", self.sender, self.domain).into_bytes()
    }
}

/// A domain as one peer passes it.
#[derive(Debug, Clone)]
pub struct DomainCopy {
    /// The domain.
    pub domain: DomainLabel,
    /// The domains it came through: the origin first, the sender last.
    pub path: Vec<DomainLabel>,
    /// The number of its content: of its manifest; of a plain domain, the time
    /// when it was read, in milliseconds.
    pub serial: u64,
    /// Its manifest; plain domains have none.
    pub signed: Option<SignedManifest>,
    /// Its view.
    pub view: Arc<View>,
    /// Its links to other domains.
    pub interconnects: Arc<Interconnects>,
    /// Our links to it, where it cannot state its own: of plain domains.
    pub ours: Arc<Interconnects>,
    /// The hash of what it says: two copies with the same one say the same.
    pub digest: Tag,
    /// What of it was left aside.
    pub ignored: Vec<Ignored>,
    /// The resources that we write otherwise than they were received.
    pub rewritten: Vec<ResourceId>,
    /// What it takes of the budgets of its peer.
    pub amount: Amount,
}

/// A manifest that was verified.
#[derive(Debug, Clone)]
pub struct SignedManifest {
    /// What it says.
    pub manifest: Arc<Manifest>,
    /// As it was signed.
    pub text: Arc<str>,
    /// The digest of its payload.
    pub fingerprint: Digest,
    /// By whom.
    pub signer: Signer,
}

/// The domains that are used: of each the best copy.
pub type Imports = BTreeMap<DomainLabel, Arc<DomainCopy>>;

impl DomainCopy {
    /// The peer that passes it.
    pub fn sender(&self) -> &DomainLabel {
        self.path.last().unwrap_or(&self.domain)
    }

    /// When it stops counting.
    pub fn end(&self) -> Option<Timestamp> {
        let signed = self.signed.as_ref()?;
        Some(signed.manifest.end())
    }

    /// The digest of its manifest's payload.
    pub fn fingerprint(&self) -> Option<Digest> {
        self.signed.as_ref().map(|signed| signed.fingerprint)
    }

    /// The key that it is signed with.
    pub fn key(&self) -> Option<KeyStatus> {
        let signer = self.signed.as_ref()?.signer;
        Some(KeyStatus {
            key: signer.key.to_string(),
            trust: signer.trust,
        })
    }

    /// Of two copies the greater one is used: signed by a key that is pinned or that
    /// the domain showed itself; then what a plain domain says itself; then what only a
    /// relay vouches for. Then the higher serial, the shorter path, the smaller label.
    pub(in crate::federation) fn rank(&self) -> impl Ord + '_ {
        use std::cmp::Reverse;
        let trust = match self.signed.as_ref().map(|signed| signed.signer.trust) {
            Some(KeyTrust::Pinned | KeyTrust::Direct) => 2,
            None => 1,
            Some(KeyTrust::Vouched) => 0,
        };
        (
            trust,
            self.serial,
            Reverse(self.path.len()),
            Reverse(self.sender()),
        )
    }
}
