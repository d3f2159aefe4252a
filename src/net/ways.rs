//! The best ways from a border to all others: exactly, and through no domain
//! twice.
//!
//! A way is better if it costs less; among equal ones, if it has fewer domains;
//! then, if its sequence of links is the smaller. Putting the same before or
//! after two ways keeps their order, so that Dijkstra's algorithm finds the
//! best ones, were it not for the domains that none may pass twice.
//!
//! So it is first asked without that condition. Where the answer keeps to it,
//! that is the best way. For the other borders, one by one, the best way is
//! sought backwards, by A\*: what the first pass found is a lower bound of what
//! lies ahead. There only *critical* domains are not passed twice; they become
//! more until the answer passes none twice (decremental state space
//! relaxation). Of two labels at one place the second is dropped if the first
//! is better, no longer, and passed no critical domain that the second did not.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::topology::{State, Step, Topology, arrived, border};

/// The most domains that a way can have.
///
/// Its 2 × 9 − 1 = 17 costs, of at most 5·10¹⁴ each, have a sum below 2⁵³.
pub const MAX_DOMAINS: usize = 9;

const MAX_LINKS: usize = MAX_DOMAINS - 1;

/// 2⁵³: below, sums of whole numbers are exact. No way costs more.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// How far ways are sought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// The most domains on a way, both ends included; [`MAX_DOMAINS`] if more.
    pub max_domains: usize,
    /// The most labels that are made for one border where to start, not
    /// counting the first pass.
    pub max_labels: u64,
}

/// A way from border to border, without what lies before the first link and
/// after the last.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Way {
    /// The sum of the costs of the links and of the domains between them.
    pub cost: f64,
    links: Links,
}

impl Way {
    /// The numbers of the links.
    pub fn links(&self) -> &[u32] {
        self.links.as_slice()
    }

    /// The order of ways of equal cost.
    pub fn cmp_at_equal_cost(&self, other: &Way) -> Ordering {
        self.links.cmp(&other.links)
    }
}

/// The best ways from a border.
#[derive(Debug)]
pub struct Ways {
    /// The way to each border that there is one to.
    pub to: Vec<Option<Way>>,
    /// The borders that the labels did not suffice for.
    pub unsettled: Vec<u32>,
}

/// A sequence of links; of two the shorter is less, then the lexicographically
/// smaller one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Links {
    len: u32,
    /// Zeros after the end.
    at: [u32; MAX_LINKS],
}

impl Links {
    const NONE: Links = Links {
        len: 0,
        at: [0; MAX_LINKS],
    };

    fn as_slice(&self) -> &[u32] {
        &self.at[..(self.len as usize).min(MAX_LINKS)]
    }

    /// With one more at the end. What does not fit is counted only: it is too
    /// long to be a way and its order does not matter.
    fn then(mut self, link: u32) -> Self {
        if let Some(place) = self.at.get_mut(self.len as usize) {
            *place = link;
        }
        self.len += 1;
        self
    }

    /// With one more at the beginning; there must be room.
    fn after(self, link: u32) -> Self {
        let mut at = [link; MAX_LINKS];
        at[1..].copy_from_slice(&self.at[..MAX_LINKS - 1]);
        Self {
            len: self.len + 1,
            at,
        }
    }
}

/// The best walk to a state, whether or not it passes a domain twice.
#[derive(Debug, Clone, Copy)]
struct Walk {
    cost: f64,
    links: Links,
    /// Whether it passes no domain twice and is not too long.
    is_way: bool,
}

impl Topology {
    /// The best ways from a border of a domain to all borders of others.
    ///
    /// # Panics
    /// There is no such border.
    pub fn ways(&self, source: u32, effort: Effort) -> Ways {
        let max_links = effort.max_domains.min(MAX_DOMAINS).saturating_sub(1) as u32;
        let walks = self.walks(source, max_links);
        let mut ways = Ways {
            to: vec![None; self.borders()],
            unsettled: Vec::new(),
        };
        let mut unfinished = Vec::new();
        for (target, way) in (0..).zip(&mut ways.to) {
            let [narrow, open] = [0, 1].map(|open| &walks[target as usize * 2 + open]);
            let best = match (open.cost, open.links) < (narrow.cost, narrow.links) {
                true => open,
                false => narrow,
            };
            if best.is_way {
                *way = Some(Way {
                    cost: best.cost,
                    links: best.links,
                });
            } else if best.cost.is_finite() {
                unfinished.push(target);
            }
        }
        if unfinished.is_empty() {
            return ways;
        }
        let mut search = Search::new(self, source, &walks, max_links, effort.max_labels);
        for target in unfinished {
            match search.way(target) {
                Ok(way) => ways.to[target as usize] = way,
                Err(OutOfLabels) => ways.unsettled.push(target),
            }
        }
        ways
    }

    /// The best walk from a border to each state; none comes back to the
    /// domain where it starts.
    fn walks(&self, source: u32, max_links: u32) -> Vec<Walk> {
        const NO_WALK: Walk = Walk {
            cost: f64::INFINITY,
            links: Links::NONE,
            is_way: false,
        };
        let home = self.domain_of(source);
        let mut walks = vec![NO_WALK; self.states()];
        let mut queue = BinaryHeap::new();
        let start = Walk {
            cost: 0.0,
            is_way: true,
            ..NO_WALK
        };
        let first = self.out(source).iter().map(|&at| Step {
            state: arrived(self.link(at)),
            link: at,
            cost: self.link(at).cost,
        });
        let improve = |walks: &mut [Walk], queue: &mut BinaryHeap<_>, from: Walk, step: &Step| {
            let cost = from.cost + step.cost;
            let known = &walks[step.state as usize];
            if cost > known.cost || cost >= EXACT {
                return;
            }
            let links = from.links.then(step.link);
            if cost < known.cost || links < known.links {
                let domain = self.domain_of(border(step.state));
                if cost < known.cost || links.len < known.links.len {
                    queue.push(Reverse((cost.to_bits(), links.len, step.state)));
                }
                walks[step.state as usize] = Walk {
                    cost,
                    links,
                    is_way: from.is_way
                        && links.len <= max_links
                        && !self.passes(&from.links, domain),
                };
            }
        };
        for step in first {
            improve(&mut walks, &mut queue, start, &step);
        }
        while let Some(Reverse((cost, len, state))) = queue.pop() {
            let walk = walks[state as usize];
            // All walks that lead to this one cost no more and are shorter, so
            // that they were there before.
            if (walk.cost.to_bits(), walk.links.len) != (cost, len) {
                continue;
            }
            for step in self.onward(state) {
                if self.domain_of(border(step.state)) != home {
                    improve(&mut walks, &mut queue, walk, step);
                }
            }
        }
        walks
    }

    /// Whether one of the links leads into the domain.
    fn passes(&self, links: &Links, domain: u32) -> bool {
        let mut entered = links.as_slice().iter().map(|&at| self.link(at).to);
        entered.any(|border| self.domain_of(border) == domain)
    }
}

/// The labels of a border where to start are spent.
struct OutOfLabels;

/// A walk backwards from a target.
#[derive(Debug, Clone, Copy)]
struct Label {
    /// Where it has come to; none when at the border where ways start.
    state: Option<State>,
    cost: f64,
    links: Links,
    /// A bit for each critical domain that it passes; beyond the 64th they
    /// share bits.
    critical: u64,
}

/// The search for ways from one border to one after the other.
struct Search<'a> {
    topology: &'a Topology,
    source: u32,
    /// The best walks from the source: a lower bound of what lies ahead.
    walks: &'a [Walk],
    max_links: u32,
    labels_left: u64,
    /// The domains that must not be passed twice, and the place of each there.
    critical: Vec<u32>,
    place: Vec<Option<u32>>,
    labels: Vec<Label>,
    /// The labels that stay, by state.
    kept: Vec<Vec<u32>>,
    queue: BinaryHeap<Reverse<(u64, Links, u32)>>,
}

impl<'a> Search<'a> {
    fn new(
        topology: &'a Topology,
        source: u32,
        walks: &'a [Walk],
        max_links: u32,
        max_labels: u64,
    ) -> Self {
        Self {
            topology,
            source,
            walks,
            max_links,
            labels_left: max_labels,
            critical: Vec::new(),
            place: vec![None; topology.domains()],
            labels: Vec::new(),
            kept: vec![Vec::new(); topology.states()],
            queue: BinaryHeap::new(),
        }
    }

    /// The best way to a border.
    fn way(&mut self, target: u32) -> Result<Option<Way>, OutOfLabels> {
        for domain in self.critical.drain(..) {
            self.place[domain as usize] = None;
        }
        loop {
            let Some(found) = self.walk(target)? else {
                return Ok(None);
            };
            let mut entered: Vec<u32> = found.links.as_slice().to_vec();
            for at in &mut entered {
                *at = self.topology.domain_of(self.topology.link(*at).to);
            }
            entered.sort_unstable();
            let twice = entered.windows(2).filter(|pair| pair[0] == pair[1]);
            let twice: Vec<u32> = twice.map(|pair| pair[0]).collect();
            if twice.is_empty() {
                return Ok(Some(Way {
                    cost: found.cost,
                    links: found.links,
                }));
            }
            for domain in twice {
                let place = &mut self.place[domain as usize];
                if place.is_none() {
                    *place = Some(self.critical.len() as u32);
                    self.critical.push(domain);
                }
            }
        }
    }

    /// The best walk to a border that is not too long and passes no critical
    /// domain twice.
    fn walk(&mut self, target: u32) -> Result<Option<Label>, OutOfLabels> {
        let topology = self.topology;
        self.queue.clear();
        for label in self.labels.drain(..) {
            if let Some(state) = label.state {
                self.kept[state as usize].clear();
            }
        }
        for state in [target * 2, target * 2 + 1] {
            self.push(Label {
                state: Some(state),
                cost: 0.0,
                links: Links::NONE,
                critical: self.bit(state),
            })?;
        }
        while let Some(Reverse((_, _, at))) = self.queue.pop() {
            let label = self.labels[at as usize];
            let Some(state) = label.state else {
                return Ok(Some(label));
            };
            // Those kept came before it, so that they are better.
            let kept = self.kept[state as usize].iter();
            if kept
                .map(|&at| &self.labels[at as usize])
                .any(|better| self.leaves_room(better, &label))
            {
                continue;
            }
            self.kept[state as usize].push(at);
            if label.links.len >= self.max_links {
                continue;
            }
            for &link in topology.out(self.source) {
                if arrived(topology.link(link)) == state {
                    self.push(Label {
                        state: None,
                        cost: label.cost + topology.link(link).cost,
                        links: label.links.after(link),
                        critical: label.critical,
                    })?;
                }
            }
            if label.links.len + 1 >= self.max_links {
                continue;
            }
            for step in topology.back(state) {
                let domain = topology.domain_of(border(step.state));
                let critical = self.place[domain as usize].is_some();
                if critical && self.passes(&label, domain) {
                    continue;
                }
                self.push(Label {
                    state: Some(step.state),
                    cost: label.cost + step.cost,
                    links: label.links.after(step.link),
                    critical: label.critical | self.bit(step.state),
                })?;
            }
        }
        Ok(None)
    }

    fn push(&mut self, label: Label) -> Result<(), OutOfLabels> {
        let ahead = label
            .state
            .map_or(0.0, |state| self.walks[state as usize].cost);
        let bound = label.cost + ahead;
        if bound >= EXACT {
            return Ok(());
        }
        self.labels_left = self.labels_left.checked_sub(1).ok_or(OutOfLabels)?;
        let at = self.labels.len() as u32;
        self.queue.push(Reverse((bound.to_bits(), label.links, at)));
        self.labels.push(label);
        Ok(())
    }

    /// The bit of the domain of a state, if it is critical.
    fn bit(&self, state: State) -> u64 {
        let domain = self.topology.domain_of(border(state));
        self.place[domain as usize].map_or(0, |place| 1 << (place % 64))
    }

    /// Whether a label passes a domain.
    fn passes(&self, label: &Label, domain: u32) -> bool {
        let here = label
            .state
            .map(|state| self.topology.domain_of(border(state)));
        here == Some(domain) || self.topology.passes(&label.links, domain)
    }

    /// Whether one label leaves as much room as the other, which is at the same
    /// place: it is no longer, and passes no critical domain that the other
    /// does not pass.
    fn leaves_room(&self, one: &Label, other: &Label) -> bool {
        let passed = |label, domain: &&u32| self.passes(label, **domain);
        let exactly = || {
            let mut critical = self.critical.iter().filter(|domain| passed(one, domain));
            critical.all(|domain| passed(other, &domain))
        };
        one.links.len <= other.links.len
            && one.critical & !other.critical == 0
            && (self.critical.len() <= 64 || exactly())
    }
}
