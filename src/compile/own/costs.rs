//! The union of the costs that all sources state in one metric.

use std::sync::Arc;

use crate::alto::cost::CostTable;
use crate::ident::{MetricName, PidName, SourceName};
use crate::net::{Matrix, PidIndex, Row};

use super::conflict::Conflicts;
use crate::api::conflict::{Conflict, ConflictKind};
use crate::facts::{DocumentPath, Facts, Policy};

/// Joins the costs of all sources in a metric into a matrix over `pids`. A pair that two sources
/// state has the cost of the stronger one; costs that name an unknown PID are left out. If a single
/// source states exactly these PIDs, its matrix is shared.
pub fn union_costs(
    facts: &Facts,
    policy: &Policy,
    metric: &MetricName,
    pids: &PidIndex,
) -> (Arc<Matrix>, Conflicts) {
    let stated = facts.contents::<CostTable>(policy, &DocumentPath::Costs(metric.clone()));
    if let [(_, only)] = stated.as_slice()
        && *only.srcs == *pids
        && *only.dsts == *pids
    {
        return (only.cells.clone(), Conflicts::default());
    }
    let mut join = Join {
        metric,
        pids,
        cells: Matrix::new(pids.len(), pids.len()),
        placed: Vec::new(),
        conflicts: Conflicts::default(),
    };
    for (source, table) in stated {
        join.add(source, table);
    }
    (Arc::new(join.cells), join.conflicts)
}

struct Join<'a> {
    metric: &'a MetricName,
    pids: &'a PidIndex,
    cells: Matrix,
    /// The sources that were added so far, the strongest first, with their tables.
    placed: Vec<(&'a SourceName, &'a CostTable)>,
    conflicts: Conflicts,
}

/// A cost that is used, and another that is stated for the same pair.
struct Differs {
    /// The indices of the PIDs.
    src: usize,
    dst: usize,
    used: f64,
    cost: f64,
}

impl<'a> Join<'a> {
    /// Adds the costs of the next weaker source.
    fn add(&mut self, source: &'a SourceName, table: &'a CostTable) {
        let dsts = table.dsts.names().iter();
        let columns: Vec<Option<u32>> = dsts.map(|dst| self.pids.get(dst.as_str())).collect();
        for (src, row) in table.rows() {
            let Some(place) = self.pids.get(src.as_str()) else {
                for (column, _) in row.costs() {
                    self.dangles(source, table, src, column, src);
                }
                continue;
            };
            for (column, _) in row.costs().filter(|(column, _)| columns[*column].is_none()) {
                let dst = &table.dsts.names()[column];
                self.dangles(source, table, src, column, dst);
            }
            let row = row.moved(&columns, self.pids.len());
            let place = place as usize;
            let row = if self.cells.row(place).is_empty() {
                row
            } else {
                self.joined(place, &row, source)
            };
            self.cells.set_row(place, row);
        }
        self.placed.push((source, table));
    }

    /// Joins the costs from a PID that were added so far with those of a weaker source.
    fn joined(&mut self, src: usize, weaker: &Row, source: &SourceName) -> Row {
        let mut cells = Vec::new();
        self.cells.row(src).copy_to(self.pids.len(), &mut cells);
        for (dst, cost) in weaker.costs() {
            let used = &mut cells[dst];
            if used.is_nan() {
                *used = cost;
            } else if *used != cost {
                let differs = Differs {
                    src,
                    dst,
                    used: *used,
                    cost,
                };
                self.add_conflict(&differs, source);
            }
        }
        Row::of(&cells)
    }

    /// Reports that a source states a cost of a PID that no network map has.
    fn dangles(
        &mut self,
        source: &SourceName,
        table: &CostTable,
        src: &PidName,
        column: usize,
        unknown: &PidName,
    ) {
        self.conflicts.add(ConflictKind::Dangling, || Conflict {
            kind: ConflictKind::Dangling,
            subject: format!("{} {src} {}", self.metric, table.dsts.names()[column]),
            kept: None,
            dropped: source.clone(),
            detail: format!("no network map has PID {unknown}"),
        });
    }

    /// Reports that a source states another cost than the one that is used.
    fn add_conflict(&mut self, differs: &Differs, source: &SourceName) {
        let (pids, placed) = (self.pids.names(), &self.placed);
        let (src, dst) = (&pids[differs.src], &pids[differs.dst]);
        let (used, cost) = (differs.used, differs.cost);
        self.conflicts.add(ConflictKind::Cost, || {
            let states =
                |(_, table): &&(_, &CostTable)| table.get(src.as_str(), dst.as_str()).is_some();
            let first = placed.iter().find(states);
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
