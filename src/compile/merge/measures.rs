//! The costs of domains and interconnects as measures of one metric.

use std::collections::HashMap;
use std::sync::Arc;

use rayon::prelude::*;

use crate::ident::{DomainLabel, MetricName};
use crate::net::{Matrix, Row};
use crate::paths::{BorderCosts, Rule};
use crate::publish::Costs;

use super::domain::Domain;
use super::interconnects::MergedInterconnects;
use super::policy::MergePolicy;

/// A metric that is composed between domains, as measures.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) metric: MetricName,
    pub(super) rule: Rule,
    pub(super) domains: Vec<DomainMeasures>,
    /// By interconnect and direction, the measure of crossing it.
    pub(super) links: Arc<[f64]>,
}

/// The measures of a metric in one domain, and the input that they depend on.
#[derive(Debug, Clone)]
pub(super) struct DomainMeasures {
    /// The measures from each of its borders to each, row by row.
    pub(super) between: Arc<[f64]>,
    /// The measures from its PIDs to its borders and back.
    pub(super) border_costs: Arc<BorderCosts>,
    matrix: Option<Arc<Matrix>>,
    pids: usize,
    borders: Arc<[u32]>,
    scale: f64,
}

/// The former measures of a metric, which can be shared.
#[derive(Clone, Copy)]
pub(super) struct Former<'f> {
    pub(super) measured: &'f Measured,
    /// The places of its domains.
    pub(super) places: &'f HashMap<&'f DomainLabel, usize>,
    /// Whether the interconnects are unchanged.
    pub(super) same_links: bool,
}

/// Returns the costs of a domain in a metric.
pub(super) fn matrix(domain: &Domain, metric: &MetricName) -> Option<Arc<Matrix>> {
    match domain.view.costs().get(metric)? {
        Costs::Dense(matrix) => Some(matrix.clone()),
        Costs::Composed(_) => None,
    }
}

impl Measured {
    /// Measures a metric in all domains.
    pub(super) fn new(
        metric: &MetricName,
        rule: Rule,
        domains: &[&Domain],
        policy: &MergePolicy,
        links: &MergedInterconnects,
        former: Option<Former<'_>>,
    ) -> Self {
        let former = former.filter(|former| former.measured.rule == rule);
        let measures = domains.par_iter().zip(&links.borders);
        let measures = measures.map(|(domain, borders)| {
            let known = former.and_then(|former| {
                let place = former.places.get(&domain.label)?;
                former.measured.domains.get(*place)
            });
            DomainMeasures::new(metric, rule, domain, policy, borders, known)
        });
        let crossed = || {
            let crossings = links.crossings.iter();
            let costs = crossings.map(|crossing| crossing.costs.get(metric));
            costs
                .map(|cost| rule.measure(cost.copied().unwrap_or(f64::NAN)))
                .collect()
        };
        let known = former.filter(|former| former.same_links);
        Self {
            metric: metric.clone(),
            rule,
            domains: measures.collect(),
            links: known.map_or_else(crossed, |former| former.measured.links.clone()),
        }
    }

    /// Returns whether both share all measures between borders.
    pub(super) fn same_between(&self, other: &Measured) -> bool {
        let mut domains = self.domains.iter().zip(&other.domains);
        self.metric == other.metric
            && self.rule == other.rule
            && self.domains.len() == other.domains.len()
            && Arc::ptr_eq(&self.links, &other.links)
            && domains.all(|(a, b)| Arc::ptr_eq(&a.between, &b.between))
    }

    /// Returns, by domain, the costs between its PIDs and its borders.
    pub(super) fn border_costs(&self) -> Arc<[Arc<BorderCosts>]> {
        let domains = self.domains.iter();
        domains.map(|domain| domain.border_costs.clone()).collect()
    }
}

impl DomainMeasures {
    /// Measures a domain, and shares the measures with the `known` ones where both depend on the
    /// same input.
    fn new(
        metric: &MetricName,
        rule: Rule,
        domain: &Domain,
        policy: &MergePolicy,
        borders: &Arc<[u32]>,
        known: Option<&DomainMeasures>,
    ) -> Self {
        let matrix = matrix(domain, metric);
        let scale = policy.scale(&domain.label, metric);
        let pids = domain.view.network().pids().len();
        let known = known.filter(|known| known.borders == *borders);
        let same = known.filter(|known| {
            let same_matrix = match (&known.matrix, &matrix) {
                (None, None) => true,
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                _ => false,
            };
            same_matrix && known.pids == pids && known.scale == scale
        });
        if let Some(same) = same {
            return same.clone();
        }
        let cells = borders
            .iter()
            .flat_map(|a| borders.iter().map(move |b| (*a, *b)));
        let measure = |(a, b)| segment(rule, matrix.as_deref(), scale, a, b);
        let between: Arc<[f64]> = cells.map(measure).collect();
        // Most changes inside a domain do not affect the costs between its borders.
        let between = match known {
            Some(known) if same_bits(&known.between, &between) => known.between.clone(),
            _ => between,
        };
        Self {
            between,
            border_costs: Arc::new(border_costs(rule, matrix.as_deref(), scale, pids, borders)),
            matrix,
            pids,
            borders: borders.clone(),
            scale,
        }
    }
}

/// Returns whether measures are equal, NaN included.
fn same_bits(some: &[f64], others: &[f64]) -> bool {
    let same = |(one, other): (&f64, &f64)| one.to_bits() == other.to_bits();
    some.len() == others.len() && some.iter().zip(others).all(same)
}

/// Returns the measure from PID to PID inside a domain.
fn segment(rule: Rule, matrix: Option<&Matrix>, scale: f64, a: u32, b: u32) -> f64 {
    match matrix.and_then(|matrix| matrix.get(a as usize, b as usize)) {
        Some(cost) => rule.measure(cost * scale),
        None if a == b => rule.identity(),
        None => f64::NAN,
    }
}

/// Returns the measures from the PIDs of a domain to its borders and back.
fn border_costs(
    rule: Rule,
    matrix: Option<&Matrix>,
    scale: f64,
    pids: usize,
    borders: &[u32],
) -> BorderCosts {
    let width = BorderCosts::width(pids);
    let mut pairs = Vec::new();
    let mut row = |border: u32, costs: &mut dyn Iterator<Item = (usize, f64)>| {
        pairs.clear();
        let costs = costs.map(|(pid, cost)| (pid as u32, rule.measure(cost * scale)));
        pairs.extend(costs);
        if let Err(place) = pairs.binary_search_by_key(&border, |(pid, _)| *pid) {
            pairs.insert(place, (border, rule.identity()));
        }
        Row::from_pairs(width, &pairs)
    };
    let nothing = Matrix::new(0, 0);
    let matrix = matrix.unwrap_or(&nothing);
    let out = borders.iter().map(|&border| {
        let cost = |pid: usize| Some((pid, matrix.get(pid, border as usize)?));
        row(border, &mut (0..pids).filter_map(cost))
    });
    let out = out.collect();
    let into = borders.iter();
    let into = into.map(|&border| row(border, &mut matrix.row(border as usize).costs()));
    let into = into.collect();
    BorderCosts::new(out, into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_takes_memory_by_the_costs_that_lead_to_borders() {
        const PIDS: usize = 5_000;
        let borders: Vec<u32> = (0..1_000).map(|border| border * 5).collect();
        let mut costs = Matrix::new(PIDS, PIDS);
        for border in &borders {
            costs.set(*border as usize, PIDS - 1, 1.0);
        }
        let border_costs = border_costs(Rule::Add, Some(&costs), 1.0, PIDS, &borders);
        let measures = borders.len() * 3;
        assert!(
            border_costs.heap_bytes() <= measures * 64,
            "{}",
            border_costs.heap_bytes()
        );
    }
}
