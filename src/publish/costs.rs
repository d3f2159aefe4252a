//! The costs of a view in one metric.

use std::sync::Arc;

use crate::net::Matrix;

/// Costs between the PIDs of a view, by index; NaN where there is none.
#[derive(Debug, Clone)]
pub enum Costs {
    /// Every pair in one matrix: a domain's own costs.
    Dense(Arc<Matrix>),
    /// Made of the matrices of domains, a cell computed when asked.
    Composed(Arc<Composed>),
}

/// The costs of the merged view: each domain's matrix is a block on the
/// diagonal.
#[derive(Debug)]
pub struct Composed {
    /// How many PIDs the view has.
    pub size: usize,
    /// The domains' costs, by their first PID.
    pub blocks: Vec<Block>,
}

/// The costs inside one domain.
#[derive(Debug, Clone)]
pub struct Block {
    /// The index of the domain's first PID.
    pub first: usize,
    /// The domain's costs.
    pub costs: Arc<Matrix>,
}

impl Composed {
    /// The costs from `src` to the PIDs of its own domain, and the index of
    /// the first of those.
    fn inside(&self, src: usize) -> (usize, &[f64]) {
        let holds = |block: &&Block| src.wrapping_sub(block.first) < block.costs.rows();
        match self.blocks.iter().find(holds) {
            Some(block) => (block.first, block.costs.row(src - block.first)),
            None => (0, &[]),
        }
    }
}

impl Costs {
    /// How many PIDs the view has.
    pub fn size(&self) -> usize {
        match self {
            Costs::Dense(matrix) => matrix.rows(),
            Costs::Composed(composed) => composed.size,
        }
    }

    /// Writes the costs from `src` to every PID into `out`.
    pub fn row(&self, src: u32, out: &mut Vec<f64>) {
        out.clear();
        match self {
            Costs::Dense(matrix) => out.extend_from_slice(matrix.row(src as usize)),
            Costs::Composed(composed) => {
                let (first, row) = composed.inside(src as usize);
                out.resize(first, f64::NAN);
                out.extend_from_slice(row);
                out.resize(composed.size, f64::NAN);
            }
        }
    }

    /// Writes the costs from each of `srcs` to each of `dsts` into `out`, row
    /// by row. An index that no PID has yields no cost.
    pub fn gather(&self, srcs: &[u32], dsts: &[u32], out: &mut Vec<f64>) {
        match self {
            Costs::Dense(matrix) => matrix.gather(srcs, dsts, out),
            Costs::Composed(composed) => {
                out.clear();
                out.reserve(srcs.len() * dsts.len());
                for &src in srcs {
                    let (first, row) = composed.inside(src as usize);
                    out.extend(dsts.iter().map(|&dst| {
                        let place = (dst as usize).wrapping_sub(first);
                        row.get(place).copied().unwrap_or(f64::NAN)
                    }));
                }
            }
        }
    }

    /// Whether both are made of the very same matrices, so that nothing made
    /// of one need be made again of the other.
    pub fn same(&self, other: &Costs) -> bool {
        match (self, other) {
            (Costs::Dense(a), Costs::Dense(b)) => Arc::ptr_eq(a, b),
            (Costs::Composed(a), Costs::Composed(b)) => {
                a.size == b.size
                    && a.blocks.len() == b.blocks.len()
                    && a.blocks
                        .iter()
                        .zip(&b.blocks)
                        .all(|(a, b)| a.first == b.first && Arc::ptr_eq(&a.costs, &b.costs))
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn composed() -> Costs {
        let mut a = Matrix::new(2, 2);
        a.set(0, 1, 3.0);
        let mut b = Matrix::new(1, 1);
        b.set(0, 0, 9.0);
        let block = |first, costs| Block {
            first,
            costs: Arc::new(costs),
        };
        Costs::Composed(Arc::new(Composed {
            size: 5,
            blocks: vec![block(0, a), block(3, b)],
        }))
    }

    #[test]
    fn a_composed_cost_is_its_domains_and_nothing_between_domains() {
        let costs = composed();
        let all: Vec<u32> = (0..6).collect();
        let mut gathered = Vec::new();
        costs.gather(&all, &all, &mut gathered);
        let cells = gathered.iter().enumerate();
        let stated: Vec<_> = cells.filter(|(_, cost)| !cost.is_nan()).collect();
        assert_eq!(stated, [(1, &3.0), (21, &9.0)]);
    }

    #[test]
    fn a_row_is_what_gathering_all_destinations_gives() {
        let costs = composed();
        let all: Vec<u32> = (0..5).collect();
        let (mut row, mut gathered) = (Vec::new(), Vec::new());
        for src in all.iter().copied() {
            costs.row(src, &mut row);
            costs.gather(&[src], &all, &mut gathered);
            assert!(
                row.iter()
                    .map(|c| c.to_bits())
                    .eq(gathered.iter().map(|c| c.to_bits()))
            );
        }
    }
}
