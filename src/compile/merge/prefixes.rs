//! The prefixes of the merged view.

use std::sync::Arc;

use ipnet::IpNet;

use crate::alto::network::AddressGroup;
use crate::ident::Family;

use super::claims::{Claim, Claims, Judged, Kept, Others, judge};
use super::conflict::MergeConflicts;
use super::domain::Domain;
use super::holders::{HolderSet, Holders};
use super::marks::{Fate, Reason, marks};
use super::policy::MergePolicy;
use crate::api::conflict::MergeConflictKind;
use crate::compile::completion::everything;

/// The prefixes that the merged view uses, and conflicts about the others.
pub(super) struct Survivors {
    /// The prefixes that each domain's PIDs have alone. Groups without a change are shared.
    pub(super) groups: Vec<Vec<Arc<AddressGroup>>>,
    /// The prefixes that several domains hold.
    pub(super) sets: Vec<HolderSet>,
    /// The prefixes that other domains hold inside of ours, each with the place of the domain.
    pub(super) inside_ours: Vec<(IpNet, usize)>,
    /// The prefixes of the PID `default`, so that no shorter prefix of a domain answers for them.
    pub(super) default: Vec<IpNet>,
    /// Whether the domains have all prefixes that they state, and no others.
    pub(super) is_as_stated: bool,
    /// How many prefixes of other domains are off-net, and not used.
    pub(super) off_net: u64,
    pub(super) conflicts: MergeConflicts,
}

/// Judges all prefixes of the domains.
///
/// What a domain states on-net it holds, as far as it may speak for it. Where nobody holds an
/// address, our own off-net prefixes answer. A prefix that covers addresses which its domain may
/// not speak for stays as it is, and those addresses get a longer one: that of the block configured
/// for another domain, or of nobody's space. So there is at most one more prefix for each of these,
/// whatever is claimed.
pub(super) fn surviving_prefixes(domains: &[&Domain], policy: &MergePolicy) -> Survivors {
    let mut survivors = Survivors {
        groups: domains.iter().map(|domain| stated(domain)).collect(),
        sets: Vec::new(),
        inside_ours: Vec::new(),
        default: Vec::new(),
        is_as_stated: false,
        off_net: 0,
        conflicts: MergeConflicts::default(),
    };
    let mut lost = Vec::new();
    let claims = survivors.claims(domains, policy, &mut lost);
    let marks = marks(policy);
    let mut outside = 0;
    let mut notes = Notes {
        domains,
        conflicts: &mut survivors.conflicts,
    };
    let (mut shared, mut inside_ours) = (Vec::new(), Vec::new());
    // The claims of one prefix come one after the other.
    let mut equal: Vec<Claim> = Vec::new();
    let judged = judge(
        domains,
        policy,
        &marks,
        claims,
        Others::Keep,
        |claim, verdict| match verdict {
            Ok(kept) => {
                notes.kept(&claim, &kept);
                if kept.is_inside_ours {
                    inside_ours.push((claim.net, claim.domain));
                }
                if equal.first().is_none_or(|first| first.net != claim.net) {
                    let before = std::mem::replace(&mut equal, vec![claim]);
                    shared.extend(Some(before).filter(|before| before.len() > 1));
                } else {
                    equal.push(claim);
                }
            }
            Err(reason) => {
                let is_plain = domains[claim.domain].is_plain;
                if is_plain && reason.kind == MergeConflictKind::OutsidePrefix {
                    outside += 1;
                } else {
                    notes.add(&claim, &reason, Fate::Dropped);
                }
                lost.push(claim);
            }
        },
    );
    shared.extend(Some(equal).filter(|equal| equal.len() > 1));
    notes.beyond(&judged);
    survivors.off_net += outside;
    survivors.inside_ours = inside_ours;
    lost.extend(&judged.held);
    let mut holders = Holders::new(domains, policy);
    for claims in shared {
        survivors.share(&claims, &mut holders, &mut lost, domains);
    }
    survivors.is_as_stated = lost.is_empty() && judged.stands.is_empty();
    survivors.drop(lost);
    survivors.stand(&judged, &mut holders);
    survivors.sets = holders.into_sets();
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

/// Returns which of a domain's PIDs are off-net, by index.
pub(super) fn off_net_pids(domain: &Domain, policy: &MergePolicy) -> Vec<bool> {
    let pids = domain.view.network().pids();
    let mut is_off_net = vec![false; pids.len()];
    let configured = policy.domains.get(&domain.label);
    let configured = configured.iter().flat_map(|policy| &policy.off_net);
    for pid in domain.off_net.iter().chain(configured) {
        if let Some(place) = pids.get(pid.as_str()) {
            is_off_net[place as usize] = true;
        }
    }
    is_off_net
}

impl Survivors {
    /// Returns what the domains claim to hold, and our own off-net prefixes. Those of other domains
    /// are counted and lost. The prefix of all addresses is off-net, whatever its PID.
    fn claims(
        &mut self,
        domains: &[&Domain],
        policy: &MergePolicy,
        lost: &mut Vec<Claim>,
    ) -> Claims {
        let mut claims = Claims::default();
        for (domain, groups) in self.groups.iter().enumerate() {
            let is_own = domains[domain].label == policy.own;
            let is_off_net = off_net_pids(domains[domain], policy);
            for (place, group) in groups.iter().enumerate() {
                for net in group.prefixes() {
                    let claim = Claim { net, domain, place };
                    if net.prefix_len() > 0 && !is_off_net[place] {
                        claims.on_net.push(claim);
                    } else if is_own {
                        claims.off_net.push(claim);
                    } else {
                        self.off_net += 1;
                        lost.push(claim);
                    }
                }
            }
        }
        claims
    }

    /// Gives a prefix to all who hold it.
    fn share(
        &mut self,
        claims: &[Claim],
        holders: &mut Holders<'_>,
        lost: &mut Vec<Claim>,
        domains: &[&Domain],
    ) {
        let Err(only) = holders.add(claims[0].net, claims) else {
            lost.extend(claims);
            return;
        };
        let mut notes = Notes {
            domains,
            conflicts: &mut self.conflicts,
        };
        for claim in claims.iter().filter(|claim| **claim != only) {
            lost.push(*claim);
            notes.excess(claim, &only);
        }
    }

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
    fn stand(&mut self, judged: &Judged<'_>, holders: &mut Holders<'_>) {
        for stand in &judged.stands {
            let only = match &stand.holders[..] {
                [] => stand.outside,
                [only] => Some(*only),
                several => match holders.add(stand.net, several) {
                    Ok(()) => continue,
                    Err(only) => Some(only),
                },
            };
            match only {
                Some(only) => {
                    let group = &mut self.groups[only.domain][only.place];
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

    /// Reports a claim to a prefix that several hold and one has alone.
    fn excess(&mut self, claim: &Claim, only: &Claim) {
        let [label, only] = [claim, only].map(|claim| &self.domains[claim.domain].label);
        let kind = MergeConflictKind::ExcessHolders;
        self.conflicts.add(kind, label, || {
            let detail = "it is held with others, and there are more such sets than \
                          max_multi_pids: domain "
                .to_owned()
                + only.as_str()
                + " has it alone";
            (Some(only.clone()), claim.net.to_string(), detail)
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
