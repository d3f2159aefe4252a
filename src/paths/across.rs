//! What leads from one domain to another, in one metric.

use std::sync::Arc;

use super::algebra::Rule;
use super::border_costs::BorderCosts;
use super::table::Routes;

/// The costs between domains.
#[derive(Debug, Clone)]
pub struct Across {
    /// How the metric is composed.
    pub rule: Rule,
    /// The ways between borders.
    pub routes: Arc<Routes>,
    /// By domain, the access in the metric that ways are selected by.
    pub select: Arc<[Arc<BorderCosts>]>,
    /// Of any other metric: its place in the measures of the routes, and by
    /// domain the access in it.
    pub other: Option<(usize, Arc<[Arc<BorderCosts>]>)>,
}

/// What leads from one PID to a border of another domain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lead {
    /// The border, in its domain.
    pub(super) to: usize,
    /// The border that it leaves the first domain by.
    from: usize,
    rank: u32,
    pub(super) cost: f64,
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
                let first = access[from].outward_to(lead.from, a);
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
pub(super) fn least(starts: &[f64], select: &BorderCosts, b: usize) -> f64 {
    let mut least = f64::INFINITY;
    for (border, start) in starts.iter().enumerate() {
        least = least.min(start + select.inward(border, b));
    }
    // Infinite is none: infinity times 0 is NaN.
    least / 1000.0 + least * 0.0
}
