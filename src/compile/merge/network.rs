//! The network map of the merged view.

use std::collections::BTreeSet;
use std::sync::Arc;

use ipnet::IpNet;

use crate::alto::network::AddressGroup;
use crate::ident::{DomainLabel, Family, PidName, Tag};
use crate::net::{Lpm, PidIndex};
use crate::publish::{Lookup, NetworkMap};

use super::conflict::MergeConflicts;
use super::domain::Domain;
use super::holders::{HolderSet, PREFIX};
use super::policy::MergePolicy;
use super::prefixes::{Survivors, surviving_prefixes};
use crate::compile::completion::{DEFAULT_PID, everything};

/// The network map of the merged view, and its input.
#[derive(Debug)]
pub(super) struct MergedNetwork {
    pub(super) map: Arc<NetworkMap>,
    /// The index of each domain's first PID.
    pub(super) first: Vec<usize>,
    /// The PIDs of several domains, and the index of the first.
    pub(super) sets: Vec<HolderSet>,
    pub(super) first_set: usize,
    /// The prefixes that other domains hold inside of ours, each with the place of the domain.
    pub(super) inside_ours: Vec<(IpNet, usize)>,
    /// How many prefixes of other domains are off-net, and not used.
    pub(super) off_net: u64,
    pub(super) conflicts: MergeConflicts,
    inputs: Vec<Input>,
    policy: MergePolicy,
}

/// The input from one domain that the map depends on.
#[derive(Debug, PartialEq)]
struct Input {
    label: DomainLabel,
    /// The tag of its network map.
    tag: Tag,
    /// By family, the PID whose prefix only completes that map.
    completed: [Option<u32>; 2],
    off_net: Arc<BTreeSet<PidName>>,
    is_plain: bool,
}

impl MergedNetwork {
    /// Joins the network maps of domains, which are in the order of their PIDs. PIDs are named
    /// `<domain>:<pid>`; those of prefixes that several domains hold, `multi:<digest>`. If a family
    /// has prefixes, the addresses that none of them covers belong to the PID `default`.
    pub(super) fn new(
        domains: &[&Domain],
        policy: &MergePolicy,
        former: Option<&Arc<MergedNetwork>>,
    ) -> Arc<Self> {
        let inputs = domains.iter().map(|domain| {
            let network = domain.view.network();
            Input {
                label: domain.label.clone(),
                tag: network.tag().clone(),
                completed: network.lookup().uncovered,
                off_net: domain.off_net.clone(),
                is_plain: domain.is_plain,
            }
        });
        let inputs: Vec<Input> = inputs.collect();
        if let Some(former) = former
            && former.inputs == inputs
            && former.policy.own == policy.own
            && former.policy.domains == policy.domains
            && former.policy.private_prefixes == policy.private_prefixes
            && former.policy.max_multi_pids == policy.max_multi_pids
        {
            return former.clone();
        }
        let Survivors {
            groups: of_domains,
            sets,
            inside_ours,
            default: of_default,
            is_as_stated,
            off_net,
            conflicts,
        } = surviving_prefixes(domains, policy);
        let mut pids = Pids::default();
        let mut first = Vec::with_capacity(domains.len());
        let mut first_set = None;
        for (domain, groups) in domains.iter().zip(of_domains) {
            // The names of sets begin with `multi:`, which no domain has as a label.
            if first_set.is_none() && format!("{}:", domain.label).as_str() > PREFIX {
                first_set = Some(pids.add_sets(&sets));
            }
            let names = domain.view.network().pids().names().iter();
            let names = names.filter_map(|pid| domain.label.qualify(pid).ok());
            first.push(pids.add(names.zip(groups)));
        }
        let mut first_set = first_set.unwrap_or_else(|| pids.add_sets(&sets));
        let (mut lookup, missing) = match domains {
            [only] if is_as_stated && only.label == policy.own => as_stated(only),
            _ => joined(&pids.groups, &of_default),
        };
        if missing.iter().any(Option::is_some)
            && let Ok(default) = PidName::new(DEFAULT_PID)
        {
            let mut group = AddressGroup::default();
            for net in of_default {
                group.insert(net);
            }
            // All names of a domain start with `<domain>:`, so `default` is before all of them or
            // after all.
            let place = pids.names.partition_point(|name| *name < default);
            let index = place as u32;
            for family in missing.into_iter().flatten() {
                group.insert(everything(family));
                lookup.uncovered[family as usize] = Some(index);
            }
            match lookup.inserted {
                // It is taken already, by the PID `default` of the domain's own map.
                Some(_) => lookup.first = u32::from(index == 0),
                None => lookup.inserted = Some(index),
            }
            pids.names.insert(place, default);
            pids.groups.insert(place, Arc::new(group));
            for first in first.iter_mut().chain([&mut first_set]) {
                *first += usize::from(*first >= place);
            }
        }
        Arc::new(Self {
            map: Arc::new(NetworkMap::new(
                Arc::new(PidIndex::new(pids.names)),
                pids.groups,
                lookup,
            )),
            first,
            sets,
            first_set,
            inside_ours,
            off_net,
            conflicts,
            inputs,
            policy: policy.clone(),
        })
    }
}

/// PIDs in the order of their names, with their prefixes.
#[derive(Debug, Default)]
struct Pids {
    names: Vec<PidName>,
    groups: Vec<Arc<AddressGroup>>,
}

impl Pids {
    /// Adds PIDs whose names come after all others; returns the index of the first.
    fn add(&mut self, pids: impl Iterator<Item = (PidName, Arc<AddressGroup>)>) -> usize {
        let first = self.names.len();
        for (name, group) in pids {
            self.names.push(name);
            self.groups.push(group);
        }
        first
    }

    fn add_sets(&mut self, sets: &[HolderSet]) -> usize {
        self.add(sets.iter().map(|set| (set.name.clone(), set.group.clone())))
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
