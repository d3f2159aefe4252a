//! The properties of the merged view.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use ipnet::IpNet;

use crate::alto::property::{Entity, PropertyMap, PropertySet};
use crate::publish::Properties;

use super::claims::by_strength;
use super::conflict::MergeConflicts;
use super::domain::Domain;
use super::marks::{self, Mark};
use super::network::MergedNetwork;
use super::policy::MergePolicy;
use super::prefixes::off_net_pids;
use super::property_claims::Stated;

/// The properties of the merged view, and their input.
#[derive(Debug)]
pub(super) struct MergedProperties {
    pub(super) properties: Arc<Properties>,
    pub(super) conflicts: MergeConflicts,
    inputs: Vec<Arc<Properties>>,
}

impl MergedProperties {
    /// Joins the properties of the PIDs of domains, and of the prefixes that they may speak for. If
    /// two domains state a property of one prefix, the value of the domain that would win the
    /// prefix is used; where several domains hold the prefix, that of the first of them by
    /// preference and then by label. `unchanged` says that `network` is that of `former`.
    pub(super) fn new(
        domains: &[&Domain],
        policy: &MergePolicy,
        network: &MergedNetwork,
        former: Option<&Arc<MergedProperties>>,
        unchanged: bool,
    ) -> Arc<Self> {
        let inputs: Vec<_> = domains
            .iter()
            .map(|domain| domain.view.properties().clone())
            .collect();
        let same = |former: &&Arc<MergedProperties>| {
            let mut pairs = former.inputs.iter().zip(&inputs);
            unchanged && pairs.all(|(a, b)| Arc::ptr_eq(a, b))
        };
        if let Some(former) = former.filter(same) {
            return former.clone();
        }
        let of_prefixes = |properties: &Arc<Properties>| {
            let mut entities = properties.map().keys();
            entities.all(|entity| matches!(entity, Entity::Prefix(_)))
        };
        let (properties, conflicts) = match (domains, &inputs[..]) {
            ([only], [own]) if only.label == policy.own && of_prefixes(own) => {
                (own.clone(), MergeConflicts::default())
            }
            _ => {
                let (map, conflicts) = join(domains, policy, network);
                (Arc::new(Properties::new(map)), conflicts)
            }
        };
        Arc::new(Self {
            properties,
            conflicts,
            inputs,
        })
    }
}

fn join(
    domains: &[&Domain],
    policy: &MergePolicy,
    network: &MergedNetwork,
) -> (PropertyMap, MergeConflicts) {
    let marks = marks(domains, policy, network);
    let mut stated = Stated::new(domains);
    let mut conflicts = MergeConflicts::default();
    stated.drop_refused(policy, &marks, &mut conflicts);
    let mut joined = PropertyMap::new();
    for place in by_strength(domains, policy) {
        for (entity, set) in stated.kept(place) {
            let entity = match entity {
                Entity::Prefix(_) => entity.clone(),
                Entity::Pid(pid) => match domains[place].label.qualify(pid) {
                    Ok(pid) => Entity::Pid(pid),
                    Err(_) => continue,
                },
            };
            join_set(joined.entry(entity), set);
        }
    }
    // Of equal marks the last decides.
    for cut in stated
        .cut_out(policy, &marks, &mut conflicts)
        .into_iter()
        .rev()
    {
        join_set(joined.entry(Entity::Prefix(cut.net)), &cut.set);
    }
    (joined, conflicts)
}

/// Adds the properties that an entity does not have yet.
fn join_set(entry: Entry<'_, Entity, PropertySet>, set: &PropertySet) {
    match entry {
        Entry::Vacant(entry) => drop(entry.insert(set.clone())),
        Entry::Occupied(mut entry) => {
            for (name, value) in set {
                let known = entry.get_mut().entry(name.clone());
                known.or_insert_with(|| value.clone());
            }
        }
    }
}

/// Returns the prefixes that not every domain may make statements about, each after those around
/// it: those of the policy, those that our own domain holds, and those that others hold with it or
/// inside of it, or that several hold.
fn marks<'d>(
    domains: &[&'d Domain],
    policy: &'d MergePolicy,
    network: &MergedNetwork,
) -> Vec<Mark<'d>> {
    let theirs = |net, domain: usize| Mark::theirs(net, &domains[domain].label);
    let mut decided: BTreeMap<IpNet, Mark<'d>> = BTreeMap::new();
    for (net, domain) in &network.inside_ours {
        decided.insert(*net, theirs(*net, *domain));
    }
    for set in &network.sets {
        if let Some(first) = set.members.first() {
            let prefixes = set.group.prefixes();
            decided.extend(prefixes.map(|net| (net, theirs(net, first.domain))));
        }
    }
    let mut marks = marks::marks(policy);
    marks.retain(|mark| !mark.is_open());
    if let Some(own) = domains.iter().find(|domain| domain.label == policy.own) {
        let is_off_net = off_net_pids(own, policy);
        let groups = own.view.network().groups().zip(is_off_net);
        let on_net = groups.filter(|(_, is_off_net)| !is_off_net);
        let stated = on_net.flat_map(|((_, group), _)| group.prefixes());
        let ours = stated.filter(|net| net.prefix_len() > 0 && !decided.contains_key(net));
        marks.extend(ours.map(|net| Mark::ours(net, &own.label)));
    }
    marks.extend(decided.into_values());
    // A stable sort: of equal marks, those reserved for nobody come first, and what decides whose
    // word counts comes last.
    marks.sort_by_key(|mark| mark.net);
    marks
}
