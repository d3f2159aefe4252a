//! The costs of a view in one metric.

use std::sync::Arc;

use crate::net::Matrix;
use crate::paths::{Across, Composed, Onward};

/// Costs between the PIDs of a view, by index; NaN where there is none.
#[derive(Debug, Clone)]
pub enum Costs {
    /// A domain's own costs, in one matrix.
    Dense(Arc<Matrix>),
    /// Costs of the merged view, computed from those of domains when they are asked for.
    Composed(Arc<Composed>),
}

impl Costs {
    /// How many PIDs the view has.
    pub fn size(&self) -> usize {
        match self {
            Costs::Dense(matrix) => matrix.rows(),
            Costs::Composed(composed) => composed.size,
        }
    }

    /// The steps, each an addition and a comparison, that a row takes once before its cells are read,
    /// unless the row before is of the same PID.
    pub fn steps_from(&self, src: u32) -> u64 {
        match self {
            Costs::Dense(_) => 0,
            Costs::Composed(composed) => composed.steps_from(src),
        }
    }

    /// How many PIDs of domains a PID stands for, at least 1: the cells of its row are found for each.
    pub fn stands_for(&self, src: u32) -> u64 {
        match self {
            Costs::Dense(_) => 1,
            Costs::Composed(composed) => composed.stands_for(src),
        }
    }

    /// The steps that a cell in the column of a PID takes besides reading it.
    pub fn steps_to(&self, dst: u32) -> u64 {
        match self {
            Costs::Dense(_) => 0,
            Costs::Composed(composed) => composed.steps_to(dst),
        }
    }

    /// Replaces the content of `out` by the costs from `src` to every PID, NaN without a cost; returns
    /// the steps that it took.
    pub fn row(&self, src: u32, out: &mut Vec<f64>) -> u64 {
        match self {
            Costs::Dense(matrix) => {
                matrix.row(src as usize).copy_to(matrix.cols(), out);
                0
            }
            Costs::Composed(composed) => {
                out.resize(composed.size, f64::NAN);
                composed.fill_row(src as usize, out)
            }
        }
    }

    /// The costs from `src` to every PID, if they are in memory as such.
    pub fn stated_row(&self, src: u32) -> Option<&[f64]> {
        match self {
            Costs::Dense(matrix) => matrix.row(src as usize).full(),
            Costs::Composed(_) => None,
        }
    }

    /// Replaces the content of `out` by the costs from each of `srcs` to each of `dsts`, row by row. An
    /// index that no PID has yields no cost.
    pub fn gather(&self, srcs: &[u32], dsts: &[u32], out: &mut Vec<f64>) {
        self.gather_on(srcs, dsts, out, &mut Onward::default());
    }

    /// Like [`Self::gather`], with what is known of the ways on from the rows before.
    pub(super) fn gather_on(
        &self,
        srcs: &[u32],
        dsts: &[u32],
        out: &mut Vec<f64>,
        onward: &mut Onward,
    ) {
        match self {
            Costs::Dense(matrix) => matrix.gather(srcs, dsts, out),
            Costs::Composed(composed) => composed.gather(srcs, dsts, out, onward),
        }
    }

    /// About how many bytes of memory they take.
    pub fn bytes(&self) -> usize {
        match self {
            Costs::Dense(matrix) => matrix.heap_bytes(),
            Costs::Composed(composed) => composed.bytes_beside(None),
        }
    }

    /// About how many bytes of memory they take in addition to `others`, which may share parts.
    pub fn bytes_beside(&self, others: &Costs) -> usize {
        match (self, others) {
            _ if self.same(others) => 0,
            (Costs::Composed(a), Costs::Composed(b)) => a.bytes_beside(Some(b)),
            (Costs::Dense(a), Costs::Dense(b)) => a.bytes_beside(b),
            _ => self.bytes(),
        }
    }

    /// The costs between domains, if they are composed.
    pub(super) fn across(&self) -> Option<&Across> {
        match self {
            Costs::Dense(_) => None,
            Costs::Composed(composed) => composed.across.as_ref(),
        }
    }

    /// Returns whether both are known to be equal, so that what is computed from one need not be
    /// computed again from the other.
    pub fn same(&self, other: &Costs) -> bool {
        match (self, other) {
            (Costs::Dense(a), Costs::Dense(b)) => Arc::ptr_eq(a, b),
            (Costs::Composed(a), Costs::Composed(b)) => a.tag == b.tag,
            _ => false,
        }
    }
}
