//! The costs inside one domain.

use std::sync::Arc;

use crate::net::Matrix;

/// The costs inside one domain.
#[derive(Debug, Clone)]
pub struct Inside {
    /// The index of the domain's first PID.
    pub first: usize,
    /// How many PIDs it has.
    pub pids: usize,
    /// Its costs, if it has this metric.
    pub costs: Option<Arc<Matrix>>,
    /// The factor of its costs.
    pub scale: f64,
}

impl Inside {
    /// Returns the cost from PID to PID, NaN without one.
    pub(super) fn cost(&self, a: usize, b: usize) -> f64 {
        let cost = self.costs.as_ref().and_then(|costs| costs.get(a, b));
        cost.map_or(f64::NAN, |cost| cost * self.scale)
    }

    /// Writes the costs from a PID to every PID of the domain.
    pub(super) fn fill_row(&self, a: usize, out: &mut [f64]) {
        match &self.costs {
            None => out.fill(f64::NAN),
            Some(costs) => {
                costs.row(a).fill(out);
                if self.scale != 1.0 {
                    out.iter_mut().for_each(|cost| *cost *= self.scale);
                }
            }
        }
    }
}
