//! Judges what was obtained of a domain: the manifest, the documents that it names, and how much
//! they change. Nothing here does I/O, waits or remembers.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use crate::api::s2s::Manifest;
use crate::brake::{Stated, Verdict, judge};
use crate::facts::Interconnects;
use crate::ident::{Digest, DomainLabel, Tag};

use super::copies::{
    Before, DomainCopy, Former, HeldChange, Holding, Import, Now, SignedManifest, import,
};
use super::import_error::ImportError;
use super::manifest::{
    KnownKeys, MarkName, Marks, PublicKey, Received, Signer, Via, content_digest,
};
use super::plain;
use super::settings::{ImportSettings, Limits, PeerSettings};

/// The keys, marks and date by which a manifest is judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trusted<'a> {
    /// The keys that the operator pinned for the domain.
    pub(super) pins: &'a [PublicKey],
    /// The keys of the domain that are known.
    pub(super) keys: &'a KnownKeys,
    /// The newest manifest that was seen under each key.
    pub(super) marks: &'a Marks,
    /// The date by which manifests count.
    pub(super) now: Timestamp,
}

impl Trusted<'_> {
    /// Judges who signed a manifest, and whether it counts now.
    ///
    /// # Errors
    /// It is not signed by a key that may sign it; or its time is past or still to come; or it
    /// is older than one that was seen.
    pub(super) fn judge(&self, via: Via<'_>, received: &Received) -> Result<Signer, ImportError> {
        let signer = self.signer(via, received)?;
        received.check_clock(self.now)?;
        let name = MarkName {
            domain: received.manifest.domain.clone(),
            kid: signer.key.kid(),
        };
        let newest = self.marks.get(&name).map(|mark| &mark.highest);
        received.check_serial(newest)?;
        Ok(signer)
    }

    /// Judges who signed a manifest, even one that does not count now.
    ///
    /// # Errors
    /// It is not signed by a key that may sign it.
    pub(super) fn signer(&self, via: Via<'_>, received: &Received) -> Result<Signer, ImportError> {
        self.keys.verify(self.pins, via, received, self.now)
    }
}

/// A manifest whose signer is known.
#[derive(Debug, Clone)]
pub(super) struct Verified {
    pub(super) received: Received,
    pub(super) signer: Signer,
}

/// A copy of a domain that may be used, and what is to be kept of it on the disk.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) copy: DomainCopy,
    /// The text of its manifest: as it was signed, or one that nobody signed.
    pub(super) manifest: Bytes,
    /// The documents that it names and that are not kept yet.
    pub(super) documents: Vec<Bytes>,
}

impl Verified {
    /// Returns the hash of what the manifest states.
    pub(super) fn content(&self) -> Tag {
        content_digest(&self.received.manifest)
    }

    /// Whether a copy is of this very manifest, that came by the same path and is trusted for
    /// the same reason.
    pub(super) fn is_of(&self, copy: &DomainCopy) -> bool {
        // A pin that came or went changes why the same key is trusted.
        let is_same =
            |it: &SignedManifest| *it.text == *self.received.text && it.signer == self.signer;
        copy.signed.as_ref().is_some_and(is_same) && copy.path == self.received.path
    }

    /// Judges the documents that the manifest names, except those that `former` has already.
    /// Takes CPU time in proportion to the size of the maps.
    ///
    /// # Errors
    /// They are not what was signed, cannot be read, do not fit together, or exceed the limits.
    pub(super) fn judge(
        self,
        documents: &BTreeMap<Digest, Bytes>,
        former: Option<&DomainCopy>,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<DomainCopy, ImportError> {
        let former = former.and_then(Former::of);
        let import = import(&self.received.manifest, documents, former, limits, now)?;
        Ok(self.copy(import))
    }

    /// Returns the copy for a manifest that states the same as `former` and was only signed
    /// again.
    pub(super) fn again(self, former: &DomainCopy) -> DomainCopy {
        self.copy(Import {
            view: former.view.clone(),
            off_net: former.off_net.clone(),
            interconnects: former.interconnects.clone(),
            ignored: former.ignored.clone(),
            rewritten: former.rewritten.clone(),
        })
    }

    fn copy(self, import: Import) -> DomainCopy {
        let digest = self.content();
        let Self { received, signer } = self;
        let holding = Holding::by(&received.manifest, received.text.len());
        DomainCopy {
            amount: holding.of_domain(&import.view, &import.interconnects),
            domain: received.manifest.domain.clone(),
            serial: received.manifest.serial,
            digest,
            signed: Some(SignedManifest {
                fingerprint: received.mark().payload,
                manifest: Arc::new(received.manifest),
                text: received.text.into(),
                signer,
            }),
            path: received.path,
            ours: Arc::default(),
            view: import.view,
            off_net: import.off_net,
            interconnects: import.interconnects,
            ignored: import.ignored,
            rewritten: import.rewritten,
        }
    }
}

/// A plain domain as it was kept on the disk: a manifest that nobody signed.
#[derive(Debug)]
pub(super) struct Unsigned {
    pub(super) manifest: Manifest,
    /// The length of its text in bytes.
    pub(super) text: usize,
}

impl Unsigned {
    /// Judges the documents of a plain domain that were kept, as `peer` is configured now.
    ///
    /// # Errors
    /// As for [`Verified::judge`].
    pub(super) fn judge(
        self,
        documents: &BTreeMap<Digest, Bytes>,
        own: &DomainLabel,
        peer: &PeerSettings,
        now: Timestamp,
    ) -> Result<DomainCopy, ImportError> {
        let limits = peer.import.limits();
        let import = import(&self.manifest, documents, None, &limits, now)?;
        let domain = self.manifest.domain.clone();
        let links = plain::links(own, &domain, &peer.interconnects, import.view.network());
        let digest = plain::digest(&import.view, &links.theirs);
        let holding = Holding::by(&self.manifest, self.text);
        Ok(plain::copy_of(domain, import.view, links, digest, &holding))
    }
}

/// What becomes of a copy, which depends on how much it changes.
#[derive(Debug)]
pub(super) enum Ruling {
    /// It is used at once, as it changes little.
    Passes {
        /// Whether it only adds.
        grows: bool,
        /// How many bytes of the copy before are not shared with it.
        differs: u64,
    },
    /// It is used although it changes much: its hold is over, or an operator accepted it.
    Due {
        /// Whether an operator accepted it.
        accepted: bool,
    },
    /// It is held.
    Holds {
        change: Box<HeldChange>,
        /// Whether the hold begins with it.
        is_news: bool,
    },
}

/// Judges how much a copy changes, compared to the copy before. Takes CPU time in proportion to
/// the size of the maps.
pub(super) fn change(
    copy: &DomainCopy,
    before: &Before,
    import: &ImportSettings,
    now: Now,
) -> Ruling {
    let thresholds = import.thresholds();
    let none = Interconnects::new();
    let said = |it| said(it, copy.signed.is_some(), &none);
    let new = said(copy);
    let to_new = |old| judge(&said(old), &new, &thresholds);
    let verdict = match (to_new(&before.used), &before.reference) {
        // Many small steps can add up to a large one.
        (Verdict::Pass { .. }, Some(reference)) => to_new(reference),
        (verdict, _) => verdict,
    };
    let difference = match verdict {
        Verdict::Pass { grows } => {
            let kept = before.reference.as_ref().unwrap_or(&before.used);
            let differs = kept.view.bytes_beside(Some(&copy.view)) as u64;
            return Ruling::Passes { grows, differs };
        }
        Verdict::Held(difference) => difference,
    };
    let held = before.held.as_ref();
    if let Some(held) = held
        && held.held.lets_pass(&difference, import.hold, now.moment)
    {
        let accepted = held.held.accepted.is_some();
        return Ruling::Due { accepted };
    }
    let change = HeldChange::new(copy, difference, before.grounds(thresholds), held, now);
    let is_news = held.is_none_or(|held| !change.held.goes_on_from(&held.held));
    Ruling::Holds {
        change: Box::new(change),
        is_news,
    }
}

/// Returns the part of a copy that is compared. It leaves out the links of a plain domain, which
/// our operator states.
fn said<'a>(it: &'a DomainCopy, is_signed: bool, none: &'a Interconnects) -> Stated<'a> {
    let links = if is_signed { &it.interconnects } else { none };
    Stated::by(&it.view, links)
}
