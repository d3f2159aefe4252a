//! The merged view: domains' views joined into one.

use std::sync::Arc;

use crate::alto::network::AddressGroup;
use crate::ident::{DomainLabel, Family, NameError, PidName};
use crate::net::PidIndex;
use crate::publish::{Block, Composed, Costs, Lookup, NetworkMap, View, ViewName};

use super::domain::{DEFAULT_PID, everything};

/// The merged view, and what it was made of.
pub struct Merged {
    /// The view.
    pub view: Arc<View>,
    /// The network map of the domain's view.
    network: Arc<NetworkMap>,
}

/// Makes the merged view over our own domain's `view`. Its PIDs are
/// `<domain>:<pid>`. `former` is the result to share with.
///
/// The prefixes that only complete the domain's map are not facts and stay
/// behind; what is then uncovered belongs to the PID `default`, which has no
/// costs.
///
/// # Errors
/// A PID name is too long to be qualified; ingest refuses such names.
pub fn merged_view(
    domain: &DomainLabel,
    view: &View,
    former: Option<&Merged>,
) -> Result<Merged, NameError> {
    let kept = former.filter(|former| Arc::ptr_eq(&former.network, view.network()));
    let network = match kept {
        Some(former) => former.view.network().clone(),
        None => Arc::new(qualified(domain, view.network())?),
    };
    let block = |costs: &Costs| match costs {
        Costs::Dense(matrix) => Costs::Composed(Arc::new(Composed {
            size: network.pids().len(),
            blocks: vec![Block {
                first: network.lookup().first as usize,
                costs: matrix.clone(),
            }],
        })),
        composed => composed.clone(),
    };
    let costs = view
        .costs()
        .iter()
        .map(|(metric, costs)| (metric.clone(), block(costs)));
    let merged = View::new(
        ViewName::Merged,
        view.origin().clone(),
        network.clone(),
        costs.collect(),
        view.properties().clone(),
        former.map(|former| &*former.view),
    );
    Ok(Merged {
        view: Arc::new(merged),
        network: view.network().clone(),
    })
}

/// A domain's network map under the names of the merged view.
fn qualified(domain: &DomainLabel, map: &NetworkMap) -> Result<NetworkMap, NameError> {
    let completed = map.lookup().uncovered;
    let mut names = Vec::with_capacity(map.pids().len() + 1);
    let mut groups = Vec::with_capacity(map.pids().len() + 1);
    for (index, (pid, group)) in (0..).zip(map.groups()) {
        names.push(domain.qualify(pid)?);
        groups.push(without_completion(index, group, &completed));
    }
    let missing = Family::ALL.map(|family| completed[family as usize].map(|_| family));
    let mut lookup = Lookup {
        uncovered: [None; 2],
        ..map.lookup().clone()
    };
    if completed.iter().any(Option::is_some) {
        let default = PidName::new(DEFAULT_PID)?;
        let place = names.partition_point(|name| *name < default);
        let mut group = AddressGroup::default();
        let index = u32::try_from(place).unwrap_or(u32::MAX);
        for family in missing.into_iter().flatten() {
            group.insert(everything(family));
            lookup.uncovered[family as usize] = Some(index);
        }
        // All names of a domain start with `<domain>:`, so that `default`
        // stands before all of them or after.
        lookup.first = u32::from(place == 0);
        names.insert(place, default);
        groups.insert(place, Arc::new(group));
    }
    Ok(NetworkMap::new(
        Arc::new(PidIndex::new(names)),
        groups,
        lookup,
    ))
}

/// The group without the prefixes that only complete the map of its domain.
fn without_completion(
    index: u32,
    group: &Arc<AddressGroup>,
    completed: &[Option<u32>; 2],
) -> Arc<AddressGroup> {
    let mut stated = group.clone();
    for family in Family::ALL {
        if completed[family as usize] == Some(index) {
            Arc::make_mut(&mut stated).remove(&everything(family));
        }
    }
    stated
}
