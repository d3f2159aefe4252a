//! The costs that a query selects: read, tested and ranked block by block, so that a table of any
//! size takes the memory of a few rows.

use std::ops::Range;

use crate::alto::condition::Conditions;
use crate::alto::meta::{CostMode, CostType};
use crate::alto::query::CostSelection;

use super::rank::{Ranking, Ranks};
use super::side::Side;
use crate::paths::Onward;
use crate::publish::content::Content;
use crate::publish::costs::Costs;
use crate::publish::work::Work;

/// About how many cells a block has.
const BLOCK: usize = 16 * 1024;

/// How many steps of computing costs take about as long as reading a cell.
const STEPS: u64 = 16;

/// The most steps that the cells of a block of several rows take, and the most that finding the ways
/// on from its PIDs takes: a millisecond or two.
const STEPS_OF_BLOCK: u64 = 1 << 20;

/// Selected costs between two sides, over one view.
///
/// Ordinal costs are ranked over the pairs that are returned (RFC 7285 §6.1.2.2). A condition on an
/// ordinal cost tests its rank over all pairs asked for; then that rank is also returned, so that
/// what is returned meets the condition.
#[derive(Debug)]
pub(in crate::publish) struct Table {
    pub(in crate::publish) srcs: Side,
    pub(in crate::publish) dsts: Side,
    /// The cost types that are read, each once.
    types: Vec<CostType>,
    /// The places in `types` of those that are returned.
    wanted: Vec<usize>,
    /// Whether a cell is an array of costs (RFC 8189 §4.1.3), even of one.
    pub(in crate::publish) multi: bool,
    conditions: Conditions,
    /// The places in `types` of those that the conditions test.
    tested: Vec<usize>,
    /// By type, the ranks of ordinal costs once they are known.
    ranks: Vec<Option<Ranks>>,
    stage: Stage,
}

/// How far the preparation of a table is.
#[derive(Debug)]
enum Stage {
    /// Collects the costs of some ordinal types, from row `next` on.
    Ranking {
        of: Ranked,
        next: usize,
        rankings: Vec<(usize, Ranking)>,
    },
    /// Rows can be read.
    Ready,
}

/// The pairs that ordinal costs are ranked over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ranked {
    /// All pairs asked for, for types that conditions test.
    Asked,
    /// The pairs that meet the conditions, for the other types.
    Passing,
}

/// Rows of a table that are in memory.
#[derive(Debug, Default)]
pub(in crate::publish) struct Block {
    rows: Range<usize>,
    /// By type, the costs row by row; NaN for a pair without a cost or that fails the conditions.
    layers: Vec<Vec<f64>>,
    row: Vec<f64>,
    /// By type, what is known of the ways on from the last row.
    onward: Vec<Onward>,
    /// The steps that the cells of a row take, once they are known.
    steps_of_row: Option<u64>,
    /// The cells read into it so far, and the steps that whole rows took.
    read: u64,
    steps: u64,
}

impl Block {
    /// The cells read so far, with the steps of computing them counted as cells.
    pub(in crate::publish) fn cells_read(&self) -> u64 {
        let steps = self.steps + self.onward.iter().map(Onward::steps).sum::<u64>();
        self.read + steps / STEPS
    }
}

impl Table {
    /// The costs that a selection wants, between two sides.
    pub(in crate::publish) fn new(selection: CostSelection, srcs: Side, dsts: Side) -> Self {
        let CostSelection {
            wanted,
            multi,
            conditions,
        } = selection;
        let mut types: Vec<CostType> = Vec::new();
        let mut places = |list: &[CostType]| -> Vec<usize> {
            let mut place = |cost_type: &CostType| {
                let known = types.iter().position(|known| known == cost_type);
                known.unwrap_or_else(|| {
                    types.push(cost_type.clone());
                    types.len() - 1
                })
            };
            list.iter().map(&mut place).collect()
        };
        let (wanted, tested) = (places(&wanted), places(conditions.types()));
        let mut table = Self {
            srcs,
            dsts,
            ranks: types.iter().map(|_| None).collect(),
            types,
            wanted,
            multi,
            conditions,
            tested,
            stage: Stage::Ready,
        };
        table.stage = table.stage_of(Ranked::Asked);
        table
    }

    /// All costs of one type of a view.
    pub(in crate::publish) fn full(content: &Content, cost_type: &CostType) -> Self {
        let selection = CostSelection {
            wanted: vec![cost_type.clone()],
            multi: false,
            conditions: Conditions::default(),
        };
        Self::new(selection, Side::all(content), Side::all(content))
    }

    /// The cost types that are returned.
    pub(in crate::publish) fn wanted(&self) -> impl Iterator<Item = &CostType> + Clone {
        self.wanted.iter().map(|place| &self.types[*place])
    }

    /// Returns whether the table over `content` is known to equal the table `other` over `others`: both
    /// select the same of the same costs.
    pub(in crate::publish) fn is_same(
        &self,
        content: &Content,
        other: &Table,
        others: &Content,
    ) -> bool {
        let same = |cost_type: &CostType| {
            let metric = &cost_type.cost_metric;
            let both = content.costs().get(metric).zip(others.costs().get(metric));
            both.is_some_and(|(a, b)| a.same(b))
        };
        self.types == other.types
            && self.types.iter().all(same)
            && self.srcs.is_same(content, &other.srcs, others)
            && self.dsts.is_same(content, &other.dsts, others)
    }

    /// What writing the table over a view takes.
    pub(in crate::publish) fn work(&self, content: &Content) -> Work {
        /// The bytes that most numbers take at most.
        const NUMBER: u64 = 8;
        let [rows, columns, types, wanted] = [
            self.srcs.len(),
            self.dsts.len(),
            self.types.len(),
            self.wanted.len(),
        ]
        .map(|count| count as u64);
        let pairs = rows.saturating_mul(columns);
        let passes = 1 + [Ranked::Asked, Ranked::Passing]
            .map(|of| u64::from(self.ranked(of).next().is_some()))
            .iter()
            .sum::<u64>();
        let tests = self.conditions.tests() as u64;
        let begun = self.srcs.pids.chunk_by(|a, b| a == b);
        let begun = begun.map(|same| self.steps_from(content, same[0]));
        let read = self.srcs.pids.iter().map(|src| self.rows_of(content, *src));
        let read = read.sum::<u64>().saturating_mul(self.steps_of_row(content));
        let steps = read.saturating_add(begun.sum::<u64>());
        let ranked = self.types.iter().filter(|t| is_ordinal(t)).count() as u64;
        let keys = self.dsts.bytes(content);
        let row = keys + columns * wanted * NUMBER;
        let block = columns.max(BLOCK as u64) * types * size_of::<f64>() as u64;
        Work {
            cells: (pairs.saturating_mul(types + tests))
                .saturating_add(steps / STEPS)
                .saturating_mul(passes),
            bytes: self.srcs.bytes(content) + rows.saturating_mul(row),
            // A buffer that grows is briefly twice as large.
            memory: self.srcs.memory()
                + self.dsts.memory()
                + block
                + 2 * (row + keys)
                + 2 * pairs * ranked * size_of::<f64>() as u64,
        }
    }

    /// The costs that are read, for each type that the view has.
    fn costs<'v>(&'v self, content: &'v Content) -> impl Iterator<Item = &'v Costs> {
        let costs = |cost_type: &CostType| content.costs().get(&cost_type.cost_metric);
        self.types.iter().filter_map(costs)
    }

    /// The steps that finding the ways on from a PID takes.
    fn steps_from(&self, content: &Content, src: u32) -> u64 {
        self.costs(content).map(|costs| costs.steps_from(src)).sum()
    }

    /// How many rows are read for the row of a PID: one for each that it stands for.
    fn rows_of(&self, content: &Content, src: u32) -> u64 {
        self.costs(content)
            .next()
            .map_or(1, |costs| costs.stands_for(src))
    }

    /// The steps that the cells of a row take.
    fn steps_of_row(&self, content: &Content) -> u64 {
        let of_type = |costs: &Costs| {
            let dsts = self.dsts.pids.iter();
            dsts.map(|dst| costs.steps_to(*dst)).sum::<u64>()
        };
        self.costs(content).map(of_type).sum()
    }

    /// The ordinal types that are ranked over these pairs.
    fn ranked(&self, of: Ranked) -> impl Iterator<Item = usize> {
        let is_of = move |place: &usize| self.tested.contains(place) == (of == Ranked::Asked);
        let ordinal = |place: &usize| is_ordinal(&self.types[*place]);
        (0..self.types.len()).filter(ordinal).filter(is_of)
    }

    /// The first stage from this ranking on that has something to do.
    fn stage_of(&self, of: Ranked) -> Stage {
        let ranking = |place: usize| {
            let metric = &self.types[place].cost_metric;
            (place, Ranking::new(metric.more_is_better()))
        };
        let rankings: Vec<_> = self.ranked(of).map(ranking).collect();
        match of {
            _ if !rankings.is_empty() => Stage::Ranking {
                of,
                next: 0,
                rankings,
            },
            Ranked::Asked => self.stage_of(Ranked::Passing),
            Ranked::Passing => Stage::Ready,
        }
    }

    /// Prepares the table by one more block; returns whether rows can be read now.
    pub(in crate::publish) fn prepare(&mut self, content: &Content, block: &mut Block) -> bool {
        let Stage::Ranking {
            of,
            next,
            mut rankings,
        } = std::mem::replace(&mut self.stage, Stage::Ready)
        else {
            return true;
        };
        if next < self.srcs.len() {
            self.read(content, next, block);
            if of == Ranked::Passing {
                self.rank(block, Ranked::Asked);
                self.test(block);
            }
            for (place, ranking) in &mut rankings {
                ranking.note(&block.layers[*place]);
            }
            self.stage = Stage::Ranking {
                of,
                next: block.rows.end,
                rankings,
            };
            // The block has not been tested and ranked as a row is.
            block.rows = 0..0;
            return false;
        }
        for (place, ranking) in rankings {
            self.ranks[place] = Some(ranking.finish());
        }
        if of == Ranked::Asked {
            self.stage = self.stage_of(Ranked::Passing);
        }
        matches!(self.stage, Stage::Ready)
    }

    /// Prepares the whole table.
    pub(in crate::publish) fn prepare_all(&mut self, content: &Content) {
        let mut block = Block::default();
        while !self.prepare(content, &mut block) {}
    }

    /// Reads a row: a layer for each type that is returned. The table must be prepared.
    pub(in crate::publish) fn row<'r>(
        &'r self,
        content: &'r Content,
        row: usize,
        block: &'r mut Block,
    ) -> Row<'r> {
        if let Some(costs) = self.as_stated(content, row) {
            block.read += costs.len() as u64;
            return Row(vec![costs]);
        }
        if !block.rows.contains(&row) {
            self.read(content, row, block);
            self.rank(block, Ranked::Asked);
            self.test(block);
            self.rank(block, Ranked::Passing);
        }
        let columns = self.dsts.len();
        let start = (row - block.rows.start) * columns;
        let layer = |place: &usize| &block.layers[*place][start..start + columns];
        Row(self.wanted.iter().map(layer).collect())
    }

    /// The row, if it is the row of a matrix as it is.
    fn as_stated<'v>(&self, content: &'v Content, row: usize) -> Option<&'v [f64]> {
        let [cost_type] = &self.types[..] else {
            return None;
        };
        if is_ordinal(cost_type) || !self.conditions.is_none() || self.wanted.len() != 1 {
            return None;
        }
        let costs = content.costs().get(&cost_type.cost_metric)?;
        let src = *self.srcs.pids.get(row)?;
        costs.stated_row(src).filter(|_| self.dsts.is_all_of(costs))
    }

    /// Reads the stated costs of a block that begins with this row.
    fn read(&self, content: &Content, row: usize, block: &mut Block) {
        let columns = self.dsts.len();
        block.rows = row..self.end_of_block(content, row, block);
        let srcs = &self.srcs.pids[block.rows.clone()];
        block.read += (srcs.len() * columns * self.types.len()) as u64;
        block.layers.resize_with(self.types.len(), Vec::new);
        block.onward.resize_with(self.types.len(), Onward::default);
        let layers = block.layers.iter_mut().zip(&mut block.onward);
        for ((layer, onward), cost_type) in layers.zip(&self.types) {
            layer.clear();
            match content.costs().get(&cost_type.cost_metric) {
                None => layer.resize(srcs.len() * columns, f64::NAN),
                Some(costs) if self.dsts.is_all_of(costs) => {
                    for src in srcs {
                        block.steps += costs.row(*src, &mut block.row);
                        layer.extend_from_slice(&block.row);
                    }
                }
                Some(costs) => costs.gather_on(srcs, &self.dsts.pids, layer, onward),
            }
        }
    }

    /// The end of a block that begins with this row: it has at least one row, and more as long as they
    /// take neither too much memory nor too many steps.
    fn end_of_block(&self, content: &Content, row: usize, block: &mut Block) -> usize {
        let of_row = block
            .steps_of_row
            .get_or_insert_with(|| self.steps_of_row(content));
        let most =
            (BLOCK / self.dsts.len().max(1)).min((STEPS_OF_BLOCK / (*of_row).max(1)) as usize);
        let rows = self.srcs.pids.iter().skip(row).take(most.max(1));
        let (mut last, mut steps, mut end) = (None, 0, row);
        for src in rows {
            if last.replace(src) != Some(src) {
                steps += self.steps_from(content, *src);
            }
            steps += (self.rows_of(content, *src) - 1) * *of_row;
            if end > row && steps > STEPS_OF_BLOCK {
                break;
            }
            end += 1;
        }
        end
    }

    /// Replaces ordinal costs by their ranks.
    fn rank(&self, block: &mut Block, of: Ranked) {
        for place in self.ranked(of) {
            if let Some(ranks) = &self.ranks[place] {
                let layer = block.layers[place].iter_mut();
                layer.for_each(|cost| *cost = ranks.rank(*cost));
            }
        }
    }

    /// Removes the costs of pairs that do not meet the conditions.
    fn test(&self, block: &mut Block) {
        if self.conditions.is_none() {
            return;
        }
        let pairs = block.rows.len() * self.dsts.len();
        for pair in 0..pairs {
            let cost = |test: usize| block.layers[self.tested[test]][pair];
            if !self.conditions.pass(cost) {
                let layers = block.layers.iter_mut();
                layers.for_each(|layer| layer[pair] = f64::NAN);
            }
        }
    }
}

fn is_ordinal(cost_type: &CostType) -> bool {
    cost_type.cost_mode == CostMode::Ordinal
}

/// A row of a table: one slice for each cost type that is returned.
pub(in crate::publish) struct Row<'r>(pub(in crate::publish) Vec<&'r [f64]>);

impl Row<'_> {
    /// Returns whether any pair has a cost.
    pub(in crate::publish) fn has_costs(&self) -> bool {
        self.0.iter().any(|layer| layer.iter().any(|c| !c.is_nan()))
    }

    /// Returns whether the pair of a column has a cost.
    pub(in crate::publish) fn has_cost(&self, column: usize) -> bool {
        self.0.iter().any(|layer| !layer[column].is_nan())
    }
}

#[cfg(test)]
mod tests;
