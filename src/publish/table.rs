//! The costs that a query selects: gathered, tested and ranked.

use std::collections::{BTreeMap, BTreeSet};

use crate::alto::meta::{CostMode, CostType};
use crate::alto::query::{CostSelection, Test};

use super::rank::Ranks;
use super::view::View;

/// The selected costs of `srcs × dsts`, row by row, one layer for each cost
/// type wanted. NaN stands for a pair that has no cost or failed the tests.
pub(super) struct Selected {
    /// One layer for each cost type wanted, in that order.
    layers: Vec<Vec<f64>>,
    columns: usize,
}

impl Selected {
    /// Each layer's row of costs from the source at `row`.
    pub(super) fn row(&self, row: usize) -> impl Iterator<Item = &[f64]> {
        let start = row * self.columns;
        self.layers
            .iter()
            .map(move |layer| &layer[start..start + self.columns])
    }
}

/// Selects costs between the PIDs at these indices; an index that no PID has
/// yields no cost.
///
/// Ordinal costs are ranked over the pairs that are returned (RFC 7285
/// §6.1.2.2). A test of an ordinal cost is of its rank over all pairs asked
/// for, and then that is the rank returned, so that what is returned passes.
pub(super) fn select(
    view: &View,
    selection: &CostSelection,
    srcs: &[u32],
    dsts: &[u32],
) -> Selected {
    let mut gathered = Gathered {
        view,
        srcs,
        dsts,
        layers: BTreeMap::new(),
        ranked: BTreeSet::new(),
    };
    let tests = || selection.tests.iter().flatten();
    for cost_type in selection
        .wanted
        .iter()
        .chain(tests().map(|test| &test.cost_type))
    {
        gathered.numerical(cost_type);
    }
    for test in tests() {
        gathered.ordinal(&test.cost_type);
    }
    if !selection.tests.is_empty() {
        let passed: Vec<bool> = (0..srcs.len() * dsts.len())
            .map(|pair| gathered.passes(&selection.tests, pair))
            .collect();
        for layer in gathered.layers.values_mut() {
            let failed = layer
                .iter_mut()
                .zip(&passed)
                .filter(|(_, passed)| !**passed);
            failed.for_each(|(cost, _)| *cost = f64::NAN);
        }
    }
    for cost_type in &selection.wanted {
        gathered.ordinal(cost_type);
    }
    let mut wanted: Vec<Vec<f64>> = Vec::with_capacity(selection.wanted.len());
    for (place, cost_type) in selection.wanted.iter().enumerate() {
        let again = selection.wanted[place + 1..].contains(cost_type);
        let layer = match again {
            true => gathered.layers.get(cost_type).cloned(),
            false => gathered.layers.remove(cost_type),
        };
        wanted.extend(layer);
    }
    Selected {
        layers: wanted,
        columns: dsts.len(),
    }
}

struct Gathered<'a> {
    view: &'a View,
    srcs: &'a [u32],
    dsts: &'a [u32],
    layers: BTreeMap<CostType, Vec<f64>>,
    /// The ordinal cost types that are ranks by now.
    ranked: BTreeSet<CostType>,
}

impl Gathered<'_> {
    /// Gathers the numbers of a cost type; ordinal ones are ranked later.
    fn numerical(&mut self, cost_type: &CostType) {
        if self.layers.contains_key(cost_type) {
            return;
        }
        let mut layer = Vec::new();
        match self.view.costs().get(&cost_type.cost_metric) {
            Some(costs) => costs.gather(self.srcs, self.dsts, &mut layer),
            None => layer.resize(self.srcs.len() * self.dsts.len(), f64::NAN),
        }
        self.layers.insert(cost_type.clone(), layer);
    }

    /// Turns the numbers of an ordinal cost type into their ranks, once: the
    /// ranks of ranks would turn those of a bandwidth around again.
    fn ordinal(&mut self, cost_type: &CostType) {
        if cost_type.cost_mode != CostMode::Ordinal || !self.ranked.insert(cost_type.clone()) {
            return;
        }
        if let Some(layer) = self.layers.get_mut(cost_type) {
            let ranks = Ranks::over(
                layer.iter().copied(),
                cost_type.cost_metric.more_is_better(),
            );
            layer.iter_mut().for_each(|cost| *cost = ranks.rank(*cost));
        }
    }

    fn passes(&self, tests: &[Vec<Test>], pair: usize) -> bool {
        let cost = |test: &Test| {
            self.layers
                .get(&test.cost_type)
                .map_or(f64::NAN, |l| l[pair])
        };
        tests
            .iter()
            .any(|all| all.iter().all(|test| test.passes(cost(test))))
    }
}
