//! Applying operations to the facts, all or none.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::alto::json::{FaultKind, Faults, Step, Walk};
use crate::compile::NetworkUnion;
use crate::facts::{Document, DocumentPath, Facts, Limits, Reader, SourceFacts, Stated, Text};
use crate::ident::SourceName;

use super::at_revision::FactsAtRevision;
use super::checks::{check_dangling, check_size, dangling_warnings, network_warnings};
use super::operation::{Change, Operation};
use super::write::Outcome;

/// The outcome of a transaction.
pub struct Applied {
    /// The facts after the transaction: at the next revision, or as they were if no document
    /// changed.
    pub after: FactsAtRevision,
    /// The documents that changed.
    pub changed: Vec<Changed>,
    /// Whether a document was created.
    pub created: bool,
    /// Warnings for the source: about facts that are not used, and about the network map if the
    /// transaction touches it.
    pub warnings: Vec<String>,
}

/// A document that changed.
pub struct Changed {
    /// The source that states it.
    pub source: SourceName,
    /// Its path.
    pub path: DocumentPath,
    /// Its text; `None` if it is gone.
    pub text: Option<Text>,
}

impl Applied {
    /// Returns the answer to a write of a source. `subject` is the document that was written, if
    /// the write was of a single one.
    pub(super) fn outcome(&self, source: &SourceName, subject: Option<&DocumentPath>) -> Outcome {
        let named = |changed: &Changed| {
            if changed.source == *source {
                changed.path.to_string()
            } else {
                changed.path.stored_as(&changed.source)
            }
        };
        Outcome {
            revision: self.after.facts.revision,
            changed: self.changed.iter().map(named).collect(),
            warnings: self.warnings.clone(),
            created: self.created,
            tag: subject.and_then(|path| {
                let facts = self.after.facts.sources.get(source)?;
                Some(facts.get(path)?.tag.clone())
            }),
        }
    }
}

/// The documents that a transaction replaces, each with the new one, or `None` if it is deleted.
pub(super) type Replacements = BTreeMap<(SourceName, DocumentPath), Option<Document>>;

/// Applies the operations of a source in their order.
///
/// # Errors
/// Every fault that was found; nothing changes then.
pub fn apply(
    current: &FactsAtRevision,
    limits: &Limits,
    source: &SourceName,
    operations: Vec<Operation>,
) -> Result<Applied, Faults> {
    let mut faults = Faults::default();
    let nothing = SourceFacts::default();
    let stated = current.facts.sources.get(source).unwrap_or(&nothing);
    let reader = Reader {
        domain: &current.policy.domain,
        limits,
    };
    let mut places: BTreeMap<DocumentPath, Vec<Step<'static>>> = BTreeMap::new();
    let mut replaced = Replacements::new();
    for Operation { path, change, at } in operations {
        let key = (source.clone(), path.clone());
        let before = match replaced.get(&key) {
            Some(earlier) => earlier.as_ref(),
            None => stated.get(&path).map(|stated| &stated.document),
        };
        match changed(reader, &at, before, change) {
            Ok(document) => drop(replaced.insert(key, document)),
            Err(more) => faults.append(more),
        }
        places.insert(path, at);
    }
    faults.or(())?;
    replace(current, limits, replaced, Some(source), &places)
}

/// Restores the documents of an earlier revision; all others are deleted.
///
/// # Errors
/// Every fault that was found; nothing changes then.
pub(super) fn restore(
    current: &FactsAtRevision,
    limits: &Limits,
    mut documents: Replacements,
) -> Result<Applied, Faults> {
    for (source, facts) in &current.facts.sources {
        for (path, _) in facts.documents() {
            let key = (source.clone(), path.clone());
            documents.entry(key).or_insert(None);
        }
    }
    replace(current, limits, documents, None, &BTreeMap::new())
}

/// Replaces documents and checks the facts after that. What `source` states must not dangle;
/// `places` says where its documents stand in the request.
///
/// # Errors
/// Every fault that was found; nothing changes then.
fn replace(
    current: &FactsAtRevision,
    limits: &Limits,
    replaced: Replacements,
    source: Option<&SourceName>,
    places: &BTreeMap<DocumentPath, Vec<Step<'static>>>,
) -> Result<Applied, Faults> {
    let mut facts = Facts::clone(&current.facts);
    facts.revision += 1;
    let mut changed = Vec::new();
    let mut created = false;
    let of_network = replaced
        .keys()
        .any(|(_, path)| *path == DocumentPath::Network);
    for ((owner, path), document) in replaced {
        let stated = facts.sources.entry(owner.clone()).or_default();
        let former = stated.get(&path).map(|former| &former.tag);
        let text = document.as_ref().map(Document::text);
        if former == text.as_ref().map(Text::tag) {
            continue;
        }
        created |= former.is_none();
        let tagged = document.zip(text.as_ref());
        let now = tagged.map(|(document, text)| Stated {
            document,
            revision: facts.revision,
            tag: text.tag().clone(),
        });
        stated.state(path.clone(), now);
        changed.push(Changed {
            source: owner,
            path,
            text,
        });
    }
    facts.sources.retain(|_, stated| !stated.is_empty());
    let network_changed = changed
        .iter()
        .any(|changed| changed.path == DocumentPath::Network);
    let mut faults = Faults::default();
    let union = if network_changed {
        let union = NetworkUnion::new(&facts, &current.policy);
        check_size(&union, limits, &mut faults);
        Arc::new(union)
    } else {
        current.union.clone()
    };
    if let Some(own) = source.and_then(|source| facts.sources.get(source)) {
        check_dangling(own, current.union.pids(), union.pids(), places, &mut faults);
    }
    faults.or(())?;
    let mut warnings = dangling_warnings(&facts, &union);
    if of_network {
        warnings.splice(0..0, network_warnings(&union));
    }
    if changed.is_empty() {
        facts.revision = current.facts.revision;
    }
    Ok(Applied {
        after: FactsAtRevision {
            facts: Arc::new(facts),
            union,
            policy: current.policy.clone(),
        },
        changed,
        created,
        warnings,
    })
}

/// Returns the document after a change, `None` if it is deleted.
fn changed(
    reader: Reader<'_>,
    at: &[Step<'static>],
    current: Option<&Document>,
    change: Change,
) -> Result<Option<Document>, Faults> {
    match change {
        Change::Put(document) => Ok(Some(document)),
        Change::Edit(_, edit) => edit.apply(reader, at, current).map(Some),
        Change::Delete if current.is_some() => Ok(None),
        Change::Delete => {
            let mut walk = Walk::below(at.to_vec());
            walk.fault(
                FaultKind::Value(None),
                "the source has no such document to delete",
            );
            Err(walk.into_faults())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Policy;
    use crate::ident::DomainLabel;
    use crate::ingest::operation::{OperationKind, read_operation};

    fn nothing() -> FactsAtRevision {
        let policy = Policy {
            domain: DomainLabel::new("us").expect("a label"),
            priorities: BTreeMap::new(),
        };
        FactsAtRevision::new(Arc::new(Facts::default()), policy)
    }

    fn after(current: &FactsAtRevision, kind: OperationKind, body: &str) -> Applied {
        let limits = Limits::default();
        let reader = Reader {
            domain: &current.policy.domain,
            limits: &limits,
        };
        let source = SourceName::new("noc").expect("a name");
        let operation = read_operation(reader, kind, DocumentPath::Network, body.as_bytes());
        let operations = operation.map(|operation| vec![operation]);
        let applied = operations.and_then(|all| apply(current, &limits, &source, all));
        applied.unwrap_or_else(|faults| panic!("{faults}"))
    }

    #[test]
    fn a_source_that_states_nothing_any_more_is_gone() {
        let map = r#"{"network-map":{"ams":{"ipv4":["192.0.2.0/24"]}}}"#;
        let put = after(&nothing(), OperationKind::Put, map);
        assert_eq!(put.after.facts.sources.len(), 1);
        let deleted = after(&put.after, OperationKind::Delete, "");
        assert!(deleted.after.facts.sources.is_empty());
        assert_eq!((deleted.after.facts.revision, deleted.created), (2, false));
    }
}
