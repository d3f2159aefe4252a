//! A way, and the order of ways.

use std::cmp::Ordering;

use crate::paths::borders::BorderGraph;

/// The most domains that a way can pass.
///
/// Its 2 × 9 − 1 = 17 costs, of at most 5·10¹⁴ each, have a sum below 2⁵³.
pub const MAX_DOMAINS: usize = 9;

pub(super) const MAX_LINKS: usize = MAX_DOMAINS - 1;

/// The limits of the search for ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// The most domains on a way, both ends included; [`MAX_DOMAINS`] if more.
    pub max_domains: usize,
    /// The most labels that the search from one border makes, the first pass not counted.
    pub max_labels: u64,
}

/// A way from border to border: its links, and the domains between them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Way {
    /// The sum of the costs of the links and of the domains between them.
    pub cost: f64,
    pub(super) links: Links,
}

impl Way {
    /// Returns the numbers of its links.
    pub fn links(&self) -> &[u32] {
        self.links.as_slice()
    }

    /// Compares two ways of equal cost; the lesser is better.
    pub fn cmp_at_equal_cost(&self, other: &Way) -> Ordering {
        self.links.cmp(&other.links)
    }
}

/// A sequence of links, ordered by length and then lexicographically.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Links {
    pub(super) len: usize,
    /// Zeros after the end.
    pub(super) at: [u32; MAX_LINKS],
}

impl Links {
    pub(super) const NONE: Links = Links {
        len: 0,
        at: [0; MAX_LINKS],
    };

    pub(super) fn as_slice(&self) -> &[u32] {
        &self.at[..self.len]
    }

    /// Returns a domain that the links lead into twice, if there is one.
    pub(super) fn twice(&self, graph: &BorderGraph) -> Option<u32> {
        let domain = |at: &u32| graph.entered(*at);
        let links = self.as_slice();
        let mut all = links.iter().enumerate();
        all.find_map(|(place, at)| {
            let again = links[..place]
                .iter()
                .any(|before| domain(before) == domain(at));
            again.then(|| domain(at))
        })
    }
}

/// A value for each length from 1 on.
pub(super) type ByLength<T> = [T; MAX_LINKS];

impl Effort {
    /// Returns the most links that a way may have.
    pub(super) fn max_links(self) -> usize {
        self.max_domains.clamp(1, MAX_DOMAINS) - 1
    }
}
