//! The best ways from one border to all others.

use super::search::{OutOfLabels, Search};
use super::walks::Walks;
use super::way::{Effort, Way};
use crate::paths::borders::BorderGraph;

/// The best ways from a border.
#[derive(Debug)]
pub struct Ways {
    /// By border, the best way to it.
    pub to: Vec<Option<Way>>,
    /// The borders to which the labels did not suffice to find the best way.
    pub unsettled: Vec<u32>,
    /// How many labels the search took.
    pub labels: u64,
    /// How many links and pairs of borders the first pass looked at, which takes no labels: for
    /// each link that a way may have, at most twice the links and the pairs of borders of each
    /// domain.
    pub looked: u64,
}

impl BorderGraph {
    /// Finds the best ways from a border to all borders of other domains.
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
            match walks.answer(target) {
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
}
