//! Chooses which copy of a domain is used.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::api::s2s::PeerState;
use crate::ident::DomainLabel;
use crate::runtime::Moment;

use super::copy::{DomainCopy, Imports};
use super::peer::Peers;

/// Chooses the best copy of each domain. A domain whose copies are all expired has none.
pub(super) fn choose(peers: &Peers, now: Moment, wall: Timestamp) -> Imports {
    let domains = peers.values().flat_map(|peer| peer.copies.keys());
    let domains: BTreeSet<&DomainLabel> = domains.collect();
    let best = domains.into_iter().filter_map(|domain| {
        let best = best(peers, domain, now, wall)?;
        Some((domain.clone(), best))
    });
    best.collect()
}

/// Chooses the best copy of a domain that is not expired.
pub(super) fn best(
    peers: &Peers,
    domain: &DomainLabel,
    now: Moment,
    wall: Timestamp,
) -> Option<Arc<DomainCopy>> {
    let copies = peers.values().filter_map(|peer| {
        let copy = peer.copies.get(domain)?;
        let state = peer.copy_state(copy, now, wall);
        (state != PeerState::Expired).then_some(copy)
    });
    copies.max_by(|a, b| a.rank().cmp(&b.rank())).cloned()
}

/// Replaces the copy of a domain that is used; returns whether it changed.
pub(super) fn replace(
    used: &mut Arc<Imports>,
    domain: &DomainLabel,
    best: Option<Arc<DomainCopy>>,
) -> bool {
    match (used.get(domain), best) {
        (None, None) => false,
        (Some(before), Some(best)) if Arc::ptr_eq(before, &best) => false,
        (_, Some(best)) => {
            Arc::make_mut(used).insert(domain.clone(), best);
            true
        }
        (Some(_), None) => {
            Arc::make_mut(used).remove(domain);
            true
        }
    }
}
