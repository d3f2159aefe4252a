//! What all sources state together, as documents.

use crate::compile;
use crate::facts::{Document, DocumentPath};

use super::at_revision::FactsAtRevision;

/// Returns about how many bytes of memory the union of what all sources state at a path takes,
/// together with its rows while they are written.
pub fn union_bytes(current: &FactsAtRevision, path: &DocumentPath) -> u64 {
    let sources = current.facts.sources.values();
    let stated = sources.filter_map(|source| source.get(path));
    stated
        .map(|stated| stated.document.bytes() + stated.document.bytes_of_rows())
        .sum()
}

/// Returns the union of what all sources state at a path, as it is compiled; `None` if no source
/// states anything there.
pub fn union_document(current: &FactsAtRevision, path: &DocumentPath) -> Option<Document> {
    let FactsAtRevision {
        facts,
        union,
        policy,
    } = current;
    let is_stated = facts
        .sources
        .values()
        .any(|source| source.get(path).is_some());
    is_stated.then(|| compile::union_document(facts, policy, union, path))
}
