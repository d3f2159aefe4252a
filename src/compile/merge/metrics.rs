//! The metrics of the merged view.

use std::collections::BTreeSet;

use crate::ident::MetricName;

use super::conflict::MergeConflicts;
use super::domain::Domain;
use super::policy::MergePolicy;
use crate::api::conflict::MergeConflictKind;

/// How many metrics that are not composed other domains can add: private ones and most statistics.
/// Each takes memory for every domain, and has resources of its own.
pub(super) const MAX_ADDED: usize = 64;

/// The metrics of the merged view, and conflicts about the others.
pub(super) struct Offered {
    pub(super) metrics: BTreeSet<MetricName>,
    pub(super) conflicts: MergeConflicts,
}

impl Offered {
    /// Chooses `routingcost`, the metrics of our own domain and those that are composed. Of all
    /// other metrics, the first of each domain is chosen before the second of any.
    pub(super) fn new(domains: &[&Domain], policy: &MergePolicy) -> Self {
        let mut metrics = BTreeSet::from([MetricName::routingcost()]);
        let mut others = Vec::new();
        for domain in domains {
            let mut turn = 0;
            for metric in domain.view.costs().keys() {
                if domain.label == policy.own || policy.rule(metric).is_some() {
                    if !metrics.contains(metric) {
                        metrics.insert(metric.clone());
                    }
                } else {
                    others.push((turn, &domain.label, metric));
                    turn += 1;
                }
            }
        }
        others.sort_unstable();
        let mut conflicts = MergeConflicts::default();
        let mut left = MAX_ADDED;
        for (_, label, metric) in others {
            if metrics.contains(metric) {
                continue;
            }
            match left.checked_sub(1) {
                Some(less) => {
                    left = less;
                    metrics.insert(metric.clone());
                }
                None => conflicts.add(MergeConflictKind::ExcessMetric, label, || {
                    let detail = format!(
                        "the merged view has at most {MAX_ADDED} metrics of others that are not composed"
                    );
                    (None, metric.to_string(), detail)
                }),
            }
        }
        Self { metrics, conflicts }
    }

    /// Returns how many of them are composed between domains.
    pub(super) fn composed(&self, policy: &MergePolicy) -> usize {
        let metrics = self.metrics.iter();
        metrics
            .filter(|metric| policy.rule(metric).is_some())
            .count()
    }
}
