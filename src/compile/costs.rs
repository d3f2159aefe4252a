//! The union of what all sources say of the costs in one metric.

use std::sync::Arc;

use crate::alto::cost::CostTable;
use crate::ident::{MetricName, SourceName};
use crate::net::{Matrix, PidIndex};

use super::conflict::{Conflict, ConflictKind, Conflicts};
use super::facts::{Facts, Policy};

/// Joins the costs of all sources in a metric into a matrix over `pids`. A pair
/// that two state has the cost of the stronger; what names a PID that is not
/// there is left out. Where one source states just these PIDs, its matrix is
/// shared.
pub fn union_costs(
    facts: &Facts,
    policy: &Policy,
    metric: &MetricName,
    pids: &PidIndex,
) -> (Arc<Matrix>, Conflicts) {
    let stated = facts.by_strength(policy, |source| source.costs.get(metric));
    if let [(_, only)] = stated.as_slice()
        && *only.body.srcs == *pids
        && *only.body.dsts == *pids
    {
        return (only.body.cells.clone(), Conflicts::default());
    }
    let mut join = Join {
        metric,
        pids,
        cells: Matrix::new(pids.len(), pids.len()),
        placed: Vec::new(),
        conflicts: Conflicts::default(),
    };
    for (source, table) in stated {
        join.add(source, &table.body);
    }
    (Arc::new(join.cells), join.conflicts)
}

struct Join<'a> {
    metric: &'a MetricName,
    pids: &'a PidIndex,
    cells: Matrix,
    /// The sources so far, the strongest first, and their tables.
    placed: Vec<(&'a SourceName, &'a CostTable)>,
    conflicts: Conflicts,
}

impl<'a> Join<'a> {
    fn add(&mut self, source: &'a SourceName, table: &'a CostTable) {
        let columns: Vec<Option<u32>> = table
            .dsts
            .names()
            .iter()
            .map(|dst| self.pids.get(dst.as_str()))
            .collect();
        for (src, row) in table.rows() {
            let place = self.pids.get(src.as_str());
            let stated = table.dsts.names().iter().zip(&columns).zip(row);
            for ((dst, column), &cost) in stated.filter(|(_, cost)| !cost.is_nan()) {
                let (Some(place), Some(column)) = (place, *column) else {
                    let unknown = if place.is_none() { src } else { dst };
                    self.conflicts.add(ConflictKind::Dangling, || Conflict {
                        kind: ConflictKind::Dangling,
                        subject: format!("{} {src} {dst}", self.metric),
                        kept: None,
                        dropped: source.clone(),
                        detail: format!("no network map has PID {unknown}"),
                    });
                    continue;
                };
                let cell = &mut self.cells.row_mut(place as usize)[column as usize];
                if cell.is_nan() {
                    *cell = cost;
                } else if *cell != cost {
                    let (used, placed) = (*cell, &self.placed);
                    self.conflicts.add(ConflictKind::Cost, || {
                        let first = placed
                            .iter()
                            .find(|(_, t)| t.get(src.as_str(), dst.as_str()).is_some());
                        Conflict {
                            kind: ConflictKind::Cost,
                            subject: format!("{} {src} {dst}", self.metric),
                            kept: first.map(|(source, _)| (*source).clone()),
                            dropped: source.clone(),
                            detail: format!("{used} is used, {cost} is not"),
                        }
                    });
                }
            }
        }
        self.placed.push((source, table));
    }
}
