//! The plan of the merged view: which path each cost between domains follows.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::ident::{DomainLabel, InterconnectId, MetricName, PidName};
use crate::net::PidIndex;

use super::borders::Topology;
use super::ways::{Effort, WaySearch};

use super::across::Across;
use super::cells::Composed;
use super::onward::Onward;

/// All that it takes to tell the path between two PIDs.
#[derive(Debug)]
pub struct Plan {
    /// The domains, in the order of their PIDs.
    pub domains: Box<[PlannedDomain]>,
    /// The links of the topology: confirmed interconnects, each in both
    /// directions.
    pub crossings: Arc<[Crossing]>,
    /// The borders of the domains and the links between them.
    pub topology: Arc<Topology>,
    /// How far ways were sought.
    pub effort: Effort,
    /// The ways by which paths are chosen.
    pub selected: Across,
    /// The costs of the merged view.
    pub costs: BTreeMap<MetricName, Arc<Composed>>,
}

/// A domain of the merged view.
#[derive(Debug, Clone)]
pub struct PlannedDomain {
    /// Its label.
    pub label: DomainLabel,
    /// The index of its first PID in the merged view.
    pub first: usize,
    /// Its PIDs, by their names in its own view.
    pub pids: Arc<PidIndex>,
    /// Its border PIDs, by their index in its own view.
    pub borders: Arc<[u32]>,
    /// The number of what it states, as it is joined: a revision of our own, a peer's serial.
    pub serial: u64,
    /// When we came by that.
    pub received: Timestamp,
}

/// An interconnect in one direction.
#[derive(Debug, Clone, PartialEq)]
pub struct Crossing {
    /// Its id.
    pub id: InterconnectId,
    /// What crossing it costs, in the terms of the merged view.
    pub costs: BTreeMap<MetricName, f64>,
}

/// The path from a PID to another, as the merged view has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Path {
    /// What is passed, in order: a domain, then an interconnect and a domain
    /// for each further one.
    pub hops: Vec<Hop>,
    /// The costs of the whole path; a metric that is missing somewhere is
    /// missing here.
    pub total: BTreeMap<MetricName, f64>,
}

/// A part of a path.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "hop")]
pub enum Hop {
    /// Through a domain.
    Domain {
        /// The domain.
        domain: DomainLabel,
        /// Where it is entered.
        from: PidName,
        /// Where it is left.
        to: PidName,
        /// What it states for that, `scale` applied; none from a PID to itself
        /// unless stated.
        costs: BTreeMap<MetricName, f64>,
    },
    /// Over an interconnect.
    Interconnect {
        /// The interconnect.
        id: InterconnectId,
        /// Where it starts.
        from: Border,
        /// Where it ends.
        to: Border,
        /// What crossing it costs in this direction, `scale` applied.
        costs: BTreeMap<MetricName, f64>,
    },
}

/// A PID where a domain meets another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Border {
    /// The domain.
    pub domain: DomainLabel,
    /// The PID, by its name in the domain.
    pub pid: PidName,
}

/// The search for the path between two PIDs, in steps.
#[derive(Debug)]
pub struct PathSearch {
    plan: Arc<Plan>,
    /// The PIDs, by their indices in the merged view.
    ends: [u32; 2],
    /// The way between their domains; none inside one, or where none leads.
    way: Option<WaySearch>,
}

impl PathSearch {
    /// Goes on until about so much more was looked at; whether there is more to do.
    pub fn step(&mut self, looks: u64) -> bool {
        self.way.as_mut().is_some_and(|way| way.step(looks))
    }

    /// About how many bytes it takes.
    pub fn memory(&self) -> usize {
        self.way.as_ref().map_or(0, WaySearch::memory)
    }

    /// The path, once it is found: inside one domain it is a single hop. None if a PID belongs to
    /// no domain, no path is known, or the domain itself states no cost.
    pub fn path(&self) -> Option<Path> {
        let (plan, [src, dst]) = (&self.plan, self.ends);
        let ((from, a), (to, b)) = (plan.place(src)?, plan.place(dst)?);
        let hops = if from == to {
            let hop = plan.hop(from, a, b)?;
            match &hop {
                Hop::Domain { costs, .. } if costs.is_empty() => return None,
                _ => vec![hop],
            }
        } else {
            let way = self.way.as_ref()?.way()?;
            plan.hops((from, a), way.links(), (to, b))?
        };
        let mut cell = Vec::new();
        let mut total = BTreeMap::new();
        for (metric, costs) in &plan.costs {
            costs.gather(&[src], &[dst], &mut cell, &mut Onward::default());
            if let Some(cost) = cell.first().filter(|cost| !cost.is_nan()) {
                total.insert(metric.clone(), *cost);
            }
        }
        Some(Path { hops, total })
    }
}

impl Plan {
    /// Begins to search for the path from PID to PID of the merged view, by their indices. Of the
    /// ways between domains only the costs are kept: all ways would take more memory than those.
    pub fn search(self: &Arc<Self>, src: u32, dst: u32) -> PathSearch {
        PathSearch {
            plan: self.clone(),
            ends: [src, dst],
            way: self.way(src, dst),
        }
    }

    /// A domain, by its label.
    pub fn domain(&self, label: &DomainLabel) -> Option<&PlannedDomain> {
        self.domains.iter().find(|domain| domain.label == *label)
    }

    /// Whether there is no cost between the PIDs because `max_labels` did not
    /// suffice to say which path is the best.
    pub fn is_unsettled(&self, src: u32, dst: u32) -> bool {
        let places = self.place(src).zip(self.place(dst));
        places.is_some_and(|((from, _), (to, _))| {
            let unsettled = &self.selected.routes.from[from].unsettled;
            unsettled.contains(&(to as u32))
        })
    }

    /// The domain of a PID, and the PID's index in it.
    fn place(&self, pid: u32) -> Option<(usize, u32)> {
        let next = self
            .domains
            .partition_point(|domain| domain.first <= pid as usize);
        let domain = next.checked_sub(1)?;
        let place = pid - self.domains[domain].first as u32;
        self.domains[domain].name(place).map(|_| (domain, place))
    }

    /// The search for the way between the domains of two PIDs.
    fn way(&self, src: u32, dst: u32) -> Option<WaySearch> {
        let ((from, a), (to, b)) = (self.place(src)?, self.place(dst)?);
        if from == to {
            return None;
        }
        let (exit, entry) = self.selected.choose((from, a as usize), (to, b as usize))?;
        let source = self.topology.borders_of(from).start + exit;
        let target = self.topology.borders_of(to).start + entry;
        let (source, target) = (source as u32, target as u32);
        Some(WaySearch::new(&self.topology, source, target, self.effort))
    }

    fn hops(&self, src: (usize, u32), links: &[u32], dst: (usize, u32)) -> Option<Vec<Hop>> {
        let mut hops = Vec::with_capacity(2 * links.len() + 1);
        let (mut domain, mut pid) = src;
        for &at in links {
            let link = self.topology.link(at);
            let crossing = &self.crossings[at as usize];
            let (exit, entry) = (self.border(link.from), self.border(link.to));
            hops.push(self.hop(domain, pid, exit.1)?);
            hops.push(Hop::Interconnect {
                id: crossing.id.clone(),
                from: self.named(exit)?,
                to: self.named(entry)?,
                costs: crossing.costs.clone(),
            });
            (domain, pid) = entry;
        }
        hops.push(self.hop(domain, pid, dst.1)?);
        Some(hops)
    }

    /// The domain of a border, and the index of its PID there.
    fn border(&self, border: u32) -> (usize, u32) {
        let domain = self.topology.domain_of(border) as usize;
        let place = border as usize - self.topology.borders_of(domain).start;
        (domain, self.domains[domain].borders[place])
    }

    fn named(&self, (domain, pid): (usize, u32)) -> Option<Border> {
        let domain = &self.domains[domain];
        Some(Border {
            domain: domain.label.clone(),
            pid: domain.name(pid)?.clone(),
        })
    }

    fn hop(&self, domain: usize, from: u32, to: u32) -> Option<Hop> {
        let stated = self.costs.iter().map(|(metric, costs)| {
            let cost = costs.domains[domain].cost(from as usize, to as usize);
            (metric.clone(), cost)
        });
        let stated = stated.filter(|(_, cost)| !cost.is_nan()).collect();
        let domain = &self.domains[domain];
        Some(Hop::Domain {
            domain: domain.label.clone(),
            from: domain.name(from)?.clone(),
            to: domain.name(to)?.clone(),
            costs: stated,
        })
    }
}

impl PlannedDomain {
    /// The name of a PID in its own view.
    fn name(&self, pid: u32) -> Option<&PidName> {
        self.pids.name(pid)
    }
}
