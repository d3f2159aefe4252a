//! What all sources state together, as documents.

use std::sync::Arc;

use crate::alto::cost::CostTable;
use crate::compile::{union_costs, union_interconnects, union_properties};

use super::document::{Document, DocumentPath};
use super::transaction::FactsAtRevision;

/// About how many bytes of memory the union of what all sources state at a path takes, and its
/// rows while they are written.
pub fn union_bytes(current: &FactsAtRevision, path: &DocumentPath) -> u64 {
    let sources = current.facts.sources.values();
    let documents = sources.filter_map(|source| Document::of(source, path));
    documents
        .map(|document| document.bytes() + document.bytes_of_rows())
        .sum()
}

/// The union of what all sources state at a path, as it is compiled: where two
/// state the same thing it is the stronger's, and what names PIDs that no
/// source has is left out. `None` if no source states anything there.
pub fn union_document(current: &FactsAtRevision, path: &DocumentPath) -> Option<Document> {
    let FactsAtRevision {
        facts,
        union,
        policy,
    } = current;
    let states = |source| Document::of(source, path).is_some();
    if !facts.sources.values().any(states) {
        return None;
    }
    Some(match path {
        DocumentPath::NetworkMap => {
            let members = union.members();
            let groups = members.map(|(pid, group)| (pid.clone(), group.clone()));
            Document::Network(Arc::new(groups.collect()))
        }
        DocumentPath::CostMap(metric) => {
            let pids = union.pids();
            let (matrix, _) = union_costs(facts, policy, metric, pids);
            Document::Costs(Arc::new(CostTable::of(pids, pids, &matrix)))
        }
        DocumentPath::Properties => {
            Document::Properties(Arc::new(union_properties(facts, policy, union).0))
        }
        DocumentPath::Interconnects => {
            Document::Interconnects(Arc::new(union_interconnects(facts, policy, union).0))
        }
    })
}
