//! Admits a copy that was judged: finds room in the budgets, writes it to the disk, and uses it.

use std::sync::Arc;

use crate::api::s2s::Manifest;
use crate::ident::{DomainLabel, Tag};

use super::copies::{Before, CopyName, DomainCopy, NewCopy};
use super::import_error::ImportError;
use super::judge::{Candidate, Ruling, change};
use super::peer::Taken;
use super::settings::PeerSettings;
use super::shared::Shared;

/// What became of a peer's copy of a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is now the copy of this peer.
    Taken,
    /// It is held, since it changes too much at once. The copy before it stays.
    Held,
}

impl Shared {
    /// Admits a copy that a peer passes on: writes it to the disk and then makes it the copy of
    /// this peer, or holds it. `room` is the room of its documents until they are on the disk.
    ///
    /// # Errors
    /// It is over a budget, or the store failed.
    pub(super) async fn admit(
        &self,
        peer: &PeerSettings,
        candidate: Candidate,
        room: Option<Taken>,
    ) -> Result<Outcome, ImportError> {
        let Candidate {
            copy,
            manifest,
            documents,
        } = candidate;
        let sender = &peer.domain;
        let _reserved = self
            .copies
            .offer(sender, &copy.domain, &copy.digest, copy.amount)?;
        let copy = Arc::new(copy);
        if self.brake(peer, &copy).await? == Outcome::Held {
            return Ok(Outcome::Held);
        }
        let name = CopyName {
            sender: sender.clone(),
            domain: copy.domain.clone(),
        };
        let kept = NewCopy {
            path: copy.path.clone(),
            manifest,
            signed: copy.signed.is_some(),
            takes: copy.amount,
            documents,
        };
        self.archive.keep_copy(&name, kept).await?;
        drop(room);
        if copy.signed.is_some() {
            tracing::info!(peer = %sender, domain = %name.domain, serial = copy.serial, "taken");
        }
        self.copies.take(copy);
        self.archive.drop_held(&name).await?;
        Ok(Outcome::Taken)
    }

    /// Judges whether a copy may be used at once. If not, the change is held, kept on the disk
    /// and shown.
    async fn brake(
        &self,
        peer: &PeerSettings,
        copy: &Arc<DomainCopy>,
    ) -> Result<Outcome, ImportError> {
        let Some(before) = self.copies.before(copy) else {
            return Ok(Outcome::Taken);
        };
        let (domain, sender) = (&copy.domain, &peer.domain);
        let Before { used, held, .. } = &before;
        let (used, was_held) = (used.clone(), held.is_some());
        let (judged, import, now) = (copy.clone(), peer.import.clone(), self.copies.now());
        let ruling = self
            .pool
            .run(move || change(&judged, &before, &import, now));
        let (change, is_news) = match ruling.await? {
            Ruling::Passes { grows, differs } => {
                if was_held {
                    tracing::info!(peer = %sender, %domain, "no longer held: the domain is as before again, or near it");
                }
                if grows {
                    self.copies.accept_as_it_is(domain);
                } else {
                    self.copies.changes_from(used, copy, differs);
                }
                return Ok(Outcome::Taken);
            }
            Ruling::Due { accepted } => {
                tracing::info!(peer = %sender, %domain, accepted, "held no more: taken");
                self.copies.accept_as_it_is(domain);
                return Ok(Outcome::Taken);
            }
            Ruling::Holds { change, is_news } => (change, is_news),
        };
        if is_news {
            let refusal = change.refusal(domain, &peer.import.thresholds(), peer.import.hold);
            tracing::warn!(peer = %sender, %domain, reason = refusal.code(), "held: {refusal}");
            self.copies.count(&refusal);
        }
        let name = CopyName {
            sender: sender.clone(),
            domain: domain.clone(),
        };
        self.archive.keep_held(&name, &change.row()).await?;
        self.copies.hold(sender, domain, *change);
        Ok(Outcome::Held)
    }

    /// Whether a manifest states what is held already, and that would be held again. If it was
    /// only signed again, its serial and end are taken over.
    ///
    /// # Errors
    /// The store failed.
    pub(super) async fn is_still_held(
        &self,
        peer: &PeerSettings,
        manifest: &Manifest,
        content: &Tag,
    ) -> Result<bool, ImportError> {
        let (sender, domain) = (&peer.domain, &manifest.domain);
        let Some(before) = self.copies.compared(sender, domain) else {
            return Ok(false);
        };
        let grounds = before.grounds(peer.import.thresholds());
        let Some(mut held) = before.held else {
            return Ok(false);
        };
        let is_due = held.held.is_due(peer.import.hold, self.copies.now().moment);
        if held.content != *content || is_due || held.judged != Some(grounds) {
            return Ok(false);
        }
        if held.serial != manifest.serial {
            held.serial = manifest.serial;
            held.next_update = Some(manifest.end());
            let name = CopyName {
                sender: sender.clone(),
                domain: domain.clone(),
            };
            self.archive.keep_held(&name, &held.row()).await?;
        }
        self.copies.hold(sender, domain, held);
        Ok(true)
    }

    /// Drops the held change of a domain that a peer passed on, if there is one.
    ///
    /// # Errors
    /// The store failed.
    pub(super) async fn release(
        &self,
        peer: &DomainLabel,
        domain: &DomainLabel,
    ) -> Result<(), ImportError> {
        if self.copies.release(peer, domain) {
            let name = CopyName {
                sender: peer.clone(),
                domain: domain.clone(),
            };
            self.archive.drop_held(&name).await?;
        }
        Ok(())
    }
}
