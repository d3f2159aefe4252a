//! Admits what was judged: into the budgets, onto the disk and among the copies.

use std::sync::Arc;

use crate::api::s2s::Manifest;
use crate::ident::{DomainLabel, Tag};

use super::copies::{Before, CopyName, DomainCopy, NewCopy};
use super::import_error::ImportError;
use super::judge::{Candidate, Ruling, change};
use super::peer::Taken;
use super::settings::PeerSettings;
use super::shared::Shared;

/// What becomes of what a peer says of a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is what is used of this peer.
    Taken,
    /// It changes too much at once; what was good before stays.
    Held,
}

impl Shared {
    /// Admits a copy that a peer passes: it is kept on the disk, and then it is what is used of
    /// this peer; or it is held. `room` is for its documents, until they are kept.
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

    /// Whether what a peer says of a domain may be used at once. If not, that is
    /// kept and shown.
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
                    tracing::info!(peer = %sender, %domain, "held no more: it is as before, or near it");
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

    /// Whether a manifest says what is held, and that would be again. It may be
    /// signed anew.
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

    /// Holds nothing any more of what a peer says of a domain.
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
