//! The union of the documents that all sources state at a path.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::alto::cost::CostTable;
use crate::facts::{Document, DocumentPath, Facts, Policy, StatedNetwork};

use super::costs::union_costs;
use super::interconnects::union_interconnects;
use super::network::NetworkUnion;
use super::properties::union_properties;

/// Returns the union of the documents that all sources state at a path, as it is compiled: if two
/// sources state the same thing the stronger one's is used, and statements about PIDs that no
/// source has are left out. `network` is the union of the sources' network maps.
pub fn union_document(
    facts: &Facts,
    policy: &Policy,
    network: &NetworkUnion,
    path: &DocumentPath,
) -> Document {
    match path {
        DocumentPath::Network => {
            let members = network.members();
            let groups = members.map(|(pid, group)| (pid.clone(), group.clone()));
            Document::Network(Arc::new(StatedNetwork {
                groups: Arc::new(groups.collect()),
                off_net: BTreeSet::clone(network.off_net()),
            }))
        }
        DocumentPath::Costs(metric) => {
            let pids = network.pids();
            let (matrix, _) = union_costs(facts, policy, metric, pids);
            Document::Costs(Arc::new(CostTable::of(pids, pids, &matrix)))
        }
        DocumentPath::Properties => {
            Document::Properties(Arc::new(union_properties(facts, policy, network).0))
        }
        DocumentPath::Interconnects => {
            Document::Interconnects(Arc::new(union_interconnects(facts, policy, network).0))
        }
    }
}
