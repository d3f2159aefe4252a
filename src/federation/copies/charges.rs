//! What peers are charged for what they pass.

use crate::federation::archive::CopyName;
use crate::federation::budget::{Amount, Claim, Verdict, judge};

use super::*;

/// A version of a domain that is over a budget.
#[derive(Debug, Clone)]
pub(super) struct TooMuch {
    /// What it says.
    digest: Tag,
    takes: Amount,
}

impl Copies {
    /// Has all peers take at most this together.
    pub(in crate::federation) fn set_budget(&self, all: Amount) {
        *lock(&self.budget) = all;
    }

    /// Whether a version of a domain may be taken; it is charged from now on, and the last one
    /// stays until it is taken.
    ///
    /// # Errors
    /// It is over a budget.
    pub(in crate::federation) fn offer(
        &self,
        sender: &DomainLabel,
        domain: &DomainLabel,
        digest: &Tag,
        takes: Amount,
    ) -> Result<(), Refusal> {
        let offer = TooMuch {
            digest: digest.clone(),
            takes,
        };
        let mut peers = self.lock();
        let Some(peer) = peers.get_mut(sender) else {
            return Ok(());
        };
        peer.over.insert(domain.clone(), offer);
        let over = self.over(&peers, sender, domain);
        if over.is_ok() {
            // What it takes is seen from the copy.
            if let Some(peer) = peers.get_mut(sender) {
                peer.over.remove(domain);
            }
        }
        over
    }

    /// Whether a version of a domain is one that was over a budget, and is still.
    ///
    /// # Errors
    /// It is.
    pub(in crate::federation) fn check_over(
        &self,
        sender: &DomainLabel,
        domain: &DomainLabel,
        digest: &Tag,
    ) -> Result<(), Refusal> {
        let peers = self.lock();
        let over = peers.get(sender).and_then(|peer| peer.over.get(domain));
        match over.is_some_and(|over| over.digest == *digest) {
            true => self.over(&peers, sender, domain),
            false => Ok(()),
        }
    }

    /// Whether something that a peer passes is over a budget: there may be room for it now.
    pub(in crate::federation) fn has_over(&self, sender: &DomainLabel) -> bool {
        let peers = self.lock();
        peers.get(sender).is_some_and(|peer| !peer.over.is_empty())
    }

    /// Drops what is over a budget by now, since something else was taken or a budget is smaller;
    /// which copies these are.
    pub(in crate::federation) fn enforce(&self) -> Vec<CopyName> {
        let is_due = {
            let peers = self.lock();
            self.verdicts(&peers)
                .iter()
                .any(|(_, verdict)| matches!(verdict, Verdict::Dropped(_)))
        };
        if !is_due {
            return Vec::new();
        }
        let dropped = self.change(|peers| {
            let mut dropped = Vec::new();
            for (name, verdict) in self.verdicts(peers) {
                let Verdict::Dropped(over) = verdict else {
                    continue;
                };
                let Some(peer) = peers.get_mut(&name.sender) else {
                    continue;
                };
                let Some(copy) = peer.copies.remove(&name.domain) else {
                    continue;
                };
                let version = || TooMuch {
                    digest: copy.digest.clone(),
                    takes: copy.amount,
                };
                peer.over.entry(name.domain.clone()).or_insert_with(version);
                let refusal = Refusal::from(over);
                let refused = Refused::of(&refusal, &copy.path, None);
                peer.refused.insert(name.domain.clone(), refused);
                dropped.push((name, refusal));
            }
            dropped
        });
        let mut names = Vec::with_capacity(dropped.len());
        for (name, refusal) in dropped {
            let CopyName { sender, domain } = &name;
            tracing::warn!(peer = %sender, %domain, reason = refusal.code(), "dropped: {refusal}");
            self.rejections.count(&refusal);
            names.push(name);
        }
        names
    }

    fn over(
        &self,
        peers: &Peers,
        sender: &DomainLabel,
        domain: &DomainLabel,
    ) -> Result<(), Refusal> {
        let verdicts = self.verdicts(peers);
        let of = verdicts
            .into_iter()
            .find(|(name, _)| name.sender == *sender && name.domain == *domain);
        match of {
            Some((_, Verdict::Kept(over) | Verdict::Dropped(over))) => Err(over.into()),
            Some((_, Verdict::Taken)) | None => Ok(()),
        }
    }

    fn verdicts(&self, peers: &Peers) -> Vec<(CopyName, Verdict)> {
        let claims: Vec<_> = peers.values().flat_map(Peer::claims).collect();
        let each = |label: &DomainLabel| {
            let peer = peers.get(label);
            peer.map_or(Amount::default(), |peer| peer.settings.import.budget())
        };
        let verdicts = judge(&claims, each, *lock(&self.budget));
        let name = |claim: &Claim<'_>| CopyName {
            sender: claim.sender.clone(),
            domain: claim.domain.clone(),
        };
        claims.iter().map(name).zip(verdicts).collect()
    }
}

impl Peer {
    /// What it is charged for.
    fn claims(&self) -> impl Iterator<Item = Claim<'_>> {
        let sender = &self.settings.domain;
        let held = self.copies.iter().map(move |(domain, copy)| {
            let over = self.over.get(domain);
            Claim {
                sender,
                domain,
                offered: over.map_or(copy.amount, |over| over.takes),
                held: over.map(|_| copy.amount),
            }
        });
        let unheld = self.over.iter();
        let unheld = unheld.filter(|(domain, _)| !self.copies.contains_key(*domain));
        held.chain(unheld.map(move |(domain, over)| Claim {
            sender,
            domain,
            offered: over.takes,
            held: None,
        }))
    }

    /// What it takes now.
    pub(super) fn takes(&self) -> Amount {
        let amounts = self.copies.values().map(|copy| copy.amount);
        amounts.fold(Amount::default(), Amount::plus)
    }
}
