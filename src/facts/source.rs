//! What the sources of our own domain state.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::ident::{DomainLabel, SourceName, Tag};

use super::{Document, DocumentPath, Listed};

/// All facts of our domain, by the source that states them.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The newest revision that they include.
    pub revision: u64,
    /// When that revision was accepted; none before the first one.
    pub accepted: Option<Timestamp>,
    /// The sources that state something.
    pub sources: BTreeMap<SourceName, SourceFacts>,
}

/// What one source states: documents by their paths.
#[derive(Debug, Clone, Default)]
pub struct SourceFacts {
    documents: BTreeMap<DocumentPath, Stated>,
}

/// A document that a source states.
#[derive(Debug, Clone)]
pub struct Stated {
    /// What is stated.
    pub document: Document,
    /// The revision that stated it last.
    pub revision: u64,
    /// The tag of its canonical text.
    pub tag: Tag,
}

/// What the operator decides about facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The label of our domain.
    pub domain: DomainLabel,
    /// The priority of each source: of two, the higher one wins; 0 if absent.
    pub priorities: BTreeMap<SourceName, i64>,
}

impl SourceFacts {
    /// Returns whether the source states nothing.
    pub fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }

    /// Returns what the source states at a path.
    pub fn get(&self, path: &DocumentPath) -> Option<&Stated> {
        self.documents.get(path)
    }

    /// Returns every document that the source states, in the order of their paths.
    pub fn documents(&self) -> impl Iterator<Item = (&DocumentPath, &Stated)> {
        self.documents.iter()
    }

    /// Replaces or removes the document at a path. The document must be of the path's kind.
    pub fn state(&mut self, path: DocumentPath, stated: Option<Stated>) {
        match stated {
            Some(stated) => self.documents.insert(path, stated),
            None => self.documents.remove(&path),
        };
    }
}

impl Facts {
    /// Returns every path at which some source states a document.
    pub fn paths(&self) -> BTreeSet<&DocumentPath> {
        let sources = self.sources.values();
        sources.flat_map(|facts| facts.documents.keys()).collect()
    }

    /// Returns what each source states at a path, the strongest first: by priority, then the
    /// newer revision, then by name.
    pub fn by_strength(&self, policy: &Policy, path: &DocumentPath) -> Vec<(&SourceName, &Stated)> {
        let sources = self.sources.iter();
        let mut stated: Vec<_> = sources
            .filter_map(|(source, facts)| Some((source, facts.get(path)?)))
            .collect();
        let priority = |source: &SourceName| policy.priorities.get(source).copied().unwrap_or(0);
        stated.sort_by_key(|(source, stated)| {
            Reverse((priority(source), stated.revision, Reverse(*source)))
        });
        stated
    }

    /// Returns the content of what each source states at a path, the strongest first.
    pub fn contents<K: Listed>(
        &self,
        policy: &Policy,
        path: &DocumentPath,
    ) -> Vec<(&SourceName, &Arc<K>)> {
        let stated = self.by_strength(policy, path).into_iter();
        stated
            .filter_map(|(source, stated)| Some((source, K::of(&stated.document)?)))
            .collect()
    }
}
