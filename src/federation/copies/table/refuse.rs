//! What of peers is refused, and what was refused and is to be looked at again.

use std::sync::atomic::Ordering;

use crate::federation::copies::refused::Refused;
use crate::federation::import_error::{ImportError, Lasts};
use crate::ident::DomainLabel;

use super::Copies;

impl Copies {
    /// What it rests on that something is refused: another number after it changed.
    pub(in crate::federation) fn grounds(&self) -> u64 {
        self.grounds.load(Ordering::SeqCst)
    }

    /// What was refused of these domains of these peers is to be looked at again,
    /// since what that rested on changed.
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

    /// Something of a domain was refused on these grounds; what was had of it before
    /// stays. Whether the reason is another than it was.
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
                // There has been room for it since, or it is refused as something else.
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

    /// Counts what came and was refused.
    pub(in crate::federation) fn count(&self, refusal: &ImportError) {
        self.rejections.count(refusal);
    }

    /// What of a domain is refused of a peer, if anything.
    pub(in crate::federation) fn refused(
        &self,
        peer: &DomainLabel,
        domain: &DomainLabel,
    ) -> Option<Refused> {
        self.lock().get(peer)?.refused.get(domain).cloned()
    }

    /// The domains that a peer passes and of which nothing is had, since what it
    /// passes is refused.
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

    /// What a peer passes of a domain is what we have.
    pub(in crate::federation) fn confirm(&self, peer: &DomainLabel, domain: &DomainLabel) {
        self.change_peer(peer, |peer| {
            // Something else may have been taken since, and this dropped.
            if peer.copies.contains_key(domain) {
                peer.refused.remove(domain);
                peer.over.remove(domain);
            }
        });
    }
}
