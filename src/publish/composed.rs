//! The costs of the merged view in one metric: factored, a cell computed when
//! asked.
//!
//! From PID *a* to PID *b* of another domain it is the least, over the borders
//! *e* of a's domain and *f* of b's, of `access(a, e) + way(e, f) + access(f, b)`
//! in the metric that ways are selected by; every other metric is composed
//! along the way that this chooses. For one *a* and *f* the choice of *e* is the
//! same for every *b*, so that a row of cells takes one addition and one
//! comparison for each cell and *f*.

use std::ops::Range;
use std::sync::Arc;

use crate::ident::Tag;
use crate::net::Matrix;

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
    /// By domain, the access in the metric that ways are selected by; infinite
    /// where there is none.
    pub select: Arc<[Arc<Access>]>,
    /// Of any other metric: its place in the measures of the routes, and by
    /// domain the access in it.
    pub other: Option<(usize, Arc<[Arc<Access>]>)>,
}

/// What it takes to get from the PIDs of a domain to its borders and back, as
/// measures of one metric.
#[derive(Debug, PartialEq)]
pub struct Access {
    /// From each PID to each border, PID by PID.
    pub out: Box<[f64]>,
    /// From each border to each PID, border by border.
    pub into: Box<[f64]>,
}

/// What leads from one PID to a border of another domain.
#[derive(Debug, Clone, Copy)]
struct Lead {
    /// The border, in its domain.
    to: usize,
    /// The border that it leaves the first domain by.
    from: usize,
    rank: u32,
    cost: f64,
    /// The measure of the metric that is asked for, if it is another.
    other: f64,
}

/// How many cells are worked on at once, all within the nearest cache.
const TILE: usize = 256;

impl Across {
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
        self.best(&leads, to, b).map(|lead| (lead.from, lead.to))
    }

    /// What leads from PID `a` of one domain to the borders of another; of two
    /// that cost the same further on, the first is to be taken.
    fn leads(&self, from: usize, a: usize, to: usize, leads: &mut Vec<Lead>) {
        leads.clear();
        let (routes, exits) = (&self.routes.from[from], self.routes.borders_of(from).len());
        let borders = self.routes.borders();
        let out = &self.select[from].out[a * exits..][..exits];
        for (place, border) in self.routes.borders_of(to).enumerate() {
            let mut lead = Lead {
                to: place,
                from: 0,
                rank: u32::MAX,
                cost: f64::INFINITY,
                other: f64::NAN,
            };
            for (exit, access) in out.iter().enumerate() {
                let at = exit * borders + border;
                let (cost, rank) = (access + routes.cost[at], routes.rank[at]);
                if cost < lead.cost || (cost == lead.cost && rank < lead.rank) {
                    (lead.cost, lead.rank, lead.from) = (cost, rank, exit);
                }
            }
            if lead.cost == f64::INFINITY {
                continue;
            }
            if let Some((metric, access)) = &self.other {
                let first = access[from].out[a * exits + lead.from];
                let way = routes.measures[*metric][lead.from * borders + border];
                lead.other = self.rule.compose(first, way);
            }
            leads.push(lead);
        }
        leads.sort_unstable_by_key(|lead| lead.rank);
    }

    /// Of the leads into a domain, the one that the path to its PID `b` takes.
    fn best<'l>(&self, leads: &'l [Lead], to: usize, b: usize) -> Option<&'l Lead> {
        let into = &self.select[to].into;
        let pids = self.pids(to, into);
        let (mut best, mut least) = (None, f64::INFINITY);
        for lead in leads {
            let cost = lead.cost + into[lead.to * pids + b];
            if cost < least {
                (best, least) = (Some(lead), cost);
            }
        }
        best
    }

    /// The cost over the leads to PID `b`.
    fn cell(&self, leads: &[Lead], to: usize, b: usize) -> f64 {
        let Some(lead) = self.best(leads, to, b) else {
            return f64::NAN;
        };
        let access = |domains: &[Arc<Access>]| {
            let into = &domains[to].into;
            into[lead.to * self.pids(to, into) + b]
        };
        self.rule.cost(match &self.other {
            None => lead.cost + access(&self.select),
            Some((_, other)) => self.rule.join(lead.other, access(other)),
        })
    }

    /// How many PIDs a table of borders by PIDs of a domain has.
    fn pids(&self, domain: usize, into: &[f64]) -> usize {
        into.len() / self.routes.borders_of(domain).len().max(1)
    }

    /// Writes the costs over the leads to every PID of a domain.
    fn fill(&self, leads: &[Lead], to: usize, out: &mut [f64]) {
        // The rule is known to each loop, so that it has no branch.
        match (&self.other, self.rule) {
            (None, _) => self.fill_selected(leads, to, out),
            (Some((_, other)), Rule::Add) => self.fill_other(leads, to, other, out, Rule::Add),
            (Some((_, other)), Rule::Smaller) => {
                self.fill_other(leads, to, other, out, Rule::Smaller)
            }
            (Some((_, other)), Rule::Loss) => self.fill_other(leads, to, other, out, Rule::Loss),
        }
    }

    fn fill_selected(&self, leads: &[Lead], to: usize, out: &mut [f64]) {
        let (pids, into) = (out.len(), &self.select[to].into);
        for (tile, out) in out.chunks_mut(TILE).enumerate() {
            let start = tile * TILE;
            out.fill(f64::INFINITY);
            for lead in leads {
                let into = &into[lead.to * pids + start..][..out.len()];
                for (least, access) in out.iter_mut().zip(into) {
                    let cost = lead.cost + access;
                    *least = if cost < *least { cost } else { *least };
                }
            }
            for cost in out {
                // Infinite is none: infinity times 0 is NaN.
                *cost = *cost / 1000.0 + *cost * 0.0;
            }
        }
    }

    #[inline(always)]
    fn fill_other(
        &self,
        leads: &[Lead],
        to: usize,
        other: &[Arc<Access>],
        out: &mut [f64],
        rule: Rule,
    ) {
        let pids = out.len();
        let (select, other) = (&self.select[to].into, &other[to].into);
        let mut least = [f64::INFINITY; TILE];
        for (tile, out) in out.chunks_mut(TILE).enumerate() {
            let start = tile * TILE;
            let least = &mut least[..out.len()];
            least.fill(f64::INFINITY);
            out.fill(f64::NAN);
            for lead in leads {
                let place = lead.to * pids + start;
                let select = &select[place..][..out.len()];
                let other = &other[place..][..out.len()];
                let cells = out.iter_mut().zip(least.iter_mut());
                for ((out, least), (access, then)) in cells.zip(select.iter().zip(other)) {
                    let cost = lead.cost + access;
                    let measure = rule.join(lead.other, *then);
                    let better = cost < *least;
                    *out = if better { measure } else { *out };
                    *least = if better { cost } else { *least };
                }
            }
            for measure in out {
                *measure = rule.cost(*measure);
            }
        }
    }
}

impl Composed {
    /// The domain of a PID, and the PID's place in it.
    fn place(&self, pid: usize) -> Option<(usize, usize)> {
        let next = self.domains.partition_point(|domain| domain.first <= pid);
        let domain = next.checked_sub(1)?;
        let place = pid - self.domains[domain].first;
        (place < self.domains[domain].pids).then_some((domain, place))
    }

    /// Writes the costs from `src` to every PID.
    ///
    /// # Panics
    /// `out` has not one place for each PID.
    pub fn fill_row(&self, src: usize, out: &mut [f64]) {
        assert_eq!(out.len(), self.size, "a row has a cell for each PID");
        let Some((from, a)) = self.place(src) else {
            out.fill(f64::NAN);
            return;
        };
        let mut leads = Vec::new();
        let mut filled = 0;
        for (to, domain) in self.domains.iter().enumerate() {
            // What lies between domains belongs to none.
            out[filled..domain.first].fill(f64::NAN);
            filled = domain.first + domain.pids;
            let out = &mut out[domain.first..filled];
            match &self.across {
                _ if to == from => domain.fill_row(a, out),
                Some(across) => {
                    across.leads(from, a, to, &mut leads);
                    across.fill(&leads, to, out);
                }
                None => out.fill(f64::NAN),
            }
        }
        out[filled..].fill(f64::NAN);
    }

    /// Writes the costs from each of `srcs` to each of `dsts`, row by row. An
    /// index that no PID has yields no cost.
    pub fn gather(&self, srcs: &[u32], dsts: &[u32], out: &mut Vec<f64>) {
        out.clear();
        out.reserve(srcs.len() * dsts.len());
        let places: Vec<_> = dsts.iter().map(|&dst| self.place(dst as usize)).collect();
        let mut leads = Leads::new(self);
        for &src in srcs {
            let from = self.place(src as usize);
            leads.forget();
            for &to in &places {
                out.push(match (from, to) {
                    (Some(from), Some(to)) => leads.cell(from, to),
                    _ => f64::NAN,
                });
            }
        }
    }
}

/// The leads from one PID to the domains that were asked for.
struct Leads<'c> {
    composed: &'c Composed,
    leads: Vec<Lead>,
    /// By domain, where its leads are.
    known: Vec<Option<Range<usize>>>,
    asked: Vec<usize>,
    scratch: Vec<Lead>,
}

impl<'c> Leads<'c> {
    fn new(composed: &'c Composed) -> Self {
        Self {
            composed,
            leads: Vec::new(),
            known: vec![None; composed.domains.len()],
            asked: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Forgets all, before another PID is asked for.
    fn forget(&mut self) {
        self.leads.clear();
        for domain in self.asked.drain(..) {
            self.known[domain] = None;
        }
    }

    fn cell(&mut self, (from, a): (usize, usize), (to, b): (usize, usize)) -> f64 {
        if from == to {
            return self.composed.domains[from].cost(a, b);
        }
        let Some(across) = &self.composed.across else {
            return f64::NAN;
        };
        let known = self.known[to].get_or_insert_with(|| {
            across.leads(from, a, to, &mut self.scratch);
            let begin = self.leads.len();
            self.leads.extend_from_slice(&self.scratch);
            self.asked.push(to);
            begin..self.leads.len()
        });
        across.cell(&self.leads[known.clone()], to, b)
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
                out.copy_from_slice(costs.row(a));
                if self.scale != 1.0 {
                    out.iter_mut().for_each(|cost| *cost *= self.scale);
                }
            }
        }
    }
}
