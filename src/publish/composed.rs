//! The costs of the merged view in one metric: factored, a cell computed when
//! asked.
//!
//! From PID *a* to PID *b* of another domain it is the least, over the borders
//! *e* of a's domain and *f* of b's, of `access(a, e) + way(e, f) + access(f, b)`
//! in the metric that ways are selected by; every other metric is composed
//! along the way that this chooses. For one *a* and *f* the choice of *e* is the
//! same for every *b*, so that a row of cells takes one addition and one
//! comparison for each cell and *f*.

use std::collections::HashSet;
use std::sync::Arc;

use crate::ident::Tag;
use crate::net::{Matrix, Row};

use super::onward::Onward;
use super::routes::Routes;
use super::rule::Rule;

/// The costs of the merged view in one metric.
#[derive(Debug)]
pub struct Composed {
    /// The hash of all that the costs are made of.
    pub tag: Tag,
    /// How many PIDs the view has.
    pub size: usize,
    /// The domains, in the order of their PIDs.
    pub domains: Box<[Inside]>,
    /// What leads from domain to domain; none for a metric that is not
    /// composed.
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
    /// What its costs are multiplied by.
    pub scale: f64,
}

/// The costs between domains.
#[derive(Debug, Clone)]
pub struct Across {
    /// How the metric is composed.
    pub rule: Rule,
    /// The ways between borders.
    pub routes: Arc<Routes>,
    /// By domain, the access in the metric that ways are selected by.
    pub select: Arc<[Arc<Access>]>,
    /// Of any other metric: its place in the measures of the routes, and by
    /// domain the access in it.
    pub other: Option<(usize, Arc<[Arc<Access>]>)>,
}

/// What it takes to get from the PIDs of a domain to its borders and back, as
/// measures of one metric; a missing one is NaN. It takes memory by its measures.
#[derive(Debug)]
pub struct Access {
    /// Border by border, from each PID to it.
    out: Box<[Row]>,
    /// Border by border, from it to each PID.
    into: Box<[Row]>,
}

/// How many cells are computed together: what fits into registers.
const LANES: usize = 8;

/// What leads from one PID to a border of another domain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lead {
    /// The border, in its domain.
    pub(super) to: usize,
    /// The border that it leaves the first domain by.
    from: usize,
    rank: u32,
    cost: f64,
    /// The measure of the metric that is asked for, if it is another.
    pub(super) other: f64,
}

const NO_LEAD: Lead = Lead {
    to: 0,
    from: 0,
    rank: u32::MAX,
    cost: f64::INFINITY,
    other: f64::NAN,
};

impl Access {
    /// The access over borders: by border, from each PID to it, and from it to
    /// each PID.
    pub fn new(out: Vec<Row>, into: Vec<Row>) -> Self {
        Self {
            out: out.into(),
            into: into.into(),
        }
    }

    /// How many columns the rows have that fit together as [`LANES`]: the PIDs,
    /// and what completes the last group of them.
    pub fn width(pids: usize) -> usize {
        pids.next_multiple_of(LANES)
    }

    /// The bytes held on the heap.
    pub fn heap_bytes(&self) -> usize {
        let rows = self.out.iter().chain(&self.into);
        rows.map(|row| row.heap_bytes() + size_of::<Row>()).sum()
    }

    /// From a PID to each border that it has access to.
    fn outward(&self, pid: usize) -> impl Iterator<Item = (usize, f64)> {
        let all = self.out.iter().enumerate();
        all.filter_map(move |(border, row)| Some((border, row.get(pid)?)))
    }

    /// From a border to a PID.
    pub(super) fn inward(&self, border: usize, pid: usize) -> f64 {
        self.into[border].get(pid).unwrap_or(f64::NAN)
    }

    /// From a border to [`LANES`] PIDs.
    #[inline(always)]
    fn lanes<'r>(
        &'r self,
        border: usize,
        first: usize,
        scratch: &'r mut [f64; LANES],
    ) -> &'r [f64; LANES] {
        self.into[border].lanes(first, scratch)
    }
}

impl Across {
    /// The steps that it takes to know what leads on from a PID of a domain: its borders, each with
    /// all others.
    pub(super) fn steps_from(&self, from: usize) -> u64 {
        (self.routes.borders_of(from).len() * self.routes.borders()) as u64
    }

    /// The steps that it takes from there to a PID of a domain: the borders of that.
    pub(super) fn steps_to(&self, to: usize) -> u64 {
        self.routes.borders_of(to).len() as u64
    }

    /// The borders by which the path from PID `a` of one domain to PID `b` of
    /// another leaves the first and enters the last, as places among the
    /// borders of each.
    pub fn choose(
        &self,
        (from, a): (usize, usize),
        (to, b): (usize, usize),
    ) -> Option<(usize, usize)> {
        let mut leads = Vec::new();
        self.leads(from, a, to, &mut leads);
        let lead = self.best(&leads, to, b)?;
        Some((lead.from, lead.to))
    }

    /// What leads from PID `a` of one domain to the borders of another; of two
    /// that cost the same in the end, the first is to be taken.
    pub(super) fn leads(&self, from: usize, a: usize, to: usize, leads: &mut Vec<Lead>) {
        leads.clear();
        let (routes, entries) = (&self.routes.from[from], self.routes.borders_of(to));
        if entries.is_empty() {
            return;
        }
        leads.extend((0..entries.len()).map(|to| Lead { to, ..NO_LEAD }));
        for (exit, access) in self.select[from].outward(a) {
            let first = exit * self.routes.borders();
            let table = first + entries.start..first + entries.end;
            let ways = routes.cost[table.clone()].iter().zip(&routes.rank[table]);
            for (lead, (cost, rank)) in leads.iter_mut().zip(ways) {
                let cost = access + cost;
                if cost < lead.cost || (cost == lead.cost && *rank < lead.rank) {
                    (lead.cost, lead.rank, lead.from) = (cost, *rank, exit);
                }
            }
        }
        leads.retain(|lead| lead.cost < f64::INFINITY);
        if let Some((metric, access)) = &self.other {
            let ways = &routes.measures[*metric];
            for lead in leads.iter_mut() {
                let first = access[from].out[lead.from].get(a).unwrap_or(f64::NAN);
                let way = ways[lead.from * self.routes.borders() + entries.start + lead.to];
                lead.other = self.rule.compose(first, way);
            }
        }
        leads.sort_unstable_by_key(|lead| lead.rank);
    }

    /// Of the leads into a domain, the one that the path to its PID `b` takes.
    pub(super) fn best<'l>(&self, leads: &'l [Lead], to: usize, b: usize) -> Option<&'l Lead> {
        let (mut best, mut least) = (None, f64::INFINITY);
        for lead in leads {
            let cost = lead.cost + self.select[to].inward(lead.to, b);
            if cost < least {
                (best, least) = (Some(lead), cost);
            }
        }
        best
    }

    /// Of the metric that ways are selected by: what the least costs from PID
    /// `a` of a domain to each border, of whatever domain.
    pub(super) fn starts(&self, from: usize, a: usize, starts: &mut Vec<f64>) {
        starts.clear();
        starts.resize(self.routes.borders(), f64::INFINITY);
        let ways = &self.routes.from[from].cost;
        for (exit, access) in self.select[from].outward(a) {
            let costs = &ways[exit * starts.len()..][..starts.len()];
            for (least, cost) in starts.iter_mut().zip(costs) {
                let cost = access + cost;
                *least = if cost < *least { cost } else { *least };
            }
        }
    }
}

/// The least cost over borders with these starts to PID `b` of a domain.
pub(super) fn least(starts: &[f64], select: &Access, b: usize) -> f64 {
    let mut least = f64::INFINITY;
    for (border, start) in starts.iter().enumerate() {
        least = least.min(start + select.inward(border, b));
    }
    // Infinite is none: infinity times 0 is NaN.
    least / 1000.0 + least * 0.0
}

/// Writes the least cost over borders with these starts to every PID of a
/// domain.
fn fill_selected(starts: &[f64], select: &Access, out: &mut [f64]) {
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

/// Writes the costs in another metric over the best of the leads to every PID
/// of a domain.
fn fill_other(leads: &[Lead], select: &Access, by: &Access, out: &mut [f64], rule: Rule) {
    // The rule is known to each loop, so that it has no branch.
    match rule {
        Rule::Add => fill_by(leads, select, by, out, Rule::Add),
        Rule::Smaller => fill_by(leads, select, by, out, Rule::Smaller),
        Rule::Loss => fill_by(leads, select, by, out, Rule::Loss),
    }
}

#[inline(always)]
fn fill_by(leads: &[Lead], select: &Access, by: &Access, out: &mut [f64], rule: Rule) {
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
                // By a mask, since a choice between doubles becomes a branch.
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

/// Computes cells together, given the place of the first.
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
    /// About how many bytes of memory it takes beside another, which may share parts with it.
    pub(super) fn bytes_beside(&self, other: Option<&Composed>) -> usize {
        let mut shared: HashSet<*const u8> = HashSet::new();
        for part in other.iter().flat_map(|other| other.parts()) {
            shared.insert(part.0);
        }
        let own = self.parts().filter(|(part, _)| shared.insert(*part));
        own.map(|(_, bytes)| bytes).sum()
    }

    /// What it is made of and others may share: where it lies, and its bytes.
    fn parts(&self) -> impl Iterator<Item = (*const u8, usize)> {
        let matrices = self
            .domains
            .iter()
            .filter_map(|domain| domain.costs.as_ref());
        let matrices = matrices.map(|costs| (Arc::as_ptr(costs).cast(), costs.heap_bytes()));
        let access = |access: &Arc<Access>| (Arc::as_ptr(access).cast(), access.heap_bytes());
        let across = self.across.iter().flat_map(move |across| {
            let routes = (
                Arc::as_ptr(&across.routes).cast(),
                across.routes.heap_bytes(),
            );
            let other = across.other.iter().flat_map(|(_, other)| other.iter());
            let all = across.select.iter().chain(other).map(access);
            all.chain([routes])
        });
        matrices.chain(across)
    }

    /// The domain of a PID, and the PID's place in it.
    pub(super) fn place(&self, pid: usize) -> Option<(usize, usize)> {
        let next = self.domains.partition_point(|domain| domain.first <= pid);
        let domain = next.checked_sub(1)?;
        let place = pid - self.domains[domain].first;
        (place < self.domains[domain].pids).then_some((domain, place))
    }

    /// The steps that it takes at most to know what leads on from a PID. There are as many again
    /// for each cell as [`Self::steps_to`] says.
    pub fn steps_from(&self, src: u32) -> u64 {
        let steps = self.across.as_ref().zip(self.place(src as usize));
        steps.map_or(0, |(across, (from, _))| across.steps_from(from))
    }

    /// The steps that a cell takes in the column of a PID.
    pub fn steps_to(&self, dst: u32) -> u64 {
        let steps = self.across.as_ref().zip(self.place(dst as usize));
        steps.map_or(0, |(across, (to, _))| across.steps_to(to))
    }

    /// Writes the costs from `src` to every PID; the steps that it took.
    ///
    /// # Panics
    /// `out` has not one place for each PID.
    pub fn fill_row(&self, src: usize, out: &mut [f64]) -> u64 {
        assert_eq!(out.len(), self.size, "a row has a cell for each PID");
        let Some((from, a)) = self.place(src) else {
            out.fill(f64::NAN);
            return 0;
        };
        let across = self.across.as_ref();
        let mut steps = across.map_or(0, |across| across.steps_from(from));
        let (mut leads, mut starts) = (Vec::new(), Vec::new());
        if let Some(across) = self.across.as_ref().filter(|across| across.other.is_none()) {
            across.starts(from, a, &mut starts);
        }
        let mut filled = 0;
        for (to, domain) in self.domains.iter().enumerate() {
            // What lies between domains belongs to none.
            out[filled..domain.first].fill(f64::NAN);
            filled = domain.first + domain.pids;
            let out = &mut out[domain.first..filled];
            match &self.across {
                _ if to == from => domain.fill_row(a, out),
                None => out.fill(f64::NAN),
                Some(across) => {
                    steps += across.steps_to(to) * out.len() as u64;
                    match &across.other {
                        None => {
                            let starts = &starts[across.routes.borders_of(to)];
                            fill_selected(starts, &across.select[to], out);
                        }
                        Some((_, by)) => {
                            across.leads(from, a, to, &mut leads);
                            fill_other(&leads, &across.select[to], &by[to], out, across.rule);
                        }
                    }
                }
            }
        }
        out[filled..].fill(f64::NAN);
        steps
    }

    /// Writes the costs from each of `srcs` to each of `dsts`, row by row. An
    /// index that no PID has yields no cost. `onward` is what the last rows went by.
    pub fn gather(&self, srcs: &[u32], dsts: &[u32], out: &mut Vec<f64>, onward: &mut Onward) {
        out.clear();
        out.reserve(srcs.len() * dsts.len());
        let places: Vec<_> = dsts.iter().map(|&dst| self.place(dst as usize)).collect();
        for &src in srcs {
            let Some((from, a)) = self.place(src as usize) else {
                out.extend(dsts.iter().map(|_| f64::NAN));
                continue;
            };
            let across = self.across.as_ref();
            if let Some(across) = across {
                onward.start(across, from, a);
            }
            out.extend(places.iter().map(|place| match (*place, across) {
                (Some((to, b)), _) if to == from => self.domains[from].cost(a, b),
                (Some((to, b)), Some(across)) => onward.cost(across, to, b),
                _ => f64::NAN,
            }));
        }
    }
}

impl Inside {
    /// The cost from PID to PID.
    fn cost(&self, a: usize, b: usize) -> f64 {
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
