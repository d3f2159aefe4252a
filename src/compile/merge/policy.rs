//! What the operator decides about the merged view.

use std::collections::BTreeMap;

use ipnet::IpNet;

use crate::ident::{DomainLabel, MetricName};
use crate::paths::Rule;
use crate::paths::{Effort, MAX_DOMAINS};

/// How domains are joined into one view.
#[derive(Debug, Clone, PartialEq)]
pub struct MergePolicy {
    /// The label of our domain.
    pub own: DomainLabel,
    /// The metric of which a path has the least; an additive one.
    pub select_by: MetricName,
    /// The most domains on a path, both ends included; at most
    /// [`MAX_DOMAINS`], and that if it is more.
    pub max_domains: usize,
    /// The most labels that are made for one border in the search for paths
    /// that pass no domain twice.
    pub max_labels: u64,
    /// How metrics are composed between domains, where not as [`Rule::of`] has
    /// it.
    pub compose: BTreeMap<MetricName, Rule>,
    /// Whether other domains may speak for private space (RFC 1918, RFC 6598, RFC 4193).
    pub private_prefixes: bool,
    /// What is decided about single domains.
    pub domains: BTreeMap<DomainLabel, DomainPolicy>,
}

/// What the operator decides about a domain.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DomainPolicy {
    /// What it may speak for, and no other domain but ours; if absent, all that is configured for
    /// no other and not shorter than /8, or /16 of IPv6.
    pub prefixes: Option<Vec<IpNet>>,
    /// Of equal prefixes the domain with the higher preference keeps it; we
    /// ourselves come before all others.
    pub preference: i64,
    /// What every routingcost that it states is multiplied by; 1 if absent.
    pub scale: Option<f64>,
}

impl MergePolicy {
    /// The policy where nothing is decided.
    pub fn new(own: DomainLabel) -> Self {
        Self {
            own,
            select_by: MetricName::routingcost(),
            max_domains: 8,
            max_labels: 1_000_000,
            compose: BTreeMap::new(),
            private_prefixes: true,
            domains: BTreeMap::new(),
        }
    }

    /// How a metric is composed between domains, if it is.
    pub fn rule(&self, metric: &MetricName) -> Option<Rule> {
        match *metric == self.select_by {
            true => Some(Rule::Add),
            false => self.compose.get(metric).copied().or(Rule::of(metric)),
        }
    }

    /// What the costs that a domain states in a metric are multiplied by.
    pub(super) fn scale(&self, domain: &DomainLabel, metric: &MetricName) -> f64 {
        let scale = self.domains.get(domain).and_then(|domain| domain.scale);
        match metric.as_str() {
            "routingcost" => scale.unwrap_or(1.0),
            _ => 1.0,
        }
    }

    pub(super) fn preference(&self, domain: &DomainLabel) -> i64 {
        let policy = self.domains.get(domain);
        policy.map_or(0, |policy| policy.preference)
    }

    pub(super) fn effort(&self) -> Effort {
        Effort {
            max_domains: self.max_domains.min(MAX_DOMAINS),
            max_labels: self.max_labels,
        }
    }
}
