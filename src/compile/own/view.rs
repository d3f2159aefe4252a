//! The view of our own domain.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::alto::network::AddressGroup;
use crate::alto::property::PropertyMap;
use crate::ident::{Family, MetricName, PidName, Sha256, SourceName, Tag};
use crate::net::{Matrix, PidIndex};
use crate::publish::{Costs, Lookup, NetworkMap, Origin, Properties, View, ViewName};

use super::conflict::Conflicts;
use super::costs::union_costs;
use super::interconnects::union_interconnects;
use super::network::NetworkUnion;
use super::properties::union_properties;
use crate::compile::completion::{DEFAULT_PID, everything};
use crate::facts::{DocumentPath, Facts, Interconnects, Policy};

/// Our domain, compiled.
pub struct Compiled {
    /// Its view.
    pub view: Arc<View>,
    /// Its off-net PIDs.
    pub off_net: Arc<BTreeSet<PidName>>,
    /// Its interconnects.
    pub interconnects: Arc<Interconnects>,
    /// The facts that are not used.
    pub conflicts: Conflicts,
    /// The digest of all that the domain states.
    pub digest: Tag,
    union: Arc<NetworkUnion>,
    policy: Policy,
    metrics: BTreeMap<MetricName, Metric>,
    property_inputs: Inputs,
    property_conflicts: Conflicts,
}

/// The documents that something was compiled from: each source, the strongest first, and the
/// revision that stated its document.
type Inputs = Vec<(SourceName, u64)>;

/// The costs in one metric, and the documents that they were compiled from.
#[derive(Clone)]
struct Metric {
    inputs: Inputs,
    matrix: Arc<Matrix>,
    conflicts: Conflicts,
}

/// Compiles the facts of our domain. `union` is the union of its network maps. What did not change
/// is shared with the last result, `former`.
pub fn domain_view(
    facts: &Facts,
    union: &Arc<NetworkUnion>,
    policy: &Policy,
    received: Timestamp,
    former: Option<&Compiled>,
) -> Compiled {
    let former = former.filter(|former| former.policy == *policy);
    let kept = former.filter(|former| Arc::ptr_eq(&former.union, union));
    let network = match kept {
        Some(former) => former.view.network().clone(),
        None => Arc::new(complete(union)),
    };
    let mut conflicts = union.conflicts().clone();

    let mut metrics = BTreeMap::new();
    let routingcost = MetricName::routingcost();
    for metric in stated_metrics(facts).chain([&routingcost]) {
        if metrics.contains_key(metric) {
            continue;
        }
        let inputs = inputs(facts, policy, &DocumentPath::Costs(metric.clone()));
        let known = kept.and_then(|former| former.metrics.get(metric));
        let compiled = match known.filter(|known| known.inputs == inputs) {
            Some(known) => known.clone(),
            None => {
                let (matrix, conflicts) = union_costs(facts, policy, metric, network.pids());
                Metric {
                    inputs,
                    matrix,
                    conflicts,
                }
            }
        };
        conflicts.append(&compiled.conflicts);
        metrics.insert(metric.clone(), compiled);
    }

    let property_inputs = inputs(facts, policy, &DocumentPath::Properties);
    let (properties, property_conflicts) =
        match kept.filter(|former| former.property_inputs == property_inputs) {
            Some(former) => (
                former.view.properties().clone(),
                former.property_conflicts.clone(),
            ),
            None => {
                let (map, conflicts): (PropertyMap, _) = union_properties(facts, policy, union);
                (Arc::new(Properties::new(map)), conflicts)
            }
        };
    conflicts.append(&property_conflicts);
    let (interconnects, link_conflicts) = union_interconnects(facts, policy, union);
    conflicts.append(&link_conflicts);

    let dense = |metric: &Metric| Costs::Dense(metric.matrix.clone());
    let costs = metrics
        .iter()
        .map(|(name, metric)| (name.clone(), dense(metric)));
    let view = View::new(
        ViewName::Domain(policy.domain.clone()),
        Origin {
            serial: facts.revision,
            received,
        },
        network,
        costs.collect(),
        properties,
        former.map(|former| &*former.view),
    );
    Compiled {
        view: Arc::new(view),
        off_net: union.off_net().clone(),
        interconnects: Arc::new(interconnects),
        conflicts,
        digest: digest(facts, policy),
        union: union.clone(),
        policy: policy.clone(),
        metrics,
        property_inputs,
        property_conflicts,
    }
}

fn inputs(facts: &Facts, policy: &Policy, path: &DocumentPath) -> Inputs {
    let stated = facts.by_strength(policy, path).into_iter();
    stated
        .map(|(source, stated)| (source.clone(), stated.revision))
        .collect()
}

/// Iterates over the metrics in which some source states costs.
fn stated_metrics(facts: &Facts) -> impl Iterator<Item = &MetricName> {
    facts.paths().into_iter().filter_map(|path| match path {
        DocumentPath::Costs(metric) => Some(metric),
        _ => None,
    })
}

/// Returns the digest of the tags of all documents, those of one kind with the strongest first.
fn digest(facts: &Facts, policy: &Policy) -> Tag {
    let mut hasher = Sha256::new();
    for path in facts.paths() {
        // The merged view's tags are made from this digest, so it must not change.
        let label = match path {
            DocumentPath::Network => "network".into(),
            DocumentPath::Costs(metric) => metric.to_string(),
            path => path.to_string(),
        };
        for (_, stated) in facts.by_strength(policy, path) {
            hasher.update(format!("{label} {}\n", stated.tag).as_bytes());
        }
    }
    hasher.finish().into()
}

/// Returns the network map of a union, completed so that every address of a family that has
/// prefixes belongs to some PID (RFC 7285 §11.2.1.6).
fn complete(union: &NetworkUnion) -> NetworkMap {
    let missing: Vec<Family> = union.uncovered().collect();
    let mut lookup = Lookup {
        lpm: union.lpm().clone(),
        ..Lookup::default()
    };
    let default = match PidName::new(DEFAULT_PID) {
        Ok(name) if !missing.is_empty() => name,
        _ => return NetworkMap::new(union.pids().clone(), union.groups().to_vec(), lookup),
    };
    let mut groups = union.groups().to_vec();
    let mut pids = union.pids().clone();
    let place = match pids.get(DEFAULT_PID) {
        Some(place) => place,
        None => {
            let names = pids.names().iter().cloned().chain([default]);
            pids = Arc::new(PidIndex::new(names.collect()));
            let place = pids.get(DEFAULT_PID).unwrap_or_default();
            groups.insert(place as usize, Arc::default());
            lookup.inserted = Some(place);
            place
        }
    };
    let mut group = AddressGroup::clone(&groups[place as usize]);
    for family in missing {
        group.insert(everything(family));
        lookup.uncovered[family as usize] = Some(place);
    }
    groups[place as usize] = Arc::new(group);
    NetworkMap::new(pids, groups, lookup)
}
