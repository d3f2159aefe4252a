//! Restores what peers passed on last, after a start.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::api::s2s::{Manifest, ManifestEntry};
use crate::ident::{Digest, DomainLabel};
use crate::store::StoreError;

use super::copies::{
    Amount, Claim, CopyName, DomainCopy, KeptCopy, Parts, PeerRow, Restoring, over,
};
use super::import_error::ImportError;
use super::judge::{Trusted, Unsigned, Verified};
use super::manifest::{Via, read_kept};
use super::settings::{Limits, PeerSettings, Settings};
use super::shared::Shared;

/// Restores what the configured peers passed on last, all copies of one peer at once. A copy
/// keeps its age, and counts only by the keys that count now. What cannot be restored is read
/// from the peer; what is over a budget is not read from the disk. `told` reports the progress.
///
/// # Errors
/// The store cannot be read.
pub(super) async fn restore(
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
    told.send_modify(|told| told.note_read(over.len()));
    for (label, peer) in &settings.peers {
        let mut copies = Vec::new();
        if let Some(row) = peers.get(label) {
            for kept in shared.archive.kept_copies(label, is_wanted).await? {
                let domain = kept.name.domain.clone();
                let restored = if kept.signed {
                    signed(shared, peer, kept, row.synced).await
                } else {
                    unsigned(shared, peer, kept, row.synced).await
                };
                told.send_modify(|told| told.note_read(1));
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
        told.send_modify(|told| told.note_restored(label));
    }
    Ok(())
}

/// Returns which kept copies of the configured peers are over a budget now. All are judged
/// together, since the result must not depend on which peer is restored first.
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

/// Restores a signed domain.
async fn signed(
    shared: &Shared,
    peer: &PeerSettings,
    kept: KeptCopy,
    received_at: Timestamp,
) -> Result<DomainCopy, ImportError> {
    let text = String::from_utf8(kept.manifest.to_vec())
        .map_err(|error| ImportError::Form(error.to_string()))?;
    let manifest = read_kept(&kept.manifest).ok_or_else(unreadable)?;
    let domain = manifest.domain.clone();
    let entry = ManifestEntry {
        domain: domain.clone(),
        serial: manifest.serial,
        path: kept.path,
        manifest: text,
    };
    let received = shared.receive(peer, entry).await?;
    let via = match received.path.len() {
        1 => Via::Origin(&[]),
        _ => Via::Relay(&peer.domain),
    };
    let settings = shared.settings();
    let signer = {
        let trust = shared.trust.lock().await;
        let known = trust.keys.get(&domain).cloned().unwrap_or_default();
        let trusted = Trusted {
            pins: settings.pins(&domain),
            keys: &known,
            marks: &trust.marks,
            now: received_at,
        };
        // Its time and its serial were judged when it came.
        trusted.signer(via, &received)?
    };
    received.check_scope(&settings.own.domain)?;
    let limits = peer.import.limits();
    let documents = documents(shared, &manifest, &limits).await?;
    let verified = Verified { received, signer };
    let judged = shared
        .pool
        .run(move || verified.judge(&documents, None, &limits, received_at));
    judged.await?
}

/// Restores a plain domain.
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
    let documents = documents(shared, &manifest, &peer.import.limits()).await?;
    let unsigned = Unsigned {
        manifest,
        text: kept.manifest.len(),
    };
    let (settings, peer) = (shared.settings(), peer.clone());
    let judged = shared
        .pool
        .run(move || unsigned.judge(&documents, &settings.own.domain, &peer, received_at));
    judged.await?
}

/// Obtains the documents that a kept manifest names and that were kept with it.
async fn documents(
    shared: &Shared,
    manifest: &Manifest,
    limits: &Limits,
) -> Result<BTreeMap<Digest, Bytes>, ImportError> {
    let parts = Parts::of(manifest, limits)?;
    let mut documents = BTreeMap::new();
    for resource in parts.resources() {
        let document = shared.archive.blob(&resource.sha_256).await?;
        documents.extend(document.map(|document| (resource.sha_256, document)));
    }
    Ok(documents)
}

fn unreadable() -> ImportError {
    ImportError::Form("the kept manifest cannot be read".to_owned())
}
