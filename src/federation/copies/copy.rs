//! A domain as it was imported from one peer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::api::s2s::{Ignored, KeyStatus, KeyTrust, Manifest};
use crate::facts::Interconnects;
use crate::federation::manifest::Signer;
use crate::ident::{Digest, DomainLabel, PidName, ResourceId, Tag};
use crate::publish::View;

use super::amount::Amount;

/// The name of a copy: which peer passes on which domain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CopyName {
    /// The peer.
    pub sender: DomainLabel,
    /// The domain.
    pub domain: DomainLabel,
}

impl CopyName {
    /// Returns the key of its rows in the store.
    pub(in crate::federation) fn key(&self) -> Vec<u8> {
        format!("{}/{}", self.sender, self.domain).into_bytes()
    }
}

/// A domain as one peer passes it on.
#[derive(Debug, Clone)]
pub struct DomainCopy {
    /// The domain.
    pub domain: DomainLabel,
    /// The domains that it came through: the origin first, the sender last.
    pub path: Vec<DomainLabel>,
    /// The number of its content: the serial of its manifest; for a plain domain, the time when
    /// it was read, in milliseconds.
    pub serial: u64,
    /// Its manifest; plain domains have none.
    pub signed: Option<SignedManifest>,
    /// Its view.
    pub view: Arc<View>,
    /// Its off-net PIDs, if it can say which they are.
    pub off_net: Arc<BTreeSet<PidName>>,
    /// Its links to other domains.
    pub interconnects: Arc<Interconnects>,
    /// Our links to it, if it is a plain domain, which cannot state its own.
    pub ours: Arc<Interconnects>,
    /// The hash of its content: two copies with the same hash state the same.
    pub digest: Tag,
    /// What was left out of it, and why.
    pub ignored: Vec<Ignored>,
    /// The resources that we render differently from what we received.
    pub rewritten: Vec<ResourceId>,
    /// How much of its peer's budgets it takes.
    pub amount: Amount,
}

/// A manifest that was verified.
#[derive(Debug, Clone)]
pub struct SignedManifest {
    /// Its content.
    pub manifest: Arc<Manifest>,
    /// The signed text, a compact JWS.
    pub text: Arc<str>,
    /// The digest of its payload.
    pub fingerprint: Digest,
    /// Who signed it.
    pub signer: Signer,
}

/// The domains that are used, each with its best copy.
pub type Imports = BTreeMap<DomainLabel, Arc<DomainCopy>>;

impl DomainCopy {
    /// Returns the peer that passes it on.
    pub fn sender(&self) -> &DomainLabel {
        self.path.last().unwrap_or(&self.domain)
    }

    /// Returns when it stops counting; `None` for a plain domain.
    pub fn end(&self) -> Option<Timestamp> {
        let signed = self.signed.as_ref()?;
        Some(signed.manifest.end())
    }

    /// Returns the digest of its manifest's payload.
    pub fn fingerprint(&self) -> Option<Digest> {
        self.signed.as_ref().map(|signed| signed.fingerprint)
    }

    /// Returns the key that it is signed with.
    pub fn key(&self) -> Option<KeyStatus> {
        let signer = self.signed.as_ref()?.signer;
        Some(KeyStatus {
            key: signer.key.to_string(),
            trust: signer.trust,
        })
    }

    /// Returns the rank of the copy: of two copies, the one with the higher rank is used. A copy
    /// signed by a pinned key or one that the domain itself showed comes first, then a plain
    /// domain, then a copy that only a relay vouches for. After that the higher serial, the
    /// shorter path and the smaller label win.
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
