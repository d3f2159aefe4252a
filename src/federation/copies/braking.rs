//! Whether what a peer says of a domain is used at once, or held.

use crate::api::s2s::Manifest;
use crate::brake::{Stated, Verdict, judge};
use crate::facts::Interconnects;
use crate::federation::import_error::ImportError;
use crate::federation::settings::PeerSettings;
use crate::federation::shared::Shared;
use crate::ident::{DomainLabel, Tag};

use super::copy::{CopyName, DomainCopy};
use super::held::{Grounds, HeldChange};
use super::table::Before;

/// What becomes of what a peer says of a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::federation) enum Outcome {
    /// It is what is used of this peer.
    Taken,
    /// It changes too much at once; what was good before stays.
    Held,
}

impl Shared {
    /// Whether what a peer says of a domain may be used at once. If not, that is
    /// kept and shown.
    pub(in crate::federation) async fn brake(
        &self,
        peer: &PeerSettings,
        copy: &DomainCopy,
    ) -> Result<Outcome, ImportError> {
        let Some(before) = self.copies.before(copy) else {
            return Ok(Outcome::Taken);
        };
        let thresholds = peer.import.thresholds();
        let grounds = before.grounds(peer);
        let Before {
            used,
            reference,
            held,
            ..
        } = before;
        let is_signed = copy.signed.is_some();
        let (view, links, former) = (copy.view.clone(), copy.interconnects.clone(), used.clone());
        let verdict = self.pool.run(move || {
            let none = Interconnects::new();
            // A plain domain's links are what our operator says.
            let new = Stated::by(&view, if is_signed { &links } else { &none });
            let to_new = |old: &DomainCopy| {
                let links = if is_signed { &old.interconnects } else { &none };
                judge(&Stated::by(&old.view, links), &new, &thresholds)
            };
            let verdict = match (to_new(&former), &reference) {
                // Small steps one after the other come to a large one.
                (Verdict::Pass { .. }, Some(reference)) => to_new(reference),
                (verdict, _) => verdict,
            };
            let kept = reference.unwrap_or(former);
            (verdict, kept.view.bytes_beside(Some(&view)) as u64)
        });
        let (domain, sender) = (&copy.domain, &peer.domain);
        let (verdict, bytes) = verdict.await?;
        let difference = match verdict {
            Verdict::Pass { grows } => {
                if held.is_some() {
                    tracing::info!(peer = %sender, %domain, "held no more: it is as before, or near it");
                }
                match grows {
                    true => self.copies.accept_as_it_is(domain),
                    false => self.copies.changes_from(used, copy, bytes),
                }
                return Ok(Outcome::Taken);
            }
            Verdict::Held(difference) => difference,
        };
        let now = self.copies.now();
        if let Some(held) = &held
            && held.held.lets_pass(&difference, peer.import.hold, now.0)
        {
            let accepted = held.held.accepted.is_some();
            tracing::info!(peer = %sender, %domain, accepted, "held no more: taken");
            self.copies.accept_as_it_is(domain);
            return Ok(Outcome::Taken);
        }
        let change = HeldChange::new(copy, difference, grounds, held.as_ref(), now);
        let refusal = change.refusal(domain, &thresholds, peer.import.hold);
        let is_news = held.is_none_or(|held| !change.held.goes_on_from(&held.held));
        if is_news {
            tracing::warn!(peer = %sender, %domain, reason = refusal.code(), "held: {refusal}");
            self.copies.count(&refusal);
        }
        let name = CopyName {
            sender: sender.clone(),
            domain: domain.clone(),
        };
        self.archive.keep_held(&name, &change.row()).await?;
        self.copies.hold(sender, domain, change);
        Ok(Outcome::Held)
    }

    /// Whether a manifest says what is held, and that would be again. It may be
    /// signed anew.
    pub(in crate::federation) async fn is_still_held(
        &self,
        peer: &PeerSettings,
        manifest: &Manifest,
        content: &Tag,
    ) -> Result<bool, ImportError> {
        let (sender, domain) = (&peer.domain, &manifest.domain);
        let before = self.copies.compared(sender, domain);
        let Some((mut held, grounds)) =
            before.and_then(|before| Some((before.held.clone()?, before.grounds(peer))))
        else {
            return Ok(false);
        };
        let is_due = held.held.is_due(peer.import.hold, self.copies.now().0);
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

    /// Nothing of what a peer says of a domain is held any more.
    pub(in crate::federation) async fn release(
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

impl Before {
    /// By what a change of a peer is judged.
    fn grounds(&self, peer: &PeerSettings) -> Grounds {
        Grounds {
            thresholds: peer.import.thresholds(),
            used: self.used.digest.clone(),
            reference: self.reference.as_ref().map(|copy| copy.digest.clone()),
        }
    }
}
