//! Held changes, and the copies that changes are compared with.

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

/// How many bytes of memory may be remembered of what one peer passed on and is not used any
/// more.
pub(in crate::federation) const GONE: u64 = 16 * 1024 * 1024;

/// What a change is compared with.
#[derive(Debug)]
pub(in crate::federation) struct Before {
    /// The copy that is in use, or was until recently.
    pub(in crate::federation) used: Arc<DomainCopy>,
    /// Whether it is in use now.
    pub(in crate::federation) in_use: bool,
    /// The copy before the recent changes.
    pub(in crate::federation) reference: Option<Arc<DomainCopy>>,
    /// The change that is held already.
    pub(in crate::federation) held: Option<HeldChange>,
}

impl Before {
    /// Returns what a change is judged by, with these thresholds.
    pub(in crate::federation) fn grounds(&self, thresholds: Thresholds) -> Grounds {
        Grounds {
            thresholds,
            used: self.used.digest.clone(),
            reference: self.reference.as_ref().map(|copy| copy.digest.clone()),
        }
    }
}

impl Copies {
    /// Returns the present moment and date.
    pub(in crate::federation) fn now(&self) -> Now {
        Now {
            moment: self.clock.now(),
            date: self.clock.wall(),
        }
    }

    /// Returns what a new copy is compared with; `None` if nothing of the domain was in use
    /// recently, or the new copy would not be used.
    pub(in crate::federation) fn before(&self, copy: &DomainCopy) -> Option<Before> {
        let before = self.compared(copy.sender(), &copy.domain)?;
        let used = &before.used;
        let is_another = before.in_use && used.sender() != copy.sender();
        let is_idle = used.digest == copy.digest || (is_another && copy.rank() < used.rank());
        (!is_idle).then_some(before)
    }

    /// Returns what any copy of a domain from a peer is compared with.
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

    /// Remembers the last copies of domains that are not in use any more, since they are
    /// compared with what comes when the domain returns. For each peer as much is remembered as
    /// there is room for, with costs or without; nothing is remembered of a peer that is not
    /// configured any more.
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
            // If the domain changed recently, the copy before that is remembered.
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

    /// Forgets the last copies of these domains, if they are not in use any more: they are not
    /// to be trusted.
    pub(super) fn disown(&self, gone: &[Arc<DomainCopy>]) {
        let used = self.used.borrow().clone();
        let mut references = lock(&self.references);
        for copy in gone {
            if !used.contains_key(&copy.domain) {
                references.forget(&copy.domain);
            }
        }
    }

    /// Returns the held change of a domain from a peer.
    pub(in crate::federation) fn held_change(
        &self,
        peer: &DomainLabel,
        domain: &DomainLabel,
    ) -> Option<HeldChange> {
        self.lock().get(peer)?.held.get(domain).cloned()
    }

    /// Whether something that a peer passes on may be taken now although it was not before: the
    /// time of a held change is over, the operator accepted it, or there is room for what was
    /// over a budget.
    pub(in crate::federation) fn has_due(&self, peer: &DomainLabel) -> bool {
        let (now, peers) = (self.clock.now(), self.lock());
        peers.get(peer).is_some_and(|peer| {
            let hold = peer.settings.import.hold;
            let mut held = peer.held.values();
            peer.has_room() || held.any(|held| held.held.is_due(hold, now))
        })
    }

    /// Holds a change of a domain from a peer.
    pub(in crate::federation) fn hold(
        &self,
        peer: &DomainLabel,
        domain: &DomainLabel,
        held: HeldChange,
    ) {
        self.change_copies(peer, |peer| {
            peer.show_held(domain, held);
            peer.over.remove(domain);
            // The copy in use may count for longer.
            vec![domain.clone()]
        });
    }

    /// Restores a change that was held before the node started.
    pub(in crate::federation) fn restore_held(&self, name: &CopyName, row: HeldRow) {
        let held = HeldChange::restored(row, self.now());
        self.hold(&name.sender, &name.domain, held);
    }

    /// Releases the held change of a domain from a peer; returns whether there was one.
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

    /// Accepts the held changes of a domain, whoever passes it on; returns what is to be kept of
    /// them.
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

/// Returns a copy without its costs.
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
