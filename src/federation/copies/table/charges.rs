//! Charges peers for what they pass on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::federation::copies::amount::Amount;
use crate::federation::copies::budget::{Claim, Over, check, fitting, over};
use crate::federation::copies::copy::DomainCopy;
use crate::federation::copies::had::TooMuch;
use crate::federation::copies::peer::{Peer, Peers};
use crate::federation::copies::refused::Refused;
use crate::federation::import_error::{ImportError, Lasts};
use crate::ident::{DomainLabel, Tag};
use crate::runtime::lock;

use super::Copies;

/// Room for a version of a domain, from the offer until it is taken or this is dropped.
#[derive(Debug)]
pub(in crate::federation) struct Reserved<'a> {
    copies: &'a Copies,
    sender: DomainLabel,
    domain: DomainLabel,
    takes: Arc<Amount>,
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let mut peers = self.copies.lock();
        let Some(peer) = peers.get_mut(&self.sender) else {
            return;
        };
        // There may be a later reservation.
        let is_this = |it: &mut Arc<Amount>| Arc::ptr_eq(it, &self.takes);
        if let Some(takes) = peer.reserved.remove_if(&self.domain, is_this) {
            let stays = peer.copies.charge(&self.domain);
            if !peer.copies.contains_key(&self.domain) {
                // It may have been kept on the disk.
                self.copies.unswept.notify_one();
            }
            if !takes.is_within(stays) {
                self.copies.look_for_room(&mut peers);
            }
        }
    }
}

impl Copies {
    /// Sets what all peers together may take.
    pub(in crate::federation) fn set_budget(&self, all: Amount) {
        *lock(&self.budget) = all;
        self.look_for_room(&mut self.lock());
    }

    /// Reserves room for a version of a domain. The present copy stays until the new one is
    /// taken.
    ///
    /// # Errors
    /// It is over a budget, and is remembered as such.
    pub(in crate::federation) fn offer(
        &self,
        sender: &DomainLabel,
        domain: &DomainLabel,
        digest: &Tag,
        takes: Amount,
    ) -> Result<Reserved<'_>, ImportError> {
        let mut peers = self.lock();
        let mut fits = self.check(&peers, sender, domain, takes);
        if let Err(over) = fits
            && self.compare_with_less(&mut peers, |peer| over.is_of_all() || peer == sender)
        {
            fits = self.check(&peers, sender, domain, takes);
        }
        let takes = Arc::new(takes);
        if let Some(peer) = peers.get_mut(sender) {
            match fits {
                Ok(()) => {
                    peer.over.remove(domain);
                    let before = peer.reserved.0.insert(domain.clone(), takes.clone());
                    if before.is_some_and(|before| !before.is_within(*takes)) {
                        self.look_for_room(&mut peers);
                    }
                }
                Err(_) => {
                    let over = TooMuch {
                        digest: digest.clone(),
                        takes: *takes,
                        fits: false,
                    };
                    peer.over.insert(domain.clone(), over);
                }
            }
        }
        drop(peers);
        fits?;
        Ok(Reserved {
            copies: self,
            sender: sender.clone(),
            domain: domain.clone(),
            takes,
        })
    }

    /// Checks whether a version of a domain was over a budget, and still is.
    ///
    /// # Errors
    /// It is over a budget.
    pub(in crate::federation) fn check_over(
        &self,
        sender: &DomainLabel,
        domain: &DomainLabel,
        digest: &Tag,
    ) -> Result<(), ImportError> {
        let peers = self.lock();
        let over = peers.get(sender).and_then(|peer| peer.over.get(domain));
        match over.filter(|over| over.digest == *digest) {
            Some(over) => Ok(self.check(&peers, sender, domain, over.takes)?),
            None => Ok(()),
        }
    }

    /// Drops what is over a budget now, since something else was taken or a budget became
    /// smaller; returns whether anything was dropped.
    pub(in crate::federation) fn enforce(&self) -> bool {
        {
            let mut peers = self.lock();
            if self.is_within(&peers) {
                return false;
            }
            let is_over = !self.is_within_all(&peers);
            let over = peers
                .iter()
                .filter(|(_, peer)| is_over || !peer.is_within());
            let over: BTreeSet<_> = over.map(|(label, _)| label.clone()).collect();
            self.compare_with_less(&mut peers, |peer| over.contains(peer));
            if self.is_within(&peers) {
                return false;
            }
        }
        let dropped = self.change(|peers| {
            let there = peers.values().flat_map(Peer::had);
            let over = over(self.counted(there), limits(peers), *lock(&self.budget));
            let name =
                |(claim, why): (Claim<'_>, Over)| (claim.sender.clone(), claim.domain.clone(), why);
            let over: Vec<_> = over.into_iter().map(name).collect();
            let mut dropped = Vec::new();
            for (sender, domain, why) in over {
                let Some(peer) = peers.get_mut(&sender) else {
                    continue;
                };
                let Some(copy) = peer.copies.remove(&domain) else {
                    continue;
                };
                peer.held.remove(&domain);
                let version = TooMuch {
                    digest: copy.digest.clone(),
                    takes: copy.amount,
                    fits: false,
                };
                peer.over.entry(domain.clone()).or_insert(version);
                let refusal = ImportError::from(why);
                let refused = Refused::of(&refusal, &copy.path, None);
                peer.refused.insert(domain.clone(), refused);
                dropped.push((sender, domain, refusal));
            }
            dropped
        });
        for (sender, domain, refusal) in &dropped {
            let reason = refusal.code();
            tracing::warn!(peer = %sender, %domain, reason, "dropped: {refusal}");
            self.rejections.count(refusal);
            // A stream of its maps has nothing to apply changes to any more.
            self.ask_again(sender);
        }
        if !dropped.is_empty() {
            self.unswept.notify_one();
        }
        !dropped.is_empty()
    }

    /// Remembers the copy of a domain that is replaced by `copy`, to compare later changes with.
    /// `bytes` of it are not shared with the new copy. They are charged to the peer that passes
    /// on the new copy, and are given up before anything is refused for them.
    pub(in crate::federation) fn changes_from(
        &self,
        used: Arc<DomainCopy>,
        copy: &DomainCopy,
        bytes: u64,
    ) {
        let domain = used.domain.clone();
        let mut peers = self.lock();
        lock(&self.references).changes_from(domain.clone(), used, self.clock.now());
        if let Some(peer) = peers.get_mut(copy.sender()) {
            peer.copies.compare(&domain, bytes);
        }
        if !self.is_within(&peers) {
            self.compare_with_less(&mut peers, |peer| peer == copy.sender());
        }
    }

    /// Compares later changes of a domain with what it becomes now.
    pub(in crate::federation) fn accept_as_it_is(&self, domain: &DomainLabel) {
        let mut peers = self.lock();
        lock(&self.references).forget(domain);
        self.charge_comparisons(&mut peers);
    }

    /// Forgets the earlier copies of domains that changed too long ago.
    pub(super) fn age_comparisons(&self) {
        let mut peers = self.lock();
        lock(&self.references).age(self.clock.now());
        self.charge_comparisons(&mut peers);
    }

    /// Charges only those earlier copies that are still remembered.
    fn charge_comparisons(&self, peers: &mut Peers) {
        let references = lock(&self.references);
        let mut is_less = false;
        for peer in peers.values_mut() {
            let gone = peer.copies.before.keys();
            let gone = gone.filter(|domain| references.get(domain).is_none());
            for domain in gone.cloned().collect::<Vec<_>>() {
                peer.copies.compare(&domain, 0);
                is_less = true;
            }
        }
        drop(references);
        if is_less {
            self.look_for_room(peers);
        }
    }

    /// Forgets the earlier copies of the domains that these peers pass on; returns whether there
    /// were any.
    fn compare_with_less(&self, peers: &mut Peers, is_of: impl Fn(&DomainLabel) -> bool) -> bool {
        let mut references = lock(&self.references);
        let mut is_less = false;
        for (label, peer) in peers.iter_mut().filter(|(label, _)| is_of(label)) {
            let before = std::mem::take(&mut peer.copies.before);
            for (domain, bytes) in &before {
                tracing::debug!(peer = %label, %domain, "no room to remember its earlier version");
                let takes = Amount {
                    memory: *bytes,
                    disk: 0,
                };
                peer.copies.takes = peer.copies.takes.minus(takes);
                references.forget(domain);
                is_less = true;
            }
        }
        is_less
    }

    /// Notes how many bytes of a plain peer's pushed maps are kept, which are charged with its
    /// domain.
    ///
    /// # Errors
    /// There is no room for them; the charge is then 0.
    pub(in crate::federation) fn follows(
        &self,
        sender: &DomainLabel,
        bytes: u64,
    ) -> Result<(), ImportError> {
        let mut peers = self.lock();
        let Some(peer) = peers.get_mut(sender) else {
            return Ok(());
        };
        let before = std::mem::replace(&mut peer.follows, bytes);
        if bytes > before && !self.is_within(&peers) {
            self.compare_with_less(&mut peers, |peer| peer == sender);
        }
        let is_over = bytes > before && !self.is_within(&peers);
        if is_over && let Some(peer) = peers.get_mut(sender) {
            peer.follows = 0;
        }
        if bytes < before || is_over {
            self.look_for_room(&mut peers);
        }
        if is_over {
            Err(ImportError::Limit(format!(
                "the maps that it pushes have {bytes} bytes, and there is no room to keep them, as \
                 their changes need (peer.import.max_memory, federation.max_memory)"
            )))
        } else {
            Ok(())
        }
    }

    /// Returns how many charges were examined so far to find what exceeds a budget: none while
    /// there is room for everything.
    pub(in crate::federation) fn charges_seen(&self) -> u64 {
        self.charges_seen.load(Ordering::Relaxed)
    }

    /// Waits for peers that are to be read again when their pace allows it: there may be room
    /// for what was over a budget, or copies of theirs were dropped.
    pub(in crate::federation) async fn asked_again(&self) -> BTreeSet<DomainLabel> {
        loop {
            let peers = std::mem::take(&mut *lock(&self.again));
            if !peers.is_empty() {
                return peers;
            }
            self.asked.notified().await;
        }
    }

    fn ask_again(&self, peer: &DomainLabel) {
        lock(&self.again).insert(peer.clone());
        self.asked.notify_one();
    }

    /// Has everything offered again that was over a budget and fits now.
    pub(super) fn look_for_room(&self, peers: &mut Peers) {
        if peers.values().all(|peer| peer.over.is_empty()) {
            return;
        }
        let offers = peers.values().flat_map(Peer::offers);
        let there = peers.values().flat_map(Peer::claims);
        let found = fitting(
            self.counted(offers),
            self.counted(there),
            limits(peers),
            *lock(&self.budget),
        );
        let name = |claim: Claim<'_>| (claim.sender.clone(), claim.domain.clone());
        let found: Vec<_> = found.into_iter().map(name).collect();
        for (sender, domain) in found {
            let Some(peer) = peers.get_mut(&sender) else {
                continue;
            };
            if let Some(over) = peer.over.get_mut(&domain) {
                over.fits = true;
            }
            if let Some(refused) = peer.refused.get_mut(&domain) {
                refused.lasts = Lasts::Not;
            }
            self.ask_again(&sender);
        }
    }

    /// Whether what is here is within every budget. Looks at each peer, but at no domain.
    fn is_within(&self, peers: &Peers) -> bool {
        self.is_within_all(peers) && peers.values().all(Peer::is_within)
    }

    fn is_within_all(&self, peers: &Peers) -> bool {
        let takes = peers.values().map(Peer::takes);
        let all = takes.fold(Amount::default(), Amount::plus);
        all.is_within(*lock(&self.budget))
    }

    /// Checks that a version of a domain fits beside what goes before it.
    fn check(
        &self,
        peers: &Peers,
        sender: &DomainLabel,
        domain: &DomainLabel,
        takes: Amount,
    ) -> Result<(), Over> {
        let Some(peer) = peers.get(sender) else {
            return Ok(());
        };
        let takes = takes.plus(peer.pushed(domain));
        let budget = *lock(&self.budget);
        let charged = peers.values().map(Peer::charged);
        let all = charged.fold(Amount::default(), Amount::plus);
        let before = peer.charge(domain);
        let beside = |sum: Amount| sum.minus(before).plus(takes);
        if beside(all).is_within(budget) && beside(peer.charged()).is_within(peer.budget()) {
            return Ok(());
        }
        let offer = Claim {
            sender,
            domain,
            takes,
        };
        let there = peers.values().flat_map(Peer::claims);
        check(&offer, self.counted(there), peer.budget(), budget)
    }

    fn counted<'a>(
        &self,
        claims: impl Iterator<Item = Claim<'a>>,
    ) -> impl Iterator<Item = Claim<'a>> {
        claims.inspect(|_| _ = self.charges_seen.fetch_add(1, Ordering::Relaxed))
    }
}

/// Returns the budget of each peer.
fn limits(peers: &Peers) -> impl Fn(&DomainLabel) -> Amount {
    |label| peers.get(label).map_or(Amount::default(), Peer::budget)
}

#[cfg(test)]
mod tests;
