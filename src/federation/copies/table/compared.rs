//! The changes that are held, and what is compared.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::brake::Thresholds;
use crate::federation::copies::copy::{CopyName, DomainCopy};
use crate::federation::copies::held::{Grounds, HeldChange, HeldRow, Now};
use crate::federation::copies::holdings::Holding;
use crate::federation::copies::import::assemble;
use crate::federation::copies::peer::Peers;
use crate::ident::DomainLabel;
use crate::runtime::lock;

use super::Copies;

/// How many bytes of memory is remembered of what one peer passed and nothing is used
/// any more.
pub(in crate::federation) const GONE: u64 = 16 * 1024 * 1024;

/// What a change is compared with.
#[derive(Debug)]
pub(in crate::federation) struct Before {
    /// What is in use, or was until a while ago.
    pub(in crate::federation) used: Arc<DomainCopy>,
    /// Whether it is.
    pub(in crate::federation) in_use: bool,
    /// What was before the changes of the last while.
    pub(in crate::federation) reference: Option<Arc<DomainCopy>>,
    /// The change that is held already.
    pub(in crate::federation) held: Option<HeldChange>,
}

impl Before {
    /// By what a change is judged against these thresholds.
    pub(in crate::federation) fn grounds(&self, thresholds: Thresholds) -> Grounds {
        Grounds {
            thresholds,
            used: self.used.digest.clone(),
            reference: self.reference.as_ref().map(|copy| copy.digest.clone()),
        }
    }
}

impl Copies {
    /// Returns the moment that it is, and its date.
    pub(in crate::federation) fn now(&self) -> Now {
        Now {
            moment: self.clock.now(),
            date: self.clock.wall(),
        }
    }

    /// What is compared with what a peer says now; nothing if nothing of the domain
    /// was in use for a while, or what it says would not be.
    pub(in crate::federation) fn before(&self, copy: &DomainCopy) -> Option<Before> {
        let before = self.compared(copy.sender(), &copy.domain)?;
        let used = &before.used;
        let is_another = before.in_use && used.sender() != copy.sender();
        let is_idle = used.digest == copy.digest || (is_another && copy.rank() < used.rank());
        (!is_idle).then_some(before)
    }

    /// What anything that a peer says of a domain is compared with.
    pub(in crate::federation) fn compared(
        &self,
        peer: &DomainLabel,
        domain: &DomainLabel,
    ) -> Option<Before> {
        let used = self.used.borrow().get(domain).cloned();
        let in_use = used.is_some();
        let now = self.clock.now();
        let reference = lock(&self.references).current(domain, now).cloned();
        let used = used.or_else(|| reference.clone())?;
        Some(Before {
            reference: reference.filter(|copy| copy.digest != used.digest),
            held: self.held_change(peer, domain),
            used,
            in_use,
        })
    }

    /// Remembers what was in use of domains of which nothing is any more: what they say when
    /// they come back is compared with it. As much is remembered for each peer as there is room
    /// for, with its costs or without; nothing of a peer that is none any more.
    pub(super) fn remember_gone(&self, peers: &Peers, gone: &[Arc<DomainCopy>]) {
        if gone.is_empty() {
            return;
        }
        let used = self.used.borrow().clone();
        let now = self.clock.now();
        let mut references = lock(&self.references);
        let labels: BTreeSet<_> = gone.iter().map(|copy| &copy.domain).collect();
        let mut spent: BTreeMap<DomainLabel, u64> = BTreeMap::new();
        for (domain, copy) in references.iter() {
            if !used.contains_key(domain) && !labels.contains(domain) {
                *spent.entry(copy.sender().clone()).or_default() += copy.amount.memory;
            }
        }
        for copy in gone {
            let domain = &copy.domain;
            // What was before the changes of the last while, if it changed.
            let copy = references.get(domain).unwrap_or(copy).clone();
            let spent = spent.entry(copy.sender().clone()).or_default();
            let fits = |copy: &Arc<DomainCopy>| *spent + copy.amount.memory <= GONE;
            let is_peer = peers.contains_key(copy.sender());
            let kept = Some(copy).filter(|_| is_peer).and_then(|copy| {
                if fits(&copy) {
                    Some(copy)
                } else {
                    Some(Arc::new(outline(&copy))).filter(fits)
                }
            });
            match kept {
                Some(copy) => {
                    *spent += copy.amount.memory;
                    references.ends_with(domain.clone(), copy, now);
                }
                None => references.forget(domain),
            }
        }
    }

    /// Forgets what was in use of these, of which nothing is to be believed any more.
    pub(super) fn disown(&self, gone: &[Arc<DomainCopy>]) {
        let used = self.used.borrow().clone();
        let mut references = lock(&self.references);
        for copy in gone {
            if !used.contains_key(&copy.domain) {
                references.forget(&copy.domain);
            }
        }
    }

    /// The change of a domain by a peer that is held.
    pub(in crate::federation) fn held_change(
        &self,
        peer: &DomainLabel,
        domain: &DomainLabel,
    ) -> Option<HeldChange> {
        self.lock().get(peer)?.held.get(domain).cloned()
    }

    /// Whether something that a peer passes may be taken now, though it is what was not: the time
    /// of a change is over, the operator accepts it, or there is room for what was over.
    pub(in crate::federation) fn has_due(&self, peer: &DomainLabel) -> bool {
        let (now, peers) = (self.clock.now(), self.lock());
        peers.get(peer).is_some_and(|peer| {
            let hold = peer.settings.import.hold;
            let mut held = peer.held.values();
            peer.has_room() || held.any(|held| held.held.is_due(hold, now))
        })
    }

    /// A change is held.
    pub(in crate::federation) fn hold(
        &self,
        peer: &DomainLabel,
        domain: &DomainLabel,
        held: HeldChange,
    ) {
        self.change_copies(peer, |peer| {
            peer.show_held(domain, held);
            peer.over.remove(domain);
            // It may count for longer.
            vec![domain.clone()]
        });
    }

    /// A change was held before the node started.
    pub(in crate::federation) fn restore_held(&self, name: &CopyName, row: HeldRow) {
        let held = HeldChange::restored(row, self.now());
        self.hold(&name.sender, &name.domain, held);
    }

    /// No change of a domain by a peer is held any more; whether one was.
    pub(in crate::federation) fn release(&self, peer: &DomainLabel, domain: &DomainLabel) -> bool {
        let released = self.change_peer(peer, |peer| {
            let was = peer.held.remove(domain).is_some();
            if was {
                peer.refused.remove(domain);
            }
            was
        });
        released.unwrap_or_default()
    }

    /// The operator accepts what is held of a domain, whoever passes it: what is to
    /// be kept of that.
    pub(in crate::federation) fn accept(&self, domain: &DomainLabel) -> Vec<(CopyName, HeldRow)> {
        self.change(|peers| {
            let held = peers.iter_mut().filter_map(|(sender, peer)| {
                let change = peer.held.get_mut(domain)?;
                change.held.accept();
                let name = CopyName {
                    sender: sender.clone(),
                    domain: domain.clone(),
                };
                Some((name, change.row()))
            });
            held.collect()
        })
    }
}

/// A domain without its costs.
fn outline(copy: &DomainCopy) -> DomainCopy {
    let (network, origin) = (copy.view.network().clone(), copy.view.origin().clone());
    let view = assemble(&copy.domain, origin, network, BTreeMap::new(), None);
    DomainCopy {
        amount: Holding::default().of_domain(&view, &copy.interconnects),
        view,
        signed: None,
        ..copy.clone()
    }
}
