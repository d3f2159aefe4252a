//! Intermediate results on the ways from one PID of the merged view, found once for many cells.

use std::collections::HashMap;
use std::ops::Range;

use super::across::{Across, Lead, least};
use super::place::Place;

/// Intermediate results on the ways from a PID, or from the members of one that stands for several,
/// in one table of costs. Successive rows of the same PID share them.
#[derive(Debug, Default)]
pub struct Onward {
    from: Vec<From>,
    steps: u64,
}

/// The results on the ways from one PID of a domain.
#[derive(Debug)]
struct From {
    place: Place,
    /// In the metric that selects ways, the least cost to each border.
    starts: Vec<f64>,
    /// In any other metric, the leads to the domains that were asked for.
    leads: Vec<Lead>,
    /// By domain, the range of its leads.
    known: HashMap<usize, Range<usize>>,
}

/// A cost between PIDs of two domains.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    /// The cost of the path in the metric that selects paths, in thousandths; infinite without a
    /// path.
    pub(super) select: f64,
    /// The cost in the metric that is asked for; NaN without one.
    pub(super) cost: f64,
}

impl Onward {
    /// Returns the steps taken so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Starts at a PID, given as the PIDs that it stands for; keeps the results if they are of that
    /// PID already.
    pub(super) fn start(&mut self, across: &Across, from: &[Place]) {
        let places = self.from.iter().map(|from| from.place);
        if places.eq(from.iter().copied()) {
            return;
        }
        self.from.truncate(from.len());
        for (turn, &place) in from.iter().enumerate() {
            match self.from.get_mut(turn) {
                Some(other) => other.restart(place),
                None => self.from.push(From::new(place)),
            }
            if across.other.is_none() {
                across.starts(place, &mut self.from[turn].starts);
                self.steps += across.steps_from(place.domain);
            }
        }
    }

    /// Returns the cost to a PID of another domain, from the PID itself or one of those that it
    /// stands for, by its turn.
    #[inline]
    pub(super) fn cell(&mut self, across: &Across, turn: usize, to: Place) -> Cell {
        self.steps += across.steps_to(to.domain);
        let from = &mut self.from[turn];
        match &across.other {
            None => {
                let starts = &from.starts[across.routes.borders_of(to.domain)];
                let select = least(starts, &across.select[to.domain], to.pid);
                // Infinity becomes NaN, which is no cost: infinity times 0 is NaN.
                let cost = select / 1000.0 + select * 0.0;
                Cell { select, cost }
            }
            Some(other) => {
                let (leads, steps) = from.leads(across, to.domain);
                self.steps += steps;
                match across.best(leads, to.domain, to.pid) {
                    Some((lead, select)) => {
                        let then = other.borders[to.domain].inward(lead.to, to.pid);
                        let cost = across.rule.cost(across.rule.join(lead.other, then));
                        Cell { select, cost }
                    }
                    None => Cell {
                        select: f64::INFINITY,
                        cost: f64::NAN,
                    },
                }
            }
        }
    }
}

impl From {
    fn new(place: Place) -> Self {
        Self {
            place,
            starts: Vec::new(),
            leads: Vec::new(),
            known: HashMap::new(),
        }
    }

    fn restart(&mut self, place: Place) {
        self.place = place;
        self.leads.clear();
        self.known.clear();
    }

    /// Returns the leads to a domain, and the steps that finding them took.
    fn leads(&mut self, across: &Across, to: usize) -> (&[Lead], u64) {
        let mut steps = 0;
        let known = self.known.entry(to).or_insert_with(|| {
            let mut found = Vec::new();
            across.leads(self.place, to, &mut found);
            steps = across.steps_to(self.place.domain) * across.steps_to(to);
            let begin = self.leads.len();
            self.leads.append(&mut found);
            begin..self.leads.len()
        });
        (&self.leads[known.clone()], steps)
    }
}
