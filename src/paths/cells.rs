//! The costs of the merged view in one metric. They are kept in factors; a cell is computed when it
//! is read.
//!
//! The cost from PID *a* to PID *b* of another domain is the least, over the borders *e* of a's
//! domain and *f* of b's, of `cost(a, e) + way(e, f) + cost(f, b)` in the metric that selects ways;
//! every other metric is composed along the way that this chooses. For given *a* and *f* the choice
//! of *e* is the same for every *b*, so that a row takes one addition and one comparison for each
//! cell and *f*.

use std::collections::HashSet;
use std::sync::Arc;

use crate::ident::Tag;
use crate::net::Matrix;

use super::across::{Across, Lead};
use super::algebra::Rule;
use super::border_costs::{BorderCosts, LANES};
use super::onward::Onward;
use super::place::Place;

/// The costs of the merged view in one metric.
#[derive(Debug)]
pub struct Composed {
    /// The hash of all inputs of the costs.
    pub tag: Tag,
    /// How many PIDs the view has.
    pub size: usize,
    /// The domains, in the order of their PIDs.
    pub domains: Box<[Inside]>,
    /// The costs between domains; none for a metric that is not composed.
    pub across: Option<Across>,
}

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

/// Writes the least costs to every PID of a domain, over borders that have these least costs.
fn fill_selected(starts: &[f64], select: &BorderCosts, out: &mut [f64]) {
    in_lanes(out, |first| {
        let mut least = [f64::INFINITY; LANES];
        let mut scratch = [f64::NAN; LANES];
        for (border, start) in starts.iter().enumerate() {
            let access = select.lanes(border, first, &mut scratch);
            for (least, access) in least.iter_mut().zip(access) {
                let cost = start + access;
                *least = if cost < *least { cost } else { *least };
            }
        }
        least.map(|cost| cost / 1000.0 + cost * 0.0)
    });
}

/// Writes the costs in a metric that does not select ways, along the best lead to every PID of a
/// domain.
fn fill_other(leads: &[Lead], select: &BorderCosts, by: &BorderCosts, out: &mut [f64], rule: Rule) {
    // Each loop is compiled for one rule, so that it has no branch.
    match rule {
        Rule::Add => fill_by(leads, select, by, out, Rule::Add),
        Rule::Smaller => fill_by(leads, select, by, out, Rule::Smaller),
        Rule::Loss => fill_by(leads, select, by, out, Rule::Loss),
    }
}

#[inline(always)]
fn fill_by(leads: &[Lead], select: &BorderCosts, by: &BorderCosts, out: &mut [f64], rule: Rule) {
    in_lanes(out, |first| {
        let mut least = [f64::INFINITY; LANES];
        let mut measures = [f64::NAN.to_bits(); LANES];
        let mut scratch = [[f64::NAN; LANES]; 2];
        let [of_select, of_other] = &mut scratch;
        for lead in leads {
            let access = select.lanes(lead.to, first, of_select);
            let then = by.lanes(lead.to, first, of_other);
            for lane in 0..LANES {
                let cost = lead.cost + access[lane];
                let measure = rule.join(lead.other, then[lane]).to_bits();
                // A mask, since selecting between doubles compiles to a branch.
                let better = u64::from(cost < least[lane]).wrapping_neg();
                measures[lane] = measure & better | measures[lane] & !better;
                least[lane] = if cost < least[lane] {
                    cost
                } else {
                    least[lane]
                };
            }
        }
        measures.map(|measure| rule.cost(f64::from_bits(measure)))
    });
}

/// Computes [`LANES`] cells at a time; `cells` receives the place of the first.
#[inline(always)]
fn in_lanes(out: &mut [f64], cells: impl Fn(usize) -> [f64; LANES]) {
    let (whole, rest) = out.as_chunks_mut::<LANES>();
    let mut first = 0;
    for out in whole {
        *out = cells(first);
        first += LANES;
    }
    if !rest.is_empty() {
        rest.copy_from_slice(&cells(first)[..rest.len()]);
    }
}

impl Composed {
    /// Returns about how many bytes of memory the costs take in addition to `other`, which may
    /// share parts.
    pub fn bytes_beside(&self, other: Option<&Composed>) -> usize {
        let mut shared: HashSet<*const u8> = HashSet::new();
        for part in other.iter().flat_map(|other| other.parts()) {
            shared.insert(part.0);
        }
        let own = self.parts().filter(|(part, _)| shared.insert(*part));
        own.map(|(_, bytes)| bytes).sum()
    }

    /// Iterates over the parts that others may share: the address and bytes of each.
    fn parts(&self) -> impl Iterator<Item = (*const u8, usize)> {
        let matrices = self
            .domains
            .iter()
            .filter_map(|domain| domain.costs.as_ref());
        let matrices = matrices.map(|costs| (Arc::as_ptr(costs).cast(), costs.heap_bytes()));
        let access = |access: &Arc<BorderCosts>| (Arc::as_ptr(access).cast(), access.heap_bytes());
        let across = self.across.iter().flat_map(move |across| {
            let routes = (
                Arc::as_ptr(&across.routes).cast(),
                across.routes.heap_bytes(),
            );
            let other = across.other.iter().flat_map(|other| other.borders.iter());
            let all = across.select.iter().chain(other).map(access);
            all.chain([routes])
        });
        matrices.chain(across)
    }

    /// Returns the place of a PID; `None` if it belongs to no domain.
    fn place(&self, pid: usize) -> Option<Place> {
        let next = self.domains.partition_point(|domain| domain.first <= pid);
        let domain = next.checked_sub(1)?;
        let pid = pid - self.domains[domain].first;
        (pid < self.domains[domain].pids).then_some(Place { domain, pid })
    }

    /// Returns the most steps that finding the leads of a PID takes. Each cell then takes as many
    /// more as [`Self::steps_to`] returns.
    pub fn steps_from(&self, src: u32) -> u64 {
        let steps = self.across.as_ref().zip(self.place(src as usize));
        steps.map_or(0, |(across, from)| across.steps_from(from.domain))
    }

    /// Returns the steps that a cell in the column of a PID takes.
    pub fn steps_to(&self, dst: u32) -> u64 {
        let steps = self.across.as_ref().zip(self.place(dst as usize));
        steps.map_or(0, |(across, to)| across.steps_to(to.domain))
    }

    /// Writes the costs from `src` to every PID, NaN without a cost; returns the steps that it
    /// took.
    ///
    /// # Panics
    /// `out` does not have one place for each PID.
    pub fn fill_row(&self, src: usize, out: &mut [f64]) -> u64 {
        assert_eq!(out.len(), self.size, "a row has a cell for each PID");
        let Some(from) = self.place(src) else {
            out.fill(f64::NAN);
            return 0;
        };
        let across = self.across.as_ref();
        let mut steps = across.map_or(0, |across| across.steps_from(from.domain));
        let (mut leads, mut starts) = (Vec::new(), Vec::new());
        if let Some(across) = self.across.as_ref().filter(|across| across.other.is_none()) {
            across.starts(from, &mut starts);
        }
        let mut filled = 0;
        for (to, domain) in self.domains.iter().enumerate() {
            // PIDs between those of the domains belong to none.
            out[filled..domain.first].fill(f64::NAN);
            filled = domain.first + domain.pids;
            let out = &mut out[domain.first..filled];
            match &self.across {
                _ if to == from.domain => domain.fill_row(from.pid, out),
                None => out.fill(f64::NAN),
                Some(across) => {
                    steps += across.steps_to(to) * out.len() as u64;
                    match &across.other {
                        None => {
                            let starts = &starts[across.routes.borders_of(to)];
                            fill_selected(starts, &across.select[to], out);
                        }
                        Some(other) => {
                            across.leads(from, to, &mut leads);
                            let by = &other.borders[to];
                            fill_other(&leads, &across.select[to], by, out, across.rule);
                        }
                    }
                }
            }
        }
        out[filled..].fill(f64::NAN);
        steps
    }

    /// Writes the costs from each of `srcs` to each of `dsts`, row by row; NaN without a cost or a
    /// PID. `onward` keeps intermediate results that the next call can use.
    pub fn gather(&self, srcs: &[u32], dsts: &[u32], out: &mut Vec<f64>, onward: &mut Onward) {
        out.clear();
        out.reserve(srcs.len() * dsts.len());
        let places: Vec<_> = dsts.iter().map(|&dst| self.place(dst as usize)).collect();
        for &src in srcs {
            let Some(from) = self.place(src as usize) else {
                out.extend(dsts.iter().map(|_| f64::NAN));
                continue;
            };
            let across = self.across.as_ref();
            if let Some(across) = across {
                onward.start(across, from);
            }
            out.extend(places.iter().map(|place| match (*place, across) {
                (Some(to), _) if to.domain == from.domain => {
                    self.domains[from.domain].cost(from.pid, to.pid)
                }
                (Some(to), Some(across)) => onward.cost(across, to.domain, to.pid),
                _ => f64::NAN,
            }));
        }
    }
}

impl Inside {
    /// Returns the cost from PID to PID, NaN without one.
    pub(super) fn cost(&self, a: usize, b: usize) -> f64 {
        let cost = self.costs.as_ref().and_then(|costs| costs.get(a, b));
        cost.map_or(f64::NAN, |cost| cost * self.scale)
    }

    /// Writes the costs from a PID to every PID of the domain.
    fn fill_row(&self, a: usize, out: &mut [f64]) {
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
