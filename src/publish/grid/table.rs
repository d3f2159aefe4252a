//! The costs that a query selects: read, tested and ranked block by block, so
//! that a table of any size takes the memory of a few rows.

use std::ops::Range;
use std::sync::Arc;

use crate::alto::condition::Conditions;
use crate::alto::meta::{CostMode, CostType};
use crate::alto::query::CostSelection;
use crate::ident::PidName;

use super::rank::{Ranking, Ranks};
use crate::paths::Onward;
use crate::publish::costs::Costs;
use crate::publish::view::View;
use crate::publish::work::Work;

/// About how many cells a block has.
const BLOCK: usize = 16 * 1024;

/// How many steps in computing costs take as long as reading a cell, at most.
const STEPS: u64 = 16;

/// How many steps the cells of a block take at most, if it has more than one row, and how many
/// what leads on from its PIDs: a millisecond or two.
const STEPS_OF_BLOCK: u64 = 1 << 20;

/// One side of a table: PIDs of a view, or endpoints in them, in canonical
/// order and each once.
#[derive(Debug)]
pub(in crate::publish) struct Side {
    /// The indices of the PIDs; one that no PID has yields no cost.
    pids: Vec<u32>,
    /// The texts of the endpoints; `None` where the PIDs go by their own names.
    texts: Option<Vec<Box<str>>>,
}

/// Selected costs between two sides, over one view.
///
/// Ordinal costs are ranked over the pairs that are returned (RFC 7285
/// §6.1.2.2). A test of an ordinal cost is of its rank over all pairs asked
/// for, and then that is the rank returned, so that what is returned passes.
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
    /// By type; of an ordinal type once it is known.
    ranks: Vec<Option<Ranks>>,
    stage: Stage,
}

/// How far a table is prepared.
#[derive(Debug)]
enum Stage {
    /// Collects the costs of these types, to be ranked, from this row on.
    Ranking {
        of: Ranked,
        next: usize,
        rankings: Vec<(usize, Ranking)>,
    },
    /// Rows can be read.
    Ready,
}

/// Over which pairs ordinal costs are ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ranked {
    /// All that are asked for: of those that are tested.
    Asked,
    /// Those that pass: of the others.
    Passing,
}

/// Rows of a table that are in memory.
#[derive(Debug, Default)]
pub(in crate::publish) struct Block {
    rows: Range<usize>,
    /// By type, row by row; NaN stands for a pair that has no cost or failed.
    layers: Vec<Vec<f64>>,
    row: Vec<f64>,
    /// By type, what the last row went by.
    onward: Vec<Onward>,
    /// The steps that the cells of a row take, once they are known.
    steps_of_row: Option<u64>,
    /// The cells that were read into it so far, and the steps that whole rows took.
    read: u64,
    steps: u64,
}

impl Block {
    /// What was read through it: cells, and the steps that computing them took as such.
    pub(in crate::publish) fn cells_read(&self) -> u64 {
        let steps = self.steps + self.onward.iter().map(Onward::steps).sum::<u64>();
        self.read + steps / STEPS
    }
}

impl Side {
    /// All PIDs of a view.
    pub(in crate::publish) fn all(view: &View) -> Self {
        let pids = u32::try_from(view.network().pids().len()).unwrap_or(u32::MAX);
        Self::pids((0..pids).collect())
    }

    /// The PIDs at these indices, which are ascending.
    pub(in crate::publish) fn pids(pids: Vec<u32>) -> Self {
        Self { pids, texts: None }
    }

    /// Endpoints by their texts, which are sorted, each with its PID.
    pub(in crate::publish) fn endpoints(endpoints: Vec<(Box<str>, u32)>) -> Self {
        let (texts, pids) = endpoints.into_iter().unzip();
        Self {
            pids,
            texts: Some(texts),
        }
    }

    pub(in crate::publish) fn len(&self) -> usize {
        self.pids.len()
    }

    /// The name at a place, as it is answered.
    pub(in crate::publish) fn name<'s>(&'s self, view: &'s View, place: usize) -> &'s str {
        match &self.texts {
            Some(texts) => &texts[place],
            None => {
                let name = view.network().pids().name(self.pids[place]);
                name.map_or("", PidName::as_str)
            }
        }
    }

    /// About how many bytes of memory it takes.
    pub(in crate::publish) fn memory(&self) -> u64 {
        let texts = self.texts.iter().flatten();
        let texts: usize = texts.map(|text| held(text)).sum();
        (texts + self.pids.len() * size_of::<u32>()) as u64
    }

    /// All names.
    pub(in crate::publish) fn names<'s>(&'s self, view: &'s View) -> Vec<&'s str> {
        (0..self.len())
            .map(|place| self.name(view, place))
            .collect()
    }

    /// About how many bytes the names take as members of an object.
    fn bytes(&self, view: &View) -> u64 {
        /// What is around a name.
        const AROUND: usize = "\"\":,".len();
        let names = (0..self.len()).map(|place| self.name(view, place).len() + AROUND);
        names.sum::<usize>() as u64
    }

    /// Whether it has the same PIDs under the same names.
    fn is_same(&self, view: &View, other: &Side, others: &View) -> bool {
        let same_names = || {
            Arc::ptr_eq(view.network().pids(), others.network().pids())
                || self.names(view) == other.names(others)
        };
        self.pids == other.pids && self.texts == other.texts && same_names()
    }

    /// Whether it is every PID of a table of costs.
    fn is_all_of(&self, costs: &Costs) -> bool {
        self.len() == costs.size() && self.texts.is_none()
    }
}

impl Table {
    /// The costs that `selection` selects.
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

    /// All costs of a view of one type.
    pub(in crate::publish) fn full(view: &View, cost_type: &CostType) -> Self {
        let selection = CostSelection {
            wanted: vec![cost_type.clone()],
            multi: false,
            conditions: Conditions::default(),
        };
        Self::new(selection, Side::all(view), Side::all(view))
    }

    /// The cost types that are returned.
    pub(in crate::publish) fn wanted(&self) -> impl Iterator<Item = &CostType> {
        self.wanted.iter().map(|place| &self.types[*place])
    }

    /// Whether the table is known to say the same over `view` as `other` does
    /// over its own: both ask for the same of the same costs.
    pub(in crate::publish) fn is_same(&self, view: &View, other: &Table, others: &View) -> bool {
        let same = |cost_type: &CostType| {
            let metric = &cost_type.cost_metric;
            let both = view.costs().get(metric).zip(others.costs().get(metric));
            both.is_some_and(|(a, b)| a.same(b))
        };
        self.types == other.types
            && self.types.iter().all(same)
            && self.srcs.is_same(view, &other.srcs, others)
            && self.dsts.is_same(view, &other.dsts, others)
    }

    /// What it takes to write the table of a view.
    pub(in crate::publish) fn work(&self, view: &View) -> Work {
        /// What a number takes, most often.
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
        let begun = begun.map(|same| self.steps_from(view, same[0]));
        let steps = rows.saturating_mul(self.steps_of_row(view)) + begun.sum::<u64>();
        let ranked = self.types.iter().filter(|t| is_ordinal(t)).count() as u64;
        let keys = self.dsts.bytes(view);
        let row = keys + columns * wanted * NUMBER;
        let block = columns.max(BLOCK as u64) * types * size_of::<f64>() as u64;
        Work {
            cells: (pairs.saturating_mul(types + tests))
                .saturating_add(steps / STEPS)
                .saturating_mul(passes),
            bytes: self.srcs.bytes(view) + rows.saturating_mul(row),
            // A buffer that grows is twice as large for a moment.
            memory: self.srcs.memory()
                + self.dsts.memory()
                + block
                + 2 * (row + keys)
                + 2 * pairs * ranked * size_of::<f64>() as u64,
        }
    }

    /// The costs that are read, one for each type that there is.
    fn costs<'v>(&'v self, view: &'v View) -> impl Iterator<Item = &'v Costs> {
        let costs = |cost_type: &CostType| view.costs().get(&cost_type.cost_metric);
        self.types.iter().filter_map(costs)
    }

    /// The steps that it takes to know what leads on from a PID.
    fn steps_from(&self, view: &View, src: u32) -> u64 {
        self.costs(view).map(|costs| costs.steps_from(src)).sum()
    }

    /// The steps that the cells of a row take.
    fn steps_of_row(&self, view: &View) -> u64 {
        let of_type = |costs: &Costs| {
            let dsts = self.dsts.pids.iter();
            dsts.map(|dst| costs.steps_to(*dst)).sum::<u64>()
        };
        self.costs(view).map(of_type).sum()
    }

    /// The ordinal types that are ranked over these pairs.
    fn ranked(&self, of: Ranked) -> impl Iterator<Item = usize> {
        let is_of = move |place: &usize| self.tested.contains(place) == (of == Ranked::Asked);
        let ordinal = |place: &usize| is_ordinal(&self.types[*place]);
        (0..self.types.len()).filter(ordinal).filter(is_of)
    }

    /// The first stage, from this one on, that has something to do.
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

    /// Prepares the table by one block; whether rows can be read now.
    pub(in crate::publish) fn prepare(&mut self, view: &View, block: &mut Block) -> bool {
        let Stage::Ranking {
            of,
            next,
            mut rankings,
        } = std::mem::replace(&mut self.stage, Stage::Ready)
        else {
            return true;
        };
        if next < self.srcs.len() {
            self.read(view, next, block);
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
            // What is there is not what a row would be.
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

    /// Prepares the table whole.
    pub(in crate::publish) fn prepare_all(&mut self, view: &View) {
        let mut block = Block::default();
        while !self.prepare(view, &mut block) {}
    }

    /// The layers of a row, one for each type that is returned. The table must
    /// be prepared.
    pub(in crate::publish) fn row<'r>(
        &'r self,
        view: &'r View,
        row: usize,
        block: &'r mut Block,
    ) -> Row<'r> {
        if let Some(costs) = self.as_stated(view, row) {
            block.read += costs.len() as u64;
            return Row(vec![costs]);
        }
        if !block.rows.contains(&row) {
            self.read(view, row, block);
            self.rank(block, Ranked::Asked);
            self.test(block);
            self.rank(block, Ranked::Passing);
        }
        let columns = self.dsts.len();
        let start = (row - block.rows.start) * columns;
        let layer = |place: &usize| &block.layers[*place][start..start + columns];
        Row(self.wanted.iter().map(layer).collect())
    }

    /// The row where it is that of a matrix, unchanged.
    fn as_stated<'v>(&self, view: &'v View, row: usize) -> Option<&'v [f64]> {
        let [cost_type] = &self.types[..] else {
            return None;
        };
        if is_ordinal(cost_type) || !self.conditions.is_none() || self.wanted.len() != 1 {
            return None;
        }
        let costs = view.costs().get(&cost_type.cost_metric)?;
        let src = *self.srcs.pids.get(row)?;
        costs.stated_row(src).filter(|_| self.dsts.is_all_of(costs))
    }

    /// Reads the costs from a row on as they are stated.
    fn read(&self, view: &View, row: usize, block: &mut Block) {
        let columns = self.dsts.len();
        block.rows = row..self.end_of_block(view, row, block);
        let srcs = &self.srcs.pids[block.rows.clone()];
        block.read += (srcs.len() * columns * self.types.len()) as u64;
        block.layers.resize_with(self.types.len(), Vec::new);
        block.onward.resize_with(self.types.len(), Onward::default);
        let layers = block.layers.iter_mut().zip(&mut block.onward);
        for ((layer, onward), cost_type) in layers.zip(&self.types) {
            layer.clear();
            match view.costs().get(&cost_type.cost_metric) {
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

    /// Where a block that begins with a row ends: it has one row at least, and more only while
    /// they take neither too much memory nor too many steps.
    fn end_of_block(&self, view: &View, row: usize, block: &mut Block) -> usize {
        let of_row = block
            .steps_of_row
            .get_or_insert_with(|| self.steps_of_row(view));
        let most =
            (BLOCK / self.dsts.len().max(1)).min((STEPS_OF_BLOCK / (*of_row).max(1)) as usize);
        let rows = self.srcs.pids.iter().skip(row).take(most.max(1));
        let (mut last, mut steps, mut end) = (None, 0, row);
        for src in rows {
            if last.replace(src) != Some(src) {
                steps += self.steps_from(view, *src);
            }
            if end > row && steps > STEPS_OF_BLOCK {
                break;
            }
            end += 1;
        }
        end
    }

    /// Turns ordinal costs into their ranks.
    fn rank(&self, block: &mut Block, of: Ranked) {
        for place in self.ranked(of) {
            if let Some(ranks) = &self.ranks[place] {
                let layer = block.layers[place].iter_mut();
                layer.for_each(|cost| *cost = ranks.rank(*cost));
            }
        }
    }

    /// Leaves no cost of the pairs that do not meet the conditions.
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

/// About how many bytes of memory a text takes: where it is, what leads to it, and what the
/// allocator adds.
pub(in crate::publish) fn held(text: &str) -> usize {
    /// The least that is given out, and in steps of what.
    const STEP: usize = 16;
    size_of::<Box<str>>()
        + (text.len() + size_of::<usize>())
            .next_multiple_of(STEP)
            .max(2 * STEP)
}

fn is_ordinal(cost_type: &CostType) -> bool {
    cost_type.cost_mode == CostMode::Ordinal
}

/// A row of a table: one slice for each cost type that is returned.
pub(in crate::publish) struct Row<'r>(pub(in crate::publish) Vec<&'r [f64]>);

impl Row<'_> {
    /// Whether any pair has a cost.
    pub(in crate::publish) fn has_costs(&self) -> bool {
        self.0.iter().any(|layer| layer.iter().any(|c| !c.is_nan()))
    }

    /// Whether the pair of a column has a cost.
    pub(in crate::publish) fn has_cost(&self, column: usize) -> bool {
        self.0.iter().any(|layer| !layer[column].is_nan())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an allocator of the C library gives for a text, with what it adds.
    fn given(bytes: usize) -> usize {
        (bytes + 8).next_multiple_of(16).max(32)
    }

    #[test]
    fn endpoints_count_with_their_texts() {
        let side = |count: usize| {
            let endpoint = |n: usize| (format!("ipv4:10.0.{n}.1").into(), n as u32);
            Side::endpoints((0..count).map(endpoint).collect())
        };
        let (none, some) = (side(0).memory(), side(1000).memory());
        assert_eq!(none, 0);
        let texts = (0..1000).map(|n| given(format!("ipv4:10.0.{n}.1").len()));
        let held: usize = texts.map(|text| text + 16 + 4).sum();
        assert_eq!(some, held as u64);
        assert_eq!(Side::pids(vec![1, 2, 3]).memory(), 12);
    }
}
