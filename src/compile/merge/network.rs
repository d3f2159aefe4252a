//! The network map of the merged view.

use std::sync::Arc;

use ipnet::IpNet;

use crate::alto::network::AddressGroup;
use crate::ident::{DomainLabel, Family, PidName, Tag};
use crate::net::{Lpm, PidIndex};
use crate::publish::{Lookup, NetworkMap};

use super::conflict::MergeConflicts;
use super::domain::Domain;
use super::policy::MergePolicy;
use super::prefixes::{Survivors, surviving_prefixes};
use crate::compile::completion::{DEFAULT_PID, everything};

/// The network map of the merged view, and its input.
#[derive(Debug)]
pub(super) struct MergedNetwork {
    pub(super) map: Arc<NetworkMap>,
    /// The index of each domain's first PID.
    pub(super) first: Vec<usize>,
    pub(super) conflicts: MergeConflicts,
    inputs: Vec<Input>,
    policy: MergePolicy,
}

/// The input from one domain that the map depends on: the tag of its network map, and by family the
/// PID whose prefix only completes that map.
type Input = (DomainLabel, Tag, [Option<u32>; 2]);

impl MergedNetwork {
    /// Joins the network maps of domains, which are in the order of their PIDs. PIDs are named
    /// `<domain>:<pid>`. If a family has prefixes, the addresses that none of them covers belong to
    /// the PID `default`.
    pub(super) fn new(
        domains: &[&Domain],
        policy: &MergePolicy,
        former: Option<&Arc<MergedNetwork>>,
    ) -> Arc<Self> {
        let inputs: Vec<Input> = domains
            .iter()
            .map(|domain| {
                let network = domain.view.network();
                let completed = network.lookup().uncovered;
                (domain.label.clone(), network.tag().clone(), completed)
            })
            .collect();
        if let Some(former) = former
            && former.inputs == inputs
            && former.policy.own == policy.own
            && former.policy.domains == policy.domains
            && former.policy.private_prefixes == policy.private_prefixes
        {
            return former.clone();
        }
        let Survivors {
            groups,
            default: of_default,
            conflicts,
        } = surviving_prefixes(domains, policy);
        let sizes: Vec<usize> = groups.iter().map(Vec::len).collect();
        let mut names = Vec::with_capacity(sizes.iter().sum());
        for domain in domains {
            let pids = domain.view.network().pids().names().iter();
            names.extend(pids.filter_map(|pid| domain.label.qualify(pid).ok()));
        }
        let mut groups: Vec<Arc<AddressGroup>> = groups.into_iter().flatten().collect();
        let (mut lookup, missing) = match domains {
            [only] if only.label == policy.own => as_stated(only),
            _ => joined(&groups, &of_default),
        };
        let mut default_place = names.len();
        if missing.iter().any(Option::is_some)
            && let Ok(default) = PidName::new(DEFAULT_PID)
        {
            // All names of a domain start with `<domain>:`, so `default` is before all of them or
            // after all.
            default_place = names.partition_point(|name| *name < default);
            let index = default_place as u32;
            let mut group = AddressGroup::default();
            for net in of_default {
                group.insert(net);
            }
            for family in missing.into_iter().flatten() {
                group.insert(everything(family));
                lookup.uncovered[family as usize] = Some(index);
            }
            match lookup.inserted {
                // It is taken already, by the PID `default` of the domain's own map.
                Some(_) => lookup.first = u32::from(index == 0),
                None => lookup.inserted = Some(index),
            }
            names.insert(default_place, default);
            groups.insert(default_place, Arc::new(group));
        }
        let mut first = Vec::with_capacity(domains.len());
        let mut next = 0;
        for size in sizes {
            first.push(next + usize::from(next >= default_place));
            next += size;
        }
        Arc::new(Self {
            map: Arc::new(NetworkMap::new(
                Arc::new(PidIndex::new(names)),
                groups,
                lookup,
            )),
            first,
            conflicts,
            inputs,
            policy: policy.clone(),
        })
    }
}

/// The families that have prefixes and also addresses that belong to no PID.
type Missing = [Option<Family>; 2];

/// Returns the prefix table of a single domain, whose PIDs keep their order.
fn as_stated(domain: &Domain) -> (Lookup, Missing) {
    let stated = domain.view.network().lookup();
    let missing = Family::ALL.map(|family| stated.uncovered[family as usize].map(|_| family));
    let lookup = Lookup {
        uncovered: [None; 2],
        ..stated.clone()
    };
    (lookup, missing)
}

/// Builds the prefix table of these groups, and of the prefixes that belong to `default`.
fn joined(groups: &[Arc<AddressGroup>], of_default: &[IpNet]) -> (Lookup, Missing) {
    let places = (0..).zip(groups);
    let prefixes = places.flat_map(|(place, group)| group.prefixes().map(move |net| (net, place)));
    let nobodys = of_default.iter().map(|net| (*net, Lpm::NONE));
    // All prefixes differ: of equal ones only one survived.
    let lpm = Lpm::build(prefixes.chain(nobodys)).unwrap_or_default();
    let missing = Family::ALL.map(|family| {
        let has = |group: &Arc<AddressGroup>| match family {
            Family::V4 => !group.ipv4.is_empty(),
            Family::V6 => !group.ipv6.is_empty(),
        };
        (groups.iter().any(has) && !lpm.covers(family)).then_some(family)
    });
    let lookup = Lookup {
        lpm: Arc::new(lpm),
        ..Lookup::default()
    };
    (lookup, missing)
}
