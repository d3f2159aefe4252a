//! The prefixes of the merged view.

use std::sync::Arc;

use ipnet::IpNet;

use crate::alto::network::AddressGroup;
use crate::ident::Family;

use super::claims::{Claim, Judged, Kept, Others, judge};
use super::conflict::MergeConflicts;
use super::domain::Domain;
use super::marks::{Fate, Reason, marks};
use super::policy::MergePolicy;
use crate::api::conflict::MergeConflictKind;
use crate::compile::completion::everything;

/// The prefixes that the merged view uses, and conflicts about the others.
pub(super) struct Survivors {
    /// The prefixes of each domain's PIDs. Groups without a change are shared.
    pub(super) groups: Vec<Vec<Arc<AddressGroup>>>,
    /// The prefixes of the PID `default`, so that no shorter prefix of a domain answers for them.
    pub(super) default: Vec<IpNet>,
    pub(super) conflicts: MergeConflicts,
}

/// Judges all prefixes of the domains.
///
/// A prefix that covers addresses which its domain may not speak for stays as it is, and those
/// addresses get a longer one: that of the block configured for another domain, or of nobody's
/// space. So there is at most one more prefix for each of these, whatever is claimed.
pub(super) fn surviving_prefixes(domains: &[&Domain], policy: &MergePolicy) -> Survivors {
    let mut survivors = Survivors {
        groups: domains.iter().map(|domain| stated(domain)).collect(),
        default: Vec::new(),
        conflicts: MergeConflicts::default(),
    };
    if let [only] = domains
        && only.label == policy.own
    {
        return survivors;
    }
    let mut claims = Vec::new();
    for (domain, groups) in survivors.groups.iter().enumerate() {
        for (place, group) in groups.iter().enumerate() {
            claims.extend(group.prefixes().map(|net| Claim { net, domain, place }));
        }
    }
    let marks = marks(policy);
    let mut lost = Vec::new();
    let mut notes = Notes {
        domains,
        conflicts: &mut survivors.conflicts,
    };
    let judged = judge(
        domains,
        policy,
        &marks,
        claims,
        Others::Keep,
        |claim, verdict| match verdict {
            Ok(kept) => notes.kept(&claim, &kept),
            Err(reason) => {
                notes.add(&claim, &reason, Fate::Dropped);
                lost.push(claim);
            }
        },
    );
    notes.beyond(&judged);
    survivors.drop(lost);
    survivors.stand(domains, policy, &judged);
    survivors
}

/// Returns the groups that a domain states, without the prefixes that only complete its map.
fn stated(domain: &Domain) -> Vec<Arc<AddressGroup>> {
    let network = domain.view.network();
    let mut groups: Vec<_> = network.groups().map(|(_, group)| group.clone()).collect();
    for family in Family::ALL {
        if let Some(pid) = network.lookup().uncovered[family as usize]
            && let Some(group) = groups.get_mut(pid as usize)
        {
            Arc::make_mut(group).remove(&everything(family));
        }
    }
    groups
}

impl Survivors {
    /// Removes the prefixes of these claims.
    fn drop(&mut self, mut lost: Vec<Claim>) {
        lost.sort_unstable_by_key(|claim| (claim.domain, claim.place, claim.net));
        for lost in lost.chunk_by(|a, b| (a.domain, a.place) == (b.domain, b.place)) {
            let keeps = |net: IpNet| lost.binary_search_by_key(&net, |claim| claim.net).is_err();
            let group = Arc::make_mut(&mut self.groups[lost[0].domain][lost[0].place]);
            group.ipv4.retain(|net| keeps(IpNet::V4(*net)));
            group.ipv6.retain(|net| keeps(IpNet::V6(*net)));
        }
    }

    /// Adds the prefixes of marks that override the shorter prefixes around them.
    fn stand(&mut self, domains: &[&Domain], policy: &MergePolicy, judged: &Judged<'_>) {
        let own = domains.iter().position(|domain| domain.label == policy.own);
        for stand in &judged.stands {
            let all = everything(Family::of(stand.net.addr()));
            let groups = match stand.holder {
                Some(holder) => self.groups[holder.domain].get_mut(holder.place),
                // Our own prefix of all addresses holds where no other domain's does.
                None => own.and_then(|own| {
                    let mut groups = self.groups[own].iter_mut();
                    groups.find(|group| group.contains(&all))
                }),
            };
            match groups {
                Some(group) => {
                    Arc::make_mut(group).insert(stand.net);
                }
                None => self.default.push(stand.net),
            }
        }
    }
}

/// Reports the outcome for prefixes.
struct Notes<'a> {
    domains: &'a [&'a Domain],
    conflicts: &'a mut MergeConflicts,
}

impl Notes<'_> {
    /// Reports a claim.
    fn add(&mut self, claim: &Claim, why: &Reason<'_>, fate: Fate) {
        let label = &self.domains[claim.domain].label;
        self.conflicts.add(why.kind, label, || {
            (why.other.cloned(), claim.net.to_string(), why.detail(fate))
        });
    }

    /// Reports a kept claim that is inside another domain's prefix or in private space.
    fn kept(&mut self, claim: &Claim, kept: &Kept<'_>) {
        if let Some(private) = &kept.private {
            self.add(claim, private, Fate::Taken);
        }
        let Some((outer, other)) = kept.inside else {
            return;
        };
        let [label, other] = [claim.domain, other].map(|place| &self.domains[place].label);
        let kind = MergeConflictKind::OverlappingPrefix;
        self.conflicts.add(kind, label, || {
            let detail = format!("it is inside {outer} of domain {other}");
            (Some(other.clone()), claim.net.to_string(), detail)
        });
    }

    /// Reports the claims around private space, and those that a mark is cut out of.
    fn beyond(&mut self, judged: &Judged<'_>) {
        for (claim, private) in &judged.private {
            self.add(claim, private, Fate::Taken);
        }
        for stand in &judged.stands {
            for claim in &stand.cut {
                self.add(claim, &stand.why, Fate::Cut);
            }
        }
    }
}
