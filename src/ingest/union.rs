//! The union of the documents that all sources state.

use crate::compile;
use crate::facts::{Document, DocumentPath};

use super::at_revision::FactsAtRevision;

/// Returns about how many bytes of memory the union of the documents that all sources state at a
/// path takes, together with its rows while they are written.
pub fn union_bytes(current: &FactsAtRevision, path: &DocumentPath) -> u64 {
    let sources = current.facts.sources.values();
    let stated = sources.filter_map(|source| source.get(path));
    stated
        .map(|stated| stated.document.bytes() + stated.document.bytes_of_rows())
        .sum()
}

/// Returns the union of the documents that all sources state at a path, as it is compiled; `None`
/// if no source states anything there.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Facts, Policy, SourceFacts, Stated};
    use crate::ident::{DomainLabel, SourceName};
    use std::collections::BTreeMap;
    use std::sync::Arc;

    #[test]
    fn a_union_takes_the_memory_of_what_all_sources_state() {
        let path = DocumentPath::Properties;
        let map = ["pid:a", "pid:b"].map(|text| {
            let entity = crate::alto::property::Entity::parse(text).expect("an entity");
            (entity, BTreeMap::new())
        });
        let document = Document::Properties(Arc::new(map.into()));
        let one = document.bytes() + document.bytes_of_rows();
        assert!(one > 1);
        let mut facts = Facts::default();
        for source in ["noc", "probe"] {
            let mut stated = SourceFacts::default();
            let document = Stated {
                document: document.clone(),
                revision: 1,
                tag: document.text().tag().clone(),
            };
            stated.state(path.clone(), Some(document));
            let source = SourceName::new(source).expect("a name");
            facts.sources.insert(source, stated);
        }
        let policy = Policy {
            domain: DomainLabel::new("us").expect("a label"),
            priorities: BTreeMap::new(),
        };
        let current = FactsAtRevision::new(Arc::new(facts), policy);
        assert_eq!(union_bytes(&current, &path), 2 * one);
        assert_eq!(union_bytes(&current, &DocumentPath::Network), 0);
    }
}
