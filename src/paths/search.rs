//! The paths of the merged view: which path each cost between domains follows.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::ident::{DomainLabel, InterconnectId, MetricName, PidName};
use crate::net::PidIndex;

use super::borders::BorderGraph;
use super::ways::{Effort, WaySearch};

use super::across::Across;
use super::cells::Composed;
use super::onward::Onward;
use super::path::{Border, Hop, Path};

/// All that it takes to tell the path between two PIDs.
#[derive(Debug)]
pub struct Paths {
    /// The domains, in the order of their PIDs.
    pub domains: Box<[PathDomain]>,
    /// The links of the graph: confirmed interconnects, each in both
    /// directions.
    pub crossings: Arc<[Crossing]>,
    /// The borders of the domains and the links between them.
    pub graph: Arc<BorderGraph>,
    /// How far ways were sought.
    pub effort: Effort,
    /// The ways by which paths are chosen.
    pub selected: Across,
    /// The costs of the merged view.
    pub costs: BTreeMap<MetricName, Arc<Composed>>,
}

/// A domain of the merged view.
#[derive(Debug, Clone)]
pub struct PathDomain {
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

/// The search for the path between two PIDs, in steps.
#[derive(Debug)]
pub struct PathSearch {
    paths: Arc<Paths>,
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
        let (paths, [src, dst]) = (&self.paths, self.ends);
        let ((from, a), (to, b)) = (paths.place(src)?, paths.place(dst)?);
        let hops = if from == to {
            let hop = paths.hop(from, a, b)?;
            match &hop {
                Hop::Domain { costs, .. } if costs.is_empty() => return None,
                _ => vec![hop],
            }
        } else {
            let way = self.way.as_ref()?.way()?;
            paths.hops((from, a), way.links(), (to, b))?
        };
        let mut cell = Vec::new();
        let mut total = BTreeMap::new();
        for (metric, costs) in &paths.costs {
            costs.gather(&[src], &[dst], &mut cell, &mut Onward::default());
            if let Some(cost) = cell.first().filter(|cost| !cost.is_nan()) {
                total.insert(metric.clone(), *cost);
            }
        }
        Some(Path { hops, total })
    }
}

impl Paths {
    /// Begins to search for the path from PID to PID of the merged view, by their indices. Of the
    /// ways between domains only the costs are kept: all ways would take more memory than those.
    pub fn search(self: &Arc<Self>, src: u32, dst: u32) -> PathSearch {
        PathSearch {
            paths: self.clone(),
            ends: [src, dst],
            way: self.way(src, dst),
        }
    }

    /// A domain, by its label.
    pub fn domain(&self, label: &DomainLabel) -> Option<&PathDomain> {
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
        let source = self.graph.borders_of(from).start + exit;
        let target = self.graph.borders_of(to).start + entry;
        let (source, target) = (source as u32, target as u32);
        Some(WaySearch::new(&self.graph, source, target, self.effort))
    }

    fn hops(&self, src: (usize, u32), links: &[u32], dst: (usize, u32)) -> Option<Vec<Hop>> {
        let mut hops = Vec::with_capacity(2 * links.len() + 1);
        let (mut domain, mut pid) = src;
        for &at in links {
            let link = self.graph.link(at);
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
        let domain = self.graph.domain_of(border) as usize;
        let place = border as usize - self.graph.borders_of(domain).start;
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

impl PathDomain {
    /// The name of a PID in its own view.
    fn name(&self, pid: u32) -> Option<&PidName> {
        self.pids.name(pid)
    }
}
