//! The operator's policy for the merged view.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use crate::ident::{DomainLabel, MetricName, PidName};
use crate::paths::Rule;
use crate::paths::{Effort, MAX_DOMAINS};

/// How domains are joined into one view.
#[derive(Debug, Clone, PartialEq)]
pub struct MergePolicy {
    /// The label of our domain.
    pub own: DomainLabel,
    /// The metric that selects paths, which have the least sum of it; an additive one.
    pub select_by: MetricName,
    /// The most domains on a path, both ends included; more than [`MAX_DOMAINS`] counts as that.
    pub max_domains: usize,
    /// The most labels that the search for paths from one border makes.
    pub max_labels: u64,
    /// How metrics are composed between domains, if not by [`Rule::of`].
    pub compose: BTreeMap<MetricName, Rule>,
    /// Whether other domains may speak for private space (RFC 1918, RFC 6598, RFC 4193).
    pub private_prefixes: bool,
    /// The most PIDs for sets of domains that hold the same prefixes.
    pub max_multi_pids: usize,
    /// The policy for single domains.
    pub domains: BTreeMap<DomainLabel, DomainPolicy>,
}

/// The operator's policy for a domain.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DomainPolicy {
    /// The prefixes that it may speak for, and of other domains only ours and those for which they
    /// are configured as well. If absent, it may speak for all that is configured for no other
    /// domain and not shorter than /8, or /16 of IPv6.
    pub prefixes: Option<Vec<IpNet>>,
    /// PIDs that are off-net besides those that the domain says are.
    pub off_net: BTreeSet<PidName>,
    /// Of several domains that state one prefix and may not share it, the one with the higher
    /// preference has it.
    pub preference: i64,
    /// The factor of every `routingcost` that it states; 1 if absent.
    pub scale: Option<f64>,
}

impl MergePolicy {
    /// Returns the default policy.
    pub fn new(own: DomainLabel) -> Self {
        Self {
            own,
            select_by: MetricName::routingcost(),
            max_domains: 8,
            max_labels: 1_000_000,
            compose: BTreeMap::new(),
            private_prefixes: true,
            max_multi_pids: 1000,
            domains: BTreeMap::new(),
        }
    }

    /// Returns how a metric is composed between domains; `None` if it is not.
    pub fn rule(&self, metric: &MetricName) -> Option<Rule> {
        if *metric == self.select_by {
            Some(Rule::Add)
        } else {
            self.compose.get(metric).copied().or(Rule::of(metric))
        }
    }

    /// Returns the factor of the costs that a domain states in a metric.
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
