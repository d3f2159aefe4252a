//! The search for the path that a cost of the merged view follows.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::ident::{DomainLabel, InterconnectId, MetricName, PidName};
use crate::net::PidIndex;

use super::across::Across;
use super::borders::BorderGraph;
use super::cells::Composed;
use super::onward::Onward;
use super::path::{Border, Hop, Path};
use super::place::Place;
use super::sets::{Places, Sets};
use super::ways::{Effort, WaySearch};

/// All paths of the merged view: the data to find the path between any two PIDs.
#[derive(Debug)]
pub struct Paths {
    /// The domains, in the order of their PIDs.
    pub domains: Box<[PathDomain]>,
    /// The links of the graph, by number: confirmed interconnects, each in both directions.
    pub crossings: Arc<[Crossing]>,
    /// The borders of the domains and the links between them.
    pub graph: Arc<BorderGraph>,
    /// The limits of the search for ways.
    pub effort: Effort,
    /// The costs between domains in the metric that selects paths.
    pub selected: Across,
    /// The costs of the merged view.
    pub costs: BTreeMap<MetricName, Arc<Composed>>,
    /// The PIDs that stand for PIDs of several domains.
    pub sets: Arc<Sets>,
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
    /// The number of the content that was joined: a revision of our own, or a peer's serial.
    pub serial: u64,
    /// When that content was received.
    pub received: Timestamp,
}

/// An interconnect in one direction.
#[derive(Debug, Clone, PartialEq)]
pub struct Crossing {
    /// Its id.
    pub id: InterconnectId,
    /// The costs of crossing it, scaled as in the merged view.
    pub costs: BTreeMap<MetricName, f64>,
}

/// The search for the path between two PIDs, in steps.
#[derive(Debug)]
pub struct PathSearch {
    paths: Arc<Paths>,
    /// The PIDs, by their indices in the merged view.
    ends: [u32; 2],
    /// The PIDs of domains where the path starts and ends; `None` if there is no path.
    places: Option<(Place, Place)>,
    /// The search for the way between their domains; `None` inside one domain, or if there is no
    /// way.
    way: Option<WaySearch>,
}

impl PathSearch {
    /// Continues the search by about so many links and labels; returns whether it is unfinished.
    pub fn step(&mut self, looks: u64) -> bool {
        self.way.as_mut().is_some_and(|way| way.step(looks))
    }

    /// Returns about how many bytes of memory the search takes.
    pub fn memory(&self) -> usize {
        self.way.as_ref().map_or(0, WaySearch::memory)
    }

    /// Returns the path, once the search is finished; inside one domain it is a single hop. `None`
    /// if a PID belongs to no domain, if there is no path, or if the domain itself states no cost.
    pub fn path(&self) -> Option<Path> {
        let (paths, [src, dst]) = (&self.paths, self.ends);
        let (from, to) = self.places?;
        let hops = if from.domain == to.domain {
            let hop = paths.hop(from.domain, from.pid, to.pid)?;
            match &hop {
                Hop::Domain { costs, .. } if costs.is_empty() => return None,
                _ => vec![hop],
            }
        } else {
            let way = self.way.as_ref()?.way()?;
            paths.hops(from, way.links(), to)?
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

    /// Returns the PIDs of domains where the path starts and ends, if the ends are PIDs that stand
    /// for several.
    pub fn holders(&self) -> [Option<Border>; 2] {
        let of = |end: u32, place: fn(&(Place, Place)) -> Place| {
            self.paths.sets.get(end as usize)?;
            self.paths.named(place(self.places.as_ref()?))
        };
        [
            of(self.ends[0], |places| places.0),
            of(self.ends[1], |places| places.1),
        ]
    }
}

impl Paths {
    /// Begins the search for the path between two PIDs of the merged view, by their indices.
    ///
    /// The merge keeps only the costs of the ways between domains, since the ways themselves would
    /// take more memory; so this searches for the way again.
    pub fn search(self: &Arc<Self>, src: u32, dst: u32) -> PathSearch {
        let places = self.choose(src, dst);
        PathSearch {
            paths: self.clone(),
            ends: [src, dst],
            places,
            way: places.and_then(|(from, to)| self.way(from, to)),
        }
    }

    /// Returns the domain with this label.
    pub fn domain(&self, label: &DomainLabel) -> Option<&PathDomain> {
        self.domains.iter().find(|domain| domain.label == *label)
    }

    /// Returns whether there is no cost between the PIDs because `max_labels` did not suffice to
    /// find the best path.
    pub fn is_unsettled(&self, src: u32, dst: u32) -> bool {
        let (src, dst) = (self.places(src), self.places(dst));
        let mut sources = src.as_slice().iter();
        sources.any(|from| {
            let unsettled = &self.selected.routes.from[from.domain].unsettled;
            let mut targets = dst.as_slice().iter();
            targets.any(|to| unsettled.contains(&(to.domain as u32)))
        })
    }

    /// Returns the PIDs of domains that a PID stands for.
    fn places(&self, pid: u32) -> Places<'_> {
        match (self.place(pid), self.sets.get(pid as usize)) {
            (Some(place), _) => Places::One(place),
            (None, Some(members)) => Places::Several(members),
            (None, None) => Places::Nowhere,
        }
    }

    /// Returns the PIDs of domains where the path between two PIDs starts and ends.
    fn choose(&self, src: u32, dst: u32) -> Option<(Place, Place)> {
        let (from, to) = (self.places(src), self.places(dst));
        self.sets
            .choose(&self.selected, from.as_slice(), to.as_slice())
    }

    /// Returns the place of a PID; `None` if it belongs to no domain.
    fn place(&self, pid: u32) -> Option<Place> {
        let pid = pid as usize;
        let next = self.domains.partition_point(|domain| domain.first <= pid);
        let domain = next.checked_sub(1)?;
        let place = Place {
            domain,
            pid: pid - self.domains[domain].first,
        };
        self.name(place).map(|_| place)
    }

    /// Begins the search for the way between the domains of two PIDs.
    fn way(&self, from: Place, to: Place) -> Option<WaySearch> {
        if from.domain == to.domain {
            return None;
        }
        let (exit, entry) = self.selected.choose(from, to)?;
        let source = self.graph.borders_of(from.domain).start + exit;
        let target = self.graph.borders_of(to.domain).start + entry;
        let (source, target) = (source as u32, target as u32);
        Some(WaySearch::new(&self.graph, source, target, self.effort))
    }

    /// Returns the hops from PID to PID over these links.
    fn hops(&self, from: Place, links: &[u32], to: Place) -> Option<Vec<Hop>> {
        let mut hops = Vec::with_capacity(2 * links.len() + 1);
        let mut at = from;
        for &number in links {
            let link = self.graph.link(number);
            let crossing = &self.crossings[number as usize];
            let (exit, entry) = (self.border(link.from), self.border(link.to));
            hops.push(self.hop(at.domain, at.pid, exit.pid)?);
            hops.push(Hop::Interconnect {
                id: crossing.id.clone(),
                from: self.named(exit)?,
                to: self.named(entry)?,
                costs: crossing.costs.clone(),
            });
            at = entry;
        }
        hops.push(self.hop(at.domain, at.pid, to.pid)?);
        Some(hops)
    }

    /// Returns the place of a border, as a PID of its domain.
    fn border(&self, border: u32) -> Place {
        let domain = self.graph.domain_of(border) as usize;
        let place = border as usize - self.graph.borders_of(domain).start;
        Place {
            domain,
            pid: self.domains[domain].borders[place] as usize,
        }
    }

    /// Returns the name of a PID in its domain's own view.
    fn name(&self, place: Place) -> Option<&PidName> {
        self.domains[place.domain].pids.name(place.pid as u32)
    }

    fn named(&self, place: Place) -> Option<Border> {
        Some(Border {
            domain: self.domains[place.domain].label.clone(),
            pid: self.name(place)?.clone(),
        })
    }

    /// Returns the hop through a domain from PID to PID.
    fn hop(&self, domain: usize, from: usize, to: usize) -> Option<Hop> {
        let stated = self.costs.iter().map(|(metric, costs)| {
            let cost = costs.domains[domain].cost(from, to);
            (metric.clone(), cost)
        });
        let name = |pid| self.name(Place { domain, pid }).cloned();
        Some(Hop::Domain {
            domain: self.domains[domain].label.clone(),
            from: name(from)?,
            to: name(to)?,
            costs: stated.filter(|(_, cost)| !cost.is_nan()).collect(),
        })
    }
}
