//! The costs of the merged view in one metric. They are kept in factors; a cell is computed when it
//! is read.
//!
//! The cost from PID *a* to PID *b* of another domain is the least, over the borders *e* of a's
//! domain and *f* of b's, of `cost(a, e) + way(e, f) + cost(f, b)` in the metric that selects ways;
//! every other metric is composed along the way that this chooses. For given *a* and *f* the choice
//! of *e* is the same for every *b*, so that a row takes one addition and one comparison for each
//! cell and *f*.
//!
//! A PID that stands for PIDs of several domains costs its members when it is asked for.

use std::collections::HashSet;
use std::sync::Arc;

use crate::ident::Tag;

use super::across::{Across, Lead};
use super::algebra::Rule;
use super::border_costs::{BorderCosts, LANES};
use super::inside::Inside;
use super::onward::Onward;
use super::place::Place;
use super::sets::{Best, Places, Sets};

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
    /// The PIDs that stand for PIDs of several domains.
    pub sets: Arc<Sets>,
}

/// Writes the least costs to every PID of a domain, over borders that have these least costs.
/// `finished` makes the cost of a sum, which is infinite without a way.
#[inline(always)]
fn fill_selected(
    starts: &[f64],
    select: &BorderCosts,
    out: &mut [f64],
    finished: impl Fn(f64) -> f64,
) {
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
        least.map(&finished)
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
        let sets = (Arc::as_ptr(&self.sets).cast(), self.sets.heap_bytes());
        matrices.chain(across).chain([sets])
    }

    /// Returns the place of a PID; `None` if it belongs to no domain.
    fn place(&self, pid: usize) -> Option<Place> {
        let next = self.domains.partition_point(|domain| domain.first <= pid);
        let domain = next.checked_sub(1)?;
        let pid = pid - self.domains[domain].first;
        (pid < self.domains[domain].pids).then_some(Place { domain, pid })
    }

    /// Returns the PIDs of domains that a PID stands for.
    fn places(&self, pid: usize) -> Places<'_> {
        match (self.place(pid), self.sets.get(pid)) {
            (Some(place), _) => Places::One(place),
            (None, Some(members)) => Places::Several(members),
            (None, None) => Places::Nowhere,
        }
    }

    /// Returns the most steps that finding the leads of a PID takes. Each cell then takes as many
    /// more as [`Self::steps_to`] returns, for each PID that the source stands for.
    pub fn steps_from(&self, src: u32) -> u64 {
        let places = self.places(src as usize);
        let steps = |across: &Across| {
            let from = places.as_slice().iter();
            from.map(|from| across.steps_from(from.domain)).sum()
        };
        self.across.as_ref().map_or(0, steps)
    }

    /// Returns how many PIDs of domains a PID stands for, at least 1.
    pub fn stands_for(&self, src: u32) -> u64 {
        self.sets
            .get(src as usize)
            .map_or(1, |members| members.len() as u64)
    }

    /// Returns the steps that a cell in the column of a PID takes.
    pub fn steps_to(&self, dst: u32) -> u64 {
        let places = self.places(dst as usize);
        let steps = |across: &Across| {
            let to = places.as_slice().iter();
            to.map(|to| across.steps_to(to.domain)).sum()
        };
        self.across.as_ref().map_or(0, steps)
    }

    /// Writes the costs from `src` to every PID, NaN without a cost; returns the steps that it
    /// took.
    ///
    /// # Panics
    /// `out` does not have one place for each PID.
    pub fn fill_row(&self, src: usize, out: &mut [f64]) -> u64 {
        assert_eq!(out.len(), self.size, "a row has a cell for each PID");
        let places = self.places(src);
        let mut steps = match places {
            Places::Nowhere => {
                out.fill(f64::NAN);
                return 0;
            }
            Places::One(from) => self.fill_from(from, out),
            Places::Several(members) => self.fill_from_several(members, out),
        };
        if !self.sets.members.is_empty() {
            let mut onward = Onward::default();
            let from = places.as_slice();
            if let Some(across) = &self.across {
                onward.start(across, from);
            }
            let columns = &mut out[self.sets.first..];
            for (cell, to) in columns.iter_mut().zip(&self.sets.members) {
                *cell = self.cell(from, to, &mut onward);
            }
            steps += onward.steps();
        }
        steps
    }

    /// Writes the costs from a PID of a domain to every PID of a domain, and NaN for others.
    fn fill_from(&self, from: Place, out: &mut [f64]) -> u64 {
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
                            // Infinity becomes NaN, which is no cost.
                            fill_selected(starts, &across.select[to], out, |cost| {
                                cost / 1000.0 + cost * 0.0
                            });
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

    /// Writes the costs from a PID that stands for several to every PID of a domain, and NaN for
    /// others.
    fn fill_from_several(&self, members: &[Place], out: &mut [f64]) -> u64 {
        out.fill(f64::NAN);
        let mut steps = 0;
        if let Some(across) = &self.across {
            let mut starts = Vec::new();
            let (mut row, mut select) = (vec![f64::NAN; out.len()], Vec::new());
            let mut least = vec![f64::INFINITY; out.len()];
            for &from in members {
                steps += self.fill_from(from, &mut row);
                across.starts(from, &mut starts);
                for (to, domain) in self.domains.iter().enumerate() {
                    let columns = domain.first..domain.first + domain.pids;
                    select.resize(domain.pids, f64::INFINITY);
                    let starts = &starts[across.routes.borders_of(to)];
                    fill_selected(starts, &across.select[to], &mut select, |cost| cost);
                    let cells = out[columns.clone()].iter_mut().zip(&row[columns.clone()]);
                    let so_far = least[columns].iter_mut().zip(&select);
                    for ((out, cost), (least, select)) in cells.zip(so_far) {
                        if select < least {
                            (*least, *out) = (*select, *cost);
                        }
                    }
                }
            }
        }
        for member in members {
            let domain = &self.domains[member.domain];
            let columns = domain.first..domain.first + domain.pids;
            domain.fill_row(member.pid, &mut out[columns]);
        }
        steps
    }

    /// Writes the costs from each of `srcs` to each of `dsts`, row by row; NaN without a cost or a
    /// PID. `onward` keeps intermediate results that the next call can use.
    pub fn gather(&self, srcs: &[u32], dsts: &[u32], out: &mut Vec<f64>, onward: &mut Onward) {
        out.clear();
        out.reserve(srcs.len() * dsts.len());
        let places: Vec<_> = dsts.iter().map(|&dst| self.places(dst as usize)).collect();
        for &src in srcs {
            let from = self.places(src as usize);
            let from = from.as_slice();
            if let Some(across) = &self.across {
                onward.start(across, from);
            }
            let cells = places.iter();
            out.extend(cells.map(|to| self.cell(from, to.as_slice(), onward)));
        }
    }

    /// Returns the cost between PIDs, each given as the PIDs of domains that it stands for. `onward`
    /// has started at `from`.
    #[inline]
    fn cell(&self, from: &[Place], to: &[Place], onward: &mut Onward) -> f64 {
        if let Some((a, b)) = self.sets.own_word(from, to) {
            return self.domains[a.domain].cost(a.pid, b.pid);
        }
        let Some(across) = &self.across else {
            return f64::NAN;
        };
        if let (&[_], &[to]) = (from, to) {
            return onward.cell(across, 0, to).cost;
        }
        let mut best = Best::none();
        for turn in 0..from.len() {
            for &to in to {
                let cell = onward.cell(across, turn, to);
                best.offer(cell.select, cell.cost);
            }
        }
        best.chosen().unwrap_or(f64::NAN)
    }
}
