//! The properties of the merged view.

use std::collections::btree_map::Entry;
use std::sync::Arc;

use crate::alto::property::{Entity, PropertyMap, PropertySet};
use crate::publish::Properties;

use super::claims::by_strength;
use super::conflict::MergeConflicts;
use super::domain::Domain;
use super::marks::{self, Mark};
use super::policy::MergePolicy;
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
    /// prefix is used. `unchanged` says that domains and prefixes are those of `former`.
    pub(super) fn new(
        domains: &[&Domain],
        policy: &MergePolicy,
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
                let (map, conflicts) = join(domains, policy);
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

fn join(domains: &[&Domain], policy: &MergePolicy) -> (PropertyMap, MergeConflicts) {
    let marks = marks(domains, policy);
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
    for cut in stated.cut_out(policy, &marks, &mut conflicts) {
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

/// Returns the prefixes that other domains may make no statements about, each after those around
/// it: those of the policy and those that our own domain states.
fn marks<'d>(domains: &[&'d Domain], policy: &'d MergePolicy) -> Vec<Mark<'d>> {
    let mut marks = marks::marks(policy);
    marks.retain(|mark| !mark.is_open());
    if let Some(own) = domains.iter().find(|domain| domain.label == policy.own) {
        let groups = own.view.network().groups();
        let stated = groups.flat_map(|(_, group)| group.prefixes());
        let ours = stated.filter(|net| net.prefix_len() > 0);
        marks.extend(ours.map(|net| Mark::ours(net, &own.label)));
    }
    // A stable sort: of equal marks, those reserved for nobody come first.
    marks.sort_by_key(|mark| mark.net);
    marks
}
