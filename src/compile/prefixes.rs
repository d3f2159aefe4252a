//! Who may speak for which prefixes in the merged view.

use std::cmp::Reverse;
use std::sync::Arc;

use ipnet::IpNet;

use crate::alto::network::AddressGroup;
use crate::ident::{DomainLabel, Family};

use super::compose::Domain;
use super::domain::everything;
use super::merge_conflict::{MergeConflictKind, MergeConflicts};
use super::policy::MergePolicy;

/// The prefixes of each domain's PIDs that the merged view uses, and what
/// became of the others. Groups that lost nothing are shared.
pub(super) fn surviving_prefixes(
    domains: &[&Domain],
    policy: &MergePolicy,
) -> (Vec<Vec<Arc<AddressGroup>>>, MergeConflicts) {
    let mut groups: Vec<_> = domains.iter().map(|domain| stated(domain)).collect();
    let mut conflicts = MergeConflicts::default();
    if let [only] = domains
        && only.label == policy.own
    {
        return (groups, conflicts);
    }
    let mut claims = Vec::new();
    for (domain, groups) in groups.iter().enumerate() {
        for (place, group) in groups.iter().enumerate() {
            claims.extend(group.prefixes().map(|net| Claim { net, domain, place }));
        }
    }
    let mut lost = Vec::new();
    judge(domains, policy, claims, Others::Keep, |claim, verdict| {
        let label = &domains[claim.domain].label;
        match verdict {
            Ok(None) => {}
            Ok(Some((outer, other))) => {
                conflicts.add(MergeConflictKind::OverlappingPrefix, label, || {
                    let other = &domains[other].label;
                    let detail = format!("it is inside {outer} of domain {other}");
                    (Some(other.clone()), claim.net.to_string(), detail)
                });
            }
            Err(refusal) => {
                conflicts.add(refusal.kind, label, || {
                    (
                        refusal.other.cloned(),
                        claim.net.to_string(),
                        refusal.detail(),
                    )
                });
                lost.push(claim);
            }
        }
    });
    lost.sort_unstable_by_key(|claim| (claim.domain, claim.place, claim.net));
    for lost in lost.chunk_by(|a, b| (a.domain, a.place) == (b.domain, b.place)) {
        let keeps = |net: IpNet| lost.binary_search_by_key(&net, |claim| claim.net).is_err();
        let group = Arc::make_mut(&mut groups[lost[0].domain][lost[0].place]);
        group.ipv4.retain(|net| keeps(IpNet::V4(*net)));
        group.ipv6.retain(|net| keeps(IpNet::V6(*net)));
    }
    (groups, conflicts)
}

/// The groups that a domain states: without the prefixes that only complete
/// its map.
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

/// A prefix that a domain says something about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    pub(super) net: IpNet,
    /// The place of the domain.
    pub(super) domain: usize,
    /// What is said, for the caller.
    pub(super) place: usize,
}

/// Why a domain may not speak for a prefix.
#[derive(Debug)]
pub(super) struct Refusal<'d> {
    pub(super) kind: MergeConflictKind,
    /// The domain that may.
    pub(super) other: Option<&'d DomainLabel>,
    /// The prefix that says so.
    by: IpNet,
}

impl Refusal<'_> {
    /// What happened, for people.
    pub(super) fn detail(&self) -> String {
        match self.kind {
            MergeConflictKind::DefaultPrefix => {
                "only our own domain may state the prefix of all addresses".to_owned()
            }
            MergeConflictKind::OutsidePrefix => {
                "it is inside none of the configured prefixes of the domain".to_owned()
            }
            MergeConflictKind::OwnPrefix => format!("our own domain states {}", self.by),
            MergeConflictKind::ForeignPrefix => {
                format!("{} is configured for another domain", self.by)
            }
            _ => "the other domain keeps it, by preference and then by label".to_owned(),
        }
    }
}

/// What becomes of the claims of other domains that are not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    /// Each keeps its prefix, so that no other has the same one.
    Keep,
    /// Several may say something about one prefix.
    Share,
}

/// A prefix around the one that is being judged.
#[derive(Debug, Clone, Copy)]
enum Around<'d> {
    /// It is configured for a domain.
    Configured(&'d DomainLabel),
    /// A domain has it.
    Kept(usize),
}

/// Goes through claims, each prefix after all those around it, and tells of
/// each whether the domain may make it, and if so the closest prefix of another
/// domain that it is inside of, if that is closer than any of its own.
pub(super) fn judge<'d>(
    domains: &[&'d Domain],
    policy: &'d MergePolicy,
    mut claims: Vec<Claim>,
    others: Others,
    mut tell: impl FnMut(Claim, Result<Option<(IpNet, usize)>, Refusal<'d>>),
) {
    let mut configured: Vec<(IpNet, &DomainLabel)> = Vec::new();
    for (label, domain) in &policy.domains {
        let prefixes = domain.prefixes.iter().flatten();
        configured.extend(prefixes.map(|net| (net.trunc(), label)));
    }
    configured.sort_unstable();
    let mut configured = configured.into_iter().peekable();
    let mut strength = vec![0; domains.len()];
    for (rank, place) in by_strength(domains, policy).into_iter().enumerate() {
        strength[place] = rank;
    }
    // Those of one PID are sorted already, which a stable sort makes use of.
    claims.sort_by_key(|claim| (claim.net, strength[claim.domain], claim.place));
    let mut around: Vec<(IpNet, Around<'d>)> = Vec::new();
    for claim in claims {
        while let Some((net, label)) = configured.next_if(|(net, _)| *net <= claim.net) {
            leave(&mut around, &net);
            around.push((net, Around::Configured(label)));
        }
        leave(&mut around, &claim.net);
        let verdict = verdict(&claim, domains, policy, &around);
        let own = domains[claim.domain].label == policy.own;
        // What covers everything is no reason to refuse or to report anything.
        if verdict.is_ok() && (own || others == Others::Keep) && claim.net.prefix_len() > 0 {
            around.push((claim.net, Around::Kept(claim.domain)));
        }
        tell(claim, verdict);
    }
}

/// Forgets the prefixes that are not around this one.
fn leave(around: &mut Vec<(IpNet, Around<'_>)>, net: &IpNet) {
    while around.last().is_some_and(|(outer, _)| !outer.contains(net)) {
        around.pop();
    }
}

/// The places of domains in the order in which equal prefixes are theirs.
pub(super) fn by_strength(domains: &[&Domain], policy: &MergePolicy) -> Vec<usize> {
    let mut order: Vec<usize> = (0..domains.len()).collect();
    order.sort_by_key(|&place| {
        let label = &domains[place].label;
        (
            *label != policy.own,
            Reverse(policy.preference(label)),
            label,
        )
    });
    order
}

fn verdict<'d>(
    claim: &Claim,
    domains: &[&'d Domain],
    policy: &MergePolicy,
    around: &[(IpNet, Around<'d>)],
) -> Result<Option<(IpNet, usize)>, Refusal<'d>> {
    let label = &domains[claim.domain].label;
    if *label != policy.own {
        let refuse = |kind, other, by| Err(Refusal { kind, other, by });
        if claim.net.prefix_len() == 0 {
            return refuse(MergeConflictKind::DefaultPrefix, None, claim.net);
        }
        let limited = policy.domains.get(label);
        let within = |(_, around): &(_, Around<'_>)| matches!(around, Around::Configured(of) if *of == label);
        if limited.is_some_and(|domain| domain.prefixes.is_some()) && !around.iter().any(within) {
            return refuse(MergeConflictKind::OutsidePrefix, None, claim.net);
        }
        for (net, around) in around {
            if let Around::Kept(domain) = around
                && domains[*domain].label == policy.own
            {
                let own = Some(&domains[*domain].label);
                return refuse(MergeConflictKind::OwnPrefix, own, *net);
            }
        }
        for (net, around) in around {
            match around {
                Around::Configured(of) if *of != label => {
                    return refuse(MergeConflictKind::ForeignPrefix, Some(of), *net);
                }
                Around::Kept(domain) if *net == claim.net => {
                    let other = Some(&domains[*domain].label);
                    return refuse(MergeConflictKind::EqualPrefix, other, *net);
                }
                _ => {}
            }
        }
    }
    let closest = around.iter().rev().find_map(|(net, around)| match around {
        Around::Kept(domain) => Some((*net, *domain)),
        Around::Configured(_) => None,
    });
    Ok(closest.filter(|(_, domain)| *domain != claim.domain))
}
