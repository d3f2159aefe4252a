//! Facts: what the sources of our own domain state.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::alto::cost::CostTable;
use crate::alto::network::Groups;
use crate::alto::property::PropertyMap;
use crate::ident::{DomainLabel, MetricName, SourceName, Tag};

use super::interconnects::Interconnects;

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

/// What one source states.
#[derive(Debug, Clone, Default)]
pub struct SourceFacts {
    /// PIDs and their prefixes.
    pub network: Option<Stated<Groups>>,
    /// Costs by metric.
    pub costs: BTreeMap<MetricName, Stated<CostTable>>,
    /// Properties of entities.
    pub properties: Option<Stated<PropertyMap>>,
    /// Links to other domains.
    pub interconnects: Option<Stated<Interconnects>>,
}

impl SourceFacts {
    /// Returns whether the source states nothing.
    pub fn is_empty(&self) -> bool {
        self.network.is_none()
            && self.costs.is_empty()
            && self.properties.is_none()
            && self.interconnects.is_none()
    }
}

/// A document that a source states.
#[derive(Debug)]
pub struct Stated<T> {
    /// What is stated.
    pub body: Arc<T>,
    /// The revision that stated it last.
    pub revision: u64,
    /// The tag of its canonical text.
    pub tag: Tag,
}

impl<T> Clone for Stated<T> {
    fn clone(&self) -> Self {
        Self {
            body: self.body.clone(),
            revision: self.revision,
            tag: self.tag.clone(),
        }
    }
}

/// What the operator decides about facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The label of our domain.
    pub domain: DomainLabel,
    /// The priority of each source: of two, the higher one wins; 0 if absent.
    pub priorities: BTreeMap<SourceName, i64>,
}

impl Facts {
    /// The document of each source, the strongest first: by priority, then the newer revision, then
    /// by name.
    pub fn by_strength<'f, T: 'f>(
        &'f self,
        policy: &Policy,
        document: impl Fn(&'f SourceFacts) -> Option<&'f Stated<T>>,
    ) -> Vec<(&'f SourceName, &'f Stated<T>)> {
        let mut stated: Vec<_> = self
            .sources
            .iter()
            .filter_map(|(source, facts)| Some((source, document(facts)?)))
            .collect();
        let priority = |source: &SourceName| policy.priorities.get(source).copied().unwrap_or(0);
        stated.sort_by_key(|(source, stated)| {
            std::cmp::Reverse((
                priority(source),
                stated.revision,
                std::cmp::Reverse(*source),
            ))
        });
        stated
    }

    /// The metrics that some source states costs in.
    pub fn metrics(&self) -> impl Iterator<Item = &MetricName> {
        let mut metrics: Vec<_> = self
            .sources
            .values()
            .flat_map(|facts| facts.costs.keys())
            .collect();
        metrics.sort_unstable();
        metrics.dedup();
        metrics.into_iter()
    }
}
