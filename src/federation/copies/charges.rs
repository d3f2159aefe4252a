//! What peers are charged for what they pass.

use std::ops::Deref;

use crate::federation::archive::CopyName;
use crate::federation::budget::{Amount, Claim, Verdict, judge};

use super::*;

/// Something of which is known how much it takes.
pub(super) trait Takes {
    fn takes(&self) -> Amount;
}

impl Takes for Arc<DomainCopy> {
    fn takes(&self) -> Amount {
        self.amount
    }
}

impl Takes for TooMuch {
    fn takes(&self) -> Amount {
        self.takes
    }
}

/// Something of each domain, and what all of it takes: known without looking at each, since a
/// change of one domain must not cost all of them.
#[derive(Debug)]
pub(super) struct Summed<T> {
    by_domain: BTreeMap<DomainLabel, T>,
    takes: Amount,
}

impl<T> Default for Summed<T> {
    fn default() -> Self {
        Self {
            by_domain: BTreeMap::new(),
            takes: Amount::default(),
        }
    }
}

impl<T> Deref for Summed<T> {
    type Target = BTreeMap<DomainLabel, T>;

    fn deref(&self) -> &Self::Target {
        &self.by_domain
    }
}

impl<T: Takes> Summed<T> {
    pub(super) fn insert(&mut self, domain: DomainLabel, it: T) {
        self.takes = self.takes.plus(it.takes());
        if let Some(before) = self.by_domain.insert(domain, it) {
            self.takes = self.takes.minus(before.takes());
        }
    }

    pub(super) fn remove(&mut self, domain: &DomainLabel) -> Option<T> {
        let gone = self.by_domain.remove(domain)?;
        self.takes = self.takes.minus(gone.takes());
        Some(gone)
    }

    /// Takes out those that are due.
    pub(super) fn extract(
        &mut self,
        mut is_due: impl FnMut(&DomainLabel, &T) -> bool,
    ) -> Vec<(DomainLabel, T)> {
        let gone = self
            .by_domain
            .extract_if(.., |domain, it| is_due(domain, it));
        let gone: Vec<_> = gone.collect();
        for (_, it) in &gone {
            self.takes = self.takes.minus(it.takes());
        }
        gone
    }

    pub(super) fn takes(&self) -> Amount {
        self.takes
    }
}

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

    /// Whether there is room for all that every peer may take: looks at each peer, and at no
    /// domain.
    fn is_roomy(&self, peers: &Peers) -> bool {
        let most = peers.values().map(Peer::most);
        let most = most.fold(Amount::default(), Amount::plus);
        most.is_within(*lock(&self.budget))
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
        let is_due = |peers: &Peers| {
            let mut verdicts = self.verdicts(peers).into_iter();
            verdicts.any(|(_, verdict)| matches!(verdict, Verdict::Dropped(_)))
        };
        let is_due = {
            let peers = self.lock();
            let is_roomy = self.is_roomy(&peers) && peers.values().all(Peer::is_within);
            !is_roomy && is_due(&peers)
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
                if !peer.over.contains_key(&name.domain) {
                    let version = TooMuch {
                        digest: copy.digest.clone(),
                        takes: copy.amount,
                    };
                    peer.over.insert(name.domain.clone(), version);
                }
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
        if self.is_roomy(peers) && peers.get(sender).is_none_or(Peer::is_within) {
            return Ok(());
        }
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

    /// What it is charged for, at most: what it passes, and what of that is over beside the last
    /// version.
    fn charged(&self) -> Amount {
        self.copies.takes().plus(self.over.takes())
    }

    fn is_within(&self) -> bool {
        self.charged().is_within(self.settings.import.budget())
    }

    /// What it can take of the budget of all.
    fn most(&self) -> Amount {
        self.charged().least(self.settings.import.budget())
    }
}
