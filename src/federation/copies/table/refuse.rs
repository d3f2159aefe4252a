//! Remembers what is refused of peers, and what of that must be examined again.

use std::sync::atomic::Ordering;

use crate::federation::copies::refused::Refused;
use crate::federation::import_error::{ImportError, Lasts};
use crate::ident::DomainLabel;

use super::Copies;

impl Copies {
    /// Returns a number that changes whenever the grounds of refusals change.
    pub(in crate::federation) fn grounds(&self) -> u64 {
        self.grounds.load(Ordering::SeqCst)
    }

    /// Has refused domains examined again, those that `is_of` picks by peer and domain, since
    /// the grounds of their refusal changed.
    pub(in crate::federation) fn reconsider(
        &self,
        is_of: impl Fn(&DomainLabel, &DomainLabel) -> bool,
    ) {
        let mut peers = self.lock();
        self.grounds.fetch_add(1, Ordering::SeqCst);
        for (label, peer) in peers.iter_mut() {
            for (domain, refused) in &mut peer.refused {
                if is_of(label, domain) {
                    refused.lasts = Lasts::Not;
                }
            }
        }
    }

    /// Notes that something of a domain was refused on these grounds; the copy before it stays.
    /// Returns whether the reason is a new one.
    pub(in crate::federation) fn refuse(
        &self,
        peer: &DomainLabel,
        domain: &DomainLabel,
        mut refused: Refused,
        grounds: u64,
    ) -> bool {
        let is_news = self.change_peer(peer, |peer| {
            match peer.over.get(domain) {
                Some(over) if refused.lasts == Lasts::Over && !over.fits() => {}
                // There has been room for it since, or it was refused for another reason too.
                _ if refused.lasts == Lasts::Over => refused.lasts = Lasts::Not,
                _ => drop(peer.over.remove(domain)),
            }
            if self.grounds() != grounds {
                refused.lasts = Lasts::Not;
            }
            let code = refused.failure.reason.code.clone();
            let before = peer.refused.insert(domain.clone(), refused);
            before.is_none_or(|before| before.failure.reason.code != code)
        });
        is_news.unwrap_or(false)
    }

    /// Counts a refusal.
    pub(in crate::federation) fn count(&self, refusal: &ImportError) {
        self.rejections.count(refusal);
    }

    /// Returns the refusal of a peer's version of a domain, if there is one.
    pub(in crate::federation) fn refused(
        &self,
        peer: &DomainLabel,
        domain: &DomainLabel,
    ) -> Option<Refused> {
        self.lock().get(peer)?.refused.get(domain).cloned()
    }

    /// Returns the domains that a peer passes on and of which there is no copy, because they are
    /// refused.
    pub(in crate::federation) fn only_refused(&self, peer: &DomainLabel) -> Vec<DomainLabel> {
        let peers = self.lock();
        let Some(peer) = peers.get(peer) else {
            return Vec::new();
        };
        let is_passed = |(domain, it): &(&DomainLabel, &Refused)| {
            let (held, over) = (&peer.held, &peer.over);
            it.entry.is_some() || held.contains_key(*domain) || over.contains_key(*domain)
        };
        let passed = peer.refused.iter().filter(is_passed);
        let domains = passed.map(|(domain, _)| domain);
        let domains = domains.filter(|domain| !peer.copies.contains_key(*domain));
        domains.cloned().collect()
    }

    /// Notes that a peer still passes on the copy of a domain that we have.
    pub(in crate::federation) fn confirm(&self, peer: &DomainLabel, domain: &DomainLabel) {
        self.change_peer(peer, |peer| {
            // Something else may have been taken since, and this copy been dropped.
            if peer.copies.contains_key(domain) {
                peer.refused.remove(domain);
                peer.over.remove(domain);
            }
        });
    }
}
