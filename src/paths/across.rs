//! The costs between domains in one metric.

use std::sync::Arc;

use super::algebra::Rule;
use super::border_costs::BorderCosts;
use super::place::Place;
use super::table::Routes;

/// The costs between domains.
#[derive(Debug, Clone)]
pub struct Across {
    /// How the metric is composed.
    pub rule: Rule,
    /// The ways between borders.
    pub routes: Arc<Routes>,
    /// By domain, the costs to and from its borders in the metric that selects ways.
    pub select: Arc<[Arc<BorderCosts>]>,
    /// What any other metric needs besides; none for the metric that selects ways.
    pub other: Option<OtherMetric>,
}

/// A metric that does not select ways.
#[derive(Debug, Clone)]
pub struct OtherMetric {
    /// Its place in the measures of the routes.
    pub place: usize,
    /// By domain, the costs to and from its borders.
    pub borders: Arc<[Arc<BorderCosts>]>,
}

/// The best way from one PID to a border of another domain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lead {
    /// The border, by its place in its domain.
    pub(super) to: usize,
    /// The border where the way leaves the first domain, by its place there.
    from: usize,
    rank: u32,
    pub(super) cost: f64,
    /// The measure in the metric that is asked for, if it does not select ways.
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
    /// Returns the steps that finding the leads of a PID takes: the borders of its domain times all
    /// borders.
    pub(super) fn steps_from(&self, from: usize) -> u64 {
        (self.routes.borders_of(from).len() * self.routes.borders()) as u64
    }

    /// Returns the steps that a cost to a PID of this domain then takes: the borders of the domain.
    pub(super) fn steps_to(&self, to: usize) -> u64 {
        self.routes.borders_of(to).len() as u64
    }

    /// Returns the borders where the path between PIDs of two domains leaves the first domain and
    /// enters the last, as places among the borders of each.
    pub(super) fn choose(&self, from: Place, to: Place) -> Option<(usize, usize)> {
        let mut leads = Vec::new();
        self.leads(from, to.domain, &mut leads);
        let (lead, _) = self.best(&leads, to.domain, to.pid)?;
        Some((lead.from, lead.to))
    }

    /// Finds the leads from a PID to the borders of another domain. They are sorted so that of two
    /// whose costs to a PID there are equal, the first is the better one.
    pub(super) fn leads(&self, from: Place, to: usize, leads: &mut Vec<Lead>) {
        leads.clear();
        let routes = &self.routes.from[from.domain];
        let entries = self.routes.borders_of(to);
        if entries.is_empty() {
            return;
        }
        leads.extend((0..entries.len()).map(|to| Lead { to, ..NO_LEAD }));
        for (exit, access) in self.select[from.domain].outward(from.pid) {
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
        if let Some(other) = &self.other {
            let ways = &routes.measures[other.place];
            for lead in leads.iter_mut() {
                let first = other.borders[from.domain].outward_to(lead.from, from.pid);
                let way = ways[lead.from * self.routes.borders() + entries.start + lead.to];
                lead.other = self.rule.compose(first, way);
            }
        }
        leads.sort_unstable_by_key(|lead| lead.rank);
    }

    /// Returns the lead into a domain that the path to its PID `b` takes, and the cost of the path
    /// in the metric that selects ways.
    pub(super) fn best<'l>(
        &self,
        leads: &'l [Lead],
        to: usize,
        b: usize,
    ) -> Option<(&'l Lead, f64)> {
        let (mut best, mut least) = (None, f64::INFINITY);
        for lead in leads {
            let cost = lead.cost + self.select[to].inward(lead.to, b);
            if cost < least {
                (best, least) = (Some(lead), cost);
            }
        }
        best.map(|lead| (lead, least))
    }

    /// Finds the least costs from a PID to each border of every domain, in the metric that selects
    /// ways.
    pub(super) fn starts(&self, from: Place, starts: &mut Vec<f64>) {
        starts.clear();
        starts.resize(self.routes.borders(), f64::INFINITY);
        let ways = &self.routes.from[from.domain].cost;
        for (exit, access) in self.select[from.domain].outward(from.pid) {
            let costs = &ways[exit * starts.len()..][..starts.len()];
            for (least, cost) in starts.iter_mut().zip(costs) {
                let cost = access + cost;
                *least = if cost < *least { cost } else { *least };
            }
        }
    }
}

/// Returns the least cost to PID `b` of a domain, over borders that have these least costs;
/// infinite without one.
pub(super) fn least(starts: &[f64], select: &BorderCosts, b: usize) -> f64 {
    let mut least = f64::INFINITY;
    for (border, start) in starts.iter().enumerate() {
        least = least.min(start + select.inward(border, b));
    }
    least
}
