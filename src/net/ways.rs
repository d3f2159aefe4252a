//! The best ways from a border to all others: exactly, and through no domain
//! twice.
//!
//! A way is better if it costs less; among equal ones, if it has fewer domains;
//! then, if its sequence of links is the smaller. Putting the same before or
//! after two ways of equal length keeps their order, so that the best ones
//! could be made of each other, were it not for the domains that none may pass
//! twice.
//!
//! So it is first asked without that condition, one more link at a time. Where
//! the answer keeps to it, that is the best way. For the other borders, one by
//! one, the best way is sought backwards, by A\*: what the first pass found is a
//! lower bound of what lies ahead. There only *critical* domains are not passed
//! twice; they become more until the answer passes none twice (decremental
//! state space relaxation). Of two labels at one place the second is dropped if
//! the first is better, no longer, and passed no critical domain that the second
//! did not.

mod search;
mod walks;

use std::cmp::Ordering;
use std::sync::Arc;

use super::topology::Topology;
use search::{OutOfLabels, Search};
use walks::Walks;

/// The most domains that a way can have.
///
/// Its 2 × 9 − 1 = 17 costs, of at most 5·10¹⁴ each, have a sum below 2⁵³.
pub const MAX_DOMAINS: usize = 9;

const MAX_LINKS: usize = MAX_DOMAINS - 1;

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
    /// How many labels it took.
    pub labels: u64,
    /// How much was looked at in the first pass, which takes no labels: at most,
    /// for each link that a way may have, the links twice and the pairs of
    /// borders of each domain.
    pub looked: u64,
}

/// The search for the best way from one border to another, in steps.
#[derive(Debug)]
pub struct WaySearch {
    way: Option<Way>,
    /// What is left to do.
    search: Option<Box<Search<Arc<Topology>>>>,
}

/// A sequence of links; of two the shorter is less, then the lexicographically
/// smaller one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Links {
    len: usize,
    /// Zeros after the end.
    at: [u32; MAX_LINKS],
}

impl Links {
    const NONE: Links = Links {
        len: 0,
        at: [0; MAX_LINKS],
    };

    fn as_slice(&self) -> &[u32] {
        &self.at[..self.len]
    }
}

/// One for each length, from 1.
type ByLength<T> = [T; MAX_LINKS];

impl Effort {
    /// The most links that a way may have.
    fn max_links(self) -> usize {
        self.max_domains.clamp(1, MAX_DOMAINS) - 1
    }
}

impl WaySearch {
    /// Begins to seek the best way from a border to one of another domain, by a first pass over
    /// the topology.
    ///
    /// # Panics
    /// There is no such border.
    pub fn new(topology: &Arc<Topology>, source: u32, target: u32, effort: Effort) -> Self {
        let walks = Walks::new(topology, source, effort.max_links());
        let mut search = Self {
            way: None,
            search: None,
        };
        match topology.first_answer(&walks, target) {
            None => {}
            Some(Ok(way)) => search.way = Some(way),
            Some(Err(twice)) => {
                let mut seeking = Search::new(topology.clone(), source, &walks, effort.max_labels);
                let begun = seeking.seek(target, twice);
                search.search = begun.ok().map(|()| Box::new(seeking));
            }
        }
        search
    }

    /// Goes on until about so many links and labels more were looked at; whether there is more to
    /// do.
    pub fn step(&mut self, looks: u64) -> bool {
        let Some(search) = &mut self.search else {
            return false;
        };
        match search.step(looks) {
            Ok(None) => return true,
            Ok(Some(way)) => self.way = way,
            Err(OutOfLabels) => {}
        }
        self.search = None;
        false
    }

    /// About how many bytes it takes.
    pub fn memory(&self) -> usize {
        self.search.as_ref().map_or(0, |search| search.memory())
    }

    /// The way, once it is found; there is none either if the labels did not suffice.
    pub fn way(&self) -> Option<&Way> {
        self.way.as_ref()
    }
}

impl Topology {
    /// The best ways from a border of a domain to all borders of others.
    ///
    /// # Panics
    /// There is no such border.
    pub fn ways(&self, source: u32, effort: Effort) -> Ways {
        let walks = Walks::new(self, source, effort.max_links());
        let mut ways = Ways {
            to: vec![None; self.borders()],
            unsettled: Vec::new(),
            labels: 0,
            looked: walks.looked,
        };
        let mut unfinished = Vec::new();
        for (target, way) in (0..).zip(&mut ways.to) {
            match self.first_answer(&walks, target) {
                None => {}
                Some(Ok(best)) => *way = Some(best),
                Some(Err(twice)) => unfinished.push((target, twice)),
            }
        }
        if unfinished.is_empty() {
            return ways;
        }
        let mut search = Search::new(self, source, &walks, effort.max_labels);
        for (target, twice) in unfinished {
            match search.way(target, twice) {
                Ok(way) => ways.to[target as usize] = way,
                Err(OutOfLabels) => ways.unsettled.push(target),
            }
        }
        ways.labels = effort.max_labels - search.labels_left();
        ways
    }

    /// What the first pass says of a border: the way there, or a domain that the best walk passes
    /// twice.
    fn first_answer(&self, walks: &Walks<'_>, target: u32) -> Option<Result<Way, u32>> {
        let best = walks.to(target)?;
        let (cost, links) = (best.cost, walks.links(best));
        Some(match self.twice(&links) {
            None => Ok(Way { cost, links }),
            Some(domain) => Err(domain),
        })
    }

    /// A domain that the links lead into twice.
    fn twice(&self, links: &Links) -> Option<u32> {
        let domain = |at: &u32| self.entered(*at);
        let links = links.as_slice();
        let mut all = links.iter().enumerate();
        all.find_map(|(place, at)| {
            let again = links[..place]
                .iter()
                .any(|before| domain(before) == domain(at));
            again.then(|| domain(at))
        })
    }
}

#[cfg(test)]
mod tests;
