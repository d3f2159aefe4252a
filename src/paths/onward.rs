//! What leads on from a PID of the merged view to others, worked out once for all that are asked for.

use std::collections::HashMap;
use std::ops::Range;

use super::across::{Across, Lead, least};

/// What leads on from one PID of one table of costs. Rows of the same PID, one after the other,
/// share it.
#[derive(Debug, Default)]
pub struct Onward {
    /// The domain of the PID, and its place there.
    from: Option<(usize, usize)>,
    /// In the metric that ways are selected by: the least cost to each border.
    starts: Vec<f64>,
    /// In another: what leads to the domains asked for, and where that is.
    leads: Vec<Lead>,
    known: HashMap<usize, Range<usize>>,
    scratch: Vec<Lead>,
    steps: u64,
}

impl Onward {
    /// The steps that were taken so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Starts at PID `a` of a domain, if it is not there.
    pub(super) fn start(&mut self, across: &Across, from: usize, a: usize) {
        if self.from.replace((from, a)) == Some((from, a)) {
            return;
        }
        self.leads.clear();
        self.known.clear();
        if across.other.is_none() {
            across.starts(from, a, &mut self.starts);
            self.steps += across.steps_from(from);
        }
    }

    /// The cost to PID `b` of another domain.
    pub(super) fn cost(&mut self, across: &Across, to: usize, b: usize) -> f64 {
        self.steps += across.steps_to(to);
        let Some((_, by)) = &across.other else {
            let starts = &self.starts[across.routes.borders_of(to)];
            return least(starts, &across.select[to], b);
        };
        let Some((from, a)) = self.from else {
            return f64::NAN;
        };
        let known = self.known.entry(to).or_insert_with(|| {
            across.leads(from, a, to, &mut self.scratch);
            self.steps += across.steps_to(from) * across.steps_to(to);
            let begin = self.leads.len();
            self.leads.extend_from_slice(&self.scratch);
            begin..self.leads.len()
        });
        match across.best(&self.leads[known.clone()], to, b) {
            Some(lead) => {
                let then = by[to].inward(lead.to, b);
                across.rule.cost(across.rule.join(lead.other, then))
            }
            None => f64::NAN,
        }
    }
}
