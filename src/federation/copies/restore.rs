//! What peers passed last, restored after a start.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::api::s2s::{Manifest, ManifestEntry};
use crate::federation::import_error::ImportError;
use crate::federation::manifest::{Reception, Via, read_kept};
use crate::federation::peer::signed_copy;
use crate::federation::plain;
use crate::federation::settings::{PeerSettings, Settings};
use crate::federation::shared::Shared;
use crate::ident::{Digest, DomainLabel};
use crate::store::StoreError;

use super::amount::Amount;
use super::archive::{KeptCopy, PeerRow};
use super::budget::{Claim, over};
use super::copy::{CopyName, DomainCopy};
use super::holdings::Stated;
use super::import::{Import, Parts, import};

/// How far what peers passed before the node started is restored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restoring {
    /// The copies of domains that are not used yet.
    left: BTreeSet<CopyName>,
    /// How many were kept, and how many of them were read.
    kept: usize,
    read: usize,
    is_over: bool,
}

impl Restoring {
    /// Nothing of this is restored yet.
    pub(in crate::federation) fn new(left: BTreeSet<CopyName>) -> Self {
        Self {
            kept: left.len(),
            read: 0,
            left,
            is_over: false,
        }
    }

    /// Says that nothing more is restored.
    pub(in crate::federation) fn end(&mut self) {
        self.left.clear();
        self.is_over = true;
    }

    /// Whether all is restored that could be.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// How many copies of domains were read from the disk, and how many there are.
    pub fn read(&self) -> (usize, usize) {
        (self.read, self.kept)
    }

    /// Whether a copy of a domain may still come that is wanted.
    pub(in crate::federation) fn awaits(&self, wanted: impl Fn(&DomainLabel) -> bool) -> bool {
        self.left.iter().any(|name| wanted(&name.domain))
    }
}

/// Restores what the configured peers passed last, those of one peer together.
/// It is as old as it is, and counts only by the keys that count now; what
/// cannot be restored is read from the peer, and what is over a budget is not
/// read from the disk. `told` says how far it is.
///
/// # Errors
/// The store cannot be read.
pub(in crate::federation) async fn restore(
    shared: &Arc<Shared>,
    peers: &BTreeMap<DomainLabel, PeerRow>,
    told: &watch::Sender<Restoring>,
) -> Result<(), StoreError> {
    let settings = shared.settings();
    let kept = shared.archive.takes().await;
    let over = beyond(&kept, &settings);
    for (name, refusal) in &over {
        let CopyName { sender, domain } = name;
        let reason = refusal.code();
        tracing::warn!(peer = %sender, %domain, reason, "not restored: {refusal}");
    }
    let is_wanted = |name: &CopyName| !over.contains_key(name);
    told.send_modify(|told| told.read += over.len());
    for (label, peer) in &settings.peers {
        let mut copies = Vec::new();
        if let Some(row) = peers.get(label) {
            for kept in shared.archive.kept_copies(label, is_wanted).await? {
                let domain = kept.name.domain.clone();
                let restored = match kept.signed {
                    true => signed(shared, peer, kept, row.synced).await,
                    false => unsigned(shared, peer, kept, row.synced).await,
                };
                told.send_modify(|told| told.read += 1);
                match restored {
                    Ok(copy) => copies.push(copy),
                    Err(refusal) => {
                        let reason = refusal.code();
                        tracing::warn!(peer = %label, %domain, reason, "not restored: {refusal}");
                    }
                }
            }
        }
        shared.copies.take_all(label, copies);
        told.send_modify(|told| told.left.retain(|name| name.sender != *label));
    }
    Ok(())
}

/// What of the configured peers is over a budget by now: of all together, since which it is must
/// not depend on who is restored first.
fn beyond(
    kept: &BTreeMap<CopyName, Amount>,
    settings: &Settings,
) -> BTreeMap<CopyName, ImportError> {
    let is_read = |(name, _): &(&CopyName, _)| settings.peers.contains_key(&name.sender);
    let claims = kept.iter().filter(is_read).map(|(name, takes)| Claim {
        sender: &name.sender,
        domain: &name.domain,
        takes: *takes,
    });
    let each = |label: &DomainLabel| {
        let peer = settings.peers.get(label);
        peer.map_or(Amount::default(), |peer| peer.import.budget())
    };
    let over = over(claims, each, settings.budget).into_iter();
    let named = over.map(|(claim, why)| {
        let name = CopyName {
            sender: claim.sender.clone(),
            domain: claim.domain.clone(),
        };
        (name, why.into())
    });
    named.collect()
}

async fn signed(
    shared: &Shared,
    peer: &PeerSettings,
    kept: KeptCopy,
    received_at: Timestamp,
) -> Result<DomainCopy, ImportError> {
    let text = String::from_utf8(kept.manifest.to_vec())
        .map_err(|error| ImportError::Form(error.to_string()))?;
    let manifest = read_kept(&kept.manifest).ok_or_else(unreadable)?;
    let settings = shared.settings();
    let domain = manifest.domain.clone();
    let entry = ManifestEntry {
        domain: domain.clone(),
        serial: manifest.serial,
        path: kept.path,
        manifest: text,
    };
    let (own, limits) = (settings.own.domain.clone(), peer.import.clone());
    let sender = peer.domain.clone();
    let read = shared.pool.run(move || {
        let reception = Reception {
            own: &own,
            sender: &sender,
            max_path: limits.max_path,
            max_bytes: limits.limits().max_manifest_bytes,
        };
        reception.read(&entry)
    });
    let received = read.await??;
    let via = match received.path.len() {
        1 => Via::Origin(&[]),
        _ => Via::Relay(&peer.domain),
    };
    let signer = {
        let trust = shared.trust.lock().await;
        let known = trust.keys.get(&domain).cloned().unwrap_or_default();
        known.verify(settings.pins(&domain), via, &received, received_at)?
    };
    received.check_scope(&settings.own.domain)?;
    let import = imported(shared, peer, manifest, received_at).await?;
    Ok(signed_copy(received, signer, import))
}

async fn unsigned(
    shared: &Shared,
    peer: &PeerSettings,
    kept: KeptCopy,
    received_at: Timestamp,
) -> Result<DomainCopy, ImportError> {
    if shared.must_be_signed(&peer.domain).await {
        return Err(ImportError::Key("the domain has to be signed".to_owned()));
    }
    let manifest = read_kept(&kept.manifest).ok_or_else(unreadable)?;
    let domain = manifest.domain.clone();
    let serial = manifest.serial;
    let stated = Stated::by(&manifest, kept.manifest.len());
    let import = imported(shared, peer, manifest, received_at).await?;
    let own = shared.settings().own.domain.clone();
    let links = plain::links(&own, &domain, &peer.interconnects, import.view.network());
    let (view, theirs) = (import.view.clone(), links.theirs.clone());
    let digest = shared.pool.run(move || plain::digest(&view, &theirs));
    let amount = stated.of_domain(&import.view, &links.theirs);
    Ok(DomainCopy {
        amount,
        domain,
        path: kept.path,
        serial,
        signed: None,
        digest: digest.await?,
        view: import.view,
        interconnects: Arc::new(links.theirs),
        ours: Arc::new(links.ours),
        ignored: links.ignored,
        rewritten: Vec::new(),
    })
}

/// The domain that a kept manifest is of, by the bodies that were kept.
async fn imported(
    shared: &Shared,
    peer: &PeerSettings,
    manifest: Manifest,
    received_at: Timestamp,
) -> Result<Import, ImportError> {
    let limits = peer.import.limits();
    let parts = Parts::of(&manifest, &limits)?;
    let mut bodies: BTreeMap<Digest, Bytes> = BTreeMap::new();
    for resource in parts.resources() {
        let body = shared.archive.blob(&resource.sha_256).await?;
        bodies.extend(body.map(|body| (resource.sha_256, body)));
    }
    let made = shared
        .pool
        .run(move || import(&manifest, &bodies, None, &limits, received_at));
    made.await?
}

fn unreadable() -> ImportError {
    ImportError::Form("the kept manifest cannot be read".to_owned())
}
