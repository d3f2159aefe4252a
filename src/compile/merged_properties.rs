//! The properties of the merged view.

use std::collections::btree_map::Entry;
use std::sync::Arc;

use crate::alto::property::{Entity, PropertyMap};
use crate::publish::Properties;

use super::compose::Domain;
use super::merge_conflict::{MergeConflictKind, MergeConflicts};
use super::policy::MergePolicy;
use super::prefixes::{Claim, Others, by_strength, judge};

/// The properties of the merged view, and what they were made of.
#[derive(Debug)]
pub(super) struct MergedProperties {
    pub(super) properties: Arc<Properties>,
    pub(super) conflicts: MergeConflicts,
    inputs: Vec<Arc<Properties>>,
}

impl MergedProperties {
    /// Joins what domains say of their PIDs, and of the prefixes that they may
    /// speak for; `unchanged` says that these and the domains are those of
    /// `former`. Of two values of one property that of the domain is used which
    /// would keep the prefix.
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
    let mut conflicts = MergeConflicts::default();
    let mut claims = Vec::new();
    for (domain, of) in domains.iter().enumerate() {
        let own = of.label == policy.own;
        if own {
            // What others may not speak for.
            let stated = of.view.network().groups();
            let prefixes = stated.flat_map(|(_, group)| group.prefixes());
            claims.extend(prefixes.map(|net| Claim {
                net,
                domain,
                place: 0,
            }));
            continue;
        }
        for (place, entity) in of.view.properties().map().keys().enumerate() {
            if let Entity::Prefix(net) = *entity {
                claims.push(Claim { net, domain, place });
            }
        }
    }
    let mut refused: Vec<Vec<usize>> = vec![Vec::new(); domains.len()];
    judge(domains, policy, claims, Others::Share, |claim, verdict| {
        if let Err(refusal) = verdict {
            refused[claim.domain].push(claim.place);
            let label = &domains[claim.domain].label;
            conflicts.add(MergeConflictKind::Property, label, || {
                let subject = Entity::Prefix(claim.net).to_string();
                (refusal.other.cloned(), subject, refusal.detail())
            });
        }
    });
    let mut joined = PropertyMap::new();
    for place in by_strength(domains, policy) {
        let domain = domains[place];
        refused[place].sort_unstable();
        for (at, (entity, set)) in domain.view.properties().map().iter().enumerate() {
            if refused[place].binary_search(&at).is_ok() {
                continue;
            }
            let entity = match entity {
                Entity::Prefix(_) => entity.clone(),
                Entity::Pid(pid) => match domain.label.qualify(pid) {
                    Ok(pid) => Entity::Pid(pid),
                    Err(_) => continue,
                },
            };
            match joined.entry(entity) {
                Entry::Vacant(entry) => drop(entry.insert(set.clone())),
                Entry::Occupied(mut entry) => {
                    for (name, value) in set {
                        let known = entry.get_mut().entry(name.clone());
                        known.or_insert_with(|| value.clone());
                    }
                }
            }
        }
    }
    (joined, conflicts)
}
