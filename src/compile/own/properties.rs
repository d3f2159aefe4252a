//! The union of the properties that all sources state.

use std::collections::BTreeMap;

use crate::alto::property::{Entity, PropertyMap};
use crate::ident::{PropertyName, SourceName};

use super::conflict::Conflicts;
use super::network::NetworkUnion;
use crate::api::conflict::{Conflict, ConflictKind};
use crate::facts::{DocumentPath, Facts, Policy};

/// Joins the properties of all sources. Of two values, the stronger source's is used; the
/// properties of an unknown PID are left out.
pub fn union_properties(
    facts: &Facts,
    policy: &Policy,
    network: &NetworkUnion,
) -> (PropertyMap, Conflicts) {
    let mut joined = PropertyMap::new();
    let mut owners: BTreeMap<(&Entity, &PropertyName), &SourceName> = BTreeMap::new();
    let mut conflicts = Conflicts::default();
    for (source, map) in facts.contents::<PropertyMap>(policy, &DocumentPath::Properties) {
        for (entity, set) in map.iter() {
            if let Entity::Pid(pid) = entity
                && network.pids().get(pid.as_str()).is_none()
            {
                conflicts.add(ConflictKind::Dangling, || Conflict {
                    kind: ConflictKind::Dangling,
                    subject: entity.to_string(),
                    kept: None,
                    dropped: source.clone(),
                    detail: format!("no network map has PID {pid}"),
                });
                continue;
            }
            let used = joined.entry(entity.clone()).or_default();
            for (name, value) in set {
                match (used.get(name), owners.get(&(entity, name))) {
                    (Some(first), Some(kept)) if first != value => {
                        conflicts.add(ConflictKind::Property, || Conflict {
                            kind: ConflictKind::Property,
                            subject: format!("{entity} {name}"),
                            kept: Some((*kept).clone()),
                            dropped: source.clone(),
                            detail: format!("{first} is used, {value} is not"),
                        });
                    }
                    (Some(_), _) => {}
                    (None, _) => {
                        used.insert(name.clone(), value.clone());
                        owners.insert((entity, name), source);
                    }
                }
            }
        }
    }
    (joined, conflicts)
}
