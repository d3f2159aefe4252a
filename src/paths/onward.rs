//! Intermediate results on the ways from one PID of the merged view, found once for many cells.

use std::collections::HashMap;
use std::ops::Range;

use super::across::{Across, Lead, least};
use super::place::Place;

/// Intermediate results on the ways from one PID, in one table of costs. Successive rows of the
/// same PID share them.
#[derive(Debug, Default)]
pub struct Onward {
    from: Option<Place>,
    /// In the metric that selects ways, the least cost to each border.
    starts: Vec<f64>,
    /// In any other metric, the leads to the domains that were asked for.
    leads: Vec<Lead>,
    /// By domain, the range of its leads.
    known: HashMap<usize, Range<usize>>,
    scratch: Vec<Lead>,
    steps: u64,
}

impl Onward {
    /// Returns the steps taken so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Starts at a PID; keeps the results if they are of that PID already.
    pub(super) fn start(&mut self, across: &Across, from: Place) {
        if self.from.replace(from) == Some(from) {
            return;
        }
        self.leads.clear();
        self.known.clear();
        if across.other.is_none() {
            across.starts(from, &mut self.starts);
            self.steps += across.steps_from(from.domain);
        }
    }

    /// Returns the cost to PID `b` of another domain.
    pub(super) fn cost(&mut self, across: &Across, to: usize, b: usize) -> f64 {
        self.steps += across.steps_to(to);
        let Some(other) = &across.other else {
            let starts = &self.starts[across.routes.borders_of(to)];
            return least(starts, &across.select[to], b);
        };
        let Some(from) = self.from else {
            return f64::NAN;
        };
        let known = self.known.entry(to).or_insert_with(|| {
            across.leads(from, to, &mut self.scratch);
            self.steps += across.steps_to(from.domain) * across.steps_to(to);
            let begin = self.leads.len();
            self.leads.extend_from_slice(&self.scratch);
            begin..self.leads.len()
        });
        match across.best(&self.leads[known.clone()], to, b) {
            Some(lead) => {
                let then = other.borders[to].inward(lead.to, b);
                across.rule.cost(across.rule.join(lead.other, then))
            }
            None => f64::NAN,
        }
    }
}
