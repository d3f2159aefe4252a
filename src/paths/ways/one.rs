//! The best way from one border to another.

use std::sync::Arc;

use super::search::{OutOfLabels, Search, Step};
use super::walks::Walks;
use super::way::{Effort, Way};
use crate::paths::borders::BorderGraph;

/// The search for the best way from one border to another, in steps.
#[derive(Debug)]
pub struct WaySearch {
    way: Option<Way>,
    /// The search, until it is finished.
    search: Option<Box<Search<Arc<BorderGraph>>>>,
}

impl WaySearch {
    /// Begins the search for the best way between borders of two domains, with the first pass over
    /// the graph.
    ///
    /// # Panics
    /// There is no border `source`.
    pub fn new(graph: &Arc<BorderGraph>, source: u32, target: u32, effort: Effort) -> Self {
        let walks = Walks::new(graph, source, effort.max_links());
        let mut search = Self {
            way: None,
            search: None,
        };
        match walks.answer(target) {
            None => {}
            Some(Ok(way)) => search.way = Some(way),
            Some(Err(twice)) => {
                let mut seeking = Search::new(graph.clone(), source, &walks, effort.max_labels);
                let begun = seeking.seek(target, twice);
                search.search = begun.ok().map(|()| Box::new(seeking));
            }
        }
        search
    }

    /// Continues the search by about so many links and labels; returns whether it is unfinished.
    pub fn step(&mut self, looks: u64) -> bool {
        let Some(search) = &mut self.search else {
            return false;
        };
        match search.step(looks) {
            Ok(Step::Unfinished) => return true,
            Ok(Step::Finished(way)) => self.way = way,
            Err(OutOfLabels) => {}
        }
        self.search = None;
        false
    }

    /// Returns about how many bytes of memory the search takes.
    pub fn memory(&self) -> usize {
        self.search.as_ref().map_or(0, |search| search.memory())
    }

    /// Returns the way, once the search is finished; `None` if there is no way or the labels did
    /// not suffice.
    pub fn way(&self) -> Option<&Way> {
        self.way.as_ref()
    }
}
